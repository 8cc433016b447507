//! Charts as SVG, for pages and for files of their own.
//!
//! A chart is text with classes; `chart.css` has the colours, as variables that are
//! light or dark by the reader's choice. Lines are told apart by their dashes and
//! their labels too, not by colour alone.
//!
//! [`charts`] draws a run, [`growth`] figures over sizes, [`BarChart`] a comparison;
//! all three stand on one [`Axis`] and one writer of SVG.

mod axis;
mod bars;
mod histogram;
mod lines;
mod palette;
mod run;
mod svg;
mod thin;
mod ticks;

pub use axis::Axis;
pub use bars::{BarChart, Mark, Row, Shape};
pub use lines::growth;
pub use run::charts;

/// The rules for all charts, and the variables that they and their page use.
pub(crate) fn style() -> String {
    let (light, dark) = (palette::variables(false), palette::variables(true));
    format!(
        ":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n{}{}",
        include_str!("chart.css"),
        palette::line_rules()
    )
}

/// A chart that has a title.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chart {
    /// A name that is unique among the charts of a run and fit for an HTML `id`.
    pub id: String,
    /// Its title, as plain text.
    pub title: String,
    /// An `<svg>` element to stand in an HTML page.
    pub svg: String,
}

impl Chart {
    /// The chart as a file of its own, on a background that follows the reader's
    /// choice of light or dark.
    pub fn file(&self) -> String {
        let (tag, content) = self.svg.split_once('>').unwrap_or_default();
        let tag = tag.replacen("<svg ", "<svg xmlns=\"http://www.w3.org/2000/svg\" ", 1);
        format!(
            "{tag}>\n<style>\n{}svg{{background:var(--card)}}\n</style>{content}\n",
            style()
        )
    }
}
