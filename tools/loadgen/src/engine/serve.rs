//! Reading and answering: the hot path.

use corecast::link::Read;
use corecast::plane::{Readiness, SessionKey};
use corecast::table::READS_PER_TURN;
use corecast::ws::{Event, Input, OpCode};

use super::connection::Stage;
use super::net::Net;
use super::scenario::Scenario;
use super::shared::Phase;
use crate::cause::Cause;

/// The outcome of received bytes.
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
        if readiness.lapsed
            && let Err(error) = self.table.watch_again(key)
        {
            return self.vanish(key, Cause::of_error(&error));
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
        self.read_into(key, hung_up, scratch.bytes(), scenario);
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
            let (len, drained) = match connection.outlet.link().read(scratch) {
                Ok(Read::Bytes { len, drained }) => (len, drained),
                Ok(Read::Nothing) => return,
                Ok(Read::End) => return self.vanish(key, Cause::EndOfStream),
                Err(error) => return self.vanish(key, Cause::of_error(&error)),
            };
            // The moment of arrival, as far as a program can know it.
            self.now = self.shared.now();
            self.serve(key, &mut scratch[..len], scenario);
            if drained && !hung_up {
                return;
            }
        }
        self.read_later(key);
    }

    /// Reads a connection in the next turn.
    pub(super) fn read_later(&mut self, key: SessionKey) {
        if let Some(mut at) = self.table.get(key) {
            at.read_later();
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
        // A scenario that has settled has given up messages on their way.
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

    /// Sends the queued bytes, now that the socket has room again.
    fn write(&mut self, key: SessionKey) {
        let Some(connection) = self.connection(key) else {
            return;
        };
        if !connection.outlet.is_pending() {
            return;
        }
        match connection.outlet.flush(0) {
            Ok(flushed) => {
                if flushed.emptied && std::mem::take(&mut connection.wants_room) {
                    self.woken.push_back(key);
                }
            }
            Err(error) => self.vanish(key, Cause::of_error(&error)),
        }
    }
}
