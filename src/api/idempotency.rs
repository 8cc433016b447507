//! Idempotency keys: what was published once is not published again when its publisher
//! asks again because it has not heard the answer.
//!
//! # Invariants worth naming
//!
//! - A key is known from before its publication is tried. Of two requests at the same
//!   time one publishes, and the other is told that it is under way.
//! - A publication that was not made leaves no key behind, also where its client went
//!   away while it waited.
//! - Memory is bounded whatever clients send: hashes are kept, with a secret that no
//!   client knows, and of those at most so many.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::Instant;

use super::limits::IDEMPOTENCY_TIME;

/// Names a publication: a hash of whose key it is, its topic and its idempotency key.
pub(super) type Id = u128;

/// The keys that are known.
pub(super) struct Idempotency {
    secrets: [RandomState; 2],
    known: HashMap<Id, State>,
    /// Those that are done, in the order in which they are forgotten.
    done: VecDeque<(Instant, Id)>,
    capacity: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    UnderWay,
    Done,
}

/// The state of a key that comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    /// Nothing; it is under way from now on.
    New,
    /// Another request with it is under way.
    UnderWay,
    /// Its publication was made.
    Done,
}

impl Idempotency {
    pub(super) fn new(capacity: usize) -> Self {
        Idempotency {
            secrets: [RandomState::new(), RandomState::new()],
            known: HashMap::new(),
            done: VecDeque::new(),
            capacity,
        }
    }

    /// The name of a publication.
    pub(super) fn id(&self, owner: &str, topic: &str, key: &str) -> Id {
        let [high, low] = &self.secrets;
        let half = |secret: &RandomState| u128::from(secret.hash_one((owner, topic, key)));
        half(high) << 64 | half(low)
    }

    /// Looks whether a publication is known, and notes that it is under way if not.
    pub(super) fn meet(&mut self, id: Id, now: Instant) -> Met {
        self.forget_old(now);
        match self.known.get(&id) {
            Some(State::UnderWay) => Met::UnderWay,
            Some(State::Done) => Met::Done,
            None => {
                self.known.insert(id, State::UnderWay);
                Met::New
            }
        }
    }

    /// Notes that a publication was made. Returns whether another was forgotten for it
    /// before its time.
    pub(super) fn finish(&mut self, id: Id, now: Instant) -> bool {
        self.known.insert(id, State::Done);
        self.done.push_back((now + IDEMPOTENCY_TIME, id));
        let is_full = self.done.len() > self.capacity;
        if is_full && let Some((_, oldest)) = self.done.pop_front() {
            self.known.remove(&oldest);
        }
        is_full
    }

    /// Notes that a publication was not made.
    pub(super) fn give_up(&mut self, id: Id) {
        if self.known.get(&id) == Some(&State::UnderWay) {
            self.known.remove(&id);
        }
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some((until, id)) = self.done.front().copied()
            && until <= now
        {
            self.done.pop_front();
            self.known.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_key_is_known_for_its_time_and_no_longer() {
        let mut keys = Idempotency::new(8);
        let start = Instant::now();
        let id = keys.id("shop", "orders", "1");
        assert_eq!(keys.meet(id, start), Met::New);
        assert_eq!(keys.meet(id, start), Met::UnderWay);
        keys.finish(id, start);
        let last = start + IDEMPOTENCY_TIME - Duration::from_millis(1);
        assert_eq!(keys.meet(id, last), Met::Done);
        assert_eq!(keys.meet(id, start + IDEMPOTENCY_TIME), Met::New);
    }

    #[test]
    fn another_owner_topic_or_key_is_another_publication() {
        let keys = Idempotency::new(8);
        let ids = [
            keys.id("a", "t", "1"),
            keys.id("b", "t", "1"),
            keys.id("a", "u", "1"),
            keys.id("a", "t", "2"),
            keys.id("a", "t1", ""),
            keys.id("at", "", "1"),
        ];
        for (place, id) in ids.iter().enumerate() {
            assert!(!ids[..place].contains(id), "{place}");
        }
    }

    #[test]
    fn one_that_was_not_made_may_be_tried_again() {
        let mut keys = Idempotency::new(8);
        let now = Instant::now();
        assert_eq!(keys.meet(7, now), Met::New);
        keys.give_up(7);
        assert_eq!(keys.meet(7, now), Met::New);
        keys.finish(7, now);
        keys.give_up(7);
        assert_eq!(keys.meet(7, now), Met::Done, "it was made");
    }

    #[test]
    fn memory_is_bounded() {
        let mut keys = Idempotency::new(4);
        let now = Instant::now();
        for id in 0..100 {
            assert_eq!(keys.meet(id, now), Met::New);
            assert_eq!(keys.finish(id, now), id >= 4);
            assert!(keys.known.len() <= 4 && keys.done.len() <= 4);
        }
        assert_eq!(keys.meet(99, now), Met::Done);
        assert_eq!(keys.meet(95, now), Met::New, "the oldest are forgotten");
    }
}
