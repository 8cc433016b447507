//! Replacing a running server by a new process, without a moment in which no process
//! listens.
//!
//! The running process starts its own program again and leaves it the listening
//! sockets themselves: connections that the kernel has queued, and those in the
//! middle of their TCP handshake, belong to a socket and not to a process, so
//! there is nothing that could be lost on the way. The two speak through a
//! socket pair:
//!
//! ```text
//! the old process                              the new process
//!   starts it ──────────────────────────────►  reads its configuration, makes
//!   goes on serving                            shards and control plane
//!                ◄─────────── ready ─────────
//!   stops accepting  ────────── go ─────────►  accepts
//!   drains, ends
//! ```
//!
//! Signals meet a hand-over as follows:
//!
//! | | before `ready` | after `go`, while the old process drains |
//! |---|---|---|
//! | SIGUSR2 to the old process | is kept: another hand-over follows | refused, with the number of the process to send it to |
//! | SIGTERM to the old process | it drains, the new process ends | as it drains already, the next one makes it hurry |
//! | SIGUSR2 to the new process | is kept until it serves | starts the next hand-over |
//! | SIGTERM to the new process | it ends, the old process goes on | it drains as any server |
//!
//! Between `ready` and `go` there is no moment of its own: the old process
//! decides and says `go` while it holds the lock that a stop takes too.
//!
//! # Invariants worth naming
//!
//! - A new process accepts nothing before `go`, so it may fail until then as if
//!   it had never been.
//! - After `go` the link carries reports of the old process's drain (`predecessor`),
//!   which the new process shows. It does not depend on them.
//! - The descriptors it inherits are named in one variable ([`VARIABLE`]); all others
//!   are closed when its program begins.

#[cfg(feature = "service")]
mod guardian;
#[cfg(feature = "service")]
mod hand_over;
#[cfg(feature = "service")]
mod new_process;
mod predecessor;
#[cfg(feature = "service")]
mod program;
mod sockets;

use std::env;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use socket2::Socket;

use crate::sys;
#[cfg(feature = "service")]
pub use hand_over::{Begun, HandOver, Origin, Refused, Stopped};
#[cfg(feature = "service")]
pub use new_process::HandOverError;
pub(crate) use predecessor::follow;
pub(crate) use sockets::ControlHandOver;
pub use sockets::HandOverSockets;

/// The variable that names the descriptors a new process inherits, as in
/// `link=3 admin=4 api=5 listen=6 listen=7`.
pub const VARIABLE: &str = "CORECAST_HAND_OVER";

/// The byte that the new process sends when it could serve.
const READY: u8 = b'r';
/// The answer that makes it the server.
const GO: u8 = b'g';

/// The sockets that a process has from the one that it replaces.
#[derive(Debug, Default)]
pub struct Inherited {
    pub(crate) listeners: Vec<Socket>,
    pub(crate) admin: Option<Socket>,
    pub(crate) api: Option<Socket>,
    pub(crate) old_process: Option<OldProcess>,
}

impl Inherited {
    /// Takes what the environment names; nothing where it names nothing, or
    /// when it was taken before.
    ///
    /// # Errors
    /// When the variable names what is not there.
    pub fn take() -> io::Result<Self> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        match env::var_os(VARIABLE) {
            Some(names) if !TAKEN.swap(true, Ordering::Relaxed) => Self::named(&names),
            _ => Ok(Inherited::default()),
        }
    }

    /// Whether there is a process to replace.
    pub fn has_old_process(&self) -> bool {
        self.old_process.is_some()
    }

    /// A way to refuse the place of the old process, if there is one, until this
    /// process has it.
    pub fn refusal(&self) -> Option<Refusal> {
        let old_process = self.old_process.as_ref()?;
        Some(Refusal(Arc::downgrade(&old_process.0)))
    }

    fn named(names: &OsString) -> io::Result<Self> {
        let wrong = || {
            let what = format!(
                "{VARIABLE} is set by a server for the process that replaces it, not by people: {names:?}"
            );
            io::Error::new(io::ErrorKind::InvalidInput, what)
        };
        let mut inherited = Inherited::default();
        for name in names.to_str().ok_or_else(wrong)?.split_ascii_whitespace() {
            let (what, number) = name.split_once('=').ok_or_else(wrong)?;
            let number: RawFd = number.parse().map_err(|_| wrong())?;
            let fd = sys::take_inherited(number).map_err(|_| wrong())?;
            match what {
                "link" => inherited.old_process = Some(OldProcess::new(fd)),
                "admin" => inherited.admin = Some(listener(fd).ok_or_else(wrong)?),
                "api" => inherited.api = Some(listener(fd).ok_or_else(wrong)?),
                "listen" => inherited.listeners.push(listener(fd).ok_or_else(wrong)?),
                _ => return Err(wrong()),
            }
        }
        Ok(inherited)
    }

    /// The descriptors of which no shard should hold a copy.
    pub(crate) fn private(&self) -> Vec<BorrowedFd<'_>> {
        let admin = self.admin.iter().chain(&self.api).map(AsFd::as_fd);
        let link = self.old_process.as_ref().map(|link| link.0.as_fd());
        admin.chain(link).collect()
    }
}

