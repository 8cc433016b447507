//! A link whose connection is not in the session plane yet.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};

use monoio::net::TcpStream;

use super::{Link, Read};
use crate::sys::{self, Socket};

/// A connection on its way to becoming a session: read and written like a [`Link`],
/// and waited for on the shard's runtime.
pub(crate) struct PendingLink(TcpStream);

impl PendingLink {
    /// Hands a link's socket to the runtime.
    ///
    /// # Errors
    /// When the runtime cannot watch one more socket.
    pub(crate) fn new(link: Link) -> io::Result<Self> {
        let socket = match link {
            Link::Plain(socket) => socket.into_fd(),
            #[cfg(any(test, fuzzing))]
            Link::Scripted(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        TcpStream::from_std(socket.into()).map(PendingLink)
    }

    /// The link of a connection whose handshake is done.
    pub(crate) fn into_link(self) -> Link {
        // SAFETY: the runtime has just given up the descriptor.
        let socket = unsafe { OwnedFd::from_raw_fd(self.0.into_raw_fd()) };
        Link::plain(Socket::new(socket))
    }

    /// Waits until there is something to read.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.0.readable(false).await
    }

    /// Waits until the socket takes bytes.
    pub(crate) async fn writable(&self) -> io::Result<()> {
        self.0.writable(false).await
    }

    /// As [`Link::read`].
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<Read> {
        super::of_plain_bytes(sys::recv(self.fd(), buffer), buffer.len())
    }

    /// As [`Link::send_bytes`].
    pub(crate) fn send_bytes(&self, bytes: &[u8]) -> io::Result<usize> {
        super::nothing_if_full(sys::send(self.fd(), bytes))
    }

    /// As [`Link::shut_write`].
    pub(crate) fn shut_write(&self) {
        sys::shutdown_write(self.fd());
    }

    fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the stream keeps the descriptor open while it is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.0.as_raw_fd()) }
    }
}
