//! A live connection, as its shard remembers it.
//!
//! # Invariants worth naming
//!
//! - An idle session is its entry in the shard's table and nothing else: no
//!   task, no buffer. The decoder, the send queue and held input take memory
//!   only while something is pending in them.
//! - A session leaves [`Stage::Open`] once and for good; its handler has heard
//!   `close` by then, and it is in no topic any more.

mod outgoing;
mod receive;

pub(crate) use outgoing::Outgoing;
pub(crate) use receive::{Allowance, Flow, Received};

use crate::hub::Subscriptions;
use crate::metrics::EndReason;
use crate::send_queue::SendQueue;
use crate::sys::Socket;
use crate::ws::Decoder;

/// Where a session stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Messages flow.
    Open,
    /// Our close frame is on its way; what still comes is discarded until the
    /// peer's close frame, its end of stream, or the close timeout.
    Closing(EndReason),
    /// Both close frames are exchanged or will never be. What is queued still
    /// leaves; then our side is shut and whatever comes is read and thrown
    /// away, because closing over unread bytes would reset the connection and
    /// destroy our close frame on its way.
    Lingering(EndReason),
}

/// Why an open session is not read, its own queue apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// It is read.
    No,
    /// Its publications have no room; it is in the list of those that wait for it.
    ForRoom,
    /// It has used up its rate; it is in the list of those that are paused.
    ForRate,
}

/// Input that was read but cannot be served yet.
pub(crate) struct HeldInput {
    pub(crate) bytes: Vec<u8>,
    /// How much of it was served since.
    pub(crate) served: usize,
}

/// A live connection. Kept small: this is what an idle connection costs.
pub(crate) struct Session {
    pub(crate) socket: Socket,
    /// Tells this session from others that have had its place in the table.
    pub(crate) generation: u32,
    pub(crate) decoder: Decoder,
    /// Outgoing bytes the socket did not take.
    pub(crate) queue: Option<Box<SendQueue>>,
    /// Input that was read but must wait, like the session.
    pub(crate) held: Option<Box<HeldInput>>,
    pub(crate) subscriptions: Subscriptions,
    /// The handler's state of this session.
    pub(crate) slot: u32,
    /// When the present wait began, in milliseconds of the shard's clock: the
    /// last sign of life of an open session, else the change of stage.
    pub(crate) since: u32,
    pub(crate) route: u16,
    pub(crate) stage: Stage,
    /// Bytes may be waiting in the socket that no readiness will tell of again.
    pub(crate) unread: bool,
    /// In the list of those to be read in the next turn.
    pub(crate) queued: bool,
    pub(crate) wait: Wait,
    /// A ping was sent since the last sign of life.
    pub(crate) pinged: bool,
}

impl Session {
    /// The slot of a session whose handler has no state for it.
    pub(crate) const NO_SLOT: u32 = u32::MAX;

    pub(crate) fn pending_bytes(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.pending_bytes())
    }

    pub(crate) fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// Whether the session must not be read for now.
    pub(crate) fn is_paused(&self, high_water_mark_bytes: usize) -> bool {
        self.wait != Wait::No || self.held.is_some() || self.pending_bytes() > high_water_mark_bytes
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Session;

    #[test]
    fn a_session_fits_a_cache_line() {
        assert!(size_of::<Session>() <= 56, "{} bytes", size_of::<Session>());
    }
}
