//! Lines over the time of a run or over growing sizes, each labelled at its end.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Chart;
use super::axis::{Axis, Unit};
use super::ink::{Ink, dress};
use crate::outcome::Sample;

/// Width of every chart, in the units of its view box: pixels where there is room.
pub(super) const WIDTH: u32 = 900;
/// Height of every chart.
pub(super) const HEIGHT: u32 = 300;
/// Room to the left of the figures, for the axis and its title.
pub(super) const AXIS_WIDTH: u32 = 96;
/// Room to the right of the figures, for labels.
pub(super) const LABEL_WIDTH: u32 = 132;
/// Room below the figures, for the axis and its title.
pub(super) const AXIS_HEIGHT: u32 = 50;
/// Distance of two labels, so that they do not touch.
const LABEL_HEIGHT: i32 = 19;
/// plotters writes a font of this size as one of 14 pixels.
const FONT_SIZE: f64 = 14.0 * 1.24;
const FONT: &str = "system-ui, sans-serif";

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(super) type Failure = DrawingAreaErrorKind<std::io::Error>;

/// Whether a figure can be drawn.
fn is_usable(figure: f64) -> bool {
    figure.is_finite() && figure >= 0.0
}

/// The figures of one line.
pub(super) struct Line {
    label: String,
    /// Points that belong together; between two runs of them nothing was measured.
    segments: Vec<Vec<(f64, f64)>>,
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
    pub(super) fn through(label: &str, points: &[(f64, f64)]) -> Line {
        let mut points = points.to_vec();
        points.retain(|(size, value)| is_usable(*size) && is_usable(*value));
        Line {
            label: label.to_owned(),
            segments: Vec::from_iter((!points.is_empty()).then_some(points)),
        }
    }

    fn points(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.segments.iter().flatten().copied()
    }
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

    /// Has it show figures over sizes of this kind, which grow by factors.
    pub(super) fn over_sizes(mut self, title: &str) -> LineChart {
        self.sizes = Some(title.to_owned());
        self
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
        let svg = svg(&self.id, &self.title, |area| self.draw_on(area))?;
        Some(Chart {
            id: self.id,
            title: self.title,
            svg,
        })
    }

    fn draw_on(&self, area: &Area<'_>) -> Result<(), Failure> {
        let points = || self.lines.iter().flat_map(Line::points);
        let first = points().map(|point| point.0).fold(f64::MAX, f64::min);
        let last = points().map(|point| point.0).fold(0.0, f64::max);
        let low = points().map(|point| point.1).fold(f64::MAX, f64::min);
        let high = points().map(|point| point.1).fold(0.0, f64::max);
        let across = match self.sizes {
            Some(_) => Axis::of_sizes(first..last),
            None => Axis::of_time(last),
        };
        let title = self
            .sizes
            .as_deref()
            .unwrap_or(across.time_title())
            .to_owned();
        let values = Axis::of_values(self.unit, low..high);

        let mut chart = framed(area, 14, [across, values], [&title, &self.value_title])?;

        let mut labels = Vec::new();
        // The first line is solid and lies below: where another coincides with
        // it, both show.
        for (index, line) in self.lines.iter().enumerate() {
            let ink = Ink::Line(index).sentinel();
            for segment in &line.segments {
                if let [alone] = segment[..] {
                    chart.draw_series([Circle::new(alone, 4, ink.filled())])?;
                } else {
                    chart.draw_series([PathElement::new(segment.clone(), ink.stroke_width(2))])?;
                    if self.sizes.is_some() {
                        let dots = segment.iter().map(|at| Circle::new(*at, 3, ink.filled()));
                        chart.draw_series(dots)?;
                    }
                }
            }
            if let Some(last) = line.points().last() {
                let (_, y) = chart.backend_coord(&last);
                labels.push((y, index));
            }
        }
        let x = WIDTH as i32 - LABEL_WIDTH as i32 + 10;
        for (y, index) in spread(labels, 14..(HEIGHT - AXIS_HEIGHT) as i32) {
            let ink = Ink::Line(index).sentinel();
            let stroke = PathElement::new(vec![(x, y), (x + 28, y)], ink.stroke_width(2));
            area.draw(&stroke)?;
            let label = self.lines[index].label.clone();
            area.draw(&Text::new(label, (x + 34, y), text(HPos::Left)))?;
        }
        Ok(())
    }
}

/// Moves labels apart that would touch, in the order in which they stand.
fn spread(mut labels: Vec<(i32, usize)>, within: std::ops::Range<i32>) -> Vec<(i32, usize)> {
    labels.sort();
    let mut free = within.start;
    for (y, _) in &mut labels {
        *y = (*y).max(free);
        free = *y + LABEL_HEIGHT;
    }
    let mut free = within.end;
    for (y, _) in labels.iter_mut().rev() {
        *y = (*y).min(free);
        free = *y - LABEL_HEIGHT;
    }
    labels
}

/// The style of a label that is anchored there.
pub(super) fn text(anchor: HPos) -> TextStyle<'static> {
    (FONT, FONT_SIZE)
        .into_font()
        .color(&Ink::Text.sentinel())
        .pos(Pos::new(anchor, VPos::Center))
}

/// The axes, their titles and the grid: horizontal first, then vertical.
pub(super) fn framed<'a>(
    area: &Area<'a>,
    margin_top: u32,
    [horizontal, vertical]: [Axis; 2],
    [horizontal_title, vertical_title]: [&str; 2],
) -> Result<ChartContext<'a, SVGBackend<'a>, Cartesian2d<Axis, Axis>>, Failure> {
    let mut chart = ChartBuilder::on(area)
        .margin_top(margin_top)
        .margin_right(LABEL_WIDTH)
        .x_label_area_size(AXIS_HEIGHT)
        .y_label_area_size(AXIS_WIDTH)
        .build_cartesian_2d(horizontal, vertical)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(Ink::Grid.sentinel())
        .light_line_style(TRANSPARENT)
        .axis_style(Ink::Axis.sentinel())
        .label_style(text(HPos::Center))
        .axis_desc_style(text(HPos::Center))
        .x_desc(horizontal_title)
        .y_desc(vertical_title)
        .draw()?;
    Ok(chart)
}

/// An `<svg>` element with what `draw` draws, fit to stand in a page. A chart
/// that cannot be drawn is left out: the figures are in the tables all the same.
pub(super) fn svg(
    id: &str,
    title: &str,
    draw: impl FnOnce(&Area<'_>) -> Result<(), Failure>,
) -> Option<String> {
    let mut drawn = String::new();
    {
        let area = SVGBackend::with_string(&mut drawn, (WIDTH, HEIGHT)).into_drawing_area();
        draw(&area).ok()?;
        area.present().ok()?;
    }
    // The backend's own opening tag has a fixed size and an `xmlns`.
    let (_, content) = drawn.split_once('>')?;
    let title = crate::html::escape(title);
    Some(format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"{id}-title\">\
         <title id=\"{id}-title\">{title}</title>{}",
        dress(content).trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_move_apart_and_keep_their_order() {
        let labels = spread(vec![(100, 0), (101, 1), (99, 2), (300, 3)], 14..260);
        assert_eq!(labels, [(99, 2), (118, 0), (137, 1), (260, 3)]);
        let crowded = spread((0..6).map(|index| (260, index)).collect(), 14..260);
        assert!(
            crowded
                .windows(2)
                .all(|pair| pair[1].0 - pair[0].0 >= LABEL_HEIGHT)
        );
        assert_eq!(crowded.last(), Some(&(260, 5)));
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
}
