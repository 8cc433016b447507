//! Masking keys and other numbers nobody should guess, fast.

/// A xorshift64* generator (Vigna, 'An experimental exploration of Marsaglia's
/// xorshift generators, scrambled', 2016), seeded from the system.
///
/// RFC 6455 §10.3 wants masking keys that a script in a browser cannot foretell.
/// There is none here, so speed decides.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// Seeded by the operating system.
    pub fn new() -> Self {
        Self::from_seed(rand::random())
    }

    /// Seeded by a number, for a sequence that comes again.
    pub fn from_seed(seed: u64) -> Self {
        Random(seed | 1)
    }

    /// The next number.
    #[inline]
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
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

    /// A number from 0 up to but not including 1.
    pub fn unit(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A time whose mean is `mean` and that is as likely to end at any moment
    /// as at any other: exponentially distributed.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_times_have_the_mean_asked_for() {
        let mut random = Random::from_seed(7);
        let sum: f64 = (0..100_000).map(|_| random.exponential(3.0)).sum();
        assert!((sum / 100_000.0 - 3.0).abs() < 0.05);
    }

    #[test]
    fn units_stay_below_one_and_spread() {
        let mut random = Random::from_seed(1);
        let units: Vec<f64> = (0..10_000).map(|_| random.unit()).collect();
        assert!(units.iter().all(|unit| (0.0..1.0).contains(unit)));
        let low = units.iter().filter(|unit| **unit < 0.5).count();
        assert!((4_700..5_300).contains(&low));
    }
}
