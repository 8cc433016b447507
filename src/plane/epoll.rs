//! The session plane on epoll, for hosts that keep io_uring closed, and for
//! measuring the difference.
//!
//! # Invariants worth naming
//!
//! - Every socket is registered once, edge-triggered, for both directions.
//! - The shard's event is registered too, edge-triggered: each notification ends one
//!   wait, and it never has to be emptied.
//! - The guest is registered for levels: its own epoll instance is readable for as
//!   long as it has not taken its events.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use super::{Plane, Readiness, SessionKey, WATCHED, is_readable};
use crate::link::Link;
use crate::sys::EventFd;

/// Events taken from the kernel in one call.
const BATCH: usize = 1_024;
/// The shard's event among the sessions' keys.
const EVENT: u64 = u64::MAX;
/// The guest among the sessions' keys.
const GUEST: u64 = u64::MAX - 2;

/// The epoll implementation of [`Plane`].
pub struct EpollPlane {
    epoll: OwnedFd,
    /// The events that the kernel gave last, unless a turn has taken them.
    events: Vec<libc::epoll_event>,
    /// Whether a wait has filled `events` since the last turn.
    waited: bool,
    guest_is_watched: bool,
    guest_called: bool,
    /// Kept because the epoll instance watches it.
    _event: Arc<EventFd>,
}

impl EpollPlane {
    /// Makes the shard's epoll instance, which also reports `event`.
    ///
    /// # Errors
    /// When descriptors or memory run out.
    pub fn new(event: Arc<EventFd>) -> io::Result<Self> {
        // SAFETY: epoll_create1 takes no pointers.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and has no other owner.
        let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
        let plane = EpollPlane {
            epoll,
            events: Vec::with_capacity(BATCH),
            waited: false,
            guest_is_watched: false,
            guest_called: false,
            _event: Arc::clone(&event),
        };
        plane.control(
            libc::EPOLL_CTL_ADD,
            event.as_raw_fd(),
            (libc::EPOLLIN | libc::EPOLLET) as u32,
            EVENT,
        )?;
        Ok(plane)
    }

    fn control(&self, operation: libc::c_int, fd: RawFd, events: u32, data: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events, u64: data };
        // SAFETY: `event` is valid for the call; the kernel copies it.
        match unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd, &mut event) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Fills `self.events` with what is ready within so many milliseconds; −1 is for ever.
    fn take_events(&mut self, limit_ms: libc::c_int) -> io::Result<()> {
        self.events.clear();
        // SAFETY: the buffer has room for BATCH events.
        let taken = unsafe {
            libc::epoll_wait(
                self.epoll.as_raw_fd(),
                self.events.as_mut_ptr(),
                BATCH as libc::c_int,
                limit_ms,
            )
        };
        match usize::try_from(taken) {
            Ok(taken) => {
                // SAFETY: the kernel has initialised the first `taken` events.
                unsafe { self.events.set_len(taken) };
                Ok(())
            }
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
                error => Err(error),
            },
        }
    }
}

impl Plane for EpollPlane {
    fn watch(&mut self, link: &Link, key: SessionKey) -> io::Result<()> {
        let events = WATCHED | libc::EPOLLET as u32;
        self.control(
            libc::EPOLL_CTL_ADD,
            link.as_fd().as_raw_fd(),
            events,
            key.to_bits(),
        )
    }

    fn unwatch(&mut self, link: &Link, _key: SessionKey) {
        // Only a socket that was never watched could fail here.
        let _ = self.control(libc::EPOLL_CTL_DEL, link.as_fd().as_raw_fd(), 0, 0);
    }

    fn turn(&mut self, ready: &mut Vec<Readiness>) -> io::Result<bool> {
        if !std::mem::take(&mut self.waited) {
            self.take_events(0)?;
        }
        for event in &self.events {
            match event.u64 {
                EVENT => {}
                GUEST => self.guest_called = true,
                bits => ready.push(Readiness::from_events(
                    SessionKey::from_bits(bits),
                    event.events,
                )),
            }
        }
        Ok(self.events.len() == BATCH)
    }

    fn looks_ready(&mut self) -> bool {
        self.waited || is_readable(self.epoll.as_raw_fd())
    }

    fn wait(&mut self, limit: Option<Duration>) -> io::Result<()> {
        if self.waited {
            return Ok(());
        }
        // Rounded up: a wait that ends before the time is over would be made again.
        let limit_ms = limit.map_or(-1, |limit| {
            i32::try_from(limit.as_micros().div_ceil(1_000)).unwrap_or(i32::MAX)
        });
        self.take_events(limit_ms)?;
        self.waited = true;
        Ok(())
    }

    fn await_call(&mut self, guest: BorrowedFd<'_>) -> io::Result<()> {
        if !self.guest_is_watched {
            let events = libc::EPOLLIN as u32;
            self.control(libc::EPOLL_CTL_ADD, guest.as_raw_fd(), events, GUEST)?;
            self.guest_is_watched = true;
        }
        Ok(())
    }

    fn takes_call(&mut self) -> bool {
        std::mem::take(&mut self.guest_called)
    }
}
