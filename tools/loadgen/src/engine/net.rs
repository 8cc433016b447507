//! The connections of one thread and everything they are served with.
//!
//! # Invariants worth naming
//!
//! - An idle connection is its entry in the table: no task, no buffer.
//! - A connection that ends leaves the table at once, and its scenario is told
//!   at the end of the turn.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use corecast::plane::{Plane, SessionKey};
use corecast::table::{Scratch, Table};
use corecast::ws::{Decoder, Role, Rules};

use super::connection::{Connection, End, Stage};
use super::scenario::Context;
use super::shared::{Phase, Shared};
use super::tally::Tally;
use super::timers::Timers;
use crate::cause::Cause;
use crate::random::Random;
use crate::target::Target;

/// Received bytes are read into one buffer of this size per thread.
pub(super) const SCRATCH_BYTES: usize = 64 * 1024;
/// The largest message a server may send us.
const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// How connections are made, the same for all threads.
#[derive(Debug)]
pub struct Dialing {
    /// The servers, taken in turn.
    pub targets: Vec<Target>,
    /// Local addresses to connect from, taken in turn; none lets the kernel choose.
    pub sources: Vec<IpAddr>,
    /// More headers of the opening handshake. A `Sec-WebSocket-Protocol` among
    /// them is an offer that the server must take.
    pub headers: Vec<(String, String)>,
    /// How long a connection and its handshake may take, and an answer where
    /// the scenario waits for one.
    pub timeout: Duration,
    /// Users per room, for `{room}` in a target's path; 0 for one room.
    pub users_per_room: u32,
    /// End connections with a close frame and wait for the server's, rather
    /// than by a reset.
    pub close_frames: bool,
}

impl Dialing {
    /// The room of a connection.
    pub fn room(&self, number: u32) -> u32 {
        number.checked_div(self.users_per_room).unwrap_or(0)
    }
}

/// The connections of one thread.
pub struct Net<T> {
    /// Which thread this is.
    pub(super) thread: usize,
    pub(super) shared: Arc<Shared>,
    pub(super) dialing: Arc<Dialing>,
    pub(super) rules: Rules,
    pub(super) table: Table<Connection<T>>,
    /// The open ones, in no particular order.
    pub(super) open: Vec<SessionKey>,
    /// This thread's addresses, and which is next.
    pub(super) sources: Vec<IpAddr>,
    pub(super) next_source: usize,
    /// Connections whose handshake is not done.
    pub(super) opening: usize,
    pub(super) handshake_deadlines: VecDeque<(u64, SessionKey)>,
    pub(super) closing_deadlines: VecDeque<(u64, SessionKey)>,
    pub(super) timers: Timers<u64>,
    /// Numbers that are to be connected again.
    pub(super) returns: Timers<u32>,
    pub(super) woken: VecDeque<SessionKey>,
    /// Connections that are gone and whose scenario has not been told yet.
    pub(super) ended: Vec<(SessionKey, u32, T, End)>,
    pub(super) scratch: Scratch,
    pub(super) out: Vec<u8>,
    pub(super) random: Random,
    pub(super) tally: Tally,
    pub(super) now: u64,
    pub(super) phase: Phase,
    pub(super) measured_from: u64,
}

impl<T> Net<T> {
    pub(super) fn new(
        thread: usize,
        shared: Arc<Shared>,
        dialing: Arc<Dialing>,
        plane: Box<dyn Plane>,
        expected: usize,
    ) -> Self {
        let threads = shared.threads();
        // Each thread has addresses of its own where there are enough, so that
        // no two of them search the same ports.
        let own = dialing.sources.iter().skip(thread).step_by(threads);
        let mut sources: Vec<IpAddr> = own.copied().collect();
        if sources.is_empty() && !dialing.sources.is_empty() {
            sources.push(dialing.sources[thread % dialing.sources.len()]);
        }
        Net {
            thread,
            shared,
            dialing,
            rules: Rules {
                role: Role::Client,
                max_frame_bytes: MAX_MESSAGE_BYTES,
                max_message_bytes: MAX_MESSAGE_BYTES,
            },
            table: Table::new(plane, expected),
            open: Vec::with_capacity(expected),
            sources,
            next_source: 0,
            opening: 0,
            handshake_deadlines: VecDeque::new(),
            closing_deadlines: VecDeque::new(),
            timers: Timers::default(),
            returns: Timers::default(),
            woken: VecDeque::new(),
            ended: Vec::new(),
            scratch: Scratch::new(SCRATCH_BYTES),
            out: Vec::new(),
            random: Random::new(rand::random()),
            tally: Tally::default(),
            now: 0,
            phase: Phase::Opening,
            measured_from: u64::MAX,
        }
    }

