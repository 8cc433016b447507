//! TCP echo on io_uring: multishot accept, multishot receive from a ring of
//! provided buffers, answers by a direct non-blocking send.
//!
//! Answers as submissions were tried as well and were slower: the send is then
//! a request to allocate and a completion to reap for work that is done at once.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use io_uring::cqueue;
use io_uring::squeue::Entry;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};

use super::buffer_ring::BufferRing;
use super::echo::EchoConnection;

const SUBMISSION_ENTRIES: u32 = 4096;
const COMPLETION_ENTRIES: u32 = 65_536;
const GROUP: u16 = 0;
/// Small enough for the cache, large enough for the largest payload measured.
const BUFFERS: u16 = 512;
const BUFFER_BYTES: usize = 16 * 1024 + 64;

/// What a completion belongs to, in the upper half of its `user_data`; the
/// lower half is the descriptor.
const ACCEPT: u64 = 1 << 32;
const RECEIVE: u64 = 2 << 32;
const WRITABLE: u64 = 3 << 32;

/// Serves `listener` until the process ends.
pub fn serve(listener: OwnedFd) -> io::Result<Infallible> {
    let mut ring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_cqsize(COMPLETION_ENTRIES)
        .build(SUBMISSION_ENTRIES)?;
    let buffers = BufferRing::register(&ring.submitter(), GROUP, BUFFERS, BUFFER_BYTES)?;
    let mut server = UringEcho {
        listener: listener.as_raw_fd(),
        buffers,
        connections: Vec::new(),
        queue: Vec::new(),
    };
    server.queue.push(server.accept());
    let mut batch = Vec::new();
    // The loop below only ends by an error. The ring, made first, must then go
    // before the buffers it writes into.
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
        // SAFETY: no request here points to memory of ours but the buffer ring,
        // which outlives the io_uring instance.
        while unsafe { ring.submission().push(&entry) }.is_err() {
            ring.submit()?;
        }
    }
    match ring.submit_and_wait(1) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        _ => Ok(()),
    }
}

struct UringEcho {
    listener: RawFd,
    buffers: BufferRing,
    /// By descriptor, which the kernel keeps small and reuses.
    connections: Vec<Option<EchoConnection>>,
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

    fn writable(fd: RawFd) -> Entry {
        opcode::PollAdd::new(Fd(fd), libc::POLLOUT as u32)
            .build()
            .user_data(WRITABLE | fd as u64)
    }

    #[inline]
    fn complete(&mut self, user_data: u64, result: i32, flags: u32) {
        let fd = (user_data as u32) as RawFd;
        match user_data & !u64::from(u32::MAX) {
            RECEIVE => self.received(fd, result, flags),
            ACCEPT => self.accepted(result, flags),
            _ => self.flush(fd),
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
            self.connections[slot] = Some(EchoConnection::new(socket));
            self.queue.push(Self::receive(result));
        }
        if !cqueue::more(flags) {
            self.queue.push(self.accept());
        }
    }

    #[inline]
    fn received(&mut self, fd: RawFd, result: i32, flags: u32) {
        let Some(connection) = &mut self.connections[fd as usize] else {
            return;
        };
        let mut open = result > 0 || result == -libc::ENOBUFS;
        if let Some(id) = cqueue::buffer_select(flags) {
            if result > 0 {
                let waited = !connection.is_flushed();
                let bytes = self.buffers.filled(id, result as usize);
                open = connection.answer(bytes).is_ok();
                if open && !waited && !connection.is_flushed() {
                    self.queue.push(Self::writable(connection.raw()));
                }
            }
            self.buffers.give_back(id);
        }
        if cqueue::more(flags) {
            // The request lives; its last completion brings the end, if this was one.
            return;
        }
        if open {
            self.queue.push(Self::receive(fd));
        } else {
            self.connections[fd as usize] = None;
        }
    }

    #[cold]
    fn flush(&mut self, fd: RawFd) {
        if let Some(connection) = &mut self.connections[fd as usize]
            && let Ok(false) = connection.flush()
        {
            self.queue.push(Self::writable(fd));
        }
    }
}
