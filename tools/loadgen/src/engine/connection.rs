//! A connection, as its thread remembers it.

use corecast::send_queue::SendQueue;
use corecast::sys::Socket;
use corecast::ws::Decoder;

use crate::cause::Cause;

/// What a connection needs until its handshake is done.
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

/// Where a connection stands in its life.
pub(super) enum Stage {
    /// The TCP connection or the handshake is under way.
    Opening(Box<Opening>),
    /// Messages flow.
    Open,
    /// A close frame was sent; we wait for the server's, or for its end.
    Closing,
}

/// A connection. Kept small: this is what a million of them cost a million times.
pub(super) struct Connection<T> {
    pub socket: Socket,
    /// Tells it from others that have had its place in the table.
    pub generation: u32,
    /// Which connection of the run it is; a user that comes back keeps its number.
    pub number: u32,
    pub decoder: Decoder,
    /// Outgoing bytes the socket did not take.
    pub queue: Option<Box<SendQueue>>,
    pub stage: Stage,
    /// Place in the list of open connections.
    pub place: u32,
    /// In the list of those to be read in the next turn.
    pub queued: bool,
    /// Wants to hear when its socket takes bytes again.
    pub wants_room: bool,
    /// The scenario's part.
    pub state: T,
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
