//! The budget of a shard for messages of which only a part has arrived.
//!
//! # Invariants worth naming
//!
//! - Only what is held from one read to the next is noted; a message that arrives
//!   whole is never seen here.
//! - The total is the sum over the sessions that are noted, and a session that has
//!   left the table is noted no more.
//! - The largest go first, and of those about as large as each other (within a factor
//!   of two) the one that has not grown for longest. So a session that holds less than
//!   half of the budget divided by the number of unfinished messages stays, whatever
//!   the others do.
//! - The last one stays: the budget has room for one message.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

/// The memory of a shard's unfinished messages.
pub(crate) struct Unfinished {
    budget_bytes: usize,
    held_bytes: usize,
    /// By the place of its session.
    sizes: HashMap<u32, Size>,
    by_size: BTreeSet<(Size, u32)>,
    /// Changes of any size, so far.
    changes: u64,
}

/// How much a session holds. The greater one ends first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Size {
    /// The power of two below.
    magnitude: u32,
    /// When it became so, counted in changes.
    since: Reverse<u64>,
    bytes: usize,
}

impl Unfinished {
    /// Nothing is held yet.
    pub(crate) fn new(budget_bytes: usize) -> Self {
        Unfinished {
            budget_bytes,
            held_bytes: 0,
            sizes: HashMap::new(),
            by_size: BTreeSet::new(),
            changes: 0,
        }
    }

    /// Notes how much the session at this place holds now. Returns how much all hold,
    /// if that has changed.
    #[cold]
    pub(crate) fn note(&mut self, place: u32, bytes: usize) -> Option<usize> {
        let before = self.sizes.get(&place).copied();
        if before.map_or(0, |size| size.bytes) == bytes {
            return None;
        }
        if let Some(before) = before {
            self.by_size.remove(&(before, place));
            self.held_bytes -= before.bytes;
        }
        if bytes == 0 {
            self.sizes.remove(&place);
        } else {
            self.changes += 1;
            let size = Size {
                magnitude: bytes.ilog2(),
                since: Reverse(self.changes),
                bytes,
            };
            self.sizes.insert(place, size);
            self.by_size.insert((size, place));
            self.held_bytes += bytes;
        }
        Some(self.held_bytes)
    }

    /// Whether nothing is held.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.held_bytes == 0
    }

    /// Whether all together hold more than they should.
    #[inline]
    pub(crate) fn is_over_budget(&self) -> bool {
        self.held_bytes > self.budget_bytes
    }

    /// The place of the session to end, if one has to.
    pub(crate) fn first_to_go(&self) -> Option<u32> {
        let (_, place) = self.by_size.last()?;
        (self.is_over_budget() && self.by_size.len() > 1).then_some(*place)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_largest_goes_first_and_then_the_one_that_stands_still() {
        let mut unfinished = Unfinished::new(100);
        assert!(unfinished.is_empty());
        for (place, bytes) in [(0, 40), (1, 31), (2, 29)] {
            unfinished.note(place, bytes);
        }
        assert_eq!(unfinished.first_to_go(), None, "as much as there may be");
        assert_eq!(unfinished.note(3, 30), Some(130));
        assert_eq!(unfinished.first_to_go(), Some(0));
        assert_eq!(unfinished.note(0, 0), Some(90));
        assert_eq!(unfinished.first_to_go(), None);
        unfinished.note(1, 30);
        unfinished.note(1, 31);
        unfinished.note(4, 20);
        assert_eq!(unfinished.first_to_go(), Some(2), "1 has grown since");
        assert_eq!(unfinished.note(2, 29), None, "nothing has changed");
    }

    #[test]
    fn one_alone_stays() {
        let mut unfinished = Unfinished::new(100);
        unfinished.note(7, 110);
        assert!(unfinished.is_over_budget());
        assert_eq!(unfinished.first_to_go(), None);
        unfinished.note(8, 1);
        assert_eq!(unfinished.first_to_go(), Some(7));
    }

    proptest! {
        /// What is held is what a plain list would add up to, and a session that holds
        /// less than half of an equal part of the budget stays.
        #[test]
        fn it_adds_up(notes in prop::collection::vec((0u32..8, 0usize..100), 0..64)) {
            let mut unfinished = Unfinished::new(200);
            let mut oracle = [0; 8];
            for (place, bytes) in notes {
                oracle[place as usize] = bytes;
                unfinished.note(place, bytes);
                while let Some(place) = unfinished.first_to_go() {
                    let held = oracle.iter().filter(|bytes| **bytes > 0).count();
                    prop_assert!(2 * oracle[place as usize] * held > 200);
                    prop_assert!(2 * oracle[place as usize] > *oracle.iter().max().unwrap());
                    oracle[place as usize] = 0;
                    unfinished.note(place, 0);
                }
                prop_assert_eq!(unfinished.held_bytes, oracle.iter().sum::<usize>());
                prop_assert_eq!(unfinished.is_empty(), oracle == [0; 8]);
                prop_assert!(unfinished.held_bytes <= 200);
            }
        }
    }
}
