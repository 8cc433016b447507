//! The rule for the topics of one pattern.

use serde::{Deserialize, Deserializer};

use super::TopicPattern;
use crate::config::{JoinPolicy, PublishPolicy, UnreadTable, parsed};

/// The rule for the topics of one pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRule {
    /// The topics this is about.
    pub pattern: TopicPattern,
    /// The clients that may join.
    pub join: JoinPolicy,
    /// Which clients may push to all.
    pub publish: PublishPolicy,
    /// Whether the sender gets its own push like all others.
    pub echo: bool,
    /// Whether all are told who is there.
    pub presence: bool,
    /// How often in a second the topic passes publications on, 1 to 1,000; in between the
    /// newest of each key waits. `None` for as they come.
    pub max_rate: Option<u32>,
}

impl TopicRule {
    /// Everyone may do everything in the topics of a pattern, and is not told who is
    /// there.
    pub fn new(pattern: TopicPattern) -> Self {
        TopicRule {
            pattern,
            join: JoinPolicy::Everyone,
            publish: PublishPolicy::Everyone,
            echo: true,
            presence: false,
            max_rate: None,
        }
    }

    /// The rule for all topics where there is none.
    pub fn for_all() -> Self {
        TopicRule::new("*".parse().expect("a pattern"))
    }

    /// The table as it would be typed.
    pub(crate) fn to_table(&self) -> UnreadTable {
        let mut table = UnreadTable::default();
        table.set("pattern", self.pattern.as_str());
        table.set("join", self.join.as_str());
        table.set("publish", self.publish.as_str());
        table.set("echo", self.echo);
        table.set("presence", self.presence);
        if let Some(rate) = self.max_rate {
            table.set("max_rate", rate as usize);
        }
        table
    }
}

/// The table as it is typed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    #[serde(deserialize_with = "parsed")]
    pattern: TopicPattern,
    #[serde(default, deserialize_with = "parsed")]
    join: JoinPolicy,
    #[serde(default, deserialize_with = "publish")]
    publish: PublishPolicy,
    echo: Option<bool>,
    presence: Option<bool>,
    #[serde(default, deserialize_with = "max_rate")]
    max_rate: Option<u32>,
}

impl<'de> Deserialize<'de> for TopicRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let typed = Typed::deserialize(deserializer)?;
        let default = TopicRule::new(typed.pattern);
        Ok(TopicRule {
            join: typed.join,
            publish: typed.publish,
            echo: typed.echo.unwrap_or(default.echo),
            presence: typed.presence.unwrap_or(default.presence),
            max_rate: typed.max_rate,
            ..default
        })
    }
}

/// The clients that may publish, in the words for it or in the first form of the
/// setting: `true` and `false` for everyone and nobody.
fn publish<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PublishPolicy, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "true" => Ok(PublishPolicy::Everyone),
        "false" => Ok(PublishPolicy::Nobody),
        text => text.parse().map_err(serde::de::Error::custom),
    }
}

fn max_rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let rate = i64::deserialize(deserializer)?;
    match u32::try_from(rate) {
        Ok(rate @ 1..=1_000) => Ok(Some(rate)),
        _ => Err(serde::de::Error::custom(format!(
            "{rate} is out of range; allowed: 1 to 1000 a second"
        ))),
    }
}
