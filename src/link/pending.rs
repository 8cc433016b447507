//! A link whose connection is not in the session plane yet.

use std::io;

use monoio::net::TcpStream;

use super::{Link, Read};
use crate::sys::{self, RuntimeSocket, Socket};

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
        Link::plain(Socket::new(sys::take_back(self.0)))
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
        super::of_plain_bytes(sys::recv(self.0.fd(), buffer), buffer.len())
    }

    /// As [`Link::send_bytes`].
    pub(crate) fn send_bytes(&self, bytes: &[u8]) -> io::Result<usize> {
        super::nothing_if_full(sys::send(self.0.fd(), bytes))
    }

    /// As [`Link::shut_write`].
    pub(crate) fn shut_write(&self) {
        sys::shutdown_write(self.0.fd());
    }
}
