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
