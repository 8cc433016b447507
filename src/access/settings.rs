//! The tables `[token]` and `[[topics]]`: the rights of clients, for all protocols.

use serde::Deserialize;

use super::{TokenSetting, TopicRule, Verifier};
use crate::config::{Config, ConfigError, JoinPolicy, PublishPolicy, TableError};
use crate::config::{UnreadTable, UnreadValue};

/// The rights of clients on topics, whichever protocol they speak.
///
/// ```
/// use corecast::access::{AccessSettings, TopicRule};
/// use corecast::config::{Config, PublishPolicy};
///
/// let mut news = TopicRule::new("news:*".parse()?);
/// news.publish = PublishPolicy::Nobody;
/// let access = AccessSettings { topics: vec![news], ..AccessSettings::default() };
/// let config = Config { access: access.into(), ..Config::default() };
/// # let _ = config;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessSettings {
    /// The tokens that may be asked for.
    pub token: Option<TokenSetting>,
    /// The rules of the topics, of which the first that matches counts. When empty,
    /// [`TopicRule::for_all`] is the rule of every topic.
    pub topics: Vec<TopicRule>,
}

impl AccessSettings {
    /// Those of a configuration.
    ///
    /// # Errors
    /// The first key that cannot stand.
    pub(crate) fn of(config: &Config) -> Result<Self, ConfigError> {
        let read = config.access.read::<AccessSettings>();
        let checked = read.and_then(|settings| settings.check().map(|()| settings));
        checked.map_err(|TableError { path, problem }| ConfigError::new(path, problem))
    }

    /// Checks that the key for tokens is one, and that there is one if a rule asks for
    /// tokens.
    pub(crate) fn check(&self) -> Result<(), TableError> {
        if let Some(token) = &self.token {
            let verifier = Verifier::new(token);
            verifier.map_err(|problem| TableError::new("token", problem))?;
        }
        self.check_rules(self.token.as_ref())
    }

    /// Checks that rules which ask for tokens have a key to check them with.
    pub(crate) fn check_rules(&self, token: Option<&TokenSetting>) -> Result<(), TableError> {
        if token.is_some() {
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
                        "'{}' asks for a token, but there is no table [token] to say which are \
                         good",
                        rule.pattern
                    ),
                ));
            }
        }
        Ok(())
    }

    /// These where they say something, `below` where they are silent.
    pub(crate) fn over(&self, below: &AccessSettings) -> AccessSettings {
        AccessSettings {
            token: self.token.as_ref().or(below.token.as_ref()).cloned(),
            topics: match &self.topics[..] {
                [] => below.topics.clone(),
                topics => topics.to_vec(),
            },
        }
    }

    /// Puts them into a table as they would be typed.
    pub(crate) fn put_into(&self, table: &mut UnreadTable) {
        if let Some(token) = &self.token {
            table.set("token", token.to_table());
        }
        if !self.topics.is_empty() {
            let rules = self.topics.iter().map(|rule| rule.to_table().into());
            table.set("topics", UnreadValue::List(rules.collect()));
        }
    }
}

impl From<AccessSettings> for UnreadTable {
    fn from(settings: AccessSettings) -> UnreadTable {
        let mut table = UnreadTable::default();
        settings.put_into(&mut table);
        table
    }
}
