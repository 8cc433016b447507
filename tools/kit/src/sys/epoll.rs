//! An epoll instance and the events it reports.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;

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
    fn flags(self) -> EventFlags {
        let edge = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        match self {
            Interest::Level => EventFlags::IN,
            Interest::Edge => edge,
            Interest::EdgeBoth => edge | EventFlags::OUT,
        }
    }
}

/// One report of epoll.
#[derive(Debug, Clone, Copy)]
pub struct Event {
    /// The number the socket was registered with.
    pub token: u64,
    flags: EventFlags,
}

impl Event {
    /// There is something to read: bytes, an end or an error.
    pub fn readable(&self) -> bool {
        let end = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
        self.flags.intersects(EventFlags::IN | end)
    }

    /// There is room to write again.
    pub fn writable(&self) -> bool {
        self.flags.contains(EventFlags::OUT)
    }

    /// The connection is over, for both directions.
    pub fn hung_up(&self) -> bool {
        self.flags.intersects(EventFlags::HUP | EventFlags::ERR)
    }
}

/// An epoll instance with its buffer of events.
pub struct Epoll {
    fd: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Epoll {
    /// An instance that takes up to `batch` events at a time.
    ///
    /// # Errors
    /// When descriptors run out.
    pub fn new(batch: usize) -> io::Result<Epoll> {
        Ok(Epoll {
            fd: epoll::create(CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(batch),
        })
    }

    /// Watches `socket`; its events will carry `token`. Closing it ends the watch.
    ///
    /// # Errors
    /// When it is watched already, or the kernel has no memory for it.
    pub fn add(&self, socket: &impl AsFd, interest: Interest, token: u64) -> io::Result<()> {
        let token = EventData::new_u64(token);
        Ok(epoll::add(&self.fd, socket, token, interest.flags())?)
    }

    /// Waits until something happens, at most `limit`, and returns how many
    /// events there are; [`Epoll::event`] tells each. An interrupting signal
    /// counts as nothing.
    ///
    /// # Errors
    /// None that a Linux kernel gives for this request.
    pub fn wait(&mut self, limit: Option<Duration>) -> io::Result<usize> {
        // In whole milliseconds, as the kernel's own call counts.
        let limit = limit.map(|limit| {
            let limit = Duration::from_millis(limit.as_millis().min(60_000) as u64);
            Timespec::try_from(limit).expect("a minute is not too long")
        });
        self.events.clear();
        let room = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.fd, room, limit.as_ref()) {
            Err(Errno::INTR) => Ok(0),
            outcome => Ok(outcome?),
        }
    }

    /// The event at `index` of the last wait.
    #[inline]
    pub fn event(&self, index: usize) -> Event {
        let event = self.events[index];
        Event {
            token: event.data.u64(),
            flags: event.flags,
        }
    }
}
