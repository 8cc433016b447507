//! The environment of a thread that serves a session plane: the plane, on which it
//! sleeps, the [loop](run) of its turns, and a monoio runtime as the plane's
//! [guest](crate::plane::guest) for what happens once per connection or per second.
//!
//! Shards of the server are such threads. Those of a load generator are too, but
//! have no runtime, because they have no tasks.
//!
//! # Invariants worth naming
//!
//! - The thread has one place to sleep: [`Plane::wait`]. The runtime never parks.
//! - Tasks use the [timers](time) and [`spawn`](tasks::spawn) of this module, not
//!   monoio's: the loop must know when the next timer is due, and which tasks ran.

pub mod run;
pub mod tasks;
pub mod time;

use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};

use monoio::net::TcpStream;
use monoio::{Driver, IoUringDriver, LegacyDriver, RuntimeBuilder};

use crate::plane::epoll::EpollPlane;
use crate::plane::guest::Guest;
use crate::plane::uring::{self, UringPlane};
use crate::plane::{Plane, ResolvedDriver};
use crate::sys::EventFd;

/// Entries of the runtime's own ring: accepting and handshakes.
const RUNTIME_ENTRIES: u32 = 1_024;
/// How often a runtime is made until its descriptor is found. More than once is
/// needed only where other threads share the table and open something meanwhile.
const ATTEMPTS: usize = 32;

/// The kernel interface that the host does not give.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// io_uring.
    #[error(transparent)]
    Uring(uring::Unavailable),
    /// epoll.
    #[error("epoll is not available: {0}")]
    Epoll(#[source] io::Error),
}

/// Makes the session plane of the calling thread, whose readiness notifies `event`.
///
/// # Errors
/// When the host refuses; the error names the cause.
pub fn make_plane(
    driver: ResolvedDriver,
    event: Arc<EventFd>,
) -> Result<Box<dyn Plane>, Unavailable> {
    match driver {
        ResolvedDriver::Uring => {
            let plane = UringPlane::new(event).map_err(Unavailable::Uring)?;
            tracing::debug!(flags = plane.flags(), "session ring");
            Ok(Box::new(plane))
        }
        ResolvedDriver::Epoll => EpollPlane::new(event)
            .map(|plane| Box::new(plane) as _)
            .map_err(Unavailable::Epoll),
    }
}

/// The runtime of one thread. It never moves to another.
pub struct Runtime {
    inner: Inner,
    guest: Arc<Guest>,
}

enum Inner {
    Uring(monoio::Runtime<IoUringDriver>),
    Epoll(monoio::Runtime<LegacyDriver>),
}

impl Runtime {
    /// Makes the calling thread's runtime.
    ///
    /// # Errors
    /// When the host refuses; the error names the cause.
    pub fn new(driver: ResolvedDriver) -> Result<Self, Unavailable> {
        let (inner, guest) = match driver {
            ResolvedDriver::Uring => {
                let ((runtime, guest), flags) = uring::with_best_flags(|builder| {
                    let build = || {
                        RuntimeBuilder::<IoUringDriver>::new()
                            .uring_builder(builder.clone())
                            .with_entries(RUNTIME_ENTRIES)
                            .build()
                    };
                    find(build, Guest::uring)
                })
                .map_err(Unavailable::Uring)?;
                tracing::debug!(flags, "runtime ring");
                (Inner::Uring(runtime), guest)
            }
            ResolvedDriver::Epoll => {
                let build = || RuntimeBuilder::<LegacyDriver>::new().build();
                let found = find(build, |epoll| Ok(Guest::epoll(epoll)));
                let (runtime, guest) = found.map_err(Unavailable::Epoll)?;
                (Inner::Epoll(runtime), guest)
            }
        };
        let guest = Arc::new(guest);
        Ok(Runtime { inner, guest })
    }

    /// Runs what `root` makes until it is done, and what it spawns meanwhile. It is
    /// given the runtime's own side as a guest, for [`run::run`].
    pub fn block_on<F: Future>(&mut self, root: impl FnOnce(Arc<Guest>) -> F) -> F::Output {
        let future = root(Arc::clone(&self.guest));
        match &mut self.inner {
            Inner::Uring(runtime) => runtime.block_on(future),
            Inner::Epoll(runtime) => runtime.block_on(future),
        }
    }
}

/// Makes a runtime and finds its ring or epoll instance, which the runtime does not
/// tell: the kernel gives the lowest free descriptor, and a wait in the runtime shows
/// whether that was it.
fn find<D: Driver>(
    mut build: impl FnMut() -> io::Result<monoio::Runtime<D>>,
    as_guest: impl Fn(RawFd) -> io::Result<Guest>,
) -> io::Result<(monoio::Runtime<D>, Guest)> {
    /// Held so that threads of this process that share a table do not disturb each other.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..ATTEMPTS {
        let lowest_free = EventFd::new()?.as_raw_fd();
        let mut runtime = build()?;
        match as_guest(lowest_free) {
            Ok(guest) if calls(&mut runtime, &guest)? => return Ok((runtime, guest)),
            Err(error) if has_run_out(&error) => return Err(error),
            // It was another's.
            Ok(_) | Err(_) => {}
        }
    }
    Err(io::Error::other(
        "other threads opened files all the time, so that the runtime's own descriptor could not be told \
         from theirs; start again",
    ))
}

/// Whether an error is about what the host has too little of, and not about the
/// descriptor that was tried.
fn has_run_out(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM)
    )
}

/// Whether it is this runtime that calls through this guest.
fn calls<D: Driver>(runtime: &mut monoio::Runtime<D>, guest: &Guest) -> io::Result<bool> {
    if guest.is_called() {
        return Ok(false);
    }
    let event = EventFd::new()?;
    event.notify();
    let event = event.duplicate()?;
    runtime.block_on(async {
        let event = TcpStream::from_std(event.into())?;
        // An epoll instance calls at once, a ring when the wait is over.
        let at_once = guest.is_called();
        event.readable(false).await?;
        Ok(at_once || guest.is_called())
    })
}
