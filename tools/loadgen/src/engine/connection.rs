//! A connection, as its thread remembers it.

use corecast::link::Outlet;
use corecast::table::Entry;
use corecast::ws::Decoder;

use crate::cause::Cause;

/// The state that a connection needs until its handshake is done.
pub(super) struct Opening {
    /// When it was to begin.
    pub planned: u64,
    /// `Sec-WebSocket-Accept` that belongs to its key.
    pub accept: [u8; 28],
    /// The rest of the request, while the connection is not there to take it.
    pub unsent: Vec<u8>,
    /// The beginning of a response that came in pieces.
    pub received: Vec<u8>,
}

/// The stage of a connection in its life.
pub(super) enum Stage {
    /// The TCP connection or the handshake is under way.
    Opening(Box<Opening>),
    /// Messages flow.
    Open,
    /// A close frame was sent; we wait for the server's, or for its end.
    Closing,
}

/// A connection. Kept small: a million connections cost this a million times.
pub(super) struct Connection<T> {
    pub outlet: Outlet,
    /// Tells it from others that have had its place in the table.
    pub generation: u32,
    /// Which connection of the run it is; a user that comes back keeps its number.
    pub number: u32,
    pub decoder: Decoder,
    pub stage: Stage,
    /// Place in the list of open connections.
    pub place: u32,
    /// In the list of those to be read in the next turn.
    pub queued: bool,
    /// Wants a wake-up when its socket takes bytes again.
    pub wants_room: bool,
    /// The scenario's part.
    pub state: T,
}

impl<T> Entry for Connection<T> {
    #[inline]
    fn generation(&self) -> u32 {
        self.generation
    }

    fn outlet(&self) -> &Outlet {
        &self.outlet
    }

    fn set_due(&mut self) -> bool {
        !std::mem::replace(&mut self.queued, true)
    }

    fn clear_due(&mut self) {
        self.queued = false;
    }
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was never open.
    Failed(Cause),
    /// It was open, and ended without our will.
    Lost(Cause),
    /// We ended it.
    Closed,
}
