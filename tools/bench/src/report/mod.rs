//! Everything that shows [`Results`](crate::results::Results) to people and to
//! programs: a [`table`] for the terminal, a [`page`] with charts, a short
//! [`markdown`] table that docs/benchmark.md quotes, [`json`] to keep, and what
//! [`compare`] finds between two of them.
//!
//! # Invariants worth naming
//!
//! - Nothing here measures. Every figure is derived from the results, and a
//!   fact that two of these show is put into words in one place (`facts`,
//!   `figures`), so that they cannot disagree.
//! - A rate that the load held back is marked as a lower bound wherever it
//!   stands, and then the CPU time is compared.
//! - A page is one file. It loads nothing, runs nothing, and text from outside
//!   is escaped.

mod compare;
mod facts;
mod figures;
mod grid;
mod json;
mod markdown;
mod page;
#[cfg(test)]
pub(crate) mod sample;
mod table;

pub use compare::{Change, Comparison, Judgement, Quantity, compare};
pub use json::{json, read_json};
pub use markdown::markdown;
pub use page::page;
pub use table::table;
