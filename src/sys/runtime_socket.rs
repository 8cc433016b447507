//! Sockets that the runtime owns, lent and given back.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};

use monoio::net::{TcpListener, TcpStream};

/// A socket of monoio, which knows its number only. The types below keep their
/// descriptor open while they are borrowed; no other may be one.
pub(crate) trait RuntimeSocket: AsRawFd {
    /// Its descriptor, for a call.
    fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: it stays open while the socket is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.as_raw_fd()) }
    }
}

impl RuntimeSocket for TcpStream {}
impl RuntimeSocket for TcpListener {}

/// The descriptor of a connection, which the runtime gives up.
pub(crate) fn take_back(stream: TcpStream) -> OwnedFd {
    // SAFETY: the stream has just given the descriptor up, so it has no other owner.
    unsafe { OwnedFd::from_raw_fd(stream.into_raw_fd()) }
}
