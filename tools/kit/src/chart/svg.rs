//! The few elements of SVG that charts are made of.

use std::fmt::Write as _;

use crate::html::escape;

/// The place of something, from the left and from the top.
pub(super) type Point = (f64, f64);

/// The side of a text that its place is given for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Elements so far. Writing to a string does not fail.
#[derive(Default)]
pub(super) struct Svg(String);

impl Svg {
    /// A line through these points; a pen that is lifted begins a new part.
    pub(super) fn path(&mut self, class: &str, parts: &[&[Point]]) {
        let _ = write!(self.0, "<path class=\"{class}\" d=\"");
        for part in parts {
            for (index, (x, y)) in part.iter().enumerate() {
                let command = if index == 0 { 'M' } else { 'L' };
                let _ = write!(self.0, "{command}{x:.1} {y:.1}");
            }
        }
        self.0.push_str("\"/>");
    }

    /// A rectangle between two corners, the first above and left of the second.
    pub(super) fn rect(&mut self, class: &str, (x, y): Point, (right, bottom): Point) {
        let (width, height) = ((right - x).max(0.0), (bottom - y).max(0.0));
        let _ = write!(
            self.0,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
             height=\"{height:.1}\"/>"
        );
    }

    pub(super) fn circle(&mut self, class: &str, (x, y): Point, radius: u32) {
        let _ = write!(
            self.0,
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"/>"
        );
    }

    /// Text from anywhere, in the middle of a line at this height.
    pub(super) fn text(&mut self, class: &str, anchor: Anchor, (x, y): Point, words: &str) {
        let (anchor, words) = (<&str>::from(anchor), escape(words));
        let _ = write!(
            self.0,
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{words}</text>",
            y + 4.5
        );
    }

    /// Text that is read from below, its middle here.
    pub(super) fn text_upwards(&mut self, class: &str, (x, y): Point, words: &str) {
        let words = escape(words);
        let _ = write!(
            self.0,
            "<text class=\"{class}\" transform=\"translate({x:.1} {y:.1}) rotate(-90)\" \
             text-anchor=\"middle\">{words}</text>"
        );
    }

    /// An `<svg>` element of this size. `words` describe it to readers who cannot
    /// see it.
    pub(super) fn element(self, (width, height): Point, words: &str) -> String {
        format!(
            "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">{}</svg>",
            escape(words),
            self.0
        )
    }
}
