//! The floors: the cost of a server on this kernel that has no protocol at all.
//!
//! A WebSocket server must at least receive and send the bytes. A floor does
//! that and nothing else, in the plainest loop that is fast, so that the ratio
//! of the server to its floor is what the server itself adds. A floor reads no
//! frames: the load sends it the same masked bytes and expects the same number
//! of bytes back.

mod accept;
mod buffer_ring;
mod echo;
mod epoll;
mod sendloop;
mod uring;

use std::convert::Infallible;
use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;

use clap::ValueEnum;
use corecast_kit::sys;
use uring::Sends;

use crate::During;
use crate::Result;

pub use accept::{RESPONSE, SAMPLE_ACCEPT, SAMPLE_KEY};
pub use sendloop::GREETING;

/// Bytes a floor reads at a time, which stay in the core's cache.
const SCRATCH_BYTES: usize = 64 * 1024;

/// Events a floor takes from the kernel at a time.
const EVENT_BATCH: usize = 1024;

/// The token of the listener; connections have their index.
const LISTENER: u64 = u64::MAX;

/// Which floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Floor {
    /// TCP echo on edge-triggered epoll.
    Epoll,
    /// TCP echo on io_uring: multishot accept and receive, direct sends.
    Uring,
    /// The same with sends queued on the ring.
    UringQueued,
    /// Sends each unit it receives to every connection, in a plain loop.
    Sendloop,
    /// Accepts, reads a request, sends a canned response, waits for the reset.
    Accept,
}

impl Floor {
    /// The word used on the command line and in the report.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether it cannot run where io_uring is forbidden.
    pub fn needs_io_uring(self) -> bool {
        matches!(self, Floor::Uring | Floor::UringQueued)
    }

    /// Begins to listen; connections queue from now on.
    pub fn listen(address: SocketAddrV4) -> Result<OwnedFd> {
        sys::listen(address).during(format!("listening on {address}"))
    }

    /// Serves `listener` until the process ends. `unit_bytes` is the size of a
    /// publication and concerns [`Floor::Sendloop`] alone.
    pub fn serve(self, listener: OwnedFd, unit_bytes: usize) -> Result<Infallible> {
        match self {
            Floor::Epoll => epoll::serve(listener),
            Floor::Uring => uring::serve(listener, Sends::Direct),
            Floor::UringQueued => uring::serve(listener, Sends::Queued),
            Floor::Sendloop => sendloop::serve(listener, unit_bytes),
            Floor::Accept => accept::serve(listener),
        }
        .during(format!("serving the {} floor", self.as_str()))
    }
}
