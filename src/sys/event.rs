//! The event by which one thread wakes another.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::event::EventfdFlags;

/// A counter in the kernel that wakes the threads that wait for it to be non-zero.
#[derive(Debug)]
pub struct EventFd(OwnedFd);

impl EventFd {
    /// Makes one whose count is zero.
    ///
    /// # Errors
    /// When descriptors or memory run out.
    pub fn new() -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(EventFd(rustix::event::eventfd(0, flags)?))
    }

    /// Wakes the waiter, now or when it next waits.
    pub fn notify(&self) {
        // A full counter (`WouldBlock`) means that the waiter is woken already.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    /// Sets the count back to zero.
    pub fn drain(&self) {
        // `WouldBlock` means that it was zero already.
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }

    /// A second descriptor of the same counter.
    ///
    /// # Errors
    /// When descriptors run out.
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        self.0.try_clone()
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