    /// Nanoseconds of the run, as of this turn.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// The phase of the run.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Which thread this is.
    pub fn thread(&self) -> usize {
        self.thread
    }

    /// The state that all threads see.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The open connections, in no particular order.
    pub fn open(&self) -> &[SessionKey] {
        &self.open
    }

    /// The counts of this thread.
    pub fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    /// The state that all threads see, and the counts of this one.
    pub fn shared_and_tally(&mut self) -> (&Shared, &mut Tally) {
        (&self.shared, &mut self.tally)
    }

    /// Chance.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// Does something for one connection, and sends its messages. `None` if the
    /// connection is not open any more.
    #[inline]
    pub fn visit<R>(
        &mut self,
        key: SessionKey,
        work: impl FnOnce(&mut T, &mut Context<'_>) -> R,
    ) -> Option<R> {
        if !self.is_open(key) {
            return None;
        }
        self.enter(key, |_, state, cx| work(state, cx))
    }

    /// Whether messages flow on a connection.
    #[inline]
    pub(super) fn is_open(&mut self, key: SessionKey) -> bool {
        self.connection(key)
            .is_some_and(|connection| matches!(connection.stage, Stage::Open))
    }

    /// As [`visit`](Net::visit), whatever the connection's stage, and with its decoder.
    #[inline]
    pub(super) fn enter<R>(
        &mut self,
        key: SessionKey,
        work: impl FnOnce(&mut Decoder, &mut T, &mut Context<'_>) -> R,
    ) -> Option<R> {
        let connection = self.table.get(key)?.entry;
        let mut cx = Context {
            now: self.now,
            phase: self.phase,
            measured_from: self.measured_from,
            key,
            number: connection.number,
            is_blocked: connection.outlet.is_pending(),
            tally: &mut self.tally,
            random: &mut self.random,
            out: &mut self.out,
            timers: &mut self.timers,
            woken: &mut self.woken,
            returns: &mut self.returns,
            shared: &self.shared,
            close: None,
            wants_room: false,
        };
        let result = work(&mut connection.decoder, &mut connection.state, &mut cx);
        let (close, wants_room) = (cx.close, cx.wants_room);
        if !self.out.is_empty() {
            self.flush(key);
        }
        if wants_room {
            self.wake_when_writable(key);
        }
        if let Some(code) = close {
            self.close(key, code);
        }
        Some(result)
    }

    /// Sends the collected bytes, and queues those that the socket does not take.
    #[inline]
    pub(super) fn flush(&mut self, key: SessionKey) {
        // Nothing here asks how long a queue has stood still.
        let now_ms = 0;
        let pushed = match self.table.get(key) {
            Some(at) => at.entry.outlet.push(&self.out, now_ms),
            None => Ok(0),
        };
        self.out.clear();
        if let Err(error) = pushed {
            self.vanish(key, Cause::of_error(&error));
        }
    }

    fn wake_when_writable(&mut self, key: SessionKey) {
        if let Some(connection) = self.connection(key) {
            if connection.outlet.is_pending() {
                connection.wants_room = true;
            } else {
                self.woken.push_back(key);
            }
        }
    }

    /// The connection of this key, unless it is gone.
    #[inline]
    pub(super) fn connection(&mut self, key: SessionKey) -> Option<&mut Connection<T>> {
        self.table.get(key).map(|at| at.entry)
    }
}
