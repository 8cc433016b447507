//! When sessions end that last as long as a token.
//!
//! # Invariants worth naming
//!
//! - A session is in here only if its handler has said so, so others cost nothing.
//! - An entry of a session that has ended before stays until its time; the key of a later
//!   session in its place is another one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::plane::SessionKey;

/// The sessions of a shard that have such a time. The first of several counts.
#[derive(Debug, Default)]
pub(crate) struct Expiries(BinaryHeap<Reverse<(u64, u32, u32)>>);

impl Expiries {
    /// Notes that a session ends after `time`, at `now_ms` of the shard's clock.
    pub(crate) fn add(&mut self, key: SessionKey, now_ms: u64, time: Duration) {
        let time_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let at_ms = now_ms.saturating_add(time_ms);
        self.0.push(Reverse((at_ms, key.index, key.generation)));
    }

    /// A session whose time is over.
    pub(crate) fn next_over(&mut self, now_ms: u64) -> Option<SessionKey> {
        let Reverse((at_ms, index, generation)) = *self.0.peek()?;
        if at_ms > now_ms {
            return None;
        }
        self.0.pop();
        Some(SessionKey { index, generation })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn sessions_come_when_their_time_is_over_the_first_first() {
        let key = |index| SessionKey {
            index,
            generation: 7,
        };
        let mut expiries = Expiries::default();
        for (index, time) in [(1, 30), (2, 10), (3, 20), (2, 40)] {
            expiries.add(key(index), 1_000, Duration::from_millis(time));
        }
        expiries.add(key(4), 1_000, Duration::MAX);
        assert_eq!(expiries.next_over(1_009), None);
        let over: Vec<_> = std::iter::from_fn(|| expiries.next_over(1_030)).collect();
        assert_eq!(over, [key(2), key(3), key(1)]);
        assert_eq!(expiries.next_over(1_040), Some(key(2)));
        assert_eq!(expiries.next_over(u64::MAX - 1), None);
    }
}
