//! TCP echo on io_uring: multishot accept, multishot receive from a ring of
//! provided buffers.
//!
//! Answers go out in one of two ways, see [`Sends`]; which is faster depends on
//! the kernel, so both take part.

use std::convert::Infallible;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use corecast_kit::sys;
use io_uring::cqueue;
use io_uring::squeue::Entry;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};

use super::buffer_ring::BufferRing;

const SUBMISSION_ENTRIES: u32 = 4096;
const COMPLETION_ENTRIES: u32 = 65_536;
const GROUP: u16 = 0;
/// Small enough for the cache, large enough for the largest payload measured.
const BUFFERS: u16 = 512;
const BUFFER_BYTES: usize = 16 * 1024 + 64;

/// The operation that a completion belongs to, in the upper half of its
/// `user_data`; the lower half is the descriptor.
const ACCEPT: u64 = 1 << 32;
const RECEIVE: u64 = 2 << 32;
const SEND: u64 = 3 << 32;

/// How answers go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sends {
    /// By a non-blocking send of its own each; an answer that finds no room is
    /// queued.
    Direct,
    /// As requests, submitted together with the next wait.
    Queued,
}

/// Serves `listener` until the process ends.
pub fn serve(listener: OwnedFd, sends: Sends) -> io::Result<Infallible> {
    let mut ring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_cqsize(COMPLETION_ENTRIES)
        .build(SUBMISSION_ENTRIES)?;
    let buffers = BufferRing::register(&ring.submitter(), GROUP, BUFFERS, BUFFER_BYTES)?;
    let mut server = UringEcho {
        listener: listener.as_raw_fd(),
        sends,
        buffers,
        connections: Vec::new(),
        queue: Vec::new(),
    };
    server.queue.push(server.accept());
    let mut batch = Vec::new();
    // The loop below only ends by an error. The ring must then go before the
    // buffers that its requests point to.
    let error = loop {
        if let Err(error) = submit(&mut ring, &mut server.queue) {
            break error;
        }
        batch.extend(
            ring.completion()
                .map(|entry| (entry.user_data(), entry.result(), entry.flags())),
        );
        for (user_data, result, flags) in batch.drain(..) {
            server.complete(user_data, result, flags);
        }
    };
    drop(ring);
    Err(error)
}

/// Submits everything queued and waits for a completion.
fn submit(ring: &mut IoUring, queue: &mut Vec<Entry>) -> io::Result<()> {
    for entry in queue.drain(..) {
        // SAFETY: requests point to the buffer ring or to the bytes of an
        // `InFlight`, and both stay until the request has completed.
        while unsafe { ring.submission().push(&entry) }.is_err() {
            ring.submit()?;
        }
    }
    match ring.submit_and_wait(1) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        _ => Ok(()),
    }
}

/// Bytes that the kernel is sending. They stay where they are until it is done.
struct InFlight {
    bytes: Bytes,
    length: usize,
}

enum Bytes {
    /// A receive buffer, given back when sent.
    Received(u16),
    /// An answer that had to wait; held for the kernel, never read.
    Owned { _bytes: Vec<u8> },
}

struct Connection {
    socket: OwnedFd,
    in_flight: Option<InFlight>,
    /// Received while another send was in flight: one at a time keeps the order.
    waiting: Vec<u8>,
    /// The peer is gone; the connection ends once nothing is in flight.
    ended: bool,
}

struct UringEcho {
    listener: RawFd,
    sends: Sends,
    buffers: BufferRing,
    /// By descriptor, which the kernel keeps small and reuses.
    connections: Vec<Option<Connection>>,
    queue: Vec<Entry>,
}

impl UringEcho {
    fn accept(&self) -> Entry {
        opcode::AcceptMulti::new(Fd(self.listener))
            .flags(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC)
            .build()
            .user_data(ACCEPT)
    }

    fn receive(fd: RawFd) -> Entry {
        opcode::RecvMulti::new(Fd(fd), GROUP)
            .build()
            .user_data(RECEIVE | fd as u64)
    }

