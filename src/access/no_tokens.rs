//! Stands where tokens are checked, in a build without the feature `tokens`: a
//! configuration that names a key is refused, so there is never a token to check.

use std::convert::Infallible;

use super::{TokenFault, TokenSetting};

/// Tells good tokens from bad ones; there is none.
#[derive(Debug)]
pub(crate) struct Verifier(Infallible);

/// The claims of a token; none is ever read.
#[derive(Debug)]
pub(crate) struct Claims {
    /// The subject: the user that the token stands for.
    pub(crate) sub: Option<String>,
    never: Infallible,
}

impl Claims {
    /// When a session that has shown it ends, in seconds since the Unix epoch.
    pub(crate) fn ends_session_at(&self) -> Option<u64> {
        match self.never {}
    }

    /// Whether this topic may be joined.
    pub(crate) fn allow(&self, _: &str) -> bool {
        match self.never {}
    }

    /// Whether this topic, or path, may be published to.
    pub(crate) fn allow_publishing(&self, _: &str) -> bool {
        match self.never {}
    }
}

impl Verifier {
    /// Refuses the key.
    ///
    /// # Errors
    /// Always: which feature is missing and what to do.
    pub(crate) fn new(_: &TokenSetting) -> Result<Self, String> {
        Err(
            "tokens cannot be checked, because corecast was built without the feature 'tokens'; \
             build it with that feature, or leave out the table"
                .to_owned(),
        )
    }

    /// The claims of a token, if it is good now.
    pub(crate) fn verify(&self, _: &str) -> Option<Claims> {
        match self.0 {}
    }

    /// The claims of a token, or why it is not good.
    pub(crate) fn check(&self, _: &str) -> Result<Claims, TokenFault> {
        match self.0 {}
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, UnreadTable};
    use crate::server::Server;

    #[test]
    fn a_configuration_with_a_key_is_refused_and_the_feature_named() {
        let mut config = Config {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            ..Config::default()
        };
        assert!(Server::new(config.clone()).is_ok());
        let mut token = UnreadTable::default();
        token.set("algorithm", "HS256");
        token.set("secret", "a secret of more than 32 bytes, as it should be");
        let mut phoenix = UnreadTable::default();
        phoenix.set("token", token);
        config.handlers.insert("phoenix".to_owned(), phoenix);
        let error = Server::new(config).unwrap_err().to_string();
        assert!(error.contains("handlers.phoenix.token"), "{error}");
        assert!(error.contains("the feature 'tokens'"), "{error}");
    }
}
