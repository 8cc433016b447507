//! The axis of a chart: its beginning and end, its ticks and their labels.

use std::ops::Range;

use super::ticks::{from_zero, logarithmic};
use crate::spread::Spread;
use crate::units::{plain, tick_micros};

/// Figures that differ by more than this factor do not fit a linear axis.
const LINEAR: f64 = 100.0;
/// So many times below the smallest figure a logarithmic axis of bars begins, so
/// that its bar is not nothing.
const ROOM: f64 = 5.0;

/// The position of a figure.
#[derive(Debug, Clone)]
pub struct Axis {
    /// The quantity that it measures, with its unit.
    pub(super) title: String,
    range: Range<f64>,
    ticks: Vec<f64>,
    is_logarithmic: bool,
    label: fn(f64) -> String,
}

/// The quantity of a value axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// A plain number, from zero.
    Count,
    /// Per cent, from 0 to 100.
    Percent,
    /// Per cent, from 0 to the largest.
    Share,
    /// Microseconds, on a logarithmic scale.
    Micros,
}

impl Axis {
    fn new((range, ticks): (Range<f64>, Vec<f64>), label: fn(f64) -> String) -> Axis {
        Axis {
            title: String::new(),
            range,
            ticks,
            is_logarithmic: false,
            label,
        }
    }

    pub(super) fn titled(mut self, title: &str) -> Axis {
        self.title = title.to_owned();
        self
    }

    fn logarithmic_scale(mut self) -> Axis {
        self.is_logarithmic = true;
        self
    }

    /// The axis for values up to `values.end`.
    pub(super) fn of_values(unit: Unit, values: Range<f64>) -> Axis {
        let percent = |value| format!("{} %", plain(value));
        match unit {
            Unit::Count => Axis::new(from_zero(values.end), plain),
            Unit::Share => Axis::new(from_zero(values.end), percent),
            Unit::Percent => {
                let ticks = vec![0.0, 25.0, 50.0, 75.0, 100.0];
                Axis::new((0.0..100.0, ticks), percent)
            }
            Unit::Micros => {
                let scale = logarithmic(values.start.max(1.0)..values.end);
                Axis::new(scale, tick_micros).logarithmic_scale()
            }
        }
    }

    /// The axis for the seconds of a run, with its title.
    pub(super) fn of_time(seconds: f64) -> Axis {
        const STEPS: [f64; 23] = [
            0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_200.0,
            1_800.0, 3_600.0, 7_200.0, 14_400.0, 28_800.0, 86_400.0, 172_800.0, 432_000.0,
            864_000.0,
        ];
        const MAX_TICKS: f64 = 9.0;
        let end = if seconds > 0.0 { seconds } else { 1.0 };
        let step = STEPS
            .into_iter()
            .find(|step| end / step <= MAX_TICKS)
            .unwrap_or(end / MAX_TICKS);
        let ticks = (0..)
            .map(|index| f64::from(index) * step)
            .take_while(|tick| *tick <= end)
            .collect();
        let (label, title): (fn(f64) -> String, _) = match step {
            _ if step < 60.0 => (plain, "seconds since the start"),
            _ if step < 3_600.0 => (|at| plain(at / 60.0), "minutes since the start"),
            _ => (|at| plain(at / 3_600.0), "hours since the start"),
        };
        Axis::new((0.0..end, ticks), label).titled(title)
    }

    /// The axis for sizes that differ by factors: logarithmic, from the smallest
    /// to the largest.
    pub(super) fn of_sizes(sizes: Range<f64>) -> Axis {
        let (_, mut ticks) = logarithmic(sizes.clone());
        let range = sizes.start..sizes.end.max(sizes.start * 2.0);
        ticks.retain(|tick| (range.start..=range.end).contains(tick));
        Axis::new((range, ticks), plain).logarithmic_scale()
    }

    /// An axis for these figures: from zero, or logarithmic if they differ by
    /// more than a factor of a hundred.
    pub fn of(
        figures: impl IntoIterator<Item = Spread>,
        title: &str,
        label: fn(f64) -> String,
    ) -> Axis {
        let figures: Vec<Spread> = figures.into_iter().collect();
        let medians = positive(figures.iter().map(|figure| figure.median));
        if medians.end > medians.start * LINEAR {
            return Axis::from(medians.start / ROOM, &figures, title, label);
        }
        let all = positive(figures.iter().map(|figure| figure.max));
        Axis::new(from_zero(all.end), label).titled(title)
    }

    /// A logarithmic axis that is no longer than these figures need.
    pub fn logarithmic(
        figures: impl IntoIterator<Item = Spread>,
        title: &str,
        label: fn(f64) -> String,
    ) -> Axis {
        let figures: Vec<Spread> = figures.into_iter().collect();
        let lowest = positive(figures.iter().map(|figure| figure.min)).start;
        Axis::from(lowest, &figures, title, label)
    }

    fn from(start: f64, figures: &[Spread], title: &str, label: fn(f64) -> String) -> Axis {
        let highest = positive(figures.iter().map(|figure| figure.max)).end;
        Axis::new(logarithmic(start..highest), label)
            .logarithmic_scale()
            .titled(&format!("{title}, logarithmic"))
    }

