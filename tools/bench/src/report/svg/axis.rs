//! The axis of a chart.

use std::ops::Range;

use corecast_kit::chart::ticks;

use crate::results::Spread;

/// Figures that differ by more than this factor do not fit a linear axis.
const LINEAR: f64 = 100.0;
/// So many times below the smallest figure a logarithmic axis of bars begins, so
/// that its bar is not nothing.
const ROOM: f64 = 5.0;

/// The position of a figure.
pub(in crate::report) struct Axis {
    /// The quantity that it measures, with its unit, and whether it is logarithmic.
    pub title: String,
    range: Range<f64>,
    ticks: Vec<f64>,
    is_logarithmic: bool,
    label: fn(f64) -> String,
}

impl Axis {
    /// An axis for these figures: from zero, or logarithmic if they differ by
    /// more than a factor of a hundred.
    pub(in crate::report) fn of(
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
        let (range, ticks) = ticks::from_zero(all.end);
        Axis {
            title: title.into(),
            range,
            ticks,
            is_logarithmic: false,
            label,
        }
    }

    /// A logarithmic axis that is no longer than these figures need.
    pub(in crate::report) fn logarithmic(
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
        let (range, ticks) = ticks::logarithmic(start..highest);
        Axis {
            title: format!("{title}, logarithmic"),
            range,
            ticks,
            is_logarithmic: true,
            label,
        }
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
            0.0
        } else {
            share.clamp(0.0, 1.0)
        }
    }
}

/// From the smallest of the values above zero to the largest.
fn positive(values: impl Iterator<Item = f64>) -> Range<f64> {
    let usable = values.filter(|value| value.is_finite() && *value > 0.0);
    let range = usable.fold(f64::MAX..0.0, |range, value| {
        range.start.min(value)..range.end.max(value)
    });
    if range.start > range.end {
        1.0..1.0
    } else {
        range
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(figures: &[f64]) -> Axis {
        let figures = figures.iter().filter_map(|figure| Spread::of([*figure]));
        Axis::of(figures, "bytes", |value| format!("{value}"))
    }

    #[test]
    fn figures_far_apart_need_a_logarithmic_axis_which_says_so() {
        let axis = axis(&[58.0, 9_800.0, 0.0]);
        assert_eq!(axis.title, "bytes, logarithmic");
        assert_eq!(axis.share(0.0), 0.0);
        assert!(axis.share(58.0) > 0.0 && axis.share(9_800.0) < 1.0);
    }

    #[test]
    fn others_start_at_zero() {
        let axis = axis(&[58.0, 98.0, 0.0]);
        assert_eq!(axis.title, "bytes");
        assert_eq!(
            (axis.share(0.0), axis.share(50.0), axis.share(100.0)),
            (0.0, 0.5, 1.0)
        );
    }
}
