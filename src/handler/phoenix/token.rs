//! Signed tokens: who may join what.

use std::fmt;
use std::fs;
use std::path::Path;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;

use crate::config::{ConfigError, TokenAlgorithm, TokenKey, TokenSetting, TopicPattern};

/// What a token says.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    /// Who has it.
    pub(super) sub: Option<String>,
    /// Patterns of the topics that may be joined with it.
    #[serde(default)]
    topics: Vec<String>,
}

impl Claims {
    /// Whether this topic may be joined.
    pub(super) fn allow(&self, topic: &str) -> bool {
        // A pattern that is none allows nothing.
        let patterns = self.topics.iter().filter_map(|text| text.parse().ok());
        patterns
            .into_iter()
            .any(|pattern: TopicPattern| pattern.matches(topic))
    }
}

/// Tells good tokens from bad ones.
pub(super) struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

/// Checks that the key of a setting is there and fits its algorithm.
///
/// # Errors
/// What is wrong and what to do.
pub(crate) fn check_token_setting(setting: &TokenSetting) -> Result<(), ConfigError> {
    Verifier::new(setting).map(drop)
}

impl Verifier {
    /// Reads the key.
    pub(super) fn new(setting: &TokenSetting) -> Result<Self, ConfigError> {
        let problem = |problem: String| ConfigError::new("phoenix.token", problem);
        let read = |path: &Path| {
            let cause = |cause| problem(format!("'{}' cannot be read: {cause}", path.display()));
            fs::read(path).map_err(cause)
        };
        let pem = |path: &Path, parse: fn(&[u8]) -> jsonwebtoken::errors::Result<DecodingKey>| {
            parse(&read(path)?).map_err(|_| {
                problem(format!(
                    "'{}' is not a public key for {} in PEM (-----BEGIN PUBLIC KEY-----)",
                    path.display(),
                    setting.algorithm.as_str()
                ))
            })
        };
        let (algorithm, key) = match (setting.algorithm, &setting.key) {
            (TokenAlgorithm::Hs256, TokenKey::Secret(secret)) => {
                (Algorithm::HS256, secret_key(secret.as_bytes())?)
            }
            (TokenAlgorithm::Hs256, TokenKey::SecretFile(path)) => {
                let secret = read(path)?;
                (Algorithm::HS256, secret_key(secret.trim_ascii_end())?)
            }
            (TokenAlgorithm::Rs256, TokenKey::PublicKeyFile(path)) => {
                (Algorithm::RS256, pem(path, DecodingKey::from_rsa_pem)?)
            }
            (TokenAlgorithm::EdDsa, TokenKey::PublicKeyFile(path)) => {
                (Algorithm::EdDSA, pem(path, DecodingKey::from_ed_pem)?)
            }
            (TokenAlgorithm::Hs256, TokenKey::PublicKeyFile(_)) => {
                return Err(problem(
                    "HS256 has no public key; give secret_file or secret".to_owned(),
                ));
            }
            (algorithm, _) => {
                return Err(problem(format!(
                    "{} has no secret; give public_key_file",
                    algorithm.as_str()
                )));
            }
        };
        let mut validation = Validation::new(algorithm);
        validation.leeway = 0;
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
        Ok(Verifier { key, validation })
    }

    /// What a token says, if it is good now.
    pub(super) fn verify(&self, token: &str) -> Option<Claims> {
        let data = decode(token, &self.key, &self.validation).ok()?;
        Some(data.claims)
    }
}

fn secret_key(secret: &[u8]) -> Result<DecodingKey, ConfigError> {
    // A shorter secret than the hash can be searched for (RFC 7518 §3.2).
    if secret.len() < 32 {
        return Err(ConfigError::new(
            "phoenix.token",
            format!(
                "a secret of {} bytes can be guessed; give at least 32, as from 'openssl rand -base64 32'",
                secret.len()
            ),
        ));
    }
    Ok(DecodingKey::from_secret(secret))
}
