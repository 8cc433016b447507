//! The beginning and the end of an axis, and the labels of its ticks.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use crate::chart::ticks::{from_zero, logarithmic};
use crate::units::grouped;

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

/// An axis as plotters draws it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    range: Range<f64>,
    ticks: Vec<f64>,
    scale: Scale,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Scale {
    Value(Unit),
    /// Seconds that are shown divided by this.
    Time(f64),
    /// A number that grows by factors.
    Size,
}

impl Axis {
    /// The axis for values up to `values.end`.
    pub(super) fn of_values(unit: Unit, values: Range<f64>) -> Axis {
        let (range, ticks) = match unit {
            Unit::Count | Unit::Share => from_zero(values.end),
            Unit::Percent => (0.0..100.0, vec![0.0, 25.0, 50.0, 75.0, 100.0]),
            Unit::Micros => logarithmic(values.start.max(1.0)..values.end),
        };
        Axis {
            range,
            ticks,
            scale: Scale::Value(unit),
        }
    }

    /// The axis for the seconds of a run; its title is [`Axis::time_title`].
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
        let divisor = match step {
            _ if step < 60.0 => 1.0,
            _ if step < 3_600.0 => 60.0,
            _ => 3_600.0,
        };
        Axis {
            range: 0.0..end,
            ticks,
            scale: Scale::Time(divisor),
        }
    }

    /// The axis for sizes that differ by factors: logarithmic, from the smallest
    /// to the largest.
    pub(super) fn of_sizes(sizes: Range<f64>) -> Axis {
        let (_, ticks) = logarithmic(sizes.clone());
        let (start, end) = (sizes.start, sizes.end.max(sizes.start * 2.0));
        Axis {
            ticks: ticks
                .into_iter()
                .filter(|tick| (start..=end).contains(tick))
                .collect(),
            range: start..end,
            scale: Scale::Size,
        }
    }

    /// The title of a time axis, with its unit.
    pub(super) fn time_title(&self) -> &'static str {
        match self.scale {
            Scale::Time(60.0) => "minutes since the start",
            Scale::Time(3_600.0) => "hours since the start",
            _ => "seconds since the start",
        }
    }

    /// How far along the axis a value stands, from 0 to 1.
    pub(super) fn share(&self, value: f64) -> f64 {
        let place = |value: f64| match self.scale {
            Scale::Value(Unit::Micros) | Scale::Size => value.max(1.0).log10(),
            _ => value,
        };
        let (start, end) = (place(self.range.start), place(self.range.end));
        ((place(value) - start) / (end - start)).clamp(0.0, 1.0)
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        from + (f64::from(to - from) * self.share(*value)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() {
            return Vec::new();
        }
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    /// The label of a tick.
    fn format_ext(&self, value: &f64) -> String {
        let micros = value.round();
        match self.scale {
            Scale::Value(Unit::Count) | Scale::Size => plain(*value),
            Scale::Value(Unit::Percent | Unit::Share) => format!("{} %", plain(*value)),
            Scale::Value(Unit::Micros) if micros < 1e3 => format!("{} µs", plain(micros)),
            Scale::Value(Unit::Micros) if micros < 1e6 => format!("{} ms", plain(micros / 1e3)),
            Scale::Value(Unit::Micros) => format!("{} s", plain(micros / 1e6)),
            Scale::Time(divisor) => plain(value / divisor),
        }
    }
}

/// Without digits that say nothing: `0.5`, `2`, `1,000`.
fn plain(figure: f64) -> String {
    if figure >= 100.0 {
        return grouped(figure.round() as u64);
    }
    let text = format!("{figure:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks
            .iter()
            .map(|tick| axis.format_ext(tick))
            .collect()
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
        let axis = Axis::of_values(Unit::Micros, 0.0..0.0);
        assert!(axis.range.start < axis.range.end);
        let hour = 3.6e9;
        assert!(Axis::of_values(Unit::Micros, hour..hour).range.end > hour);
    }

    #[test]
    fn values_are_mapped_to_pixels_and_stay_on_the_axis() {
        let axis = Axis::of_values(Unit::Micros, 10.0..1_000.0);
        for (value, pixel) in [(10.0, 300), (100.0, 200), (1_000.0, 100), (0.0, 300)] {
            assert_eq!(axis.map(&value, (300, 100)), pixel, "{value}");
        }
        let axis = Axis::of_values(Unit::Percent, 0.0..1.0);
        assert_eq!(axis.map(&50.0, (0, 200)), 100);
        assert_eq!(axis.map(&101.0, (0, 200)), 200);
    }

    #[test]
    fn sizes_are_as_far_apart_as_their_ratio_is_large() {
        let axis = Axis::of_sizes(10_000.0..2_000_000.0);
        let last = ["500,000", "1,000,000", "2,000,000"];
        assert!(labels(&axis).ends_with(&last.map(String::from)));
        let from_first = |size: f64| axis.map(&size, (0, 1_000));
        assert_eq!(from_first(10_000.0), 0);
        assert_eq!(from_first(2_000_000.0), 1_000);
        let decades = [100_000.0, 1_000_000.0].map(from_first);
        assert!((decades[1] - 2 * decades[0]).abs() <= 1, "{decades:?}");
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
            assert_eq!(axis.time_title(), title);
            assert_eq!(labels(&axis).last().unwrap(), last);
            assert!(axis.ticks.len() <= 11, "{:?}", axis.ticks);
        }
    }
}
