//! The table `[handlers.phoenix]`.

use serde::Deserialize;

use crate::access::{AccessSettings, TokenSetting, TopicRule};
use crate::config::{TableError, UnreadTable, UnreadValue};
use crate::handler::built_in::Settings;

/// The rights of the clients of Phoenix Channels.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PhoenixConfig {
    /// Topics one session may be in at a time.
    pub max_topics_per_socket: usize,
    /// The tokens that may be asked for, if not those for all protocols.
    pub token: Option<TokenSetting>,
    /// The rules of the topics, of which the first that matches counts. When empty, those
    /// for all protocols count ([`AccessSettings`]).
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

    /// The rights of clients: its own, or those that count for all protocols.
    pub(super) fn access(&self, shared: &AccessSettings) -> AccessSettings {
        self.own_access().over(shared)
    }

    fn own_access(&self) -> AccessSettings {
        AccessSettings {
            token: self.token.clone(),
            topics: self.topics.clone(),
        }
    }
}

impl Settings for PhoenixConfig {
    /// Checks the relations between these settings, and that the key is one.
    fn check(&self, access: &AccessSettings) -> Result<(), TableError> {
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
        if let Some(place) = self.topics.iter().position(|rule| rule.max_rate.is_some()) {
            return Err(TableError::new(
                &format!("topics[{place}].max_rate"),
                "a topic's rate counts for all protocols; write the rule in [[topics]]",
            ));
        }
        let own = AccessSettings {
            token: self.token.clone().or_else(|| access.token.clone()),
            ..self.own_access()
        };
        own.check()
    }

    fn note(table: &UnreadTable) -> Option<String> {
        let is_old = |rule: &UnreadValue| match rule {
            UnreadValue::Table(rule) => rule
                .iter()
                .any(|(key, value)| key == "publish" && matches!(value, UnreadValue::Boolean(_))),
            _ => false,
        };
        let (_, topics) = table.iter().find(|(key, _)| *key == "topics")?;
        let note = match topics {
            UnreadValue::List(rules) if rules.iter().any(is_old) => {
                "; publish = true is called \"everyone\" now, and false \"nobody\" (there is \
                 \"token\", too)"
            }
            _ => "",
        };
        Some(format!(
            "rules of topics stand in [[topics]] now, where they count for all protocols; \
             [[handlers.phoenix.topics]] still count for phoenix{note}"
        ))
    }

    fn to_table(&self) -> UnreadTable {
        let mut table = UnreadTable::default();
        table.set("max_topics_per_socket", self.max_topics_per_socket);
        self.own_access().put_into(&mut table);
        table
    }
}
