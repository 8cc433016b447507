//! The topics a session has joined.

use super::reference::Reference;
use crate::config::TopicRule;
use crate::hub::Topic;

/// One topic that a session has joined. Small, as there is one for each session
/// in each topic.
#[derive(Debug)]
pub(super) struct Channel {
    /// Where the hub knows it; shared by all in it on this shard.
    topic: Topic,
    /// The join_ref, if it is not plain. Rare, so a second pointer to follow
    /// costs less than 8 more bytes for all.
    json: Option<Box<Box<str>>>,
    /// The join_ref, if it is.
    number: u32,
    kind: Kind,
    may: May,
}

/// What form a join_ref has.
#[derive(Debug, Clone, Copy)]
enum Kind {
    None,
    Number,
    Digits,
    Json,
}

/// What the session may do in the topic.
#[derive(Debug, Clone, Copy)]
pub(super) struct May {
    pub(super) publish: bool,
    pub(super) hear_itself: bool,
}

impl From<&TopicRule> for May {
    fn from(rule: &TopicRule) -> Self {
        May {
            publish: rule.publish,
            hear_itself: rule.echo,
        }
    }
}

impl Channel {
    pub(super) fn new(topic: Topic, join_ref: Reference<'_>, may: May) -> Self {
        let (kind, number, json) = match join_ref {
            Reference::None => (Kind::None, 0, None),
            Reference::Number(number) => (Kind::Number, number, None),
            Reference::Digits(number) => (Kind::Digits, number, None),
            other => {
                let mut json = String::new();
                other.write(&mut json);
                (Kind::Json, 0, Some(Box::new(json.into_boxed_str())))
            }
        };
        Channel {
            topic,
            json,
            number,
            kind,
            may,
        }
    }

    pub(super) fn topic(&self) -> &Topic {
        &self.topic
    }

    /// What the client has called this join.
    pub(super) fn join_ref(&self) -> Reference<'_> {
        match self.kind {
            Kind::None => Reference::None,
            Kind::Number => Reference::Number(self.number),
            Kind::Digits => Reference::Digits(self.number),
            Kind::Json => self
                .json
                .as_deref()
                .map_or(Reference::None, |json| Reference::Json(json)),
        }
    }

    pub(super) fn may(&self) -> May {
        self.may
    }
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

    use super::*;

    fn channel(name: &str, join_ref: Reference<'_>) -> Channel {
        Channel::new(Topic::new(name), join_ref, May::from(&TopicRule::for_all()))
    }

    #[test]
    fn an_entry_takes_32_bytes() {
        assert_eq!(size_of::<Channel>(), 32);
        let mut channels = Channels::default();
        channels.insert(channel("a", Reference::None));
        assert_eq!(channels.0.capacity(), 1);
    }

    #[test]
    fn a_join_ref_is_kept_as_it_came() {
        for json in [
            "null",
            "0",
            "7",
            "\"7\"",
            "007",
            "\"007\"",
            "-1",
            "\"join-1\"",
            "[1]",
            "4294967296",
        ] {
            let reference = Reference::from_json(json).unwrap();
            let channel = channel("a", reference);
            let mut out = String::new();
            channel.join_ref().write(&mut out);
            assert_eq!(out, json);
            assert!(channel.join_ref().is_same(reference));
        }
        let kept = channel("a", Reference::from_text("a\"b"));
        assert_eq!(kept.join_ref(), Reference::Json(r#""a\"b""#));
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
                    channels.insert(channel(&name, Reference::Number(number.into())));
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
