//! The last resort against a run that hangs.
//!
//! Every loop of the load has a deadline of its own. Should one be missing,
//! the watchdog names the scenario and ends the process; the contestants die
//! with it.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

/// Guards a piece of work until dropped.
pub struct Watchdog {
    _done: Sender<()>,
}

impl Watchdog {
    /// Ends the process unless dropped within `limit`.
    pub fn guard(work: &str, limit: Duration) -> Watchdog {
        let (done, dropped) = mpsc::channel();
        let work = work.to_owned();
        thread::spawn(move || {
            if let Err(RecvTimeoutError::Timeout) = dropped.recv_timeout(limit) {
                eprintln!("corecast-bench: {work} did not end within {limit:?}");
                std::process::exit(3);
            }
        });
        Watchdog { _done: done }
    }
}
