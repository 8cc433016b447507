//! How a connection ends.

use corecast::plane::SessionKey;
use corecast::ws::{CloseCode, encode_masked_close};

use super::connection::{End, Stage};
use super::net::Net;
use super::scenario::{Context, Scenario};
use crate::cause::Cause;
use crate::sys;

impl<T> Net<T> {
    /// Ends an open connection: a close frame, then the wait for the server's.
    pub(super) fn close(&mut self, key: SessionKey, code: CloseCode) {
        if !self.is_open(key) {
            return;
        }
        if !self.dialing.close_frames {
            return self.remove(key, End::Closed);
        }
        self.leave_open(key);
        self.tally.closed += 1;
        self.say_close(key, code);
        let deadline = self.now + self.dialing.timeout.as_nanos() as u64;
        self.closing_deadlines.push_back((deadline, key));
    }

    /// The server has sent a close frame.
    pub(super) fn peer_closed(&mut self, key: SessionKey, code: u16) {
        let Some(connection) = self.connection(key) else {
            return;
        };
        match connection.stage {
            // The answer to ours; a reset now destroys nothing that matters.
            Stage::Closing => self.remove(key, End::Closed),
            _ => {
                self.say_close(key, CloseCode::NORMAL_CLOSURE);
                self.remove(key, End::Lost(Cause::Closed(code)));
            }
        }
    }

    /// The server has broken the protocol.
    pub(super) fn protocol_broken(&mut self, key: SessionKey) {
        self.say_close(key, CloseCode::PROTOCOL_ERROR);
        self.vanish(key, Cause::Protocol);
    }

    fn say_close(&mut self, key: SessionKey, code: CloseCode) {
        encode_masked_close(&mut self.out, code, "", self.random.mask());
        self.flush(key);
    }

    /// The connection is gone, or is not worth keeping.
    pub(super) fn vanish(&mut self, key: SessionKey, cause: Cause) {
        let end = match self.connection(key).map(|connection| &connection.stage) {
            None => return,
            Some(Stage::Opening(_)) => End::Failed(cause),
            Some(Stage::Open) => End::Lost(cause),
            Some(Stage::Closing) => End::Closed,
        };
        self.remove(key, end);
    }

    /// Lets go of connections whose server does not answer a close frame.
    pub(super) fn expire_closings(&mut self) {
        while let Some(&(deadline, key)) = self.closing_deadlines.front() {
            if self.connection(key).is_some() && deadline > self.now {
                return;
            }
            self.closing_deadlines.pop_front();
            self.vanish(key, Cause::AnswerTimeout);
        }
    }

    /// Lets go of all connections whose handshake is not done: the run is over.
    pub(super) fn abandon_openings(&mut self) {
        let opening: Vec<SessionKey> = self
            .table
            .iter()
            .filter(|(_, connection)| matches!(connection.stage, Stage::Opening(_)))
            .map(|(key, _)| key)
            .collect();
        for key in opening {
            self.remove(key, End::Closed);
        }
    }

    /// Takes a connection out of the table, counts its end, and closes its socket.
    pub(super) fn remove(&mut self, key: SessionKey, end: End) {
        let Some(connection) = self.connection(key) else {
            return;
        };
        match connection.stage {
            Stage::Opening(_) => self.opening -= 1,
            Stage::Open => {
                self.leave_open(key);
                if end == End::Closed {
                    self.tally.closed += 1;
                }
            }
            Stage::Closing => {}
        }
        match end {
            End::Failed(cause) => *self.tally.failed.entry(cause).or_default() += 1,
            End::Lost(cause) => *self.tally.lost.entry(cause).or_default() += 1,
            End::Closed => {}
        }
        let Some(connection) = self.table.remove(key) else {
            return;
        };
        // A reset would overtake a close frame that has just left.
        if !matches!(end, End::Lost(Cause::Closed(_) | Cause::Protocol)) {
            sys::reset_on_close(connection.outlet.watched());
        }
        self.ended
            .push((key, connection.number, connection.state, end));
    }

    /// Takes a connection out of the list of open ones.
    fn leave_open(&mut self, key: SessionKey) {
        let Some(connection) = self.connection(key) else {
            return;
        };
        connection.stage = Stage::Closing;
        let place = connection.place as usize;
        self.open.swap_remove(place);
        if let Some(&moved) = self.open.get(place)
            && let Some(moved) = self.connection(moved)
        {
            moved.place = place as u32;
        }
    }

    /// Tells the scenario of all connections that have ended in this turn.
    pub(super) fn report_ends<S: Scenario<State = T>>(&mut self, scenario: &mut S) {
        while let Some((key, number, mut state, end)) = self.ended.pop() {
            let mut cx = Context {
                now: self.now,
                phase: self.phase,
                measured_from: self.measured_from,
                key,
                number,
                is_blocked: true,
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
            scenario.ended(&mut state, end, &mut cx);
            self.out.clear();
        }
    }
}
