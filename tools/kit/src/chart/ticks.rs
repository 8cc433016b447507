//! The beginning and the end of an axis, and the places of its ticks.

use std::ops::Range;

/// From zero to the first tick that is not below `max`; about five ticks.
pub fn from_zero(max: f64) -> (Range<f64>, Vec<f64>) {
    const TICKS: f64 = 5.0;
    let max = if max > 0.0 { max } else { 1.0 };
    let power = 10f64.powf((max / TICKS).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| max / step <= TICKS)
        .unwrap_or(max);
    let count = (max / step).ceil().max(1.0);
    let ticks = (0..=count as u32)
        .map(|index| f64::from(index) * step)
        .collect();
    (0.0..count * step, ticks)
}

/// From the last round number below the values to the first above them. Round
/// are 1, 2, 5, 10, …; on a long axis the powers of ten only. Values outside
/// 0.001 and 10,000,000,000 are cut off.
pub fn logarithmic(values: Range<f64>) -> (Range<f64>, Vec<f64>) {
    const LOWEST: f64 = 1e-3;
    const HIGHEST: f64 = 1e10;
    let (fine, coarse): (&[f64], &[f64]) = (&[1.0, 2.0, 5.0], &[1.0]);
    let is_long = values.end / values.start.max(LOWEST) > 500.0;
    let factors = if is_long { coarse } else { fine };
    let steps = || (-3..10).flat_map(|power| factors.iter().map(move |f| f * 10f64.powi(power)));
    let start = steps()
        .take_while(|step| *step <= values.start)
        .last()
        .unwrap_or(LOWEST);
    let end = steps()
        .find(|step| *step >= values.end && *step > start)
        .unwrap_or(HIGHEST);
    let ticks = steps()
        .chain([HIGHEST])
        .filter(|step| (start..=end).contains(step))
        .collect();
    (start..end, ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_axis_ends_on_a_round_number() {
        assert_eq!(from_zero(1.9), (0.0..2.0, vec![0.0, 0.5, 1.0, 1.5, 2.0]));
        assert_eq!(from_zero(0.0).0, 0.0..1.0);
    }

    #[test]
    fn a_logarithmic_axis_reaches_below_one_and_is_never_empty() {
        assert_eq!(
            logarithmic(0.3..3.0),
            (0.2..5.0, vec![0.2, 0.5, 1.0, 2.0, 5.0])
        );
        assert_eq!(
            logarithmic(45.0..130_000.0).1,
            [10.0, 100.0, 1e3, 1e4, 1e5, 1e6]
        );
        for values in [0.0..0.0, -5.0..-1.0, 1e12..1e13] {
            let (range, ticks) = logarithmic(values);
            assert!(range.start < range.end && !ticks.is_empty());
        }
    }
}
