//! Reading and answering: the hot path.

use corecast::plane::{Readiness, SessionKey};
use corecast::sys::is_temporary;
use corecast::ws::{Event, Input, OpCode};

use super::connection::Stage;
use super::net::{Net, SCRATCH_BYTES};
use super::scenario::Scenario;
use super::shared::Phase;
use crate::cause::Cause;

/// Full buffers read from one connection before the others have their turn.
const READS_PER_TURN: usize = 4;

/// What became of received bytes.
enum Flow {
    /// All were served.
    Served,
    /// The server ends the connection.
    PeerClosed(u16),
    /// The server broke the protocol.
    Broken,
}

impl<T> Net<T> {
    /// Serves one connection that has become ready.
    #[inline]
    pub(super) fn serve_ready<S: Scenario<State = T>>(
        &mut self,
        readiness: Readiness,
        scenario: &mut S,
    ) {
        let key = readiness.key;
        if readiness.lapsed {
            self.watch_again(key);
        }
        let Some(connection) = self.connection(key) else {
            return;
        };
        if matches!(connection.stage, Stage::Opening(_)) {
            return self.advance_handshake(key, readiness, scenario);
        }
        let queued = connection.queued;
        if readiness.writable {
            self.write(key);
        }
        if readiness.readable && !queued {
            self.read(key, readiness.hung_up, scenario);
        }
    }

    /// Reads a connection until nothing is left, but no more than its share.
    pub(super) fn read<S: Scenario<State = T>>(
        &mut self,
        key: SessionKey,
        hung_up: bool,
        scenario: &mut S,
    ) {
        let mut scratch = std::mem::take(&mut self.scratch);
        self.read_into(key, hung_up, &mut scratch, scenario);
        self.scratch = scratch;
    }

    fn read_into<S: Scenario<State = T>>(
        &mut self,
        key: SessionKey,
        hung_up: bool,
        scratch: &mut [u8],
        scenario: &mut S,
    ) {
        for _ in 0..READS_PER_TURN {
            let Some(connection) = self.connection(key) else {
                return;
            };
            let received = match connection.socket.recv(scratch) {
                Ok(0) => return self.vanish(key, Cause::EndOfStream),
                Ok(received) => received,
                Err(error) if is_temporary(&error) => return,
                Err(error) => return self.vanish(key, Cause::of_error(&error)),
            };
            // The moment of arrival, as far as a program can know it.
            self.now = self.shared.now();
            self.serve(key, &mut scratch[..received], scenario);
            if received < SCRATCH_BYTES && !hung_up {
                return;
            }
        }
        self.read_later(key);
    }

    /// Reads a connection in the next turn.
    pub(super) fn read_later(&mut self, key: SessionKey) {
        if let Some(connection) = self.connection(key)
            && !std::mem::replace(&mut connection.queued, true)
        {
            self.again.push(key);
        }
    }

    /// Serves received bytes: decodes them, calls the scenario, answers pings.
    #[inline]
    pub(super) fn serve<S: Scenario<State = T>>(
        &mut self,
        key: SessionKey,
        bytes: &mut [u8],
        scenario: &mut S,
    ) {
        let rules = self.rules;
        // A scenario that has settled has given up what was on its way.
        let settled = self.phase == Phase::Closing;
        let is_open = self.is_open(key);
        let flow = self.enter(key, |decoder, state, cx| {
            let mut input = Input::new(bytes);
            loop {
                match decoder.next(&mut input, &rules) {
                    Ok(Some(Event::Close(close))) => {
                        return Flow::PeerClosed(close.map_or(1005, |close| close.code.as_u16()));
                    }
                    // After our close frame, only the server's counts.
                    Ok(Some(_)) if !is_open || settled => {}
                    Ok(Some(Event::Message(message))) => {
                        cx.tally.traffic.received += 1;
                        cx.tally.traffic.received_bytes += message.as_bytes().len() as u64;
                        scenario.message(state, message, cx);
                    }
                    Ok(Some(Event::Ping(payload))) => cx.send(OpCode::Pong, payload),
                    Ok(Some(Event::Pong(payload))) => scenario.pong(state, payload, cx),
                    Ok(None) => return Flow::Served,
                    Err(_) => return Flow::Broken,
                }
            }
        });
        match flow {
            None | Some(Flow::Served) => {}
            Some(Flow::PeerClosed(code)) => self.peer_closed(key, code),
            Some(Flow::Broken) => self.protocol_broken(key),
        }
    }

    /// Sends what is queued, now that the socket has room again.
    fn write(&mut self, key: SessionKey) {
        let Some(connection) = self.connection(key) else {
            return;
        };
        let Some(queue) = &mut connection.queue else {
            return;
        };
        if let Err(error) = queue.flush(&connection.socket) {
            return self.vanish(key, Cause::of_error(&error));
        }
        if queue.is_empty() {
            connection.queue = None;
            if std::mem::take(&mut connection.wants_room) {
                self.woken.push_back(key);
            }
        }
    }

    fn watch_again(&mut self, key: SessionKey) {
        let Some(connection) = self
            .table
            .get(key.index as usize)
            .filter(|connection| connection.generation == key.generation)
        else {
            return;
        };
        if let Err(error) = self.plane.watch(&connection.socket, key) {
            self.vanish(key, Cause::of_error(&error));
        }
    }
}
