//! The report of a thread to the coordinator.

use std::time::Duration;

use super::shared::Phase;
use super::tally::{Tally, Timed};
use super::worker::Status;
use crate::outcome::Times;

/// How often each thread reports.
pub(super) const REPORT_INTERVAL: Duration = Duration::from_millis(250);

/// The events on one thread in a short time, all of it in one phase.
pub(super) struct Report {
    pub thread: usize,
    /// The phase the time belongs to.
    pub phase: Phase,
    /// Its begin, in nanoseconds of the run.
    pub from: u64,
    /// Its end.
    pub to: u64,
    pub tally: Tally,
    /// The times that were measured; the tally does not have them any more.
    pub times: Vec<(Timed, Times)>,
    /// Connections on their way or open, at its end.
    pub users: u64,
    /// Connections open, at its end.
    pub connected: u64,
    /// Processor time the thread used in it.
    pub cpu_nanos: u64,
    pub status: Status,
}
