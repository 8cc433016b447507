//! The table `[handlers.phoenix]`.

use serde::Deserialize;

use crate::access::{TokenSetting, TopicRule, Verifier};
use crate::config::{JoinPolicy, PublishPolicy, TableError, UnreadTable, UnreadValue};
use crate::handler::built_in::Settings;

/// The rights of the clients of Phoenix Channels.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PhoenixConfig {
    /// Topics one session may be in at a time.
    pub max_topics_per_socket: usize,
    /// The tokens that may be asked for.
    pub token: Option<TokenSetting>,
    /// The rules of the topics, of which the first that matches counts. When empty,
    /// [`TopicRule::for_all`] is the rule of every topic.
    pub topics: Vec<TopicRule>,
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

impl PhoenixConfig {
    /// The most topics one session can be allowed.
    const MAX_TOPICS: usize = 100_000;
}

impl Settings for PhoenixConfig {
    /// Checks the relations between these settings, and that the key is one.
    fn check(&self) -> Result<(), TableError> {
        if !(1..=Self::MAX_TOPICS).contains(&self.max_topics_per_socket) {
            return Err(TableError::new(
                "max_topics_per_socket",
                format!(
                    "{} is out of range; allowed: 1 to {}",
                    self.max_topics_per_socket,
                    Self::MAX_TOPICS
                ),
            ));
        }
        if let Some(token) = &self.token {
            let verifier = Verifier::new(token);
            verifier.map_err(|problem| TableError::new("token", problem))?;
            return Ok(());
        }
        for (place, rule) in self.topics.iter().enumerate() {
            let asks_for_token = [
                ("join", rule.join == JoinPolicy::Token),
                ("publish", rule.publish == PublishPolicy::Token),
            ];
            if let Some((key, _)) = asks_for_token.into_iter().find(|(_, asks)| *asks) {
                return Err(TableError::new(
                    &format!("topics[{place}].{key}"),
                    format!(
                        "'{}' asks for a token, but there is no table [handlers.phoenix.token] \
                         to say which are good",
                        rule.pattern
                    ),
                ));
            }
        }
        Ok(())
    }

    fn note(table: &UnreadTable) -> Option<String> {
        let is_old = |rule: &UnreadValue| match rule {
            UnreadValue::Table(rule) => rule
                .iter()
                .any(|(key, value)| key == "publish" && matches!(value, UnreadValue::Boolean(_))),
            _ => false,
        };
        let (_, topics) = table.iter().find(|(key, _)| *key == "topics")?;
        let UnreadValue::List(rules) = topics else {
            return None;
        };
        rules.iter().any(is_old).then(|| {
            "in [[handlers.phoenix.topics]], publish = true is called \"everyone\" now, and false \
             \"nobody\" (there is \"token\", too); the old words still count"
                .to_owned()
        })
    }

    fn to_table(&self) -> UnreadTable {
        let mut table = UnreadTable::default();
        table.set("max_topics_per_socket", self.max_topics_per_socket);
        if let Some(token) = &self.token {
            table.set("token", token.to_table());
        }
        if !self.topics.is_empty() {
            let rules = self.topics.iter().map(|rule| rule.to_table().into());
            table.set("topics", UnreadValue::List(rules.collect()));
        }
        table
    }
}
