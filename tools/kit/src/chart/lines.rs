//! Lines over the time of a run or over growing sizes, each labelled at its end.

use super::Chart;
use super::axis::{Axis, Unit};
use super::palette::line_class;
use super::svg::{Anchor, Point, Svg};
use crate::outcome::Sample;

/// Width of every chart, in the units of its view box: pixels where there is room.
const WIDTH: f64 = 900.0;
/// Height of every chart.
const HEIGHT: f64 = 300.0;
/// Room to the left of the figures, for the axis and its title.
const AXIS_WIDTH: f64 = 96.0;
/// Room to the right of the figures, for labels.
const LABEL_WIDTH: f64 = 132.0;
/// Room below the figures, for the axis and its title.
const AXIS_HEIGHT: f64 = 50.0;
/// Distance of two labels, so that they do not touch.
const LABEL_HEIGHT: f64 = 19.0;
/// Room above the figures.
const TOP: f64 = 14.0;

/// Whether a figure can be drawn.
fn is_usable(figure: f64) -> bool {
    figure.is_finite() && figure >= 0.0
}

/// The figures of one line.
pub(super) struct Line {
    label: String,
    /// Points that belong together; between two runs of them nothing was measured.
    segments: Vec<Vec<Point>>,
}

impl Line {
    /// The line of one figure; `None` leaves a gap.
    pub(super) fn of(
        label: &str,
        series: &[Sample],
        figure: impl Fn(&Sample) -> Option<f64>,
    ) -> Line {
        let points: Vec<_> = series
            .iter()
            .filter(|sample| is_usable(sample.at))
            .map(|sample| {
                let value = figure(sample).filter(|value| is_usable(*value))?;
                Some((sample.at, value))
            })
            .collect();
        Line {
            label: label.to_owned(),
            segments: points
                .split(Option::is_none)
                .filter(|segment| !segment.is_empty())
                .map(|segment| segment.iter().copied().flatten().collect())
                .collect(),
        }
    }

    /// A line through points that belong together, in their order.
    fn through(label: &str, points: &[Point]) -> Line {
        let mut points = points.to_vec();
        points.retain(|(size, value)| is_usable(*size) && is_usable(*value));
        Line {
            label: label.to_owned(),
            segments: Vec::from_iter((!points.is_empty()).then_some(points)),
        }
    }

    fn points(&self) -> impl Iterator<Item = Point> + '_ {
        self.segments.iter().flatten().copied()
    }
}

/// A chart of how figures grow with the size of the load, such as connections;
/// `value_title` names them. Each line has a label and points of size and
/// figure. `None` without any figure.
pub fn growth(
    [id, title]: [&str; 2],
    [size_title, value_title]: [&str; 2],
    lines: &[(&str, Vec<(f64, f64)>)],
) -> Option<Chart> {
    let mut chart = LineChart::new(id, title, value_title, Unit::Count);
    chart.sizes = Some(size_title.to_owned());
    let lines = lines.iter();
    lines
        .fold(chart, |chart, (label, points)| {
            chart.line(Line::through(label, points))
        })
        .draw()
}

/// A chart of lines over time, or over sizes.
pub(super) struct LineChart {
    id: String,
    title: String,
    /// The title of the horizontal axis where that is of sizes; it is of time otherwise.
    sizes: Option<String>,
    value_title: String,
    unit: Unit,
    lines: Vec<Line>,
}

impl LineChart {
    pub(super) fn new(id: &str, title: &str, value_title: &str, unit: Unit) -> LineChart {
        LineChart {
            id: id.to_owned(),
            title: title.to_owned(),
            sizes: None,
            value_title: value_title.to_owned(),
            unit,
            lines: Vec::new(),
        }
    }

    /// Adds a line, unless it has no figures.
    pub(super) fn line(mut self, line: Line) -> LineChart {
        if !line.segments.is_empty() {
            self.lines.push(line);
        }
        self
    }

    /// The chart, unless it has no lines.
    pub(super) fn draw(self) -> Option<Chart> {
        if self.lines.is_empty() {
            return None;
        }
        let points = || self.lines.iter().flat_map(Line::points);
        let first = points().map(|point| point.0).fold(f64::MAX, f64::min);
        let last = points().map(|point| point.0).fold(0.0, f64::max);
        let low = points().map(|point| point.1).fold(f64::MAX, f64::min);
        let high = points().map(|point| point.1).fold(0.0, f64::max);
        let across = match &self.sizes {
            Some(title) => Axis::of_sizes(first..last).titled(title),
            None => Axis::of_time(last),
        };
        let values = Axis::of_values(self.unit, low..high).titled(&self.value_title);
        let frame = Frame::new(TOP, across, values);
        let mut svg = Svg::default();
        frame.draw(&mut svg);

        let mut labels = Vec::new();
        // The first line is solid and lies below: where another coincides with
        // it, both show.
        for (index, line) in self.lines.iter().enumerate() {
            let class = line_class(index);
            for segment in &line.segments {
                let segment: Vec<Point> = segment.iter().map(|at| frame.place(*at)).collect();
                if segment.len() > 1 {
                    svg.path(&format!("line {class}"), &[&segment]);
                }
                if segment.len() == 1 || self.sizes.is_some() {
                    for at in segment {
                        svg.circle(&format!("dot {class}"), at, 3);
                    }
                }
            }
            let end = line.points().last().map(|last| frame.place(last).1);
            labels.extend(end.map(|y| (y, index)));
        }
        let x = WIDTH - LABEL_WIDTH + 10.0;
        for (y, index) in spread(labels, TOP..frame.bottom()) {
            let class = format!("line {}", line_class(index));
            svg.path(&class, &[&[(x, y), (x + 28.0, y)]]);
            svg.text("", Anchor::Start, (x + 34.0, y), &self.lines[index].label);
        }
        let svg = svg.element((WIDTH, HEIGHT), &self.title);
        Some(Chart {
            id: self.id,
            title: self.title,
            svg,
        })
    }
}

