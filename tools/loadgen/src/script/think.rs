//! How long a user does nothing.

use std::time::Duration;

use crate::random::{exponential, unit};

/// A time to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Think {
    /// Always the same.
    Fixed(Duration),
    /// Any time between two, each as likely.
    Uniform {
        /// The shortest.
        from: Duration,
        /// The longest.
        to: Duration,
    },
    /// Mostly short and now and then long, without memory: what lies between
    /// two messages of a person.
    Exponential {
        /// The mean. One draw in 150 is longer than five times this.
        mean: Duration,
    },
}

impl Think {
    /// The time for one random number.
    pub fn sample(&self, random: u64) -> Duration {
        match *self {
            Think::Fixed(time) => time,
            // Rounding may exceed the end by a few nanoseconds in a year.
            Think::Uniform { from, to } => (from + (to - from).mul_f64(unit(random))).min(to),
            Think::Exponential { mean } => mean.mul_f64(exponential(random)),
        }
    }

    /// The mean of all times.
    pub fn mean(&self) -> Duration {
        match *self {
            Think::Fixed(time) => time,
            Think::Uniform { from, to } => from + (to - from) / 2,
            Think::Exponential { mean } => mean,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::MAX_TIME;
    use super::*;
    use crate::random::Random;

    fn think() -> impl Strategy<Value = Think> {
        let time = || (0..MAX_TIME.as_nanos() as u64).prop_map(Duration::from_nanos);
        prop_oneof![
            time().prop_map(Think::Fixed),
            time().prop_map(|mean| Think::Exponential { mean }),
            (time(), time()).prop_map(|(a, b)| Think::Uniform {
                from: a.min(b),
                to: a.max(b),
            }),
        ]
    }

    proptest! {
        #[test]
        fn every_sample_is_possible(think in think(), random: u64) {
            let sample = think.sample(random);
            match think {
                Think::Fixed(time) => prop_assert_eq!(sample, time),
                Think::Uniform { from, to } => prop_assert!(from <= sample && sample <= to),
                Think::Exponential { mean } => prop_assert!(sample <= mean * 37),
            }
        }
    }

    #[test]
    fn the_mean_is_what_the_samples_come_to() {
        let second = Duration::from_secs(1);
        for think in [
            Think::Fixed(second),
            Think::Uniform {
                from: second,
                to: second * 5,
            },
            Think::Exponential { mean: second * 3 },
        ] {
            const COUNT: u32 = 20_000;
            let mut random = Random::new(7);
            let sum: Duration = (0..COUNT).map(|_| think.sample(random.number())).sum();
            let ratio = (sum / COUNT).as_secs_f64() / think.mean().as_secs_f64();
            assert!((ratio - 1.0).abs() < 0.03, "{think:?}: {ratio}");
        }
    }
}
