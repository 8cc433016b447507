//! The topics a session has joined.

use super::reference::JoinRef;
use crate::hub::Topic;

/// One topic that a session has joined.
#[derive(Debug)]
pub(super) struct Channel {
    /// Where the hub knows it; shared by all in it on this shard.
    pub(super) topic: Topic,
    pub(super) join_ref: JoinRef,
}

/// All topics that a session has joined, sorted by their names, so that one is
/// found in a few steps and takes no more memory than its entry.
#[derive(Debug, Default)]
pub(super) struct Channels(Vec<Channel>);

impl Channels {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Channel> {
        self.find(name).ok().map(|place| &self.0[place])
    }

    /// Adds a channel that is not there yet.
    pub(super) fn insert(&mut self, channel: Channel) {
        let Err(place) = self.find(channel.topic.as_str()) else {
            debug_assert!(false, "a channel is removed before it is joined again");
            return;
        };
        // Most sessions have one or few: a vector that doubles would waste more
        // than it saves.
        if self.0.len() == self.0.capacity() {
            self.0.reserve_exact(1 + self.0.len() / 4);
        }
        self.0.insert(place, channel);
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Channel> {
        let channel = self.0.remove(self.find(name).ok()?);
        if self.0.len() < self.0.capacity() / 2 {
            self.0.shrink_to_fit();
        }
        Some(channel)
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.0
            .binary_search_by(|channel| channel.topic.as_str().cmp(name))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::reference::Reference;
    use super::*;

    #[test]
    fn an_entry_takes_32_bytes() {
        assert_eq!(size_of::<Channel>(), 32);
        let mut channels = Channels::default();
        channels.insert(Channel {
            topic: Topic::new("a"),
            join_ref: JoinRef::new(Reference::None),
        });
        assert_eq!(channels.0.capacity(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 8 } else { 256 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// Joining and leaving in any order leaves what a set would hold.
        #[test]
        fn they_are_a_set(operations in proptest::collection::vec((any::<bool>(), 0u8..40), 0..200)) {
            let mut channels = Channels::default();
            let mut oracle = BTreeSet::new();
            for (joins, number) in operations {
                let name = format!("t{number}");
                if joins && channels.get(&name).is_none() {
                    channels.insert(Channel {
                        topic: Topic::new(name.as_str()),
                        join_ref: JoinRef::new(Reference::Number(number.into())),
                    });
                    oracle.insert(name.clone());
                } else {
                    prop_assert_eq!(channels.remove(&name).is_some(), oracle.remove(&name));
                }
                prop_assert_eq!(channels.len(), oracle.len());
                prop_assert_eq!(channels.get(&name).is_some(), oracle.contains(&name));
                for name in &oracle {
                    prop_assert_eq!(channels.get(name).unwrap().topic.as_str(), name);
                }
            }
        }
    }
}
