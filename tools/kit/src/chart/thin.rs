//! A long series as a short one, for drawing.

use crate::outcome::Sample;

/// Joins adjacent samples until at most `max` samples are left; see
/// [`Sample::joined`].
pub(super) fn thin(series: &[Sample], max: usize) -> Vec<Sample> {
    let group = series.len().div_ceil(max.max(1)).max(1);
    series.chunks(group).map(Sample::joined).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::outcome_of;

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
