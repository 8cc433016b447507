//! The one seam between a connection and its socket.
//!
//! A [`Link`] is the only thing that reads, writes or shuts the socket of a
//! connection; an [`Outlet`] is a link with the queue of what its socket did not
//! take. Sessions of the server and connections of the load generator use the
//! same two.
//!
//! # Invariants worth naming
//!
//! - Nothing above this module sees a descriptor, except the session plane, which
//!   is lent one to watch it ([`AsFd`]).
//! - No call waits. 'Not now' is a result, [`Read::Nothing`] or fewer bytes sent
//!   than offered, and never an error; an error means that the connection is lost.
//! - [`Read::Bytes`] says itself whether the socket was drained, because only the
//!   link knows: a short read means that for plain bytes, but not for records that
//!   are decrypted.

mod answers;
mod listen;
mod outlet;
mod pending;
#[cfg(any(test, fuzzing))]
#[cfg_attr(
    any(not(test), loom, miri),
    expect(dead_code, reason = "only the simulation plays all of it")
)]
pub(crate) mod scripted;
mod send_queue;

pub(crate) use answers::Answers;
pub(crate) use listen::ListenSocket;
pub use outlet::{Flushed, Outlet};
pub(crate) use pending::PendingLink;
pub use send_queue::{SendQueue, Sink};

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use crate::sys::{Socket, is_temporary};

/// The reader and writer of a connection's socket.
#[derive(Debug)]
pub enum Link {
    /// Bytes as they are.
    Plain(Socket),
    /// A socket that a test plays.
    #[cfg(any(test, fuzzing))]
    #[doc(hidden)]
    Scripted(scripted::ScriptedSocket),
}

/// The result of reading from a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// So many bytes. `drained` says that nothing is left, so that the next byte
    /// will show as readiness.
    Bytes {
        /// Bytes at the beginning of the buffer.
        len: usize,
        /// Nothing was left when they were read.
        drained: bool,
    },
    /// Nothing has arrived.
    Nothing,
    /// The peer will send nothing more.
    End,
}

impl Link {
    /// A link that sends and receives bytes as they are.
    pub fn plain(socket: Socket) -> Link {
        Link::Plain(socket)
    }

    /// Reads what has arrived into `buffer`, which is not empty.
    ///
    /// # Errors
    /// The error that ended the connection.
    #[inline]
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<Read> {
        let received = match self {
            Link::Plain(socket) => socket.recv(buffer),
            #[cfg(any(test, fuzzing))]
            Link::Scripted(socket) => socket.recv(buffer),
        };
        of_plain_bytes(received, buffer.len())
    }

    /// Sends one run of bytes, or as much of it as the socket takes now.
    ///
    /// # Errors
    /// The error that ended the connection.
    #[inline]
    pub fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<usize> {
        nothing_if_full(match self {
            Link::Plain(socket) => socket.send_bytes(bytes),
            #[cfg(any(test, fuzzing))]
            Link::Scripted(socket) => socket.send(&[IoSlice::new(bytes)]),
        })
    }

    /// Sends several runs of bytes in one call, or as much of them as the socket
    /// takes now.
    ///
    /// # Errors
    /// The error that ended the connection.
    pub fn send(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        nothing_if_full(match self {
            Link::Plain(socket) => socket.send(parts),
            #[cfg(any(test, fuzzing))]
            Link::Scripted(socket) => socket.send(parts),
        })
    }

    /// Tells the peer that nothing more will be sent.
    pub fn shut_write(&mut self) {
        match self {
            Link::Plain(socket) => socket.shutdown_write(),
            #[cfg(any(test, fuzzing))]
            Link::Scripted(socket) => socket.shut_write(),
        }
    }

    /// The address of the other end, as long as the connection stands.
    pub fn peer(&self) -> Option<SocketAddr> {
        match self {
            Link::Plain(socket) => socket.peer(),
            #[cfg(any(test, fuzzing))]
            Link::Scripted(_) => None,
        }
    }

    /// Whether bytes have arrived that were not read, the end of the stream aside.
    pub fn has_unread(&self) -> bool {
        match self {
            Link::Plain(socket) => socket.has_unread(),
            #[cfg(any(test, fuzzing))]
            Link::Scripted(socket) => socket.has_unread(),
        }
    }
}

/// The result of reading plain bytes into a buffer of this length.
#[inline]
fn of_plain_bytes(received: io::Result<usize>, buffer_len: usize) -> io::Result<Read> {
    match received {
        Ok(0) => Ok(Read::End),
        Ok(len) => Ok(Read::Bytes {
            len,
            drained: len < buffer_len,
        }),
        Err(error) if is_temporary(&error) => Ok(Read::Nothing),
        Err(error) => Err(error),
    }
}

/// A socket without room takes nothing; that is no fault.
#[inline]
fn nothing_if_full(sent: io::Result<usize>) -> io::Result<usize> {
    match sent {
        Err(error) if is_temporary(&error) => Ok(0),
        sent => sent,
    }
}

impl Sink for Link {
    fn send(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        Link::send(self, parts)
    }
}

/// For the session plane, which watches it, and for options of the socket.
impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Link::Plain(socket) => socket.as_fd(),
            #[cfg(any(test, fuzzing))]
            Link::Scripted(socket) => socket.as_fd(),
        }
    }
}
