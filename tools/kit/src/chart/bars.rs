//! Horizontal bars and dots: a comparison.
//!
//! A bar is a rectangle with a name before it and a figure after it. The owner of
//! the figure is a class, for which the page has a colour.

use super::axis::Axis;
use super::svg::{Anchor, Svg};
use crate::spread::Spread;

/// Width of every chart, in the units of its view box: pixels where there is room.
const WIDTH: f64 = 920.0;
/// Height of a row.
const ROW: f64 = 26.0;
/// Room above the rows.
const TOP: f64 = 6.0;
/// Room below them, for the axis and its title.
const BOTTOM: f64 = 46.0;
/// An upper bound of the average width of a character, in the page's font of 13
/// pixels.
const CHARACTER: f64 = 7.2;
/// Space between texts and figures.
const GAP: f64 = 8.0;
/// Longer names are cut off; the whole name is in the tables.
const MAX_NAME: usize = 46;

/// A chart of rows over a common axis.
pub struct BarChart {
    /// Its description for readers who cannot see it.
    pub title: String,
    /// The axis of all rows.
    pub axis: Axis,
    /// Draws a line there, at the value the figures are compared with.
    pub line_at: Option<f64>,
    /// The rows, from above.
    pub rows: Vec<Row>,
}

/// One of the things compared.
pub struct Row {
    /// Its name.
    pub name: String,
    /// The class of the name.
    pub class: &'static str,
    /// Its figures.
    pub marks: Vec<Mark>,
    /// Stands after the row, in words.
    pub label: String,
}

/// A figure in a row.
pub struct Mark {
    /// How it is drawn.
    pub shape: Shape,
    /// The owner of the figure: the page's style sheet has its colour.
    pub class: &'static str,
    /// Its median and range.
    pub figure: Spread,
}

/// How a figure is drawn; its range is a whisker over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A bar from the beginning of the axis.
    Bar,
    /// A wide, pale bar behind another.
    Tail,
    /// A dot; several in a row stand one below the other.
    Dot,
}

/// The horizontal positions.
struct Columns {
    /// The end of the names and the beginning of the axis.
    start: f64,
    /// The end of the axis.
    end: f64,
}

impl BarChart {
    /// An `<svg>` element to stand in the page.
    pub fn svg(&self) -> String {
        let columns = self.columns();
        let bottom = TOP + ROW * self.rows.len() as f64;
        let mut svg = Svg::default();
        self.draw_axis(&mut svg, &columns, bottom);
        for (index, row) in self.rows.iter().enumerate() {
            let middle = TOP + ROW * (index as f64 + 0.5);
            self.draw_row(&mut svg, &columns, row, middle);
        }
        svg.element((WIDTH, bottom + BOTTOM), &self.description())
    }

    /// The whole chart in words.
    fn description(&self) -> String {
        let rows = self.rows.iter();
        let rows: Vec<_> = rows
            .map(|row| format!("{}: {}", row.name, row.label))
            .collect();
        format!("{}. {}", self.title, rows.join("; "))
    }

    fn columns(&self) -> Columns {
        let longest = |length: fn(&Row) -> usize| {
            let lengths = self.rows.iter().map(length);
            lengths.max().unwrap_or(0) as f64 * CHARACTER
        };
        let names = longest(|row| row.name.chars().count().min(MAX_NAME));
        let labels = longest(|row| row.label.chars().count());
        Columns {
            start: names + GAP,
            end: (WIDTH - labels - 2.0 * GAP).max(names + GAP + 60.0),
        }
    }

    fn draw_axis(&self, svg: &mut Svg, columns: &Columns, bottom: f64) {
        let mut free = 0.0;
        for (x, label) in self.axis.ticks().map(|(at, label)| (columns.x(at), label)) {
            svg.path("grid", &[&[(x, TOP), (x, bottom)]]);
            // If ticks are dense, some have no label.
            let half = label.chars().count() as f64 * CHARACTER / 2.0;
            if x - half < free {
                continue;
            }
            free = x + half + GAP;
            svg.text("tick", Anchor::Middle, (x, bottom + 12.5), &label);
        }
        let (start, end) = (columns.start, columns.end);
        svg.path("axis", &[&[(start, bottom), (end, bottom)]]);
        let middle = ((start + end) / 2.0, bottom + 32.5);
        svg.text("title", Anchor::Middle, middle, &self.axis.title);
        if let Some(value) = self.line_at {
            let x = columns.x(self.axis.share(value));
            svg.path("reference", &[&[(x, TOP), (x, bottom)]]);
        }
    }

    fn draw_row(&self, svg: &mut Svg, columns: &Columns, row: &Row, middle: f64) {
        let class = format!("name {}", row.class);
        let name = shortened(&row.name);
        svg.text(&class, Anchor::End, (columns.start - GAP, middle), &name);
        let mut reach = columns.start;
        for (index, mark) in row.marks.iter().enumerate() {
            let y = match mark.shape {
                // Dots of a row must not cover each other.
                Shape::Dot => middle + 8.0 * (index as f64 - (row.marks.len() - 1) as f64 / 2.0),
                Shape::Bar | Shape::Tail => middle,
            };
            let end = self.draw_mark(svg, columns, mark, y);
            reach = match mark.shape {
                // Labels of dots stand below each other, and not on the line.
                Shape::Dot => columns.end,
                Shape::Bar | Shape::Tail => reach.max(end),
            };
        }
        svg.text("label", Anchor::Start, (reach + GAP, middle), &row.label);
    }

