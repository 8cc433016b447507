//! Everything that shows a run to people and to scripts.
//!
//! An [`Outcome`](crate::outcome::Outcome) goes in, text comes out: a [`table`]
//! for the terminal, [`json`] for scripts and for joining runs, [`write_csv`]
//! for a spreadsheet, and a [`page`] with [`charts`] for reading and printing.
//! The parts they are made of are those of `corecast-kit`.
//!
//! # Invariants worth naming
//!
//! - Nothing here measures, and nothing is stored: every figure is derived from
//!   the outcome, and the table and the page derive it in the same place
//!   (`facts`), so that they cannot disagree.
//! - A figure that the client limited is marked as a bound wherever it is shown.
//! - A page is one file. It loads nothing, and text from outside is escaped.

mod facts;
mod page;
mod series_csv;
mod table;

pub use corecast_kit::chart::{Chart, charts};
pub use corecast_kit::outcome::{json, read_json};
#[cfg(test)]
pub(crate) use corecast_kit::sample;
pub(crate) use corecast_kit::units::{self, grouped, rate};
pub use page::page;
pub(crate) use page::{Stage, document, heading, main_part};
pub use series_csv::write_csv;
pub use table::table;

#[cfg(test)]
mod tests {
    use super::sample::{empty_outcome, sample_outcome};
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for outcome in [sample_outcome(), empty_outcome()] {
            let read = read_json(&json(&outcome)).unwrap();
            assert!(read.latencies == outcome.latencies);
            assert!(table(&read) == table(&outcome));
            // Compared as CSV, because a fraction may differ in its last bit.
            let csv = |outcome| {
                let mut text = Vec::new();
                write_csv(outcome, &mut text).unwrap();
                text
            };
            assert!(csv(&read) == csv(&outcome));
        }
    }
}
