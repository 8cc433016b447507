//! The time at which each connection is to be woken.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Times in nanoseconds of the run, each with the items due then.
#[derive(Debug)]
pub struct Timers<T>(BinaryHeap<Reverse<(u64, T)>>);

impl<T: Ord> Default for Timers<T> {
    fn default() -> Self {
        Timers(BinaryHeap::new())
    }
}

impl<T: Ord> Timers<T> {
    /// Notes that `what` is due at `time`.
    pub fn set(&mut self, time: u64, what: T) {
        self.0.push(Reverse((time, what)));
    }

    /// The time of the next one.
    pub fn next_time(&self) -> Option<u64> {
        self.0.peek().map(|Reverse((time, _))| *time)
    }

    /// Takes the next one if it is due, with the time it was due at.
    pub fn take_due(&mut self, now: u64) -> Option<(u64, T)> {
        if self.next_time()? > now {
            return None;
        }
        self.0.pop().map(|Reverse(due)| due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_in_the_order_of_time() {
        let mut timers = Timers::default();
        for (time, what) in [(30, 'c'), (10, 'a'), (20, 'b')] {
            timers.set(time, what);
        }
        assert_eq!(timers.take_due(9), None);
        assert_eq!(timers.take_due(25), Some((10, 'a')));
        assert_eq!(timers.take_due(25), Some((20, 'b')));
        assert_eq!(timers.take_due(25), None);
        assert_eq!(timers.next_time(), Some(30));
    }
}
