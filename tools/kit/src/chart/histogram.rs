//! How often something took how long.

use super::Chart;
use super::axis::{Axis, Unit};
use super::lines::Frame;
use super::palette::line_class;
use super::svg::{Anchor, Svg};
use crate::outcome::Latency;
use crate::units::micros;

/// Bars per power of ten.
const BARS_PER_DECADE: u32 = 20;
/// Height of a row of labels.
const ROW_HEIGHT: f64 = 19.0;
/// The greatest width of a character of a label.
const CHARACTER_WIDTH: f64 = 8.0;

/// A bar: from and to in microseconds, and its share of all in per cent.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bar {
    from: f64,
    to: f64,
    share: f64,
}

/// The distribution over a logarithmic axis of time, its percentiles marked.
pub(super) fn histogram(id: String, title: String, latency: &Latency) -> Chart {
    let bars = bars(latency);
    let start = bars.first().map_or(1.0, |bar| bar.from.max(1.0));
    let end = bars.last().map_or(10.0, |bar| bar.to);
    let highest = bars.iter().map(|bar| bar.share).fold(0.0, f64::max);
    let time = Axis::of_values(Unit::Micros, start..end).titled("time taken (logarithmic)");
    let shares = Axis::of_values(Unit::Share, 0.0..highest).titled("share of all");
    let mut frame = Frame::new(0.0, time, shares);
    let marks = marks(latency, &frame);
    let rows = 1 + marks.iter().map(|mark| mark.row).max().unwrap_or(0);
    frame.top = 8.0 + f64::from(rows) * ROW_HEIGHT;

    let mut svg = Svg::default();
    frame.draw(&mut svg);
    for bar in bars {
        let corner = frame.place((bar.from, bar.share));
        svg.rect("bar", corner, frame.place((bar.to, 0.0)));
    }
    for (index, mark) in marks.into_iter().enumerate() {
        let y = frame.top - 10.0 - f64::from(mark.row) * ROW_HEIGHT;
        let class = format!("line {}", line_class(index + 1));
        svg.path(&class, &[&[(mark.x, y - 6.0), (mark.x, frame.bottom())]]);
        svg.text("", Anchor::Start, (mark.x + 5.0, y), &mark.label);
    }
    let svg = svg.element(Frame::size(), &title);
    Chart { id, title, svg }
}

fn bars(latency: &Latency) -> Vec<Bar> {
    let total = latency.count().max(1) as f64;
    let mut bars: Vec<Bar> = Vec::new();
    // A step ends with the last microsecond that belongs to it. Below ten
    // microseconds several steps end with the same one and become one bar.
    let mut from = 1.0;
    for (last, count) in latency.steps(BARS_PER_DECADE) {
        let to = (last + 1) as f64;
        let share = count as f64 * 100.0 / total;
        match bars.last_mut() {
            Some(bar) if bar.to == to => bar.share += share,
            _ if share > 0.0 => bars.push(Bar {
                from: if to > from { from } else { to / 1.1 },
                to,
                share,
            }),
            _ => {}
        }
        from = to;
    }
    bars
}

/// A percentile: where it stands, and in which row above the chart its label does.
#[derive(Debug)]
struct Mark {
    label: String,
    x: f64,
    row: u32,
}

/// The marks, from left to right. A label stands higher than the marks that it
/// reaches over, so that their lines end below it.
fn marks(latency: &Latency, frame: &Frame) -> Vec<Mark> {
    let p = latency.percentiles();
    let mut marks: Vec<Mark> = [
        ("median", p.p50),
        ("99 %", p.p99),
        ("99.9 %", p.p99_9),
        ("longest", p.max),
    ]
    .into_iter()
    .map(|(name, value)| Mark {
        label: format!("{name}: {}", micros(value)),
        x: frame.x(value as f64),
        row: 0,
    })
    .collect();
    for index in (0..marks.len()).rev() {
        let (left, right) = marks.split_at_mut(index + 1);
        let mark = &mut left[index];
        let end = mark.x + mark.label.chars().count() as f64 * CHARACTER_WIDTH;
        let below = right.iter().filter(|other| other.x < end);
        mark.row = below.map(|other| other.row + 1).max().unwrap_or(0);
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(micros: impl IntoIterator<Item = u64>) -> Latency {
        let mut latency = Latency::default();
        for time in micros {
            latency.record_nanos(time * 1_000);
        }
        latency
    }

    #[test]
    fn bars_hold_everything_and_do_not_overlap() {
        for latency in [
            latency([1]),
            latency([3_600_000_000]),
            latency(1..2_000),
            latency((0..30).map(|power| 1 << power)),
        ] {
            let bars = bars(&latency);
            let sum: f64 = bars.iter().map(|bar| bar.share).sum();
            assert!((sum - 100.0).abs() < 1e-6, "{sum}");
            assert!(bars.iter().all(|bar| bar.from > 0.0 && bar.from < bar.to));
            assert!(bars.windows(2).all(|pair| pair[0].to <= pair[1].from));
        }
    }

    #[test]
    fn labels_of_marks_do_not_touch() {
        let rows = |latency: &Latency| {
            let time = Axis::of_values(Unit::Micros, 50.0..20_000.0);
            let frame = Frame::new(0.0, time.clone(), time);
            let marks = marks(latency, &frame);
            marks.iter().map(|mark| mark.row).collect::<Vec<_>>()
        };
        assert_eq!(rows(&latency([400; 100])), [3, 2, 1, 0]);
        let apart = (0..10_000).map(|k| match k {
            0 => 20_000,
            1..50 => 3_500,
            50..5_000 => 700,
            _ => 100,
        });
        assert_eq!(rows(&latency(apart)), [0, 0, 0, 0]);
    }

    #[test]
    fn any_distribution_can_be_drawn() {
        for latency in [latency([]), latency([1]), latency([3_600_000_000; 3])] {
            let chart = histogram("x".into(), "X".into(), &latency);
            assert!(chart.svg.contains("median"));
        }
    }
}