    /// How far along the axis each tick stands, from 0 to 1, and its label.
    pub(super) fn ticks(&self) -> impl Iterator<Item = (f64, String)> + '_ {
        let ticks = self.ticks.iter();
        ticks.map(|&tick| (self.share(tick), (self.label)(tick)))
    }

    /// How far along the axis a value stands, from 0 to 1.
    pub(super) fn share(&self, value: f64) -> f64 {
        let place = |value: f64| match self.is_logarithmic {
            true => value.max(self.range.start).log10(),
            false => value,
        };
        let (start, end) = (place(self.range.start), place(self.range.end));
        let share = (place(value) - start) / (end - start);
        if share.is_nan() {
            return 0.0;
        }
        share.clamp(0.0, 1.0)
    }
}

/// From the smallest of the values above zero to the largest.
fn positive(values: impl Iterator<Item = f64>) -> Range<f64> {
    let usable = values.filter(|value| value.is_finite() && *value > 0.0);
    let range = usable.fold(f64::MAX..0.0, |range, value| {
        range.start.min(value)..range.end.max(value)
    });
    match range.start > range.end {
        true => 1.0..1.0,
        false => range,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks().map(|(_, label)| label).collect()
    }

    fn of(figures: &[f64]) -> Axis {
        let figures = figures.iter().filter_map(|figure| Spread::of([*figure]));
        Axis::of(figures, "bytes", plain)
    }

    #[test]
    fn counts_start_at_zero_and_end_on_a_round_number() {
        let axis = Axis::of_values(Unit::Count, 0.0..19_960.0);
        assert_eq!(labels(&axis), ["0", "5,000", "10,000", "15,000", "20,000"]);
        let axis = Axis::of_values(Unit::Count, 0.0..1.9);
        assert_eq!(labels(&axis), ["0", "0.5", "1", "1.5", "2"]);
        assert_eq!(Axis::of_values(Unit::Count, 0.0..0.0).range, 0.0..1.0);
    }

    #[test]
    fn times_taken_are_on_a_logarithmic_axis() {
        let axis = Axis::of_values(Unit::Micros, 60.0..945_000.0);
        assert_eq!(
            labels(&axis),
            ["10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s"]
        );
        let axis = Axis::of_values(Unit::Micros, 60.0..450.0);
        assert_eq!(labels(&axis), ["50 µs", "100 µs", "200 µs", "500 µs"]);
        let hour = 3.6e9;
        for values in [0.0..0.0, hour..hour] {
            let axis = Axis::of_values(Unit::Micros, values);
            assert!(axis.range.start < axis.range.end);
        }
    }

    #[test]
    fn values_have_their_place_and_stay_on_the_axis() {
        let axis = Axis::of_values(Unit::Micros, 10.0..1_000.0);
        for (value, share) in [(10.0, 0.0), (100.0, 0.5), (1_000.0, 1.0), (0.0, 0.0)] {
            assert!((axis.share(value) - share).abs() < 1e-9, "{value}");
        }
        let axis = Axis::of_values(Unit::Percent, 0.0..1.0);
        assert_eq!((axis.share(50.0), axis.share(101.0)), (0.5, 1.0));
    }

    #[test]
    fn sizes_are_as_far_apart_as_their_ratio_is_large() {
        let axis = Axis::of_sizes(10_000.0..2_000_000.0);
        let last = ["500,000", "1,000,000", "2,000,000"];
        assert!(labels(&axis).ends_with(&last.map(String::from)));
        assert_eq!((axis.share(10_000.0), axis.share(2e6)), (0.0, 1.0));
        let decades = [100_000.0, 1_000_000.0].map(|size| axis.share(size));
        assert!((decades[1] - 2.0 * decades[0]).abs() < 1e-9, "{decades:?}");
        // One size alone has an axis too.
        assert_eq!(Axis::of_sizes(500.0..500.0).share(500.0), 0.0);
    }

    #[test]
    fn long_runs_are_shown_in_minutes_and_hours() {
        for (seconds, title, last) in [
            (0.0, "seconds since the start", "1"),
            (90.0, "seconds since the start", "90"),
            (1_000.0, "minutes since the start", "16"),
            (90_000.0, "hours since the start", "24"),
        ] {
            let axis = Axis::of_time(seconds);
            assert_eq!(axis.title, title);
            assert_eq!(labels(&axis).last().unwrap(), last);
            assert!(axis.ticks.len() <= 11, "{:?}", axis.ticks);
        }
    }

    #[test]
    fn figures_far_apart_need_a_logarithmic_axis_which_says_so() {
        let axis = of(&[58.0, 9_800.0, 0.0]);
        assert_eq!(axis.title, "bytes, logarithmic");
        assert_eq!(axis.share(0.0), 0.0);
        assert!(axis.share(58.0) > 0.0 && axis.share(9_800.0) < 1.0);

        let axis = of(&[58.0, 98.0, 0.0]);
        assert_eq!(axis.title, "bytes");
        let shares = [0.0, 50.0, 100.0].map(|figure| axis.share(figure));
        assert_eq!(shares, [0.0, 0.5, 1.0]);
    }
}
