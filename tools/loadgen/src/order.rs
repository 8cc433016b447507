//! The check that all messages arrive, and in order.
//!
//! # Invariants worth naming
//!
//! - As long as nothing goes wrong, a sequence is one number: the next expected.
//!   Only missing numbers are remembered one by one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Sequence numbers skipped at once that are remembered one by one. A jump
/// beyond is not a loss but another sequence.
const MAX_GAP: u32 = 1 << 20;

/// The meaning of an arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The next one.
    Next,
    /// So many are missing before it, which may still come.
    Gap(u32),
    /// One of those that were missing: a later one has overtaken it.
    Late,
    /// It was here before.
    Duplicate,
}

/// Tells arrivals apart, for any number of sequences. `K` names one, such as
/// receiver and sender.
#[derive(Debug)]
pub struct Order<K> {
    missing: HashMap<K, Vec<u32>>,
}

impl<K> Default for Order<K> {
    fn default() -> Self {
        Order {
            missing: HashMap::new(),
        }
    }
}

impl<K: std::hash::Hash + Eq> Order<K> {
    /// The meaning of the arrival of `sequence` if `expected` is next.
    #[inline]
    pub fn arrive(&mut self, expected: &mut u32, sequence: u32, name: K) -> Arrival {
        if sequence == *expected {
            *expected = expected.wrapping_add(1);
            return Arrival::Next;
        }
        self.out_of_order(expected, sequence, name)
    }

    #[cold]
    fn out_of_order(&mut self, expected: &mut u32, sequence: u32, name: K) -> Arrival {
        let gap = sequence.wrapping_sub(*expected);
        if gap <= MAX_GAP {
            let missing = self.missing.entry(name).or_default();
            missing.extend((0..gap).map(|ahead| expected.wrapping_add(ahead)));
            *expected = sequence.wrapping_add(1);
            return Arrival::Gap(gap);
        }
        if let Entry::Occupied(mut missing) = self.missing.entry(name)
            && let Some(place) = missing.get().iter().position(|&late| late == sequence)
        {
            missing.get_mut().swap_remove(place);
            if missing.get().is_empty() {
                missing.remove();
            }
            return Arrival::Late;
        }
        Arrival::Duplicate
    }

    /// Forgets a sequence that has ended. Returns its missing numbers.
    pub fn forget(&mut self, name: &K) -> Vec<u32> {
        self.missing.remove(name).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The arrivals, and the meaning that each should have.
    fn check(arrivals: &[(u32, Arrival)]) {
        let mut order = Order::default();
        let mut expected = 0;
        for &(sequence, meaning) in arrivals {
            assert_eq!(
                order.arrive(&mut expected, sequence, ()),
                meaning,
                "{sequence}"
            );
        }
    }

    #[test]
    fn in_order_everything_is_next() {
        check(&[(0, Arrival::Next), (1, Arrival::Next), (2, Arrival::Next)]);
    }

    #[test]
    fn what_was_overtaken_is_late_once_and_a_duplicate_after() {
        check(&[
            (0, Arrival::Next),
            (3, Arrival::Gap(2)),
            (1, Arrival::Late),
            (1, Arrival::Duplicate),
            (4, Arrival::Next),
            (2, Arrival::Late),
            (3, Arrival::Duplicate),
            (5, Arrival::Next),
        ]);
    }

    #[test]
    fn what_never_came_is_known_at_the_end() {
        let mut order = Order::default();
        let mut expected = 0;
        order.arrive(&mut expected, 4, "a");
        assert_eq!(order.forget(&"a"), [0, 1, 2, 3]);
        assert!(order.forget(&"a").is_empty());
    }

    #[test]
    fn numbers_may_wrap() {
        let mut order = Order::default();
        let mut expected = u32::MAX;
        assert_eq!(order.arrive(&mut expected, u32::MAX, ()), Arrival::Next);
        assert_eq!(order.arrive(&mut expected, 1, ()), Arrival::Gap(1));
        assert_eq!(order.arrive(&mut expected, 0, ()), Arrival::Late);
    }
}
