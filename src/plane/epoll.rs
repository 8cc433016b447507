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
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use super::{Plane, Readiness, SessionKey, WATCHED};
use crate::link::Link;
use crate::sys::{EventFd, is_readable};

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
    events: Vec<Event>,
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
        let plane = EpollPlane {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(BATCH),
            waited: false,
            guest_is_watched: false,
            guest_called: false,
            _event: Arc::clone(&event),
        };
        plane.add(&event, EventFlags::IN | EventFlags::ET, EVENT)?;
        Ok(plane)
    }

    fn add(&self, fd: impl AsFd, events: EventFlags, data: u64) -> io::Result<()> {
        Ok(epoll::add(
            &self.epoll,
            fd,
            EventData::new_u64(data),
            events,
        )?)
    }

    /// Fills `self.events` with what is ready within that time; without one it waits
    /// for as long as it takes.
    fn take_events(&mut self, limit: Option<Duration>) -> io::Result<()> {
        // Rounded up: a wait that ends before the time is over would be made again.
        // Longer than the kernel can be told is for ever.
        let whole_ms = |limit: Duration| {
            let limit_ms = limit.as_micros().div_ceil(1_000).min(i32::MAX as u128) as u64;
            Timespec::try_from(Duration::from_millis(limit_ms)).ok()
        };
        let limit = limit.and_then(whole_ms);
        self.events.clear();
        match epoll::wait(
            &self.epoll,
            spare_capacity(&mut self.events),
            limit.as_ref(),
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Plane for EpollPlane {
    fn watch(&mut self, link: &Link, key: SessionKey) -> io::Result<()> {
        let events = EventFlags::from_bits_retain(WATCHED) | EventFlags::ET;
        self.add(link, events, key.to_bits())
    }

    fn unwatch(&mut self, link: &Link, _key: SessionKey) {
        // Only a socket that was never watched could fail here.
        let _ = epoll::delete(&self.epoll, link);
    }

    fn turn(&mut self, ready: &mut Vec<Readiness>) -> io::Result<bool> {
        if !std::mem::take(&mut self.waited) {
            self.take_events(Some(Duration::ZERO))?;
        }
        for event in &self.events {
            let (data, events) = (event.data, event.flags);
            match data.u64() {
                EVENT => {}
                GUEST => self.guest_called = true,
                bits => ready.push(Readiness::from_events(
                    SessionKey::from_bits(bits),
                    events.bits(),
                )),
            }
        }
        Ok(self.events.len() == BATCH)
    }

    fn looks_ready(&mut self) -> bool {
        self.waited || is_readable(&self.epoll)
    }

    fn wait(&mut self, limit: Option<Duration>) -> io::Result<()> {
        if self.waited {
            return Ok(());
        }
        self.take_events(limit)?;
        self.waited = true;
        Ok(())
    }

    fn await_call(&mut self, guest: BorrowedFd<'_>) -> io::Result<()> {
        if !self.guest_is_watched {
            self.add(guest, EventFlags::IN, GUEST)?;
            self.guest_is_watched = true;
        }
        Ok(())
    }

    fn takes_call(&mut self) -> bool {
        std::mem::take(&mut self.guest_called)
    }
}
