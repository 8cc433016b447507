//! A long series as a short one, for drawing.

use std::collections::BTreeMap;

use crate::outcome::{Percentiles, Sample};

/// Joins neighbours until at most `max` samples are left. Counts are summed,
/// what is held is that of the last, shares of time are averaged by length,
/// and of percentiles the largest is kept, so that no peak vanishes.
pub(super) fn thin(series: &[Sample], max: usize) -> Vec<Sample> {
    let group = series.len().div_ceil(max.max(1)).max(1);
    series.chunks(group).map(join).collect()
}

fn join(samples: &[Sample]) -> Sample {
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

/// The mean over time of those that have it.
fn mean(samples: &[Sample], of: impl Fn(&Sample) -> Option<f64>) -> Option<f64> {
    let (sum, seconds) = samples
        .iter()
        .filter_map(|sample| Some((of(sample)? * sample.seconds, sample.seconds)))
        .fold((0.0, 0.0), |sums, one| (sums.0 + one.0, sums.1 + one.1));
    (seconds > 0.0).then(|| sum / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::outcome_of;

    #[test]
    fn sums_and_peaks_survive() {
        let series = outcome_of(1_000).series;
        let thinned = thin(&series, 300);
        assert!(thinned.len() <= 300 && thinned.len() >= 200);
        let sent = |series: &[Sample]| series.iter().map(|s| s.sent).sum::<u64>();
        assert_eq!(sent(&thinned), sent(&series));
        let longest = |series: &[Sample]| {
            let maxima = series.iter().filter_map(|s| s.latencies.get("echo"));
            maxima.map(|p| p.max).max()
        };
        assert_eq!(longest(&thinned), longest(&series));
        assert_eq!(thinned.last().unwrap().at, 1_000.0);
    }

    #[test]
    fn a_short_series_stays_as_it_is() {
        let series = outcome_of(120).series;
        assert_eq!(thin(&series, 300), series);
        assert!(thin(&[], 300).is_empty());
    }
}
