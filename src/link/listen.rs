//! A listening socket on a shard's runtime.

use std::io;
use std::net::SocketAddr;

use monoio::net::TcpListener;
use socket2::Socket;

use super::Link;
use crate::sys::{self, RuntimeSocket};

/// A socket that connections come from.
pub(crate) struct ListenSocket {
    listener: TcpListener,
    /// The place of its endpoint among those of the server.
    place: usize,
}

/// A connection that was accepted.
pub(crate) struct Accepted {
    pub(crate) link: Link,
    pub(crate) peer: SocketAddr,
    /// The core that handled its last packet, if the kernel says.
    pub(crate) incoming_cpu: Option<usize>,
}

impl ListenSocket {
    /// Hands a socket that listens to the runtime.
    ///
    /// # Errors
    /// When the runtime cannot watch it.
    pub(crate) fn new(socket: Socket, place: usize) -> io::Result<Self> {
        let listener = TcpListener::from_std(socket.into())?;
        Ok(ListenSocket { listener, place })
    }

    /// The place of its endpoint among those of the server.
    pub(crate) fn place(&self) -> usize {
        self.place
    }

    /// Waits until there is something to accept.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.listener.readable(false).await
    }

    /// Accepts one connection. `asks_cpu` costs a system call.
    ///
    /// # Errors
    /// As [`sys::accept`].
    pub(crate) fn accept(&self, asks_cpu: bool) -> io::Result<Accepted> {
        let (socket, peer) = sys::accept(&self.listener.fd())?;
        Ok(Accepted {
            incoming_cpu: asks_cpu.then(|| socket.incoming_cpu()).flatten(),
            link: Link::plain(socket),
            peer,
        })
    }

    /// As [`sys::stop_listening`].
    pub(crate) fn stop(&self) {
        sys::stop_listening(&self.listener.fd());
    }

    /// As [`sys::shut_out`].
    ///
    /// # Errors
    /// When the kernel has no memory for the filter.
    pub(crate) fn shut_out(&self) -> io::Result<()> {
        sys::shut_out(&self.listener.fd())
    }
}
