//! An asynchronous runtime that lives on the thread of a session plane.
//!
//! The thread sleeps on the plane. The runtime's own wait in the kernel is one more
//! thing that the plane watches: the eventfd that its ring signals, or its epoll
//! descriptor. Only when that is readable is the runtime entered.
//!
//! # Invariants worth naming
//!
//! - The event of a guest's ring is emptied before the last look at the ring, and
//!   watched again after it: an operation that completes in between is either seen by
//!   the look or leaves the event readable.
//! - The runtime keeps its descriptor to itself. The kernel gives the lowest free
//!   number, so the number is known before the runtime is made; the caller proves
//!   that it was the right one (see [`Guest::is_called`]).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use crate::sys::{EventFd, is_readable};

const ENTER_GETEVENTS: libc::c_uint = 1;
const REGISTER_EVENTFD: libc::c_uint = 4;
/// More than any ring of a runtime holds: all that is queued is submitted. A call
/// that submits less than it says ends there, so it cannot take completions too.
const ALL: libc::c_uint = 65_536;

/// How a runtime on this thread is told from outside that it has something to do.
pub enum Guest {
    /// A runtime on a ring of its own.
    Uring {
        /// Its ring.
        ring: RawFd,
        /// Signalled by the ring when it has completions, or deferred work that will be some.
        event: EventFd,
    },
    /// A runtime on an epoll instance of its own.
    Epoll {
        /// Its epoll instance, which can be polled itself.
        epoll: RawFd,
    },
}

impl Guest {
    /// A runtime whose ring has this number.
    ///
    /// # Errors
    /// When the number is not that of a ring, or of another thread's, or of one
    /// with an event already.
    pub fn uring(ring: RawFd) -> io::Result<Self> {
        let event = EventFd::new()?;
        let fd = event.as_raw_fd();
        // SAFETY: the pointer is to one descriptor, which is what this operation reads.
        let registered = unsafe {
            libc::syscall(
                libc::SYS_io_uring_register,
                ring,
                REGISTER_EVENTFD,
                &raw const fd,
                1 as libc::c_uint,
            )
        };
        match registered {
            0 => Ok(Guest::Uring { ring, event }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// A runtime whose epoll instance has this number.
    pub fn epoll(epoll: RawFd) -> Self {
        Guest::Epoll { epoll }
    }

    /// The descriptor that is readable when the runtime has something to do.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        match self {
            Guest::Uring { event, .. } => event.as_fd(),
            Guest::Epoll { epoll } => self.lend(*epoll),
        }
    }

    /// Whether the runtime has something to do.
    pub fn is_called(&self) -> bool {
        is_readable(&self.descriptor())
    }

    /// Before the runtime looks at its completions: lets the kernel run what it
    /// has deferred, which the runtime itself does only when it waits.
    ///
    /// # Errors
    /// When the runtime's ring is broken.
    pub fn enter(&self) -> io::Result<()> {
        match self {
            Guest::Uring { ring, .. } => enter(*ring, 0, ENTER_GETEVENTS).map(drop),
            Guest::Epoll { .. } => Ok(()),
        }
    }

    /// After the runtime's tasks have run: hands the kernel what they have queued.
    /// Returns whether the runtime has something to do already; if not, its
    /// descriptor will tell. `called` says whether it had called before they ran.
    ///
    /// # Errors
    /// When the runtime's ring is broken.
    pub fn leave(&self, called: bool) -> io::Result<bool> {
        match self {
            Guest::Uring { ring, event } => {
                let Some(submitted) = enter(*ring, ALL, 0)? else {
                    return Ok(true);
                };
                // Otherwise nothing can have completed that is not watched.
                if !called && submitted == 0 {
                    return Ok(false);
                }
                event.drain();
                Ok(is_readable(&self.lend(*ring)))
            }
            Guest::Epoll { .. } => Ok(false),
        }
    }

    /// The descriptor of the runtime's own wait, for a call.
    fn lend(&self, fd: RawFd) -> BorrowedFd<'_> {
        // SAFETY: the runtime, which the caller keeps as long as its guest, has it open.
        unsafe { BorrowedFd::borrow_raw(fd) }
    }
}

/// Enters the kernel for a ring without waiting. Returns how many submissions it
/// took, or nothing if it could take none for now.
fn enter(ring: RawFd, submit: libc::c_uint, flags: libc::c_uint) -> io::Result<Option<usize>> {
    // SAFETY: no argument is passed; what the submissions point at is the
    // runtime's, which keeps it until they complete.
    let entered = unsafe {
        libc::syscall(
            libc::SYS_io_uring_enter,
            ring,
            submit,
            0 as libc::c_uint,
            flags,
            std::ptr::null::<libc::c_void>(),
            0usize,
        )
    };
    if let Ok(submitted) = usize::try_from(entered) {
        return Ok(Some(submitted));
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        // The runtime makes room when it takes its completions.
        Some(libc::EINTR | libc::EAGAIN | libc::EBUSY) => Ok(None),
        _ => Err(error),
    }
}
