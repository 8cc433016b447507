//! What the shards can be asked about their topics.
//!
//! # Invariants worth naming
//!
//! - A shard spends a bounded time on one inquiry: a look-up for each topic that it
//!   names, of which there are at most [`MAX_NAMED`], or a walk over at most
//!   [`WALK`] entries of its table. A longer list is several inquiries, and between two
//!   of them the shard serves its sessions.
//! - Shards only add to an answer. It is read when all have let go of the question.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(feature = "api")]
use std::sync::{Mutex, PoisonError};

use super::{SubscriberTable, Topic};

/// Topics that one inquiry may name.
#[cfg(feature = "api")]
pub(crate) const MAX_NAMED: usize = 1_000;

/// Entries of its table that a shard looks at for one inquiry: some tens of
/// microseconds.
#[cfg(feature = "api")]
pub(crate) const WALK: usize = 4_096;

/// Something that each shard is asked, and that takes in the answers.
pub(crate) trait Inquiry: fmt::Debug + Send + Sync + 'static {
    /// Adds what the table of one shard says.
    fn look(&self, shard: usize, table: &SubscriberTable);
}

/// How many sessions are subscribed to a topic.
#[derive(Debug)]
pub(crate) struct Subscribers {
    topic: Topic,
    sum: AtomicU64,
}

impl Subscribers {
    pub(crate) fn of(topic: &Topic) -> Self {
        Subscribers {
            topic: topic.clone(),
            sum: AtomicU64::new(0),
        }
    }

    pub(crate) fn sum(&self) -> u64 {
        self.sum.load(Ordering::Relaxed)
    }
}

impl Inquiry for Subscribers {
    fn look(&self, _: usize, table: &SubscriberTable) {
        let subscribers = table.subscribers(&self.topic) as u64;
        self.sum.fetch_add(subscribers, Ordering::Relaxed);
    }
}

/// How many sessions are subscribed to each of several topics, and which is the first
/// shard that has any.
#[cfg(feature = "api")]
#[derive(Debug)]
pub(crate) struct SubscribersOfEach {
    topics: Vec<(Topic, AtomicU64, AtomicU64)>,
}

#[cfg(feature = "api")]
impl SubscribersOfEach {
    /// The topics after the first [`MAX_NAMED`] are left out.
    pub(crate) fn of(topics: Vec<Topic>) -> Self {
        let none_yet = |topic| (topic, AtomicU64::new(0), AtomicU64::new(u64::MAX));
        let topics = topics.into_iter().take(MAX_NAMED);
        SubscribersOfEach {
            topics: topics.map(none_yet).collect(),
        }
    }

    /// Each topic with its subscribers and the first shard that has any.
    pub(crate) fn sums(&self) -> impl Iterator<Item = (&Topic, u64, u64)> {
        self.topics.iter().map(|(topic, sum, first)| {
            let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
            (topic, load(sum), load(first))
        })
    }
}

#[cfg(feature = "api")]
impl Inquiry for SubscribersOfEach {
    fn look(&self, shard: usize, table: &SubscriberTable) {
        for (topic, sum, first) in &self.topics {
            let subscribers = table.subscribers(topic) as u64;
            if subscribers > 0 {
                sum.fetch_add(subscribers, Ordering::Relaxed);
                first.fetch_min(shard as u64, Ordering::Relaxed);
            }
        }
    }
}

/// The topics in a part of one shard's table whose names begin with a prefix.
#[cfg(feature = "api")]
#[derive(Debug)]
pub(crate) struct Walk {
    shard: usize,
    from: usize,
    prefix: Box<str>,
    /// Topics that are wanted.
    limit: usize,
    found: Mutex<Found>,
}

/// The answer to a [`Walk`].
#[cfg(feature = "api")]
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) topics: Vec<Topic>,
    /// The place from which to go on; none at the end of the table.
    pub(crate) next: Option<usize>,
}

#[cfg(feature = "api")]
impl Walk {
    /// Looks from a place of the table on for at most `limit` topics, and
    /// [`MAX_NAMED`].
    pub(crate) fn new(shard: usize, from: usize, prefix: &str, limit: usize) -> Self {
        Walk {
            shard,
            from,
            prefix: prefix.into(),
            limit: limit.min(MAX_NAMED),
            found: Mutex::default(),
        }
    }

