//! A live connection, as its shard remembers it.
//!
//! # The states of a session
//!
//! [`Stage`] is the lifecycle; the other fields that a state allows are in the
//! table. Only the methods of [`Session`] in this file change them.
//!
//! | stage | wait | held input | it is read | `since` is |
//! |---|---|---|---|---|
//! | `Open` | `No` | none | yes, while its queue is not over the mark | when it was last heard, or should have been pinged |
//! | `Open` | `No` | some | when its queue is down to the mark | the same |
//! | `Open` | `ForRoom` | some or none | when publications have room | the same |
//! | `Open` | `ForRate` | some or none | when its rate allows | the same |
//! | `Closing` | – | none | yes, for the peer's close frame | when the close frame was queued, later when it left |
//! | `Lingering` | – | none | yes, and thrown away | when this began, later when the last byte left |
//!
//! ```text
//!            handler, limit, drain          peer's close frame, fault
//!   Open ───────────────────────► Closing ──────────────────────────► Lingering
//!     │                              │                                    │
//!     ├── peer's close frame or fault, with bytes still to leave or read ─┤
//!     │                              │                                    │
//!     └──────────────── reset, end of stream, timeout, done ──────────────┴─► gone
//! ```
//!
//! # Invariants worth naming
//!
//! - An idle session is its entry in the shard's table and nothing else: no
//!   task, no buffer. The decoder, the send queue and held input take memory
//!   only while something is pending in them.
//! - A session leaves [`Stage::Open`] once and for good; its handler has heard
//!   `close` by then, and it is in no topic any more.
//! - Every end of a session is returned as [`Over`], up to the one place where the
//!   shard takes the session out of its table. So each end is counted once.
//! - Input that no readiness will tell of again is [`Reading::Owed`] or
//!   [`Reading::Due`]; it is never forgotten.

mod close;
mod errand;
mod latest;
mod publishing;
mod rates;
mod receive;
mod serve;
mod serving;
mod view;

pub(crate) use publishing::{Publishing, ShardRoute};
pub(crate) use rates::{RateLimits, Rates};
pub(crate) use serving::{Clock, Serving};
pub(crate) use view::SessionMut;

use std::ops::ControlFlow;
use std::rc::Rc;

use crate::hub::Subscriptions;
use crate::link::{Link, Outlet};
use crate::metrics::EndReason;
use crate::publication::Run;
use crate::table::Entry;
use crate::ws::Decoder;

/// The stage of a session in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Messages flow.
    Open {
        /// Why it is not read, its own queue apart.
        wait: Wait,
        /// A ping was sent since data last arrived.
        pinged: bool,
    },
    /// Our close frame is on its way; data that still comes is discarded until the
    /// peer's close frame, its end of stream, or the close timeout.
    Closing(EndReason),
    /// Both close frames are exchanged or will never be. The queued bytes still leave;
    /// then our side is shut and all that arrives is read and thrown away, because
    /// closing over unread bytes would reset the connection and destroy our close frame
    /// on its way.
    Lingering(EndReason),
}

impl Stage {
    /// How every session begins.
    const OPEN: Stage = Stage::Open {
        wait: Wait::No,
        pinged: false,
    };
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

/// The cause of a session's next read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Readiness of its socket.
    Armed,
    /// Bytes or an end may be in its socket of which no readiness will tell
    /// again; to be read as soon as it may be.
    Owed,
    /// It is in the table's list for the next turn.
    Due,
}

/// Whether a session goes on, or why it is over and has to leave the table.
pub(crate) type Over<T = ()> = ControlFlow<EndReason, T>;

/// The session goes on.
pub(crate) const LIVES: Over = ControlFlow::Continue(());

/// Input that was read but cannot be served yet.
#[derive(Debug)]
struct HeldInput {
    bytes: Vec<u8>,
    /// How much of it was served since.
    served: usize,
}

/// A live connection. Kept small: this is what an idle connection costs.
pub(crate) struct Session {
    outlet: Outlet,
    decoder: Decoder,
    /// Input that was read but must wait, like the session.
    held: Option<Box<HeldInput>>,
    subscriptions: Subscriptions,
    /// Tells this session from others that have had its place in the table.
    generation: u32,
    /// The handler's state of this session.
    slot: u32,
    /// When the present wait began, in milliseconds of the shard's clock.
    since: u32,
    route: u16,
    stage: Stage,
    reading: Reading,
}

impl Entry for Session {
    #[inline]
    fn generation(&self) -> u32 {
        self.generation
    }

    fn outlet(&self) -> &Outlet {
        &self.outlet
    }

    fn set_due(&mut self) -> bool {
        std::mem::replace(&mut self.reading, Reading::Due) != Reading::Due
    }

    fn clear_due(&mut self) {
        self.reading = Reading::Armed;
    }
}

impl Session {
    /// The slot of a session whose handler has no state for it.
    const NO_SLOT: u32 = u32::MAX;

    pub(crate) fn new(link: Link, generation: u32, route: u16, now_ms: u32) -> Session {
        Session {
            outlet: Outlet::new(link),
            decoder: Decoder::new(),
            held: None,
            subscriptions: Subscriptions::default(),
            generation,
            slot: Session::NO_SLOT,
            since: now_ms,
            route,
            stage: Stage::OPEN,
            reading: Reading::Armed,
        }
    }

