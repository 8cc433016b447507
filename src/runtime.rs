//! What a thread that serves a session plane runs in: a monoio runtime with
//! the best ring flags this kernel grants, and the plane beside it.
//!
//! Shards of the server are such threads, and so are those of a load generator.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;

use monoio::time::TimeDriver;
use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};

use crate::plane::epoll::EpollPlane;
use crate::plane::uring::{self, UringPlane};
use crate::plane::{Plane, ResolvedDriver};
use crate::sys::EventFd;

/// Entries of the runtime's own ring: accepting, handshakes and timers.
const RUNTIME_ENTRIES: u32 = 1_024;

/// What the host does not give.
#[derive(Debug)]
pub enum Unavailable {
    /// io_uring.
    Uring(uring::Unavailable),
    /// epoll.
    Epoll(io::Error),
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unavailable::Uring(unavailable) => unavailable.fmt(f),
            Unavailable::Epoll(error) => write!(f, "epoll is not available: {error}"),
        }
    }
}

impl std::error::Error for Unavailable {}

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
pub enum Runtime {
    /// On a ring.
    Uring(monoio::Runtime<TimeDriver<IoUringDriver>>),
    /// On epoll.
    Epoll(monoio::Runtime<TimeDriver<LegacyDriver>>),
}

impl Runtime {
    /// Makes the calling thread's runtime.
    ///
    /// # Errors
    /// When the host refuses; the error names the cause.
    pub fn new(driver: ResolvedDriver) -> Result<Self, Unavailable> {
        match driver {
            ResolvedDriver::Uring => {
                let (runtime, flags) = uring::with_best_flags(|builder| {
                    RuntimeBuilder::<TimeDriver<IoUringDriver>>::new()
                        .uring_builder(builder.clone())
                        .with_entries(RUNTIME_ENTRIES)
                        .build()
                })
                .map_err(Unavailable::Uring)?;
                tracing::debug!(flags, "runtime ring");
                Ok(Runtime::Uring(runtime))
            }
            ResolvedDriver::Epoll => RuntimeBuilder::<TimeDriver<LegacyDriver>>::new()
                .build()
                .map(Runtime::Epoll)
                .map_err(Unavailable::Epoll),
        }
    }

    /// Runs `future` and everything it spawns until it is done.
    pub fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        match self {
            Runtime::Uring(runtime) => runtime.block_on(future),
            Runtime::Epoll(runtime) => runtime.block_on(future),
        }
    }
}
