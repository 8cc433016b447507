//! Neighbouring intervals of a series as one.

use std::collections::BTreeMap;

use super::{Percentiles, Sample};

impl Sample {
    /// Joins intervals that follow each other. Counts are summed, levels are
    /// those of the last, shares of time are averaged by length, and of
    /// percentiles the largest is kept, so that no peak vanishes.
    pub fn joined(samples: &[Sample]) -> Sample {
        let last = samples.last().cloned().unwrap_or_default();
        if samples.len() < 2 {
            return last;
        }
        let sum = |of: fn(&Sample) -> u64| samples.iter().map(of).sum();
        let mut latencies: BTreeMap<String, Percentiles> = BTreeMap::new();
        for (name, percentiles) in samples.iter().flat_map(|sample| &sample.latencies) {
            let joined = latencies.entry(name.clone()).or_default();
            *joined = joined.max_of_each(percentiles);
        }
        Sample {
            seconds: samples.iter().map(|sample| sample.seconds).sum(),
            opened: sum(|sample| sample.opened),
            failed: sum(|sample| sample.failed),
            sent: sum(|sample| sample.sent),
            received: sum(|sample| sample.received),
            sent_bytes: sum(|sample| sample.sent_bytes),
            received_bytes: sum(|sample| sample.received_bytes),
            latencies,
            client_cpu: mean(samples, |sample| Some(sample.client_cpu)).unwrap_or(0.0),
            server_cpu: mean(samples, |sample| sample.server_cpu),
            cores: (0..last.cores.len())
                .map(|core| mean(samples, |sample| sample.cores.get(core).copied()).unwrap_or(0.0))
                .collect(),
            ..last
        }
    }
}

impl Percentiles {
    /// The facts that the percentiles alone of two distributions give: the
    /// count and the mean exactly, of each percentile that it is no larger than
    /// the larger of the two.
    pub(crate) fn max_of_each(self, other: &Percentiles) -> Percentiles {
        if self.count == 0 || other.count == 0 {
            return if self.count == 0 { *other } else { self };
        }
        let count = self.count + other.count;
        let total = self.mean * self.count as f64 + other.mean * other.count as f64;
        Percentiles {
            count,
            mean: total / count as f64,
            min: self.min.min(other.min),
            p50: self.p50.max(other.p50),
            p90: self.p90.max(other.p90),
            p99: self.p99.max(other.p99),
            p99_9: self.p99_9.max(other.p99_9),
            p99_99: self.p99_99.max(other.p99_99),
            max: self.max.max(other.max),
        }
    }
}

/// The mean over time of those that have it.
fn mean(samples: &[Sample], of: impl Fn(&Sample) -> Option<f64>) -> Option<f64> {
    let (sum, seconds) = samples
        .iter()
        .filter_map(|sample| Some((of(sample)? * sample.seconds, sample.seconds)))
        .fold((0.0, 0.0), |sums, one| (sums.0 + one.0, sums.1 + one.1));
    (seconds > 0.0).then(|| sum / seconds)
}
