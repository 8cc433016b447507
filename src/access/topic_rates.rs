//! How often topics pass publications on.

use std::sync::Arc;
use std::time::Duration;

use super::{AccessSettings, TopicPattern};

/// The rates of topics that have one, from the same rules as the rights of clients: the
/// first pattern that matches a topic counts, whether it limits the rate or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TopicRates(Arc<[(TopicPattern, Option<Duration>)]>);

impl TopicRates {
    /// Those of the rules.
    pub(crate) fn new(settings: &AccessSettings) -> Self {
        let interval = |rate: u32| Duration::from_secs(1) / rate;
        let rules = settings.topics.iter();
        let rates: Vec<_> = rules
            .map(|rule| (rule.pattern.clone(), rule.max_rate.map(interval)))
            .collect();
        // Nothing is looked for where no rule limits anything.
        match rates.iter().any(|(_, interval)| interval.is_some()) {
            true => TopicRates(rates.into()),
            false => TopicRates::default(),
        }
    }

    /// The time between the ticks of a topic; `None` for one without a limit.
    pub(crate) fn interval_of(&self, topic: &str) -> Option<Duration> {
        let mut rates = self.0.iter();
        rates.find(|(pattern, _)| pattern.matches(topic))?.1
    }
}
