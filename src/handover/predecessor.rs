//! What a process that drains after a hand-over tells the one that serves: the sessions
//! that it has left, and those of the processes before it.
//!
//! ```text
//! the old process                              the new process
//!   drains    ───── processes, sessions ────►  shows them in its metrics
//!             ───── processes, sessions ────►
//!   ends      ───────── end of stream ──────►  shows none
//! ```
//!
//! # Invariants worth naming
//!
//! - Neither waits for the other: a report that finds no room is left out, because the
//!   next one says more.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;

#[cfg(feature = "service")]
pub(super) use reporting::report;

use crate::shutdown::Lifecycle;

/// The bytes of a report: the number of processes and that of their sessions.
const REPORT_BYTES: usize = 16;

/// Takes up the reports of the process before this one, on a thread of its own.
pub(crate) fn follow(mut link: UnixStream, lifecycle: Arc<Lifecycle>) {
    lifecycle.predecessors().set(1, 0);
    let following = Arc::clone(&lifecycle);
    let thread = thread::Builder::new()
        .name("predecessor".to_owned())
        .spawn(move || {
            let mut report = [0; REPORT_BYTES];
            while link.read_exact(&mut report).is_ok() {
                let (processes, sessions) = numbers(report);
                following.predecessors().set(processes, sessions);
            }
            following.predecessors().set(0, 0);
        });
    if let Err(error) = thread {
        tracing::warn!("the sessions of the process before are not shown: no thread: {error}");
        lifecycle.predecessors().set(0, 0);
    }
}

fn numbers(report: [u8; REPORT_BYTES]) -> (u64, u64) {
    let report = u128::from_le_bytes(report);
    (report as u64, (report >> 64) as u64)
}

#[cfg(feature = "service")]
mod reporting {
    use std::io::{self, Write};
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::REPORT_BYTES;
    use crate::server::ServerHandle;
    use crate::shutdown::Phase;

    /// Time between two reports.
    const INTERVAL: Duration = Duration::from_millis(500);

    /// Reports on a server that drains, until it has stopped or is not listened to.
    pub(in crate::handover) fn report(handle: &ServerHandle, mut link: &UnixStream) {
        if link.set_nonblocking(true).is_err() {
            return;
        }
        loop {
            let before = handle.lifecycle().predecessors();
            let sessions = handle.course().sessions() + before.sessions();
            match link.write(&bytes(1 + before.processes(), sessions)) {
                Ok(REPORT_BYTES) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // Half a report would shift all that follow.
                Ok(_) | Err(_) => return,
            }
            if handle.lifecycle().wait_for(Phase::Stopped, INTERVAL) {
                return;
            }
        }
    }

    pub(super) fn bytes(processes: u64, sessions: u64) -> [u8; REPORT_BYTES] {
        (u128::from(processes) | u128::from(sessions) << 64).to_le_bytes()
    }
}

#[cfg(all(test, feature = "service"))]
mod tests {
    use std::io::Write;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn reports_are_shown_until_the_old_process_ends() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let lifecycle = Arc::new(Lifecycle::new());
        follow(theirs, Arc::clone(&lifecycle));
        let shown = || {
            let predecessors = lifecycle.predecessors();
            (predecessors.processes(), predecessors.sessions())
        };
        let wait_for = |expected| {
            let until = Instant::now() + Duration::from_secs(20);
            while shown() != expected {
                assert!(Instant::now() < until, "{:?} and not {expected:?}", shown());
                thread::sleep(Duration::from_millis(1));
            }
        };
        assert_eq!(shown().0, 1);
        let report = reporting::bytes(2, 3_717);
        // It may arrive in pieces.
        ours.write_all(&report[..5]).unwrap();
        ours.write_all(&report[5..]).unwrap();
        wait_for((2, 3_717));
        ours.write_all(&reporting::bytes(1, u64::MAX)).unwrap();
        wait_for((1, u64::MAX));
        drop(ours);
        wait_for((0, 0));
    }
}