/// Moves labels apart that would touch, in the order in which they stand.
fn spread(mut labels: Vec<(f64, usize)>, within: std::ops::Range<f64>) -> Vec<(f64, usize)> {
    labels.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut free = within.start;
    for (y, _) in &mut labels {
        *y = y.max(free);
        free = *y + LABEL_HEIGHT;
    }
    let mut free = within.end;
    for (y, _) in labels.iter_mut().rev() {
        *y = y.min(free);
        free = *y - LABEL_HEIGHT;
    }
    labels
}

/// The place of the figures between the axes.
pub(super) struct Frame {
    pub(super) top: f64,
    across: Axis,
    values: Axis,
}

impl Frame {
    pub(super) fn new(top: f64, across: Axis, values: Axis) -> Frame {
        Frame {
            top,
            across,
            values,
        }
    }

    pub(super) fn size() -> Point {
        (WIDTH, HEIGHT)
    }

    pub(super) fn bottom(&self) -> f64 {
        HEIGHT - AXIS_HEIGHT
    }

    pub(super) fn x(&self, value: f64) -> f64 {
        AXIS_WIDTH + (WIDTH - LABEL_WIDTH - AXIS_WIDTH) * self.across.share(value)
    }

    fn y(&self, value: f64) -> f64 {
        self.bottom() - (self.bottom() - self.top) * self.values.share(value)
    }

    pub(super) fn place(&self, (across, value): Point) -> Point {
        (self.x(across), self.y(value))
    }

    /// The axes, their titles and the grid.
    pub(super) fn draw(&self, svg: &mut Svg) {
        let (left, right) = (AXIS_WIDTH, WIDTH - LABEL_WIDTH);
        let (top, bottom) = (self.top, self.bottom());
        for (share, label) in self.values.ticks() {
            let y = bottom - (bottom - top) * share;
            svg.path("grid", &[&[(left, y), (right, y)]]);
            svg.path("axis", &[&[(left - 5.0, y), (left, y)]]);
            svg.text("tick", Anchor::End, (left - 10.0, y), &label);
        }
        for (share, label) in self.across.ticks() {
            let x = left + (right - left) * share;
            svg.path("axis", &[&[(x, bottom), (x, bottom + 5.0)]]);
            svg.text("tick", Anchor::Middle, (x, bottom + 15.0), &label);
        }
        svg.path("axis", &[&[(left, top), (left, bottom), (right, bottom)]]);
        let middle = ((left + right) / 2.0, bottom + 38.0);
        svg.text("title", Anchor::Middle, middle, &self.across.title);
        svg.text_upwards("title", (18.0, (top + bottom) / 2.0), &self.values.title);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_move_apart_and_keep_their_order() {
        let labels = vec![(100.0, 0), (101.0, 1), (99.0, 2), (300.0, 3)];
        let wanted = [(99.0, 2), (118.0, 0), (137.0, 1), (260.0, 3)];
        assert_eq!(spread(labels, 14.0..260.0), wanted);
        let crowded = spread((0..6).map(|index| (260.0, index)).collect(), 14.0..260.0);
        let mut pairs = crowded.windows(2);
        assert!(pairs.all(|pair| pair[1].0 - pair[0].0 >= LABEL_HEIGHT));
        assert_eq!(crowded.last(), Some(&(260.0, 5)));
    }

    #[test]
    fn what_was_not_measured_is_a_gap() {
        let series: Vec<_> = (0..5)
            .map(|at| Sample {
                at: f64::from(at),
                ..Sample::default()
            })
            .collect();
        let line = Line::of("", &series, |s| (s.at != 2.0).then_some(s.at));
        assert_eq!(
            line.segments,
            [vec![(0.0, 0.0), (1.0, 1.0)], vec![(3.0, 3.0), (4.0, 4.0)]]
        );
    }

    #[test]
    fn growth_is_drawn_over_sizes_and_stands_alone() {
        let points = vec![(1e4, 4.0), (1e6, 8.0), (2e6, f64::NAN)];
        let titles = [["cost", "Cost & size"], ["connections", "µs"]];
        let chart = growth(titles[0], titles[1], &[("server", points)]).unwrap();
        assert_eq!(chart.svg.matches("<circle").count(), 2, "{}", chart.svg);
        let file = chart.file();
        assert!(file.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox="));
        assert!(file.contains("Cost &amp; size") && file.contains("--line-0:#0067a8;"));
        let nothing = growth(titles[0], titles[1], &[("nothing", Vec::new())]);
        assert_eq!(nothing, None);
    }
}