    pub(crate) fn found(&self) -> Found {
        // Nothing is left half done by a panic: the answer is put there whole.
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut found)
    }
}

#[cfg(feature = "api")]
impl Inquiry for Walk {
    fn look(&self, shard: usize, table: &SubscriberTable) {
        if shard != self.shard {
            return;
        }
        let mut topics = Vec::new();
        let next = table.walk(self.from, WALK, |topic| {
            if topic.as_str().starts_with(&*self.prefix) {
                topics.push(topic.clone());
            }
            topics.len() < self.limit
        });
        // The asker reads it later, and no other shard comes here.
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Found { topics, next };
    }
}

#[cfg(all(test, feature = "api", not(loom)))]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::Subscriptions;
    use super::*;
    use crate::publication::Form;

    const FORMS: [Form; 3] = [Form::Data, Form::PhoenixV1, Form::PhoenixV2];

    /// A walk with one question after the other, each of at most so many topics.
    fn walk(table: &SubscriberTable, prefix: &str, limit: usize) -> Vec<String> {
        let (mut names, mut from) = (Vec::new(), Some(0));
        while let Some(place) = from {
            let walk = Walk::new(1, place, prefix, limit);
            walk.look(0, &SubscriberTable::default());
            walk.look(1, table);
            let found = walk.found();
            assert!(found.topics.len() <= limit);
            assert!(found.next.is_none_or(|next| next > place), "it goes on");
            names.extend(found.topics.iter().map(|topic| topic.as_str().to_owned()));
            from = found.next;
        }
        names
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 4 } else { 64 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// Whatever sessions have joined and left, a walk finds each topic that has
        /// subscribers once, whatever the number of topics it asks for at a time.
        #[test]
        fn a_walk_finds_each_topic_once(
            steps in proptest::collection::vec((0_u32..6, 0_usize..12, any::<bool>()), 0..80),
            limit in 1_usize..5,
        ) {
            let mut table = SubscriberTable::default();
            let mut sessions = std::array::from_fn::<_, 6, _>(|_| Subscriptions::default());
            let mut members: BTreeSet<(u32, usize)> = BTreeSet::new();
            for (session, topic, joins) in steps {
                let name = Topic::new(format!("{}:{topic}", topic % 2));
                let own = &mut sessions[session as usize];
                if joins {
                    table.subscribe(session, own, &name, FORMS[session as usize % 3]);
                    members.insert((session, topic));
                } else {
                    table.unsubscribe(own, &name);
                    members.remove(&(session, topic));
                }
            }
            for prefix in ["", "0:", "1:1", "x"] {
                let topics = members.iter().map(|(_, topic)| format!("{}:{topic}", topic % 2));
                let expected: BTreeSet<_> = topics.filter(|name| name.starts_with(prefix)).collect();
                let mut found = walk(&table, prefix, limit);
                found.sort_unstable();
                let expected: Vec<_> = expected.into_iter().collect();
                prop_assert_eq!(&found, &{ let mut sorted = expected; sorted.sort_unstable(); sorted });
            }
        }
    }

    /// A question costs a bounded walk, however large the table is.
    #[test]
    fn a_walk_looks_at_so_many_entries() {
        let mut table = SubscriberTable::default();
        let mut own = Subscriptions::default();
        for number in 0..3 * WALK {
            table.subscribe(0, &mut own, &Topic::new(number.to_string()), Form::Data);
        }
        let walk = Walk::new(0, 0, "x", 10);
        walk.look(0, &table);
        assert_eq!(walk.found().next, Some(WALK));
        let walk = Walk::new(0, 0, "", usize::MAX);
        walk.look(0, &table);
        assert_eq!(walk.found().topics.len(), MAX_NAMED);
    }

    #[test]
    fn subscribers_are_summed_over_shards_with_the_first_that_has_any() {
        let [a, b] = ["a", "b"].map(Topic::new);
        let inquiry = SubscribersOfEach::of(vec![a.clone(), b.clone()]);
        for shard in 0..3 {
            let mut table = SubscriberTable::default();
            for session in 0..shard {
                table.subscribe(session, &mut Subscriptions::default(), &a, Form::Data);
            }
            inquiry.look(shard as usize, &table);
        }
        let sums: Vec<_> = inquiry.sums().collect();
        assert_eq!(sums, [(&a, 3, 1), (&b, 0, u64::MAX)]);
    }
}
