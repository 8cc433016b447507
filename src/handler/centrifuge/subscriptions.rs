//! The subscriptions of a session.

use std::sync::Arc;

use crate::publication::Topic;

/// One subscription. Small, as there is one for each session in each topic.
#[derive(Debug, Clone)]
pub(super) struct Subscription {
    /// Its topic in the hub; shared by all subscribers on this shard.
    pub(super) topic: Topic,
    /// When its token runs out, in seconds since the Unix epoch; 0 for never.
    pub(super) expires_at: u32,
    /// The session may publish to the topic.
    pub(super) may_publish: bool,
    /// The session gets its own publications.
    pub(super) hear_itself: bool,
    /// The session is a member of the topic for all to see.
    pub(super) is_present: bool,
}

/// A subscription that the server made, because a token asks for it.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) topic: Topic,
    /// JSON for the client, from the token.
    pub(super) data: Option<Arc<str>>,
}

/// All subscriptions of a session, sorted by their names, so that one is found in a few
/// steps and takes no more memory than its entry.
#[derive(Debug, Default)]
pub(super) struct Subscriptions(Vec<Subscription>);

impl Subscriptions {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Subscription> {
        self.find(name).ok().map(|place| &self.0[place])
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Subscription> {
        self.find(name).ok().map(|place| &mut self.0[place])
    }

    /// Adds one to a topic that the session is not in.
    pub(super) fn insert(&mut self, subscription: Subscription) {
        let Err(place) = self.find(subscription.topic.as_str()) else {
            debug_assert!(false, "a session subscribes once");
            return;
        };
        // Most sessions have one or few: a vector that doubles would waste more than it
        // saves.
        if self.0.len() == self.0.capacity() {
            self.0.reserve_exact(1 + self.0.len() / 8);
        }
        self.0.insert(place, subscription);
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Subscription> {
        let removed = self.0.remove(self.find(name).ok()?);
        if self.0.len() < self.0.capacity() / 2 {
            self.0.shrink_to_fit();
        }
        Some(removed)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Subscription> {
        self.0.iter()
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.0
            .binary_search_by(|entry| entry.topic.as_str().cmp(name))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn subscription(name: &str) -> Subscription {
        Subscription {
            topic: Topic::new(name),
            expires_at: 0,
            may_publish: true,
            hear_itself: true,
            is_present: false,
        }
    }

    #[test]
    fn a_subscription_takes_24_bytes() {
        assert_eq!(size_of::<Subscription>(), 24);
        let mut subscriptions = Subscriptions::default();
        subscriptions.insert(subscription("a"));
        assert_eq!(subscriptions.0.capacity(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 8 } else { 256 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// Subscribing and unsubscribing in any order leaves what a set would hold.
        #[test]
        fn they_are_a_set(operations in proptest::collection::vec((any::<bool>(), 0u8..40), 0..200)) {
            let mut subscriptions = Subscriptions::default();
            let mut oracle = BTreeSet::new();
            for (joins, number) in operations {
                let name = format!("t{number}");
                if joins && subscriptions.get(&name).is_none() {
                    subscriptions.insert(subscription(&name));
                    oracle.insert(name);
                } else {
                    prop_assert_eq!(subscriptions.remove(&name).is_some(), oracle.remove(&name));
                }
                prop_assert_eq!(subscriptions.len(), oracle.len());
                let names: Vec<_> = subscriptions.iter().map(|it| it.topic.as_str()).collect();
                prop_assert_eq!(names, oracle.iter().collect::<Vec<_>>());
                for name in &oracle {
                    prop_assert!(subscriptions.get_mut(name).is_some());
                }
            }
        }
    }
}
