//! Token buckets: so many per second, and so many at once.
//!
//! # Invariants worth naming
//!
//! - Levels are whole thousandths of a token, and a rate gives as many of them
//!   a millisecond as it gives tokens a second, so nothing is ever rounded.
//! - A bucket may go into debt: data that has arrived counts in full. The debt is paid
//!   back before anything more is allowed, so the rate holds over time.

use std::time::Duration;

/// Thousandths of a token in a token.
const TOKEN: i64 = 1_000;

/// How fast a bucket fills, and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    per_second: i64,
    /// In thousandths of a token; at least one token.
    capacity: i64,
}

impl Rate {
    /// A rate of so many tokens a second, of which `burst` is how long they may
    /// be saved up. `None` for zero, which stands for no limit.
    pub(crate) fn new(per_second: usize, burst: Duration) -> Option<Rate> {
        let per_second = i64::try_from(per_second).unwrap_or(i64::MAX);
        let burst_ms = i64::try_from(burst.as_millis()).unwrap_or(i64::MAX);
        (per_second > 0).then(|| Rate {
            per_second,
            capacity: per_second.saturating_mul(burst_ms).max(TOKEN),
        })
    }
}

/// The rest of a [`Rate`] that its user may still take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// In thousandths of a token; below zero it is a debt.
    level: i64,
    /// When it was last filled up, in milliseconds of its owner's clock.
    filled_ms: u64,
}

impl Bucket {
    /// A bucket that was not used yet.
    pub(crate) fn full(rate: Rate, now_ms: u64) -> Bucket {
        Bucket {
            level: rate.capacity,
            filled_ms: now_ms,
        }
    }

    /// The whole tokens in it now.
    pub(crate) fn tokens(&mut self, rate: Rate, now_ms: u64) -> u64 {
        self.fill(rate, now_ms);
        u64::try_from(self.level / TOKEN).unwrap_or(0)
    }

    /// Takes tokens, whether there are as many or not.
    pub(crate) fn take(&mut self, tokens: u64) {
        let tokens = i64::try_from(tokens).unwrap_or(i64::MAX);
        self.level = self.level.saturating_sub(tokens.saturating_mul(TOKEN));
    }

    /// Gives tokens back. More than there is room for is lost when the bucket is next
    /// filled.
    pub(crate) fn give_back(&mut self, tokens: u64) {
        let tokens = i64::try_from(tokens).unwrap_or(i64::MAX);
        self.level = self.level.saturating_add(tokens.saturating_mul(TOKEN));
    }

    /// Milliseconds until there is a token, zero if there is one.
    pub(crate) fn wait_ms(&mut self, rate: Rate, now_ms: u64) -> u64 {
        self.fill(rate, now_ms);
        let missing = TOKEN.saturating_sub(self.level).max(0) as u64;
        missing.div_ceil(rate.per_second as u64)
    }

    /// Whether it is as if it had never been used.
    pub(crate) fn is_full(&mut self, rate: Rate, now_ms: u64) -> bool {
        self.fill(rate, now_ms);
        self.level == rate.capacity
    }

    fn fill(&mut self, rate: Rate, now_ms: u64) {
        let passed_ms = now_ms.saturating_sub(self.filled_ms);
        let passed_ms = i64::try_from(passed_ms).unwrap_or(i64::MAX);
        let gained = passed_ms.saturating_mul(rate.per_second);
        self.level = self.level.saturating_add(gained).min(rate.capacity);
        self.filled_ms = self.filled_ms.max(now_ms);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn zero_is_no_limit() {
        assert_eq!(Rate::new(0, SECOND), None);
    }

    #[test]
    fn a_burst_then_the_rate() {
        let rate = Rate::new(10, SECOND).unwrap();
        let mut bucket = Bucket::full(rate, 5);
        assert_eq!(bucket.tokens(rate, 5), 10);
        bucket.take(10);
        assert_eq!(bucket.tokens(rate, 5), 0);
        assert_eq!(bucket.wait_ms(rate, 5), 100);
        assert_eq!(bucket.tokens(rate, 104), 0);
        assert_eq!(bucket.tokens(rate, 105), 1);
        assert_eq!(bucket.wait_ms(rate, 105), 0);
        assert_eq!(bucket.tokens(rate, 60_000), 10, "no more than a burst");
    }

    #[test]
    fn a_debt_is_paid_back_first() {
        let rate = Rate::new(1_000, SECOND).unwrap();
        let mut bucket = Bucket::full(rate, 0);
        bucket.take(66_000);
        assert_eq!(bucket.tokens(rate, 0), 0);
        assert_eq!(bucket.wait_ms(rate, 0), 65_001);
        assert_eq!(bucket.tokens(rate, 65_000), 0);
        assert_eq!(bucket.tokens(rate, 65_001), 1);
    }

    #[test]
    fn a_burst_is_at_least_one() {
        let rate = Rate::new(1, Duration::from_millis(10)).unwrap();
        let mut bucket = Bucket::full(rate, 0);
        assert_eq!(bucket.tokens(rate, 0), 1);
        assert!(bucket.is_full(rate, 0));
        bucket.take(1);
        assert!(!bucket.is_full(rate, 999));
        assert!(bucket.is_full(rate, 1_000));
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let rate = Rate::new(usize::MAX, Duration::MAX).unwrap();
        let mut bucket = Bucket::full(rate, 0);
        bucket.take(u64::MAX);
        bucket.take(u64::MAX);
        bucket.tokens(rate, u64::MAX);
        bucket.wait_ms(rate, u64::MAX);
    }

    proptest! {
        /// A user that waits as told gets, over any time, a burst and the rate, and no
        /// more.
        #[test]
        fn the_rate_holds(
            per_second in 1..10_000usize,
            burst_ms in 10..5_000u64,
            steps in proptest::collection::vec((0..200u64, 0..50u64), 1..100),
        ) {
            let rate = Rate::new(per_second, Duration::from_millis(burst_ms)).unwrap();
            let mut bucket = Bucket::full(rate, 0);
            let (mut now_ms, mut taken) = (0, 0);
            for (pause_ms, wanted) in steps {
                now_ms += pause_ms;
                let got = wanted.min(bucket.tokens(rate, now_ms));
                bucket.take(got);
                taken += got;
                let most = (per_second as u64 * (burst_ms + now_ms) / 1_000).max(1);
                // A burst of less than one token was rounded up to one.
                prop_assert!(taken <= most + 1, "{taken} in {now_ms} ms");
            }
            let wait_ms = bucket.wait_ms(rate, now_ms);
            prop_assert!(bucket.tokens(rate, now_ms + wait_ms) >= 1);
        }
    }
}
