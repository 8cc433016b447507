//! Numbers that look random and are the same again for the same seed.
//!
//! A generator of its own instead of a library's: a script with a seed has to
//! send the same users at the same times with every later version of the tool.

/// What is added for each number.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// A SplitMix64 generator.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The number that `next` returns after `n` others.
    pub(super) fn nth(seed: u64, n: u64) -> u64 {
        Random(seed.wrapping_add(GAMMA.wrapping_mul(n))).next()
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// A number from 0 up to, not including, 1.
pub(super) fn unit(random: u64) -> f64 {
    // 53 bits are all an f64 can tell apart.
    (random >> 11) as f64 / (1u64 << 53) as f64
}

/// A draw from the exponential distribution with mean 1, which has no memory:
/// the wait for something that may happen at any moment.
pub(super) fn exponential(random: u64) -> f64 {
    -(1.0 - unit(random)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        let mut random = Random::new(1_234_567);
        let first = [random.next(), random.next()];
        assert_eq!(
            first,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]
        );
        let again = [0, 1].map(|n| Random::nth(1_234_567, n));
        assert_eq!(again, first);
    }

    #[test]
    fn the_ends_of_the_range_are_finite() {
        assert_eq!(exponential(0), 0.0);
        assert!(exponential(u64::MAX) < 37.0);
        assert!(unit(u64::MAX) < 1.0);
    }
}