/// The descriptor as a listener, if it is one.
fn listener(fd: OwnedFd) -> Option<Socket> {
    let socket = Socket::from(fd);
    socket.is_listener().unwrap_or(false).then_some(socket)
}

/// The process that this one replaces.
#[derive(Debug)]
pub(crate) struct OldProcess(Arc<UnixStream>);

impl OldProcess {
    fn new(link: OwnedFd) -> Self {
        OldProcess(Arc::new(UnixStream::from(link)))
    }

    /// Says that this process could serve, and waits until it may.
    ///
    /// # Errors
    /// When the old process goes on serving itself.
    pub(crate) fn take_over(self) -> io::Result<UnixStream> {
        let mut answer = [0];
        let mut link = &*self.0;
        link.write_all(&[READY])?;
        link.read_exact(&mut answer)?;
        if answer != [GO] {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // A refusal that comes now must not shut down what is read from here on.
        link.try_clone()
    }
}

/// Refuses the place of the old process, as when the new one is told to stop
/// before it serves.
#[derive(Debug)]
pub struct Refusal(Weak<UnixStream>);

impl Refusal {
    /// Ends the link: the start of this process fails, and the old process goes
    /// on, unless it has said `go` already. Then this process takes over.
    /// Returns `false` if it has.
    pub fn refuse(&self) -> bool {
        let link = self.0.upgrade();
        // A byte that has arrived can still be read after this.
        link.is_some_and(|link| link.shutdown(Shutdown::Both).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_server_has_set_is_refused() {
        for names in ["listen", "listen=", "listen=2", "listen=99999", "door=7"] {
            let error = Inherited::named(&names.into()).unwrap_err();
            assert!(error.to_string().contains(VARIABLE), "{error}");
        }
    }

    #[test]
    fn a_new_process_serves_only_when_told() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        let refused = OldProcess::new(ours.into()).take_over().unwrap_err();
        assert_ne!(refused.kind(), io::ErrorKind::InvalidData);

        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(&[GO]).unwrap();
        OldProcess::new(ours.into()).take_over().unwrap();
        let mut said = [0];
        theirs.read_exact(&mut said).unwrap();
        assert_eq!(said, [READY]);
    }

    /// The old process, and a way to refuse its place.
    fn refusable(ours: UnixStream) -> (OldProcess, Refusal) {
        let old_process = OldProcess::new(ours.into());
        let refusal = Refusal(Arc::downgrade(&old_process.0));
        (old_process, refusal)
    }

    #[test]
    fn a_place_that_is_refused_stays_with_the_old_process() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (old_process, refusal) = refusable(ours);
        assert!(refusal.refuse());
        old_process.take_over().unwrap_err();
        theirs.write_all(&[GO]).unwrap_err();
        assert!(!refusal.refuse(), "there is nothing left to refuse");
    }

    #[test]
    fn a_place_that_was_given_cannot_be_refused() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (old_process, refusal) = refusable(ours);
        let mut answer = [0];
        theirs.write_all(&[GO]).unwrap();
        refusal.refuse();
        (&*old_process.0).read_exact(&mut answer).unwrap();
        assert_eq!(answer, [GO]);
    }
}
