//! Signed tokens: which topics a session may join and publish to (RFC 7519, with the
//! advice of RFC 8725).
//!
//! The `jsonwebtoken` crate checks signatures, times, audience and issuer. Here
//! is what it leaves to its caller: headers that must be understood, claims of
//! the wrong type, audiences where none is expected, and keys that are too weak
//! or are not of the kind they should be.

use std::fmt;
use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use rsa::RsaPublicKey;
use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::traits::PublicKeyParts;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::{TokenFault, TokenKey, TokenSetting, TopicPattern};
use crate::config::TokenAlgorithm;

/// Bits of the smallest RSA key that may be used (RFC 7518 §3.3).
const MIN_RSA_BITS: usize = 2_048;
/// Bits of the largest RSA key whose signatures are checked.
const MAX_RSA_BITS: usize = RsaPublicKey::MAX_SIZE;
/// Bytes of the smallest secret: as many as the hash has (RFC 7518 §3.2).
const MIN_SECRET_BYTES: usize = 32;
/// Bytes of an Ed25519 public key (RFC 8032 §5.1.5).
const ED25519_BYTES: usize = 32;

/// The claims of a token. A claim of the wrong type makes it a bad one.
#[derive(Debug, Deserialize)]
pub(crate) struct Claims {
    /// The subject: the user that the token stands for.
    pub(crate) sub: Option<String>,
    /// Patterns of the topics that may be joined with it.
    #[serde(default)]
    topics: Vec<String>,
    /// Patterns of the topics, or paths, that may be published to with it.
    #[serde(default)]
    publish: Vec<String>,
    /// Which the crate would also take as a list (RFC 7519 §4.1.1 has none).
    #[serde(rename = "iss")]
    _issuer: Option<String>,
    #[serde(rename = "aud")]
    audience: Option<IgnoredAny>,
}

impl Claims {
    /// Whether this topic may be joined.
    pub(crate) fn allow(&self, topic: &str) -> bool {
        is_named(topic, &self.topics)
    }

    /// Whether this topic, or path, may be published to.
    pub(crate) fn allow_publishing(&self, topic: &str) -> bool {
        is_named(topic, &self.publish)
    }
}

/// Whether one of the patterns is about a topic.
fn is_named(topic: &str, patterns: &[String]) -> bool {
    // A pattern that is none allows nothing.
    let mut patterns = patterns.iter().filter_map(|text| text.parse().ok());
    patterns.any(|pattern: TopicPattern| pattern.matches(topic))
}

/// Tells good tokens from bad ones.
pub(crate) struct Verifier {
    key: DecodingKey,
    validation: Validation,
    has_audience: bool,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

impl Verifier {
    /// Reads the key.
    ///
    /// # Errors
    /// The fault of the setting or its key, and the remedy.
    pub(crate) fn new(setting: &TokenSetting) -> Result<Self, String> {
        let read = |path: &Path| {
            let cause = |cause| format!("'{}' cannot be read: {cause}", path.display());
            fs::read(path).map_err(cause)
        };
        let (algorithm, key) = match (setting.algorithm, &setting.key) {
            (TokenAlgorithm::Hs256, TokenKey::Secret(secret)) => {
                (Algorithm::HS256, secret_key(secret.as_bytes())?)
            }
            (TokenAlgorithm::Hs256, TokenKey::SecretFile(path)) => {
                let secret = read(path)?;
                (Algorithm::HS256, secret_key(without_line_end(&secret))?)
            }
            (algorithm, TokenKey::PublicKeyFile(path)) if algorithm != TokenAlgorithm::Hs256 => {
                public_key(algorithm, &read(path)?)
                    .map_err(|cause| format!("'{}' {cause}", path.display()))?
            }
            (TokenAlgorithm::Hs256, TokenKey::PublicKeyFile(_)) => {
                return Err("HS256 has no public key; give secret_file or secret".to_owned());
            }
            (algorithm, _) => {
                return Err(format!(
                    "{} has no secret; give public_key_file",
                    algorithm.as_str()
                ));
            }
        };
        let mut validation = Validation::new(algorithm);
        validation.leeway = 0;
        // On its expiry a token is over already (RFC 7519 §4.1.4).
        validation.reject_tokens_expiring_in_less_than = 1;
        validation.validate_nbf = true;
        let mut required = vec!["exp"];
        validation.validate_aud = setting.audience.is_some();
        if let Some(audience) = &setting.audience {
            validation.set_audience(&[audience]);
            required.push("aud");
        }
        if let Some(issuer) = &setting.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        validation.set_required_spec_claims(&required);
        Ok(Verifier {
            key,
            validation,
            has_audience: setting.audience.is_some(),
        })
    }

