//! The `[phoenix]` tables of the configuration file.

use std::fmt::Write;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Value;

use super::text::{from_text, required_from_text};
use crate::config::{
    JoinPolicy, PhoenixConfig, TokenAlgorithm, TokenKey, TokenSetting, TopicPattern, TopicRule,
};

/// The table `[phoenix]` as typed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PhoenixTable {
    max_topics_per_socket: Option<usize>,
    token: Option<TokenTable>,
    topics: Vec<TopicTable>,
}

/// One table `[[phoenix.topics]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct TopicTable {
    #[serde(deserialize_with = "required_from_text")]
    pattern: TopicPattern,
    #[serde(default, deserialize_with = "from_text")]
    join: Option<JoinPolicy>,
    publish: Option<bool>,
    echo: Option<bool>,
    presence: Option<bool>,
}

/// The table `[phoenix.token]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "TypedToken")]
struct TokenTable(TokenSetting);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypedToken {
    #[serde(deserialize_with = "required_from_text")]
    algorithm: TokenAlgorithm,
    secret: Option<String>,
    secret_file: Option<PathBuf>,
    public_key_file: Option<PathBuf>,
    audience: Option<String>,
    issuer: Option<String>,
}

impl TryFrom<TypedToken> for TokenTable {
    type Error = &'static str;

    fn try_from(typed: TypedToken) -> Result<Self, Self::Error> {
        let key = match (typed.secret, typed.secret_file, typed.public_key_file) {
            (Some(secret), None, None) => TokenKey::Secret(secret),
            (None, Some(path), None) => TokenKey::SecretFile(path),
            (None, None, Some(path)) => TokenKey::PublicKeyFile(path),
            _ => return Err("give one of secret_file, secret and public_key_file"),
        };
        Ok(TokenTable(TokenSetting {
            algorithm: typed.algorithm,
            key,
            audience: typed.audience,
            issuer: typed.issuer,
        }))
    }
}

/// The keys of each table, for the check of the file.
pub(super) const KEYS: &[&str] = &["max_topics_per_socket", "token", "topics"];
pub(super) const TOPIC_KEYS: &[&str] = &["pattern", "join", "publish", "echo", "presence"];
pub(super) const TOKEN_KEYS: &[&str] = &[
    "algorithm",
    "secret",
    "secret_file",
    "public_key_file",
    "audience",
    "issuer",
];

impl PhoenixTable {
    /// Fills in the defaults.
    pub(super) fn resolve(self) -> PhoenixConfig {
        let default = PhoenixConfig::default();
        PhoenixConfig {
            max_topics_per_socket: self
                .max_topics_per_socket
                .unwrap_or(default.max_topics_per_socket),
            topics: self.topics.into_iter().map(TopicTable::resolve).collect(),
            token: self.token.map(|TokenTable(setting)| setting),
        }
    }
}

impl TopicTable {
    fn resolve(self) -> TopicRule {
        let default = TopicRule::for_all();
        TopicRule {
            pattern: self.pattern,
            join: self.join.unwrap_or(default.join),
            publish: self.publish.unwrap_or(default.publish),
            echo: self.echo.unwrap_or(default.echo),
            presence: self.presence.unwrap_or(default.presence),
        }
    }
}

/// Writes the tables as they would be typed. A secret is not shown.
pub(super) fn print(text: &mut String, config: &PhoenixConfig, origin: &str) {
    let quoted = |text: &str| Value::from(text);
    let quoted_path = |path: &PathBuf| Value::from(path.display().to_string());
    let _ = write!(text, "\n# Phoenix Channels: {origin}\n[phoenix]\n");
    let _ = writeln!(
        text,
        "max_topics_per_socket = {}",
        config.max_topics_per_socket
    );
    if let Some(token) = &config.token {
        let _ = writeln!(text, "[phoenix.token]");
        let _ = writeln!(text, "algorithm = {}", quoted(token.algorithm.as_str()));
        let _ = match &token.key {
            TokenKey::Secret(_) => writeln!(text, "# secret is not shown"),
            TokenKey::SecretFile(path) => writeln!(text, "secret_file = {}", quoted_path(path)),
            TokenKey::PublicKeyFile(path) => {
                writeln!(text, "public_key_file = {}", quoted_path(path))
            }
        };
        for (key, value) in [("audience", &token.audience), ("issuer", &token.issuer)] {
            if let Some(value) = value {
                let _ = writeln!(text, "{key} = {}", quoted(value));
            }
        }
    }
    for rule in &config.topics {
        let _ = writeln!(text, "[[phoenix.topics]]");
        let _ = writeln!(text, "pattern = {}", quoted(rule.pattern.as_str()));
        let _ = writeln!(text, "join = {}", quoted(rule.join.as_str()));
        let _ = writeln!(text, "publish = {}", rule.publish);
        let _ = writeln!(text, "echo = {}", rule.echo);
        let _ = writeln!(text, "presence = {}", rule.presence);
    }
}
