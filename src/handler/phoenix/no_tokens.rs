//! Stands where tokens are checked, in a build without the feature `tokens`: a
//! configuration that names a key is refused, so there is never a token to check.

use std::convert::Infallible;

use crate::config::{ConfigError, TokenSetting};

/// Tells good tokens from bad ones; there is none.
#[derive(Debug)]
pub(super) struct Verifier(Infallible);

/// What a token says; none is ever read.
pub(super) struct Claims {
    /// Whose it is.
    pub(super) sub: Option<String>,
    never: Infallible,
}

impl Claims {
    /// Whether this topic may be joined.
    pub(super) fn allow(&self, _: &str) -> bool {
        match self.never {}
    }
}

/// Refuses the setting.
///
/// # Errors
/// Always: which feature is missing and what to do.
pub(crate) fn check_token_setting(setting: &TokenSetting) -> Result<(), ConfigError> {
    Verifier::new(setting).map(drop)
}

impl Verifier {
    /// Refuses the key.
    pub(super) fn new(setting: &TokenSetting) -> Result<Self, ConfigError> {
        Err(ConfigError::new(
            "phoenix.token",
            format!(
                "tokens signed with {} cannot be checked, because corecast was built without \
                 the feature 'tokens'; build it with that feature, or leave out [phoenix.token]",
                setting.algorithm.as_str()
            ),
        ))
    }

    /// What a token says, if it is good now.
    pub(super) fn verify(&self, _: &str) -> Option<Claims> {
        match self.0 {}
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, TokenAlgorithm, TokenKey, TokenSetting};
    use crate::server::Server;

    #[test]
    fn a_configuration_with_a_key_is_refused_and_the_feature_named() {
        let mut config = Config {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            ..Config::default()
        };
        assert!(config.validate().is_ok());
        config.phoenix.token = Some(TokenSetting {
            algorithm: TokenAlgorithm::Hs256,
            key: TokenKey::Secret("a secret of more than 32 bytes, as it should be".to_owned()),
            audience: None,
            issuer: None,
        });
        let error = config.validate().unwrap_err();
        assert_eq!(error.option, "phoenix.token");
        assert!(error.problem.contains("the feature 'tokens'"), "{error}");
        let error = Server::new(config).unwrap_err();
        assert!(error.to_string().contains("phoenix.token"), "{error}");
    }
}
