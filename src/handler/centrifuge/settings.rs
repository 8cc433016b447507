//! The table `[handlers.centrifuge]`.

use serde::Deserialize;

use crate::access::{AccessSettings, TokenSetting, TopicRule};
use crate::config::{TableError, UnreadTable};
use crate::handler::built_in::Settings;

/// The rights of the clients of the Centrifuge protocol.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CentrifugeConfig {
    /// Clients may connect without a token.
    pub anonymous: bool,
    /// Topics one session may be subscribed to at a time.
    pub max_channels_per_session: usize,
    /// Longest name of a topic, in bytes.
    pub max_channel_bytes: usize,
    /// Commands in one message; a client that sends more is disconnected.
    pub max_commands_per_message: usize,
    /// Seconds of silence after which a client is pinged in the words of the protocol; 0
    /// for the server's own ping frames instead.
    pub ping_interval_seconds: usize,
    /// Seconds after a token has run out in which the client may still send a new one.
    pub expiry_grace_seconds: usize,
    /// The tokens that may be asked for, if not those for all protocols.
    pub token: Option<TokenSetting>,
    /// The rules of the topics, of which the first that matches counts. When empty, those
    /// for all protocols count ([`AccessSettings`]).
    pub topics: Vec<TopicRule>,
}

impl Default for CentrifugeConfig {
    fn default() -> Self {
        CentrifugeConfig {
            anonymous: true,
            max_channels_per_session: 128,
            max_channel_bytes: 255,
            max_commands_per_message: 1_024,
            ping_interval_seconds: 25,
            expiry_grace_seconds: 25,
            token: None,
            topics: Vec::new(),
        }
    }
}

impl CentrifugeConfig {
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

    /// The numbers, with the most that each can be.
    fn numbers(&self) -> [(&'static str, usize, std::ops::RangeInclusive<usize>); 5] {
        [
            (
                "max_channels_per_session",
                self.max_channels_per_session,
                1..=100_000,
            ),
            ("max_channel_bytes", self.max_channel_bytes, 1..=1_024),
            (
                "max_commands_per_message",
                self.max_commands_per_message,
                1..=100_000,
            ),
            (
                "ping_interval_seconds",
                self.ping_interval_seconds,
                0..=3_600,
            ),
            ("expiry_grace_seconds", self.expiry_grace_seconds, 0..=3_600),
        ]
    }
}

impl Settings for CentrifugeConfig {
    /// Checks the relations between these settings, and that the key is one.
    fn check(&self, access: &AccessSettings) -> Result<(), TableError> {
        for (key, value, range) in self.numbers() {
            if !range.contains(&value) {
                let (from, to) = range.into_inner();
                let problem = format!("{value} is out of range; allowed: {from} to {to}");
                return Err(TableError::new(key, problem));
            }
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
        own.check()?;
        if !self.anonymous && own.token.is_none() {
            return Err(TableError::new(
                "anonymous",
                "false asks every client for a token, but there is no table [token] to say \
                 which are good",
            ));
        }
        Ok(())
    }

    fn to_table(&self) -> UnreadTable {
        let mut table = UnreadTable::default();
        table.set("anonymous", self.anonymous);
        for (key, value, _) in self.numbers() {
            table.set(key, value);
        }
        self.own_access().put_into(&mut table);
        table
    }
}
