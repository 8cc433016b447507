//! `corecast doctor`: the limits of this host, compared with the load that is
//! asked of it, before a run hits one.
//!
//! facts of the host × the load asked for → checks → the first wall.
//!
//! # Invariants worth naming
//!
//! - Reading is apart from judging: each concern in [`checks`] has its facts,
//!   read below a [`Root`], and a pure function from them to checks.
//! - A value that cannot be read is [`Verdict::Unknown`] with the reason.
//!   Nothing is guessed, and nothing that is unknown counts as a wall.
//! - A limit is one of connections, of a burst, or stops nothing; only the
//!   first kind can be the first wall.
//! - Nothing on the host is changed. Fixes are printed, not made.

mod asked;
mod check;
pub mod checks;
mod report;
mod running;
mod table;
#[cfg(test)]
pub(crate) mod testing;
mod told;

pub use asked::{Asked, Role};
pub use check::{Amount, Check, Fix, ForGood, Stops, Verdict};
pub use report::{Report, Wall};
pub use running::{Running, find_running};
pub use table::render;
pub use told::Told;

use crate::Root;

/// Reads the host below `root` and judges it. `running` is the server whose own
/// limits count, if there is one; `told` comes from the server's code.
pub fn examine(root: &Root, asked: Asked, running: Option<Running>, told: &Told) -> Report {
    let checks = checks::all(root, &asked, running.as_ref(), told);
    Report::new(asked, running, checks)
}
