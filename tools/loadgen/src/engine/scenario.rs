//! The interface between a scenario and the engine.

use std::collections::VecDeque;

use corecast::plane::SessionKey;
use corecast::ws::{CloseCode, Message, OpCode};

use super::connection::End;
use super::net::Net;
use super::shared::{Phase, Shared};
use super::tally::{Tally, Timed};
use super::timers::Timers;
use crate::random::Random;
use crate::target::PathTemplate;

/// The behaviour of the connections of one thread. Each thread has its own;
/// `State` is the state of each of its connections.
///
/// All calls for one connection come in order, and the messages of one call
/// leave in one piece.
pub trait Scenario {
    /// The state of a connection. Keep it small.
    type State;

    /// Connection `number` is about to be opened.
    fn connect(&mut self, number: u32) -> Self::State;

    /// The part of its opening handshake that is its own. It has to be the same
    /// until the handshake is done.
    fn route(&self, _state: &Self::State, _number: u32) -> Route<'_> {
        Route::default()
    }

    /// The handshake is done. During the opening phase, nothing should be sent
    /// that belongs to the measurement; see [`start`](Scenario::start).
    fn opened(&mut self, _state: &mut Self::State, _cx: &mut Context<'_>) {}

    /// Messages may flow: called once for every connection when the run begins
    /// to warm up or measure, and for those opened later right after
    /// [`opened`](Scenario::opened).
    fn start(&mut self, _state: &mut Self::State, _cx: &mut Context<'_>) {}

    /// A message has arrived.
    fn message(&mut self, state: &mut Self::State, message: Message<'_>, cx: &mut Context<'_>);

    /// A pong has arrived.
    fn pong(&mut self, _state: &mut Self::State, _payload: &[u8], _cx: &mut Context<'_>) {}

    /// A time that was asked for has come, or the socket has room again.
    fn woken(&mut self, _state: &mut Self::State, _cx: &mut Context<'_>) {}

    /// The connection is gone, or has never come. Messages sent here go nowhere.
    fn ended(&mut self, _state: &mut Self::State, _end: End, _cx: &mut Context<'_>) {}

    /// Called every turn while messages are to be sent, for work that follows a
    /// schedule of the whole thread. Returns when it wants to be called next,
    /// if nothing else happens until then.
    fn turn(&mut self, _net: &mut Net<Self::State>) -> Option<u64> {
        None
    }

    /// Whether this thread has nothing more to send; the measurement ends when
    /// all threads say so. Scenarios that run for a time never do. A thread whose
    /// connections have all ended, and that expects no other, is done as well.
    fn is_done(&self) -> bool {
        false
    }

    /// Whether everything that was sent has been answered.
    fn is_settled(&self, _shared: &Shared) -> bool {
        true
    }

    /// The run is over: a message that has not arrived by now is lost.
    fn settle(&mut self, _net: &mut Net<Self::State>) {}
}

/// The part of a connection's opening handshake that is its own. The default is
/// nothing: the handshake is as [`Dialing`](super::Dialing) says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Route<'a> {
    /// The path to ask for instead of the target's.
    pub path: Option<&'a PathTemplate>,
    /// The room for `{room}` in either.
    pub room: Option<u64>,
    /// More headers. One of the run's with the same name is not sent.
    pub headers: &'a [(String, String)],
    /// The subprotocol to offer, which the server must then select.
    pub subprotocol: Option<&'a str>,
}

/// The operations of a scenario on the connection it is called for.
pub struct Context<'a> {
    /// Nanoseconds of the run.
    pub now: u64,
    /// The phase of the run.
    pub phase: Phase,
    /// When the measurement began, if it did.
    pub measured_from: u64,
    /// Names the connection on this thread.
    pub key: SessionKey,
    /// Which connection of the run it is.
    pub number: u32,
    /// Whether earlier messages still wait because the socket takes no more.
    pub is_blocked: bool,
    /// The counts of this thread.
    pub tally: &'a mut Tally,
    /// Chance.
    pub random: &'a mut Random,
    pub(super) out: &'a mut Vec<u8>,
    pub(super) timers: &'a mut Timers<u64>,
    pub(super) woken: &'a mut VecDeque<SessionKey>,
    pub(super) returns: &'a mut Timers<u32>,
    pub(super) shared: &'a Shared,
    pub(super) close: Option<CloseCode>,
    pub(super) wants_room: bool,
}

impl<'a> Context<'a> {
    /// Sends a message.
    #[inline]
    pub fn send(&mut self, opcode: OpCode, payload: &[u8]) {
        corecast::ws::encode_masked_frame(self.out, opcode, payload, self.random.mask());
        if !opcode.is_control() {
            self.tally.traffic.sent += 1;
            self.tally.traffic.sent_bytes += payload.len() as u64;
        }
    }

    /// Records a time that began at `planned`, unless it began before the
    /// measurement did.
    #[inline]
    pub fn record(&mut self, timed: Timed, planned: u64) {
        if self.is_measured(planned) {
            self.tally.record(timed, self.now.saturating_sub(planned));
        }
    }

    /// Whether an event planned for this time belongs to the measurement.
    #[inline]
    pub fn is_measured(&self, planned: u64) -> bool {
        planned >= self.measured_from
    }

    /// Ends the connection with a close frame, after the messages sent so far.
    pub fn close(&mut self, code: CloseCode) {
        self.close = Some(code);
    }

    /// Calls [`Scenario::woken`] for this connection at a time.
    pub fn wake_at(&mut self, time: u64) {
        self.timers.set(time, self.key.to_bits());
    }

    /// Calls [`Scenario::woken`] for this connection when its socket takes
    /// bytes again; in the next turn, if it does already.
    pub fn wake_when_writable(&mut self) {
        self.wants_room = true;
    }

    /// Calls [`Scenario::woken`] for another connection of this thread, after
    /// this call.
    pub fn wake(&mut self, key: SessionKey) {
        self.woken.push_back(key);
    }

    /// Opens a connection with this one's number again at a time.
    pub fn return_at(&mut self, time: u64) {
        self.returns.set(time, self.number);
    }

    /// The state that all threads see.
    pub fn shared(&self) -> &'a Shared {
        self.shared
    }
}