    /// The link of a session that never was one.
    pub(crate) fn into_outlet(self) -> Outlet {
        self.outlet
    }

    pub(crate) fn outlet(&self) -> &Outlet {
        &self.outlet
    }

    pub(crate) fn stage(&self) -> Stage {
        self.stage
    }

    pub(crate) fn route(&self) -> usize {
        usize::from(self.route)
    }

    /// When the present wait began; see the table above.
    pub(crate) fn since(&self) -> u32 {
        self.since
    }

    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open { .. })
    }

    /// Why an open session is not read, its own queue apart.
    #[inline]
    pub(crate) fn wait(&self) -> Wait {
        match self.stage {
            Stage::Open { wait, .. } => wait,
            Stage::Closing(_) | Stage::Lingering(_) => Wait::No,
        }
    }

    /// Whether the session must not be read for now.
    #[inline]
    pub(crate) fn is_paused(&self, high_water_mark_bytes: usize) -> bool {
        self.wait() != Wait::No
            || self.held.is_some()
            || self.outlet.pending_bytes() > high_water_mark_bytes
    }

    /// Makes an open session wait, or go on.
    fn set_wait(&mut self, reason: Wait) {
        if let Stage::Open { wait, .. } = &mut self.stage {
            *wait = reason;
        }
    }

    /// Whether the session stands in the list of those to be read in the next turn.
    #[inline]
    pub(crate) fn is_due(&self) -> bool {
        self.reading == Reading::Due
    }

    /// Data of an open session was received, so its peer is alive.
    #[inline]
    fn heard(&mut self, now_ms: u32) {
        if let Stage::Open { pinged, .. } = &mut self.stage {
            *pinged = false;
            self.since = now_ms;
        }
    }

    /// The session is not read for now, so its silence is ours.
    pub(crate) fn excuse(&mut self, now_ms: u32) {
        if self.is_open() {
            self.since = now_ms;
        }
    }

    /// A ping leaves that was due at `due_ms`. It leaves as long for the answer as
    /// one in time, so the wait counts from then.
    fn pinged(&mut self, due_ms: u32) {
        if let Stage::Open { pinged, .. } = &mut self.stage {
            *pinged = true;
            self.since = due_ms;
        }
    }

    /// Remembers that the socket has to be read although no readiness will tell.
    fn owe_read(&mut self) {
        if self.reading == Reading::Armed {
            self.reading = Reading::Owed;
        }
    }

    /// Whether the socket may hold something that no readiness will tell of.
    fn may_hold_unread(&self) -> bool {
        self.reading != Reading::Armed || self.outlet.watched().has_unread()
    }

    /// Moves on to a later stage. Returns the input that was held.
    fn enter(&mut self, stage: Stage, now_ms: u32) -> Option<Box<HeldInput>> {
        self.stage = stage;
        self.since = now_ms;
        self.shut_if_done();
        self.held.take()
    }

    /// The last byte that waited has left.
    fn emptied(&mut self, now_ms: u32) {
        if !self.is_open() {
            // The close frame is among what has left; the time to answer it begins.
            self.since = now_ms;
        }
        self.shut_if_done();
    }

    /// Nothing follows what a lingering session has sent.
    fn shut_if_done(&mut self) {
        if matches!(self.stage, Stage::Lingering(_)) && !self.outlet.is_pending() {
            self.outlet.link().shut_write();
        }
    }

    /// Delivers a run of publications: directly if nothing waits, else after what
    /// does.
    #[inline]
    fn deliver(&mut self, run: &Rc<Run>, max_pending_bytes: usize, now_ms: u32) -> Delivery {
        if self.outlet.is_pending() && self.outlet.weight() + run.len() > max_pending_bytes {
            return Delivery::TooMuch;
        }
        match self.outlet.push_shared(run, now_ms) {
            Ok(sent) => Delivery::Taken(sent),
            Err(_) => Delivery::Lost,
        }
    }

    /// Checks what the table above says.
    #[cfg(all(test, not(any(loom, miri))))]
    pub(crate) fn check_invariants(&self) {
        if !self.is_open() {
            assert!(self.held.is_none(), "a closing session holds input");
            assert!(
                self.subscriptions.is_empty(),
                "a closing session is in a topic"
            );
            assert_eq!(self.slot, Session::NO_SLOT, "a closing session has a state");
        }
        if let Some(held) = &self.held {
            assert!(held.served < held.bytes.len(), "nothing is held");
        }
        assert!(!self.outlet.is_pending() || self.outlet.pending_bytes() > 0);
    }
}

/// The outcome of one delivery.
enum Delivery {
    /// It left, or waits in the session's queue; so many bytes left now.
    Taken(usize),
    /// Too much waits already.
    TooMuch,
    /// The connection is lost.
    Lost,
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Session;

    #[test]
    fn a_session_fits_a_cache_line() {
        assert!(size_of::<Session>() <= 56, "{} bytes", size_of::<Session>());
    }
}
