//! Connected sockets, read and written without waiting.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::retry_on_intr;
use rustix::net::{self, RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown};

/// A send without room returns at once, and one to a peer that is gone raises no signal.
const SEND: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

/// A connected TCP socket that is only ever used without waiting.
///
/// The descriptor itself is left in blocking mode: every call says
/// `MSG_DONTWAIT`, which saves one `fcntl` per connection.
///
/// A transfer that was interrupted is made again at once: readiness comes as edges,
/// so nothing would tell of what is left.
#[derive(Debug)]
pub struct Socket(OwnedFd);

impl Socket {
    /// Takes over a connected stream socket.
    pub fn new(fd: OwnedFd) -> Self {
        Socket(fd)
    }

    /// Reads what has arrived; see [`recv`].
    ///
    /// # Errors
    /// As [`recv`].
    #[inline]
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        recv(self.0.as_fd(), buffer)
    }

    /// Sends one run of bytes; see [`send`].
    ///
    /// # Errors
    /// As [`send`].
    #[inline]
    pub fn send_bytes(&self, bytes: &[u8]) -> io::Result<usize> {
        send(self.0.as_fd(), bytes)
    }

    /// Sends several runs of bytes in one call; see [`send`].
    ///
    /// # Errors
    /// As [`send`].
    pub fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut nothing = SendAncillaryBuffer::default();
        let sent = retry_on_intr(|| net::sendmsg(&self.0, parts, &mut nothing, SEND));
        Ok(sent?)
    }

    /// Whether bytes have arrived that were not read, the end of the stream aside.
    pub fn has_unread(&self) -> bool {
        rustix::io::ioctl_fionread(&self.0).is_ok_and(|unread| unread > 0)
    }

    /// The core that handled the last packet from the peer, if the kernel says.
    pub fn incoming_cpu(&self) -> Option<usize> {
        socket2::SockRef::from(self).cpu_affinity().ok()
    }

    /// The address of the other end, as long as the connection stands.
    pub fn peer(&self) -> Option<SocketAddr> {
        socket2::SockRef::from(self).peer_addr().ok()?.as_socket()
    }

    /// Tells the peer that nothing more will be sent.
    pub fn shutdown_write(&self) {
        shutdown_write(self.0.as_fd());
    }

    /// Gives the descriptor back.
    pub fn into_fd(self) -> OwnedFd {
        self.0
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Reads what has arrived at a socket, without waiting; `Ok(0)` is the peer's
/// end of stream.
///
/// # Errors
/// `WouldBlock` when nothing has arrived; otherwise the error that ended the
/// connection.
#[inline]
pub fn recv(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    let received = retry_on_intr(|| net::recv(fd, &mut *buffer, RecvFlags::DONTWAIT));
    Ok(received?.0)
}

/// Sends one run of bytes, or as much of it as the socket takes, without waiting.
///
/// # Errors
/// `WouldBlock` when the socket takes nothing now.
#[inline]
pub fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    Ok(retry_on_intr(|| net::send(fd, bytes, SEND))?)
}

/// Tells a socket's peer that nothing more will be sent. That the peer may
/// already be gone is no fault worth reporting.
pub fn shutdown_write(fd: BorrowedFd<'_>) {
    let _ = net::shutdown(fd, Shutdown::Write);
}
