//! A distribution of times.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer as HistogramReader, Serializer as _, V2Serializer};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest time that is told apart, in microseconds: an hour.
const MAX_MICROS: u64 = 3_600_000_000;
/// Significant decimal digits kept.
const DIGITS: u8 = 3;

/// A distribution of times in microseconds, to three significant digits: an
/// HdrHistogram (<https://hdrhistogram.org>).
#[derive(Debug, Clone, PartialEq)]
pub struct Latency(Histogram<u64>);

/// The recorded values of a [`Latency`], without room for those not recorded: a
/// hundred threads that report four times a second would otherwise fill 200 KB
/// each time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Times(Vec<(u64, u64)>);

impl Default for Latency {
    fn default() -> Self {
        Latency(Histogram::new_with_bounds(1, MAX_MICROS, DIGITS).expect("the bounds are valid"))
    }
}

impl Latency {
    /// Records one time. Under a microsecond counts as one, over an hour as an hour.
    #[inline]
    pub fn record_nanos(&mut self, nanos: u64) {
        self.0.saturating_record((nanos / 1_000).max(1));
    }

    /// Adds all of another distribution.
    pub fn add(&mut self, other: &Latency) {
        self.0
            .add(&other.0)
            .expect("all distributions have the same bounds");
    }

    /// The recorded times, in a compact form that can wait.
    pub fn times(&self) -> Times {
        let recorded = self.0.iter_recorded();
        Times(
            recorded
                .map(|step| (step.value_iterated_to(), step.count_at_value()))
                .collect(),
        )
    }

    /// Adds the recorded values of another distribution.
    pub fn add_times(&mut self, times: &Times) {
        for &(micros, count) in &times.0 {
            self.0.saturating_record_n(micros, count);
        }
    }

    /// How many times were recorded.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The time in microseconds that `percentile` percent did not exceed.
    pub fn micros_at(&self, percentile: f64) -> u64 {
        self.0.value_at_percentile(percentile)
    }

    /// The mean in microseconds.
    pub fn mean_micros(&self) -> f64 {
        self.0.mean()
    }

    /// The usual percentiles.
    pub fn percentiles(&self) -> Percentiles {
        Percentiles {
            count: self.count(),
            mean: self.mean_micros(),
            min: if self.is_empty() { 0 } else { self.0.min() },
            p50: self.micros_at(50.0),
            p90: self.micros_at(90.0),
            p99: self.micros_at(99.0),
            p99_9: self.micros_at(99.9),
            p99_99: self.micros_at(99.99),
            max: if self.is_empty() { 0 } else { self.0.max() },
        }
    }

    /// The distribution in steps of equal ratio: upper end of each step in
    /// microseconds, and how many fell into it. For a chart.
    pub fn steps(&self, per_decade: u32) -> Vec<(u64, u64)> {
        let ratio = 10f64.powf(1.0 / f64::from(per_decade));
        self.0
            .iter_log(1, ratio)
            .map(|step| (step.value_iterated_to(), step.count_since_last_iteration()))
            .collect()
    }
}

/// The usual percentiles of a distribution, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// How many times were recorded.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// The shortest.
    pub min: u64,
    /// The median.
    pub p50: u64,
    /// 90 % took no longer.
    pub p90: u64,
    /// 99 % took no longer.
    pub p99: u64,
    /// 99.9 % took no longer.
    pub p99_9: u64,
    /// 99.99 % took no longer.
    pub p99_99: u64,
    /// The longest.
    pub max: u64,
}

/// In JSON: the percentiles for people and scripts, and the histogram itself
/// (V2 format, base64) for [`merge`](super::merge).
#[derive(Serialize, Deserialize)]
struct Written {
    #[serde(flatten)]
    percentiles: Percentiles,
    histogram: String,
}

impl Serialize for Latency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::new();
        V2Serializer::new()
            .serialize(&self.0, &mut bytes)
            .map_err(S::Error::custom)?;
        let histogram = STANDARD.encode(bytes);
        let percentiles = self.percentiles();
        Written {
            percentiles,
            histogram,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        let bytes = STANDARD
            .decode(&written.histogram)
            .map_err(|error| D::Error::custom(format!("a histogram is not base64: {error}")))?;
        let histogram: Histogram<u64> = HistogramReader::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|error| {
            D::Error::custom(format!("a histogram does not parse: {error:?}"))
        })?;
        let mut latency = Latency::default();
        latency
            .0
            .add(&histogram)
            .map_err(|error| D::Error::custom(format!("a histogram of other bounds: {error}")))?;
        Ok(latency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_three_digits() {
        let mut latency = Latency::default();
        (1..=10_000).for_each(|micros| latency.record_nanos(micros * 1_000));
        let p = latency.percentiles();
        let near = |value: u64, wanted: f64| (value as f64 / wanted - 1.0).abs() < 0.001;
        assert!(
            near(p.p50, 5_000.0) && near(p.p99, 9_900.0) && near(p.max, 10_000.0),
            "{p:?}"
        );
        assert_eq!((p.count, p.min), (10_000, 1));
    }

    #[test]
    fn times_and_back_is_the_same_distribution() {
        let (mut one, mut other, mut both) = <(Latency, Latency, Latency)>::default();
        for nanos in [0, 1_000, 77_000, 5_000_000_000, u64::MAX] {
            one.record_nanos(nanos);
            other.record_nanos(nanos / 3);
            both.record_nanos(nanos);
            both.record_nanos(nanos / 3);
        }
        let mut read = Latency::default();
        read.add_times(&one.times());
        assert_eq!(read.percentiles(), one.percentiles());
        read.add_times(&other.times());
        assert_eq!(read.percentiles(), both.percentiles());
        assert_eq!(read.times(), both.times());
        assert_eq!(Latency::default().times(), Times::default());
    }

    #[test]
    fn json_and_back_is_the_same_distribution() {
        let mut latency = Latency::default();
        for nanos in [0, 1_000, 77_000, 5_000_000_000, u64::MAX] {
            latency.record_nanos(nanos);
        }
        let json = serde_json::to_string(&latency).unwrap();
        assert_eq!(serde_json::from_str::<Latency>(&json).unwrap(), latency);
    }

    #[test]
    fn steps_hold_every_recorded_time() {
        let mut latency = Latency::default();
        (0..1_000).for_each(|k| latency.record_nanos(k * k * 1_000));
        assert_eq!(
            latency.steps(10).iter().map(|step| step.1).sum::<u64>(),
            1_000
        );
    }
}
