//! The topics a session has joined.

use slab::Slab;

use super::reference::Reference;
use crate::access::May;
use crate::hub::Topic;

/// One topic that a session has joined.
#[derive(Debug, Clone, Copy)]
pub(super) struct Channel<'a> {
    /// Its topic in the hub; shared by all in it on this shard.
    pub(super) topic: &'a Topic,
    /// The reference that the client has given this join.
    pub(super) join_ref: Reference<'a>,
    pub(super) may: May,
}

/// A topic that a session has left.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) topic: Topic,
    number: u32,
    kind: Kind,
    json: Option<Box<str>>,
}

impl Left {
    /// The reference that the client has given the join that is over.
    pub(super) fn join_ref(&self) -> Reference<'_> {
        self.kind.reference(self.number, self.json.as_deref())
    }
}

/// A channel as it is kept. Small, as there is one for each session in each topic.
#[derive(Debug)]
struct Entry {
    topic: Topic,
    /// The join_ref, if it is a plain number, or its place among the odd ones.
    number: u32,
    kind: Kind,
    may: May,
}

/// The form of a join_ref.
#[derive(Debug, Clone, Copy)]
enum Kind {
    None,
    Number,
    Digits,
    Odd,
}

impl Kind {
    fn reference(self, number: u32, json: Option<&str>) -> Reference<'_> {
        match self {
            Kind::None => Reference::None,
            Kind::Number => Reference::Number(number),
            Kind::Digits => Reference::Digits(number),
            Kind::Odd => json.map_or(Reference::None, Reference::Json),
        }
    }
}

/// All topics that a session has joined, sorted by their names, so that one is
/// found in a few steps and takes no more memory than its entry.
#[derive(Debug, Default)]
pub(super) struct Channels {
    entries: Vec<Entry>,
    /// Join_refs that are not plain numbers, as JSON. Few clients send any.
    odd: Option<Box<Slab<Box<str>>>>,
}

impl Channels {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, name: &str) -> Option<Channel<'_>> {
        let entry = &self.entries[self.find(name).ok()?];
        let odd = self.odd.as_ref();
        let json = odd.and_then(|odd| odd.get(entry.number as usize));
        Some(Channel {
            topic: &entry.topic,
            join_ref: entry.kind.reference(entry.number, json.map(|json| &**json)),
            may: entry.may,
        })
    }

    /// Adds a channel that is not there yet.
    pub(super) fn insert(&mut self, topic: Topic, join_ref: Reference<'_>, may: May) {
        let Err(place) = self.find(topic.as_str()) else {
            debug_assert!(false, "a channel is removed before it is joined again");
            return;
        };
        let (kind, number) = match join_ref {
            Reference::None => (Kind::None, 0),
            Reference::Number(number) => (Kind::Number, number),
            Reference::Digits(number) => (Kind::Digits, number),
            odd => {
                let mut json = String::new();
                odd.write(&mut json);
                let place = self.odd.get_or_insert_default().insert(json.into());
                (Kind::Odd, place as u32)
            }
        };
        // Most sessions have one or few: a vector that doubles would waste more
        // than it saves.
        if self.entries.len() == self.entries.capacity() {
            self.entries.reserve_exact(1 + self.entries.len() / 8);
        }
        let entry = Entry {
            topic,
            number,
            kind,
            may,
        };
        self.entries.insert(place, entry);
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Left> {
        let Entry {
            topic,
            number,
            kind,
            ..
        } = self.entries.remove(self.find(name).ok()?);
        if self.entries.len() < self.entries.capacity() / 2 {
            self.entries.shrink_to_fit();
        }
        let json = match (kind, &mut self.odd) {
            (Kind::Odd, Some(odd)) => odd.try_remove(number as usize),
            _ => None,
        };
        Some(Left {
            topic,
            number,
            kind,
            json,
        })
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.entries
            .binary_search_by(|entry| entry.topic.as_str().cmp(name))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn insert(channels: &mut Channels, name: &str, join_ref: Reference<'_>) {
        let may = May {
            publish: true,
            hear_itself: true,
        };
        channels.insert(Topic::new(name), join_ref, may);
    }

    #[test]
    fn an_entry_takes_24_bytes() {
        assert_eq!(size_of::<Entry>(), 24);
        let mut channels = Channels::default();
        insert(&mut channels, "a", Reference::None);
        assert_eq!(channels.entries.capacity(), 1);
    }

    #[test]
    fn a_join_ref_is_kept_as_it_came() {
        let all = [
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
        ];
        let mut channels = Channels::default();
        let written = |reference: Reference<'_>| {
            let mut out = String::new();
            reference.write(&mut out);
            out
        };
        for json in all {
            insert(&mut channels, json, Reference::from_json(json).unwrap());
        }
        insert(&mut channels, "text", Reference::from_text("a\"b"));
        for json in all {
            let reference = channels.get(json).unwrap().join_ref;
            assert_eq!(written(reference), json);
            assert!(reference.is_same(Reference::from_json(json).unwrap()));
        }
        for json in all {
            assert_eq!(written(channels.remove(json).unwrap().join_ref()), json);
        }
        let left = channels.remove("text").unwrap();
        assert_eq!(left.join_ref(), Reference::Json(r#""a\"b""#));
        assert!(channels.odd.unwrap().is_empty());
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
                    insert(&mut channels, &name, Reference::Number(number.into()));
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
