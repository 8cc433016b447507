//! Whether a value climbs over a long run, as memory does in a leak.
//!
//! # The rule
//!
//! The first quarter of the points is left out: there, caches, pools and
//! tables find their size. A line is laid through the rest by least squares.
//! The value climbs when all of these hold:
//!
//! 1. The line rises by more than the tolerance, a share of its start.
//! 2. It rises by more than twice the scatter of the points around it, so that
//!    neither noise nor a sawtooth counts, such as a garbage collector's.
//! 3. A line through the last half of these points alone rises at half the
//!    pace at least. A value that stepped once and then stayed has settled
//!    late, and does not climb. A step in the last third of the run cannot be
//!    told from a leak, and counts as one.
//!
//! A run should be so long that a leak worth finding passes the tolerance.

/// Of all points, one in this many is left out at the start.
const SETTLING: usize = 4;
/// Fewer points than this, without those left out, show no trend.
const MIN_POINTS: usize = 12;
/// So many points, with those left out, are enough.
pub const ENOUGH_POINTS: usize = 16;
/// The line must rise by this many times the scatter.
const SCATTERS: f64 = 2.0;

/// A straight line through measured values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// How much the value rises in an hour; negative when it falls.
    pub slope_per_hour: f64,
    /// The line's value where it begins, after the settling time.
    pub start: f64,
    /// The line's value where it ends.
    pub end: f64,
    /// The seconds between these.
    pub seconds: f64,
    /// Standard deviation of the points from the line.
    pub scatter: f64,
    /// The same slope for the last half of the line alone.
    pub late_slope_per_hour: f64,
}

impl Trend {
    /// How much the line rises in all; negative when it falls.
    pub fn rise(&self) -> f64 {
        self.end - self.start
    }

    /// Whether the value climbs, by the rule of this module. `tolerance` is a
    /// share of the start, such as 0.02.
    pub fn climbs(&self, tolerance: f64) -> bool {
        self.rise() > tolerance * self.start.abs()
            && self.rise() > SCATTERS * self.scatter
            && self.late_slope_per_hour * 2.0 >= self.slope_per_hour
    }
}

/// The trend of points of seconds and values, in the order of time. `None`
/// when they are too few, or all of one time.
pub fn fit(points: &[(f64, f64)]) -> Option<Trend> {
    let settled = &points[points.len() / SETTLING..];
    if settled.len() < MIN_POINTS {
        return None;
    }
    let line = Line::through(settled)?;
    let late = Line::through(&settled[settled.len() / 2..])?;
    let (first, last) = (settled[0].0, settled[settled.len() - 1].0);
    Some(Trend {
        slope_per_hour: line.slope * 3_600.0,
        start: line.at(first),
        end: line.at(last),
        seconds: last - first,
        scatter: line.scatter(settled),
        late_slope_per_hour: late.slope * 3_600.0,
    })
}

/// The line of least squares: a slope and the means it goes through. With the
/// means apart, large values do not lose their last digits.
struct Line {
    slope: f64,
    mean_time: f64,
    mean_value: f64,
}

impl Line {
    fn through(points: &[(f64, f64)]) -> Option<Line> {
        let count = points.len() as f64;
        let mean_time = points.iter().map(|point| point.0).sum::<f64>() / count;
        let mean_value = points.iter().map(|point| point.1).sum::<f64>() / count;
        let (mut squares, mut products) = (0.0, 0.0);
        for (time, value) in points {
            squares += (time - mean_time).powi(2);
            products += (time - mean_time) * (value - mean_value);
        }
        let slope = products / squares;
        slope.is_finite().then_some(Line {
            slope,
            mean_time,
            mean_value,
        })
    }

    fn at(&self, time: f64) -> f64 {
        self.mean_value + self.slope * (time - self.mean_time)
    }

    fn scatter(&self, points: &[(f64, f64)]) -> f64 {
        let squares: f64 = points
            .iter()
            .map(|(time, value)| (value - self.at(*time)).powi(2))
            .sum();
        // The line itself has taken two of the points' freedoms.
        (squares / (points.len() - 2) as f64).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    const TOLERANCE: f64 = 0.02;

    /// Half an hour with a point each `step` seconds.
    fn points(step: usize, value: impl FnMut(f64) -> f64) -> Vec<(f64, f64)> {
        let times = (0..1_800).step_by(step).map(|second| second as f64);
        let values: Vec<f64> = times.clone().map(value).collect();
        times.zip(values).collect()
    }

    fn climbs(points: &[(f64, f64)]) -> bool {
        fit(points).unwrap().climbs(TOLERANCE)
    }

    #[test]
    fn noise_around_a_level_does_not_climb() {
        let mut random = StdRng::seed_from_u64(7);
        for step in [1, 10, 60] {
            for width in [0.001, 0.02, 0.1, 0.5] {
                let noisy = points(step, |_| {
                    1e9 * (1.0 + width * random.random_range(-1.0..1.0))
                });
                assert!(!climbs(&noisy), "±{width} every {step} s");
            }
        }
    }

    #[test]
    fn a_leak_climbs_also_through_noise() {
        let mut random = StdRng::seed_from_u64(7);
        for step in [1, 10, 60] {
            let leak = points(step, |at| {
                1e9 + 1e5 * at + 1e7 * random.random_range(-1.0..1.0)
            });
            assert!(climbs(&leak), "every {step} s");
        }
        let trend = fit(&points(1, |at| 5e8 + 100.0 * at)).unwrap();
        assert!((trend.slope_per_hour - 360_000.0).abs() < 1e-3, "{trend:?}");
        assert!((trend.start - (5e8 + 45_000.0)).abs() < 1e-3, "{trend:?}");
        assert!((trend.rise() - 134_900.0).abs() < 1e-3, "{trend:?}");
        assert!(trend.scatter < 1e-3 && !trend.climbs(TOLERANCE) && trend.climbs(1e-4));
    }

    #[test]
    fn one_step_is_settling_early_or_late() {
        for when in [100.0, 400.0, 700.0, 900.0, 1_100.0] {
            let step = points(10, |at| if at < when { 1e8 } else { 2e8 });
            assert!(!climbs(&step), "at {when} s");
        }
    }

    #[test]
    fn growth_that_levels_off_does_not_climb() {
        for seconds in [60.0, 200.0] {
            let warming = points(10, |at| 2e8 - 1e8 * (-at / seconds).exp());
            assert!(!climbs(&warming), "within {seconds} s");
        }
    }

    #[test]
    fn a_sawtooth_does_not_climb() {
        for period in [60.0, 150.0, 300.0, 450.0] {
            for shift in 0..10 {
                let saw = points(10, |at| {
                    1e8 + 5e7 * (at / period + f64::from(shift) / 10.0).fract()
                });
                assert!(!climbs(&saw), "of {period} s, shifted by {shift} tenths");
            }
        }
    }

    #[test]
    fn a_falling_value_does_not_climb() {
        assert!(!climbs(&points(10, |at| 1e9 - 1e5 * at)));
    }

    #[test]
    fn a_value_that_starts_at_nothing_may_climb() {
        assert!(climbs(&points(10, |at| at)));
        assert!(!climbs(&points(10, |_| 0.0)));
    }

    #[test]
    fn too_few_points_show_no_trend() {
        assert_eq!(fit(&[]), None);
        assert_eq!(fit(&points(200, |at| at)), None);
        assert_eq!(fit(&[(1.0, 2.0); 20]), None);
    }
}