    /// The claims of a token, if it is good now.
    pub(crate) fn verify(&self, token: &str) -> Option<Claims> {
        self.check(token).ok()
    }

    /// The claims of a token.
    ///
    /// # Errors
    /// Whether a token with a good signature has run out, or is not good at all.
    pub(crate) fn check(&self, token: &str) -> Result<Claims, TokenFault> {
        if !is_understood(token) {
            return Err(TokenFault::Invalid);
        }
        let decoded = decode::<Claims>(token, &self.key, &self.validation);
        let claims = decoded
            .map_err(|error| match error.kind() {
                ErrorKind::ExpiredSignature => TokenFault::Expired,
                _ => TokenFault::Invalid,
            })?
            .claims;
        // The token has an audience, and the configuration does not say that it is ours
        // (RFC 7519 §4.1.3).
        match claims.audience.is_some() && !self.has_audience {
            true => Err(TokenFault::Invalid),
            false => Ok(claims),
        }
    }
}

/// Whether a token's header asks for nothing that is not done here: no
/// extension is, so any `crit` is a reason to refuse, its malformed forms
/// included (RFC 7515 §4.1.11), and so is a payload that is not encoded, with
/// `crit` or without (RFC 7797 §6).
fn is_understood(token: &str) -> bool {
    let header = token.split('.').next().unwrap_or_default();
    let Ok(header) = URL_SAFE_NO_PAD.decode(header) else {
        return false;
    };
    serde_json::from_slice(&header).is_ok_and(|header: Map<String, Value>| {
        !header.contains_key("crit") && header.get("b64").is_none_or(|b64| *b64 == true)
    })
}

/// A secret without the line end that an editor puts after it. Other space may
/// be part of random bytes.
fn without_line_end(secret: &[u8]) -> &[u8] {
    let secret = secret.strip_suffix(b"\n").unwrap_or(secret);
    secret.strip_suffix(b"\r").unwrap_or(secret)
}

fn secret_key(secret: &[u8]) -> Result<DecodingKey, String> {
    // A PEM file may be a public key, which must not be taken for a secret.
    if secret.trim_ascii_start().starts_with(b"-----BEGIN ") {
        return Err(
            "the secret is a key in PEM; give it as public_key_file with the algorithm RS256 or \
             EdDSA, or a secret of random bytes"
                .to_owned(),
        );
    }
    if secret.len() < MIN_SECRET_BYTES {
        return Err(format!(
            "a secret of {} bytes can be guessed; give at least {MIN_SECRET_BYTES}, as from \
             'openssl rand -base64 32'",
            secret.len()
        ));
    }
    Ok(DecodingKey::from_secret(secret))
}

/// Reads a public key in PEM; the error follows the name of its file.
fn public_key(algorithm: TokenAlgorithm, pem: &[u8]) -> Result<(Algorithm, DecodingKey), String> {
    // A server that only checks tokens must not be able to make them.
    if String::from_utf8_lossy(pem).contains("PRIVATE KEY-----") {
        return Err(
            "holds a private key, which only those who make tokens may have; give the public \
             one, as from 'openssl pkey -pubout'"
                .to_owned(),
        );
    }
    let not_one = |_| {
        format!(
            "is not a public key for {} in PEM (-----BEGIN PUBLIC KEY-----)",
            algorithm.as_str()
        )
    };
    if algorithm == TokenAlgorithm::EdDsa {
        let key = DecodingKey::from_ed_pem(pem).map_err(not_one)?;
        return match key.try_get_as_bytes() {
            Ok(bytes) if bytes.len() == ED25519_BYTES => Ok((Algorithm::EdDSA, key)),
            _ => Err(format!(
                "is not an Ed25519 key: those have {ED25519_BYTES} bytes"
            )),
        };
    }
    let key = DecodingKey::from_rsa_pem(pem).map_err(not_one)?;
    let der = key.try_get_as_bytes().map_err(not_one)?;
    let rsa = RsaPublicKey::from_pkcs1_der(der)
        .map_err(|cause| format!("is not an RSA key of at most {MAX_RSA_BITS} bits: {cause}"))?;
    let bits = rsa.n().bits();
    if bits < MIN_RSA_BITS {
        return Err(format!(
            "is an RSA key of {bits} bits, whose private key can be found; give one of \
             {MIN_RSA_BITS} to {MAX_RSA_BITS}"
        ));
    }
    Ok((Algorithm::RS256, key))
}
