//! What the clients of Phoenix Channels may do.

use std::fmt;
use std::path::PathBuf;

use super::{ConfigError, JoinPolicy, TokenAlgorithm, TopicPattern};

/// What the clients of Phoenix Channels may do.
#[derive(Debug, Clone, PartialEq)]
pub struct PhoenixConfig {
    /// Topics one session may be in at a time.
    pub max_topics_per_socket: usize,
    /// What a topic may do: the first rule that matches. Empty: every topic may
    /// what [`TopicRule::for_all`] says.
    pub topics: Vec<TopicRule>,
    /// The tokens that may be asked for.
    pub token: Option<TokenSetting>,
}

impl Default for PhoenixConfig {
    fn default() -> Self {
        PhoenixConfig {
            max_topics_per_socket: 100,
            topics: Vec::new(),
            token: None,
        }
    }
}

/// What the topics of one pattern may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRule {
    /// The topics this is about.
    pub pattern: TopicPattern,
    /// Who may join.
    pub join: JoinPolicy,
    /// Whether a client may push to all.
    pub publish: bool,
    /// Whether the sender gets its own push like all others.
    pub echo: bool,
    /// Whether all are told who is there.
    pub presence: bool,
}

impl TopicRule {
    /// Everyone may do everything, and nobody is told who is there.
    pub fn for_all() -> Self {
        TopicRule {
            pattern: "*".parse().expect("a pattern"),
            join: JoinPolicy::Everyone,
            publish: true,
            echo: true,
            presence: false,
        }
    }
}

/// Which tokens are taken for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSetting {
    /// How they are signed.
    pub algorithm: TokenAlgorithm,
    /// What their signatures are checked with.
    pub key: TokenKey,
    /// Whom they must be meant for, if that is checked.
    pub audience: Option<String>,
    /// Who must have made them, if that is checked.
    pub issuer: Option<String>,
}

/// What signatures are checked with.
#[derive(Clone, PartialEq, Eq)]
pub enum TokenKey {
    /// The secret itself, for HS256.
    Secret(String),
    /// A file that holds the secret, for HS256. A line's end behind it does not count.
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

impl PhoenixConfig {
    /// The most topics one session can be allowed.
    const MAX_TOPICS: usize = 100_000;

    /// Checks the relations between these settings, and that the key is one.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        if !(1..=Self::MAX_TOPICS).contains(&self.max_topics_per_socket) {
            return Err(ConfigError::new(
                "phoenix.max_topics_per_socket",
                format!(
                    "{} is out of range; allowed: 1 to {}",
                    self.max_topics_per_socket,
                    Self::MAX_TOPICS
                ),
            ));
        }
        let needs_token = self
            .topics
            .iter()
            .find(|rule| rule.join == JoinPolicy::Token);
        match (&self.token, needs_token) {
            (Some(setting), _) => crate::handler::check_token_setting(setting),
            (None, Some(rule)) => Err(ConfigError::new(
                "phoenix.topics",
                format!(
                    "'{}' asks for a token, but there is no table [phoenix.token] to say which are good",
                    rule.pattern
                ),
            )),
            (None, None) => Ok(()),
        }
    }
}
