//! When users arrive.

use serde::Deserialize;

use crate::random::Random;

/// Nanoseconds of a second.
const SECOND: f64 = 1e9;

/// How the times between two arrivals are distributed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrival {
    /// All the same: at 1,000 a second, one each millisecond, the first at once.
    Even,
    /// Random and independent of each other, as people are: a Poisson process.
    /// There are bursts and gaps, and in one second about √rate users more or
    /// fewer than in the next.
    #[default]
    Exponential,
}

/// The planned times of arrivals, in nanoseconds since the start, in order and
/// without end. The same seed gives the same times.
///
/// They are planned from the start, never from the arrival before: a generator
/// that falls behind sees how far, and the mean rate does not drift.
#[derive(Debug, Clone)]
pub struct Arrivals {
    arrival: Arrival,
    /// The mean time between two arrivals, in nanoseconds.
    gap: f64,
    /// Arrivals so far.
    count: u64,
    /// The time of the last random one, in nanoseconds.
    last: f64,
    random: Random,
}

impl Arrivals {
    /// Arrivals at `rate_per_second` on average.
    ///
    /// # Panics
    ///
    /// When the rate is not a number above zero.
    pub fn new(rate_per_second: f64, arrival: Arrival, seed: u64) -> Arrivals {
        assert!(
            rate_per_second > 0.0 && rate_per_second.is_finite(),
            "a rate of {rate_per_second} has no arrivals"
        );
        Arrivals {
            arrival,
            gap: SECOND / rate_per_second,
            count: 0,
            last: 0.0,
            random: Random::new(seed),
        }
    }
}

impl Iterator for Arrivals {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let at = match self.arrival {
            Arrival::Even => self.count as f64 * self.gap,
            Arrival::Exponential => {
                self.last += self.random.exponential(self.gap);
                self.last
            }
        };
        self.count += 1;
        Some(at as u64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn even_arrivals_keep_their_distance() {
        let times: Vec<_> = Arrivals::new(4.0, Arrival::Even, 0).take(4).collect();
        assert_eq!(times, [0, 250_000_000, 500_000_000, 750_000_000]);
        let second = |rate| {
            Arrivals::new(rate, Arrival::Even, 0)
                .take_while(|&at| at < 1_000_000_000)
                .count()
        };
        assert_eq!(second(1_000.0), 1_000);
        assert_eq!(second(0.5), 1);
    }

    #[test]
    fn exponential_arrivals_vary_as_much_as_their_mean() {
        let times: Vec<u64> = Arrivals::new(1_000.0, Arrival::Exponential, 1)
            .take(20_001)
            .collect();
        let gaps: Vec<f64> = times
            .windows(2)
            .map(|pair| (pair[1] - pair[0]) as f64)
            .collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.05);
    }

    proptest! {
        #[test]
        fn times_never_go_back_and_the_mean_is_the_rate(
            rate in 0.01f64..1e6,
            arrival in prop_oneof![Just(Arrival::Even), Just(Arrival::Exponential)],
            seed: u64,
        ) {
            const COUNT: usize = 20_000;
            let mut last = 0;
            for at in Arrivals::new(rate, arrival, seed).take(COUNT) {
                prop_assert!(at >= last);
                last = at;
            }
            let measured = COUNT as f64 / (last as f64 / SECOND);
            prop_assert!((measured / rate - 1.0).abs() < 0.05, "{} for {}", measured, rate);
        }

        #[test]
        fn a_seed_gives_the_same_times_again(seed: u64) {
            let times = |seed| Arrivals::new(9.0, Arrival::Exponential, seed).take(9).collect::<Vec<_>>();
            prop_assert_eq!(times(seed), times(seed));
            prop_assert_ne!(times(seed), times(seed ^ 1));
        }
    }
}
