//! Everything that shows a run to people and to scripts.
//!
//! An [`Outcome`](crate::outcome::Outcome) goes in, text comes out: a [`table`]
//! for the terminal, [`json`] for scripts and for joining runs, [`write_csv`]
//! for a spreadsheet, and a [`page`] with [`charts`] for reading and printing.
//! The parts they are made of, [`html`], [`stored`], [`ticks`] and [`units`], also
//! serve the report of `corecast-bench`.
//!
//! # Invariants worth naming
//!
//! - Nothing here measures, and nothing is stored: every figure is derived from
//!   the outcome, and the table and the page derive it in the same place
//!   (`facts`), so that they cannot disagree.
//! - A figure that the client limited is marked as a bound wherever it is shown.
//! - A page is one file. It loads nothing, and text from outside is escaped.

mod chart;
mod facts;
pub mod html;
mod json;
mod page;
#[cfg(test)]
pub(crate) mod sample;
mod series_csv;
pub mod stored;
mod table;
pub mod ticks;
pub mod units;

pub use chart::{Chart, charts, growth};
pub use json::{json, read_json};
pub use page::page;
pub(crate) use page::{Stage, document, heading, main_part};
pub use series_csv::write_csv;
pub use table::table;
pub(crate) use units::{grouped, rate};
