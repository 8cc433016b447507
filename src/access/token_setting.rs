//! Which tokens are good, as a handler's settings say.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

use crate::config::{TokenAlgorithm, UnreadTable, UnreadValue, parsed};

/// Which tokens are taken for good.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenSetting {
    /// The keys that their signatures are checked with.
    pub keys: TokenKeys,
    /// The audience they must be meant for, if that is checked.
    pub audience: Option<String>,
    /// The issuer that must have made them, if that is checked.
    pub issuer: Option<String>,
    /// Whether a session ends when a token expires that it has shown.
    pub ends_sessions: bool,
}

impl TokenSetting {
    /// Tokens signed with one key, which nothing else is asked of.
    pub fn new(algorithm: TokenAlgorithm, key: TokenKey) -> Self {
        let key = NamedKey {
            kid: None,
            algorithm,
            key,
        };
        TokenSetting {
            keys: TokenKeys::Named(vec![key]),
            audience: None,
            issuer: None,
            ends_sessions: false,
        }
    }
}

/// The keys that signatures are checked with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenKeys {
    /// These; several while one takes the place of another.
    Named(Vec<NamedKey>),
    /// Those of a file, as a JWK Set (RFC 7517 §5).
    JwksFile(PathBuf),
}

/// A key, with what tokens call it and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedKey {
    /// Its name in the header of tokens (RFC 7515 §4.1.4). A key without one checks
    /// tokens with any name.
    pub kid: Option<String>,
    /// How tokens are signed with it, which is the one way.
    pub algorithm: TokenAlgorithm,
    /// The key.
    pub key: TokenKey,
}

/// The key that signatures are checked with.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenKey {
    /// The secret itself, for HS256.
    Secret(String),
    /// A file that holds the secret, for HS256. The line end after it does not count.
    SecretFile(PathBuf),
    /// A file that holds the public key as PEM, for the others.
    PublicKeyFile(PathBuf),
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // This ends up in logs.
            TokenKey::Secret(_) => f.write_str("Secret(..)"),
            TokenKey::SecretFile(path) => f.debug_tuple("SecretFile").field(path).finish(),
            TokenKey::PublicKeyFile(path) => f.debug_tuple("PublicKeyFile").field(path).finish(),
        }
    }
}

/// A key as it is typed, by itself or in a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypedKey {
    #[serde(deserialize_with = "parsed")]
    algorithm: TokenAlgorithm,
    kid: Option<String>,
    secret: Option<String>,
    secret_file: Option<PathBuf>,
    public_key_file: Option<PathBuf>,
}

impl TypedKey {
    fn read(self) -> Result<NamedKey, &'static str> {
        let key = match (self.secret, self.secret_file, self.public_key_file) {
            (Some(secret), None, None) => TokenKey::Secret(secret),
            (None, Some(path), None) => TokenKey::SecretFile(path),
            (None, None, Some(path)) => TokenKey::PublicKeyFile(path),
            _ => return Err("give one of secret_file, secret and public_key_file"),
        };
        Ok(NamedKey {
            kid: self.kid,
            algorithm: self.algorithm,
            key,
        })
    }
}

/// The table as it is typed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    #[serde(default, deserialize_with = "some_parsed")]
    algorithm: Option<TokenAlgorithm>,
    kid: Option<String>,
    secret: Option<String>,
    secret_file: Option<PathBuf>,
    public_key_file: Option<PathBuf>,
    keys: Option<Vec<TypedKey>>,
    jwks_file: Option<PathBuf>,
    audience: Option<String>,
    issuer: Option<String>,
    #[serde(default)]
    ends_sessions: bool,
}

fn some_parsed<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<TokenAlgorithm>, D::Error> {
    parsed(deserializer).map(Some)
}

impl Typed {
    fn keys(&mut self) -> Result<TokenKeys, &'static str> {
        let several = "give one key (algorithm, and secret_file, secret or public_key_file), or \
                       several as [[keys]], or jwks_file";
        let has_one = self.kid.is_some()
            || self.algorithm.is_some()
            || self.secret.is_some()
            || self.secret_file.is_some()
            || self.public_key_file.is_some();
        match (has_one, self.keys.take(), self.jwks_file.take()) {
            (true, None, None) => {
                let one = TypedKey {
                    algorithm: self.algorithm.ok_or("the key 'algorithm' is missing")?,
                    kid: self.kid.take(),
                    secret: self.secret.take(),
                    secret_file: self.secret_file.take(),
                    public_key_file: self.public_key_file.take(),
                };
                Ok(TokenKeys::Named(vec![one.read()?]))
            }
            (false, Some(keys), None) => {
                let keys = keys.into_iter().map(TypedKey::read);
                Ok(TokenKeys::Named(keys.collect::<Result<_, _>>()?))
            }
            (false, None, Some(path)) => Ok(TokenKeys::JwksFile(path)),
            _ => Err(several),
        }
    }
}

impl<'de> Deserialize<'de> for TokenSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut typed = Typed::deserialize(deserializer)?;
        Ok(TokenSetting {
            keys: typed.keys().map_err(serde::de::Error::custom)?,
            audience: typed.audience,
            issuer: typed.issuer,
            ends_sessions: typed.ends_sessions,
        })
    }
}

impl NamedKey {
    fn write(&self, table: &mut UnreadTable) {
        table.set("algorithm", self.algorithm.as_str());
        if let Some(kid) = &self.kid {
            table.set("kid", kid.as_str());
        }
        match &self.key {
            TokenKey::Secret(secret) => table.set("secret", UnreadValue::Secret(secret.clone())),
            TokenKey::SecretFile(path) => table.set("secret_file", text(path)),
            TokenKey::PublicKeyFile(path) => table.set("public_key_file", text(path)),
        }
    }
}

fn text(path: &Path) -> UnreadValue {
    UnreadValue::from(&*path.display().to_string())
}

impl TokenSetting {
    /// The table as it would be typed.
    pub(crate) fn to_table(&self) -> UnreadTable {
        let mut table = UnreadTable::default();
        match &self.keys {
            TokenKeys::Named(keys) => match &keys[..] {
                [one] => one.write(&mut table),
                keys => {
                    let keys = keys.iter().map(|key| {
                        let mut table = UnreadTable::default();
                        key.write(&mut table);
                        table.into()
                    });
                    table.set("keys", UnreadValue::List(keys.collect()));
                }
            },
            TokenKeys::JwksFile(path) => table.set("jwks_file", text(path)),
        }
        for (key, value) in [("audience", &self.audience), ("issuer", &self.issuer)] {
            if let Some(value) = value {
                table.set(key, value.as_str());
            }
        }
        table.set("ends_sessions", self.ends_sessions);
        table
    }
}
