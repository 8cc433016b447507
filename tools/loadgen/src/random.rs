//! Numbers that look random and are the same again for the same seed.
//!
//! A generator of its own instead of a library's: a script with a seed has to
//! send the same users at the same times with every later version of the tool.
//!
//! Masking keys come from it too. RFC 6455 §10.3 wants those to be such that a
//! script in a browser cannot predict them; there is none here, so speed decides.

/// The increment for each number.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// A SplitMix64 generator (Steele, Lea and Flood, 'Fast splittable pseudorandom
/// number generators', 2014).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The sequence that belongs to a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The number that [`number`](Random::number) returns after `n` others.
    pub fn nth(seed: u64, n: u64) -> u64 {
        Random(seed.wrapping_add(GAMMA.wrapping_mul(n))).number()
    }

    /// The next number.
    #[inline]
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A masking key.
    #[inline]
    pub fn mask(&mut self) -> [u8; 4] {
        ((self.number() >> 32) as u32).to_ne_bytes()
    }

    /// Sixteen bytes for a handshake's key.
    pub fn nonce(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.number().to_ne_bytes());
        bytes[8..].copy_from_slice(&self.number().to_ne_bytes());
        bytes
    }

    /// A number from 0 up to, not including, 1.
    pub fn unit(&mut self) -> f64 {
        unit(self.number())
    }

    /// A time whose mean is `mean` and that is as likely to end at any moment as
    /// at any other; see [`exponential`].
    pub fn exponential(&mut self, mean: f64) -> f64 {
        mean * exponential(self.number())
    }
}

/// A number from 0 up to, not including, 1.
pub fn unit(random: u64) -> f64 {
    // 53 bits are all an f64 can tell apart.
    (random >> 11) as f64 / (1u64 << 53) as f64
}

/// A draw from the exponential distribution with mean 1, which has no memory:
/// the wait for something that may happen at any moment.
pub fn exponential(random: u64) -> f64 {
    -(1.0 - unit(random)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        let mut random = Random::new(1_234_567);
        let first = [random.number(), random.number()];
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

    #[test]
    fn exponential_times_have_the_mean_asked_for() {
        let mut random = Random::new(7);
        let sum: f64 = (0..100_000).map(|_| random.exponential(3.0)).sum();
        assert!((sum / 100_000.0 - 3.0).abs() < 0.05);
    }

    #[test]
    fn units_stay_below_one_and_spread() {
        let mut random = Random::new(1);
        let units: Vec<f64> = (0..10_000).map(|_| random.unit()).collect();
        assert!(units.iter().all(|unit| (0.0..1.0).contains(unit)));
        let low = units.iter().filter(|unit| **unit < 0.5).count();
        assert!((4_700..5_300).contains(&low));
    }
}
