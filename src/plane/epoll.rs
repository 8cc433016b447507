//! The session plane on epoll, for hosts that keep io_uring closed, and for
//! measuring the difference.
//!
//! # Invariants worth naming
//!
//! - Every socket is registered once, edge-triggered, for both directions.
//! - The shard's event is registered too, so that the epoll descriptor alone
//!   tells when a turn is due.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use super::{Plane, Readiness, SessionKey, WATCHED};
use crate::link::Link;
use crate::sys::EventFd;

/// Events taken from the kernel in one call.
const BATCH: usize = 1_024;
/// The shard's event among the sessions' keys.
const EVENT: u64 = u64::MAX;

/// The epoll implementation of [`Plane`].
pub struct EpollPlane {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
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
        // SAFETY: the descriptor is new and nobody else's.
        let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
        let plane = EpollPlane {
            epoll,
            events: Vec::with_capacity(BATCH),
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

    /// Fills `self.events` with what is ready now.
    fn take_events(&mut self) -> io::Result<()> {
        self.events.clear();
        // SAFETY: the buffer has room for BATCH events.
        let taken = unsafe {
            libc::epoll_wait(
                self.epoll.as_raw_fd(),
                self.events.as_mut_ptr(),
                BATCH as libc::c_int,
                0,
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
        self.take_events()?;
        ready.extend(
            self.events
                .iter()
                .filter(|event| event.u64 != EVENT)
                .map(|event| {
                    Readiness::from_events(SessionKey::from_bits(event.u64), event.events)
                }),
        );
        Ok(self.events.len() == BATCH)
    }

    fn looks_ready(&mut self) -> bool {
        let mut poll = libc::pollfd {
            fd: self.epoll.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: `poll` is one valid pollfd.
        unsafe { libc::poll(&mut poll, 1, 0) > 0 }
    }

    fn wake_fd(&self) -> io::Result<OwnedFd> {
        self.epoll.try_clone()
    }
}
