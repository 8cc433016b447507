//! Which tokens are good, as a handler's settings say.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer};

use crate::config::{TokenAlgorithm, UnreadTable, UnreadValue, parsed};

/// Which tokens are taken for good.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenSetting {
    /// How they are signed.
    pub algorithm: TokenAlgorithm,
    /// The key that their signatures are checked with.
    pub key: TokenKey,
    /// The audience they must be meant for, if that is checked.
    pub audience: Option<String>,
    /// The issuer that must have made them, if that is checked.
    pub issuer: Option<String>,
}

impl TokenSetting {
    /// Tokens signed so, whoever made them and for whomever they are meant.
    pub fn new(algorithm: TokenAlgorithm, key: TokenKey) -> Self {
        TokenSetting {
            algorithm,
            key,
            audience: None,
            issuer: None,
        }
    }
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

/// The table as it is typed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    #[serde(deserialize_with = "parsed")]
    algorithm: TokenAlgorithm,
    secret: Option<String>,
    secret_file: Option<PathBuf>,
    public_key_file: Option<PathBuf>,
    audience: Option<String>,
    issuer: Option<String>,
}

impl<'de> Deserialize<'de> for TokenSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let typed = Typed::deserialize(deserializer)?;
        let key = match (typed.secret, typed.secret_file, typed.public_key_file) {
            (Some(secret), None, None) => TokenKey::Secret(secret),
            (None, Some(path), None) => TokenKey::SecretFile(path),
            (None, None, Some(path)) => TokenKey::PublicKeyFile(path),
            _ => {
                return Err(serde::de::Error::custom(
                    "give one of secret_file, secret and public_key_file",
                ));
            }
        };
        Ok(TokenSetting {
            algorithm: typed.algorithm,
            key,
            audience: typed.audience,
            issuer: typed.issuer,
        })
    }
}

impl TokenSetting {
    /// The table as it would be typed.
    pub(crate) fn to_table(&self) -> UnreadTable {
        let mut table = UnreadTable::default();
        table.set("algorithm", self.algorithm.as_str());
        let text = |path: &PathBuf| UnreadValue::from(&*path.display().to_string());
        match &self.key {
            TokenKey::Secret(secret) => table.set("secret", UnreadValue::Secret(secret.clone())),
            TokenKey::SecretFile(path) => table.set("secret_file", text(path)),
            TokenKey::PublicKeyFile(path) => table.set("public_key_file", text(path)),
        }
        for (key, value) in [("audience", &self.audience), ("issuer", &self.issuer)] {
            if let Some(value) = value {
                table.set(key, value.as_str());
            }
        }
        table
    }
}