    /// Draws a figure and returns how far to the right it reaches.
    fn draw_mark(&self, svg: &mut Svg, columns: &Columns, mark: &Mark, y: f64) -> f64 {
        let x = |value| columns.x(self.axis.share(value));
        let Spread { median, min, max } = mark.figure;
        let (low, middle, high) = (x(min), x(median), x(max));
        let (kind, half) = match mark.shape {
            Shape::Bar => ("bar", 7.0),
            Shape::Tail => ("tail", 9.0),
            Shape::Dot => ("dot", 4.0),
        };
        let class = format!("{kind} {}", mark.class);
        match mark.shape {
            Shape::Dot => svg.circle(&class, (middle, y), 4),
            _ => svg.rect(&class, (columns.start, y - half), (middle, y + half)),
        }
        if high - low >= 1.0 {
            let end = |x| [(x, y - 3.5), (x, y + 3.5)];
            let parts: [&[_]; 3] = [&end(low), &[(low, y), (high, y)], &end(high)];
            svg.path("whisker", &parts);
        }
        high.max(middle)
    }
}

impl Columns {
    /// The position of this share of the axis.
    fn x(&self, share: f64) -> f64 {
        self.start + (self.end - self.start) * share
    }
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= MAX_NAME {
        return name.into();
    }
    name.chars().take(MAX_NAME - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(rows: Vec<Row>) -> BarChart {
        let figures = rows
            .iter()
            .flat_map(|row| &row.marks)
            .map(|mark| mark.figure);
        BarChart {
            title: "Rates".into(),
            axis: Axis::of(figures, "per second", |value| format!("{value}")),
            line_at: None,
            rows,
        }
    }

    fn row(name: &str, label: &str, figures: &[f64]) -> Row {
        let figure = Spread::of(figures.to_vec());
        let mark = |figure| Mark {
            shape: Shape::Bar,
            class: "server",
            figure,
        };
        Row {
            name: name.into(),
            class: "server",
            marks: figure.into_iter().map(mark).collect(),
            label: label.into(),
        }
    }

    /// The numbers that follow each `name="` in an element that begins so.
    fn attributes(svg: &str, element: &str, name: &str) -> Vec<f64> {
        let after = |text: &str| -> Option<f64> {
            let (_, value) = text.split_once(&format!(" {name}=\""))?;
            value.split('"').next()?.parse().ok()
        };
        svg.split('<')
            .filter(|part| part.starts_with(element))
            .filter_map(after)
            .collect()
    }

    #[test]
    fn bars_are_as_long_as_their_figures() {
        let svg = chart(vec![row("a", "100", &[100.0]), row("b", "50", &[50.0])]).svg();
        let widths = attributes(&svg, "rect", "width");
        assert!((widths[0] / widths[1] - 2.0).abs() < 0.01, "{widths:?}");
    }

    #[test]
    fn nothing_leaves_the_chart_however_long_the_names_are() {
        let long = "x".repeat(80);
        let label = "y".repeat(46);
        let rows = (0..8).map(|_| row(&long, &label, &[90.0, 100.0, 110.0]));
        let svg = chart(rows.collect()).svg();
        for x in attributes(&svg, "text class=\"label\"", "x") {
            assert!(x + 46.0 * CHARACTER <= WIDTH + 1.0, "{x}");
        }
        assert!(svg.contains('…') && svg.contains("class=\"whisker\""));
        let baselines = attributes(&svg, "text class=\"name", "y");
        assert!(baselines.windows(2).all(|pair| pair[1] - pair[0] >= ROW));
    }

    #[test]
    fn labels_of_ticks_do_not_touch() {
        let mut chart = chart(vec![
            row("a", &"y".repeat(60), &[85.0]),
            row("b", "", &[14_400.0]),
        ]);
        chart.axis = Axis::logarithmic(
            chart.rows.iter().map(|row| row.marks[0].figure),
            "time",
            |value| format!("{value:.0} microseconds"),
        );
        let ticks = attributes(&chart.svg(), "text class=\"tick\"", "x");
        assert!(ticks.len() >= 2);
        assert!(
            ticks
                .windows(2)
                .all(|pair| pair[1] - pair[0] > 14.0 * CHARACTER),
            "{ticks:?}"
        );
    }

    #[test]
    fn the_chart_is_described_in_words_and_escaped() {
        let svg = chart(vec![row("<a>", "1 & 2", &[1.0])]).svg();
        assert!(
            svg.contains("aria-label=\"Rates. &lt;a&gt;: 1 &amp; 2\""),
            "{svg}"
        );
        assert!(svg.contains("role=\"img\"") && !svg.contains("<a>"));
    }

    #[test]
    fn odd_figures_do_not_stop_a_chart() {
        for figure in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e300] {
            let svg = chart(vec![row("a", "", &[figure]), row("b", "", &[1.0])]).svg();
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
        chart(Vec::new()).svg();
    }
}
