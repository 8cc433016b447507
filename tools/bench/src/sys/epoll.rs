//! An epoll instance and the events it reports.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use super::check;

/// The readiness that a socket is watched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Readable, reported as long as it lasts; for listeners.
    Level,
    /// Readable, reported when it becomes so.
    Edge,
    /// Readable and writable, reported when either becomes so.
    EdgeBoth,
}

impl Interest {
    fn bits(self) -> u32 {
        let bits = match self {
            Interest::Level => libc::EPOLLIN,
            Interest::Edge => libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLET,
            Interest::EdgeBoth => libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET,
        };
        bits as u32
    }
}

/// One report of epoll.
#[derive(Debug, Clone, Copy)]
pub struct Event {
    /// The number the socket was registered with.
    pub token: u64,
    bits: u32,
}

impl Event {
    /// There is something to read: bytes, an end or an error.
    pub fn readable(&self) -> bool {
        const READABLE: i32 = libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR;
        self.bits & READABLE as u32 != 0
    }

    /// There is room to write again.
    pub fn writable(&self) -> bool {
        self.bits & libc::EPOLLOUT as u32 != 0
    }

    /// The connection is over, for both directions.
    pub fn hung_up(&self) -> bool {
        self.bits & (libc::EPOLLHUP | libc::EPOLLERR) as u32 != 0
    }
}

/// An epoll instance with its buffer of events.
pub struct Epoll {
    fd: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Epoll {
    /// An instance that takes up to `batch` events at a time.
    pub fn new(batch: usize) -> io::Result<Epoll> {
        // SAFETY: epoll_create1 takes no pointers.
        let raw = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the kernel just made this descriptor and nothing else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        let events = vec![libc::epoll_event { events: 0, u64: 0 }; batch];
        Ok(Epoll { fd, events })
    }

    /// Watches `socket`; its events will carry `token`. Closing it ends the watch.
    pub fn add(&self, socket: &impl AsRawFd, interest: Interest, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: interest.bits(),
            u64: token,
        };
        // SAFETY: `event` lives through the call, which copies it.
        check(unsafe {
            libc::epoll_ctl(
                self.fd.as_raw_fd(),
                libc::EPOLL_CTL_ADD,
                socket.as_raw_fd(),
                &mut event,
            )
        })?;
        Ok(())
    }

    /// Waits until something happens, at most `limit`, and returns how many
    /// events there are; [`Epoll::event`] tells each. An interrupting signal
    /// counts as nothing.
    pub fn wait(&mut self, limit: Option<Duration>) -> io::Result<usize> {
        let millis = limit.map_or(-1, |limit| limit.as_millis().min(60_000) as i32);
        // SAFETY: the buffer has room for the number of events that is passed.
        let outcome = check(unsafe {
            libc::epoll_wait(
                self.fd.as_raw_fd(),
                self.events.as_mut_ptr(),
                self.events.len() as i32,
                millis,
            )
        });
        match outcome {
            Ok(count) => Ok(count as usize),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// The event at `index` of the last wait.
    #[inline]
    pub fn event(&self, index: usize) -> Event {
        let event = self.events[index];
        Event {
            token: event.u64,
            bits: event.events,
        }
    }
}