    /// The flag has the kernel go on by itself until all is sent.
    fn send(fd: RawFd, bytes: &[u8]) -> Entry {
        opcode::Send::new(Fd(fd), bytes.as_ptr(), bytes.len() as u32)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build()
            .user_data(SEND | fd as u64)
    }

    #[inline]
    fn complete(&mut self, user_data: u64, result: i32, flags: u32) {
        let fd = (user_data as u32) as RawFd;
        match user_data & !u64::from(u32::MAX) {
            RECEIVE => self.received(fd, result, flags),
            SEND => self.sent(fd, result),
            _ => self.accepted(result, flags),
        }
    }

    fn accepted(&mut self, result: i32, flags: u32) {
        if result >= 0 {
            // SAFETY: the kernel just made this descriptor for this request.
            let socket = unsafe { OwnedFd::from_raw_fd(result) };
            let slot = result as usize;
            if slot >= self.connections.len() {
                self.connections.resize_with(slot + 1, || None);
            }
            self.connections[slot] = Some(Connection {
                socket,
                in_flight: None,
                waiting: Vec::new(),
                ended: false,
            });
            self.queue.push(Self::receive(result));
        }
        if !cqueue::more(flags) {
            self.queue.push(self.accept());
        }
    }

    #[inline]
    fn received(&mut self, fd: RawFd, result: i32, flags: u32) {
        if let Some(id) = cqueue::buffer_select(flags) {
            self.answer(fd, id, result.max(0) as usize);
        }
        if cqueue::more(flags) {
            // The request lives, and its last completion brings the end.
            return;
        }
        if result > 0 || result == -libc::ENOBUFS {
            self.queue.push(Self::receive(fd));
        } else {
            self.end(fd);
        }
    }

    /// Sends `length` bytes of buffer `id`, or has them wait their turn.
    #[inline]
    fn answer(&mut self, fd: RawFd, id: u16, length: usize) {
        let bytes = self.buffers.filled(id, length);
        let Some(connection) = &mut self.connections[fd as usize] else {
            return self.buffers.give_back(id);
        };
        if connection.in_flight.is_some() {
            connection.waiting.extend_from_slice(bytes);
        } else if self.sends == Sends::Queued && length > 0 {
            self.queue.push(Self::send(fd, bytes));
            connection.in_flight = Some(InFlight {
                bytes: Bytes::Received(id),
                length,
            });
            return;
        } else {
            // An error here is an end, which the receive reports as well.
            let sent = sys::send(connection.socket.as_fd(), bytes);
            let sent = sent.map_or(length, |sent| sent.unwrap_or(0));
            if sent < length {
                connection.waiting.extend_from_slice(&bytes[sent..]);
                Self::send_waiting(&mut self.queue, fd, connection);
            }
        }
        self.buffers.give_back(id);
    }

    #[cold]
    fn send_waiting(queue: &mut Vec<Entry>, fd: RawFd, connection: &mut Connection) {
        let bytes = mem::take(&mut connection.waiting);
        let length = bytes.len();
        queue.push(Self::send(fd, &bytes));
        connection.in_flight = Some(InFlight {
            bytes: Bytes::Owned { _bytes: bytes },
            length,
        });
    }

    #[inline]
    fn sent(&mut self, fd: RawFd, result: i32) {
        let Some(connection) = &mut self.connections[fd as usize] else {
            return;
        };
        let Some(InFlight { bytes, length }) = connection.in_flight.take() else {
            return;
        };
        if let Bytes::Received(id) = bytes {
            self.buffers.give_back(id);
        }
        if connection.ended || result != length as i32 {
            self.end(fd);
        } else if !connection.waiting.is_empty() {
            Self::send_waiting(&mut self.queue, fd, connection);
        }
    }

    /// Forgets a connection, but not before the kernel has returned its bytes.
    fn end(&mut self, fd: RawFd) {
        let slot = &mut self.connections[fd as usize];
        match slot {
            Some(connection) if connection.in_flight.is_some() => connection.ended = true,
            _ => *slot = None,
        }
    }
}
