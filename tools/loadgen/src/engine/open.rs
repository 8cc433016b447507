//! How a connection begins: the socket, the handshake, the answer.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};

use corecast::link::{Link, Outlet, Read};
use corecast::plane::{Readiness, SessionKey};
use corecast::upgrade::accept_key;
use corecast::upgrade::client::{self, ClientError};
use corecast::ws::Decoder;

use super::connection::{Connection, End, Opening, Stage};
use super::net::{Dialing, Net, SCRATCH_BYTES};
use super::scenario::{Route, Scenario};
use crate::cause::Cause;
use crate::sys;
use crate::target::Placeholders;

const SUBPROTOCOL: &str = "Sec-WebSocket-Protocol";
/// Stands for the key of a connection that never came into the table.
const NO_KEY: SessionKey = SessionKey {
    index: u32::MAX,
    generation: u32::MAX,
};

impl<T> Net<T> {
    /// Begins connection `number`, which was to begin at `planned`.
    pub(super) fn begin(&mut self, number: u32, planned: u64, state: T, route: Route<'_>) {
        self.tally.begun += 1;
        let targets = &self.dialing.targets;
        let target = number as usize % targets.len();
        let mut link = match self.dial(targets[target].address()) {
            Ok(socket) => socket,
            Err(error) => {
                return self.count_failure(number, state, Cause::of_error(&error));
            }
        };
        let key = client::key(self.random.nonce());
        let mut request = std::mem::take(&mut self.out);
        self.write_request(target, number, &route, &key, &mut request);
        // On loopback the connection stands already, and the request leaves
        // without waiting for it; or no process listens there, of which the
        // socket tells only once.
        let sent = match link.send_bytes(&request) {
            Ok(sent) => sent,
            Err(error) => match Cause::of_error(&error) {
                // A server that refuses a request unread may have sent the reasons.
                Cause::Reset => 0,
                cause => return self.count_failure(number, state, cause),
            },
        };
        let opening = Box::new(Opening {
            planned,
            accept: accept_key(&key),
            unsent: request[sent..].to_vec(),
            received: Vec::new(),
        });
        request.clear();
        self.out = request;

        let inserted = self.table.insert(|generation| Connection {
            outlet: Outlet::new(link),
            generation,
            number,
            decoder: Decoder::new(),
            stage: Stage::Opening(opening),
            place: 0,
            queued: false,
            wants_room: false,
            state,
        });
        let key = match inserted {
            Ok(at) => at.key,
            Err((connection, error)) => {
                sys::reset_on_close(connection.outlet.watched());
                return self.count_failure(number, connection.state, Cause::of_error(&error));
            }
        };
        self.opening += 1;
        let deadline = self.now + self.dialing.timeout.as_nanos() as u64;
        self.handshake_deadlines.push_back((deadline, key));
    }

    fn write_request(
        &self,
        target: usize,
        number: u32,
        route: &Route<'_>,
        key: &[u8],
        out: &mut Vec<u8>,
    ) {
        let target = &self.dialing.targets[target];
        let room = u64::from(self.dialing.room(number));
        let placeholders = Placeholders {
            connection: u64::from(number),
            room: route.room.unwrap_or(room),
            user: u64::from(number),
        };
        let path = match route.path {
            Some(path) => path.render(placeholders),
            None => target.path(placeholders),
        };
        let headers: Vec<(&str, &str)> = self
            .dialing
            .headers
            .iter()
            .filter(|(name, _)| !route.replaces(name))
            .chain(route.headers)
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .chain(route.subprotocol.map(|name| (SUBPROTOCOL, name)))
            .collect();
        client::request(target.host_header(), &path, key, &headers, out);
    }

    /// Connects from this thread's addresses in turn. One whose ports are used
    /// up is passed over.
    fn dial(&mut self, target: SocketAddr) -> std::io::Result<Link> {
        if self.sources.is_empty() {
            return sys::connect(target, None);
        }
        let mut last = None;
        for _ in 0..self.sources.len() {
            let source: IpAddr = self.sources[self.next_source % self.sources.len()];
            self.next_source = self.next_source.wrapping_add(1);
            match sys::connect(target, Some(source)) {
                Err(error) if error.kind() == ErrorKind::AddrNotAvailable => last = Some(error),
                result => return result,
            }
        }
        Err(last.unwrap_or_else(|| ErrorKind::AddrNotAvailable.into()))
    }

    /// Goes on with a handshake whose socket has become ready for something.
    pub(super) fn advance_handshake<S: Scenario<State = T>>(
        &mut self,
        key: SessionKey,
        readiness: Readiness,
        scenario: &mut S,
    ) {
        if let Err(cause) = self.send_rest_of_request(key) {
            return self.vanish(key, cause);
        }
        if !readiness.readable {
            return;
        }
        let mut buffer = std::mem::take(&mut self.scratch);
        let scratch = buffer.bytes();
        self.now = self.shared.now();
        match self.read_response(key, scratch, scenario) {
            Ok(Some(rest)) => {
                self.opened(key, scenario);
                // Frames may have come right after the response.
                if !rest.is_empty() {
                    self.serve(key, &mut scratch[rest.clone()], scenario);
                }
                // So may the end, of which no further readiness would tell.
                if rest.end == SCRATCH_BYTES || readiness.hung_up {
                    self.read_later(key);
                }
            }
            Ok(None) => {}
            Err(cause) => self.vanish(key, cause),
        }
        self.scratch = buffer;
    }

    fn send_rest_of_request(&mut self, key: SessionKey) -> Result<(), Cause> {
        let Some(connection) = self.connection(key) else {
            return Ok(());
        };
        let Stage::Opening(opening) = &mut connection.stage else {
            return Ok(());
        };
        if opening.unsent.is_empty() {
            return Ok(());
        }
        match connection.outlet.link().send_bytes(&opening.unsent) {
            Ok(sent) => {
                opening.unsent.drain(..sent);
                Ok(())
            }
            Err(error) => {
                // A send on a socket that never connected says `EPIPE` or
                // `ENOTCONN`; the socket itself knows what happened.
                let error = sys::pending_error(connection.outlet.watched()).unwrap_or(error);
                match error.raw_os_error() {
                    Some(libc::ENOTCONN) => Ok(()),
                    _ => Err(Cause::of_error(&error)),
                }
            }
        }
    }

    /// Reads a response. Once it is whole, says which bytes of `scratch` follow it.
    fn read_response<S: Scenario<State = T>>(
        &mut self,
        key: SessionKey,
        scratch: &mut [u8],
        scenario: &S,
    ) -> Result<Option<std::ops::Range<usize>>, Cause> {
        let Some(connection) = self.table.get(key).map(|at| at.entry) else {
            return Ok(None);
        };
        let Stage::Opening(opening) = &mut connection.stage else {
            return Ok(None);
        };
        let route = scenario.route(&connection.state, connection.number);
        let offered = offered(&self.dialing, &route);
        loop {
            let received = match connection.outlet.link().read(scratch) {
                Ok(Read::Bytes { len, .. }) => len,
                Ok(Read::Nothing) => return Ok(None),
                Ok(Read::End) => return Err(Cause::EndOfStream),
                Err(error) => return Err(Cause::of_error(&error)),
            };
            let pieces = !opening.received.is_empty();
            if pieces {
                opening.received.extend_from_slice(&scratch[..received]);
            }
            let whole = if pieces {
                &opening.received
            } else {
                &scratch[..received]
            };
            match client::parse_response_to_offer(whole, &opening.accept, offered) {
                Ok(Some(consumed)) => {
                    // In pieces or not, the bytes after the response came with
                    // the last read.
                    let rest = whole.len() - consumed;
                    return Ok(Some(received - rest..received));
                }
                Ok(None) if !pieces => opening.received.extend_from_slice(&scratch[..received]),
                Ok(None) => {}
                Err(ClientError::Status { status, .. }) => return Err(Cause::Status(status)),
                Err(ClientError::Subprotocol { .. }) => return Err(Cause::Subprotocol),
                Err(_) => return Err(Cause::NotWebSocket),
            }
        }
    }

    /// The handshake is done.
    fn opened<S: Scenario<State = T>>(&mut self, key: SessionKey, scenario: &mut S) {
        let place = self.open.len() as u32;
        let Some(connection) = self.connection(key) else {
            return;
        };
        let Stage::Opening(opening) = std::mem::replace(&mut connection.stage, Stage::Open) else {
            return;
        };
        connection.place = place;
        self.open.push(key);
        self.opening -= 1;
        self.tally.opened += 1;
        let took = self.now.saturating_sub(opening.planned);
        self.tally.record(super::tally::Timed::Handshake, took);
        let running = self.phase.is_running();
        self.visit(key, |state, cx| {
            scenario.opened(state, cx);
            if running {
                scenario.start(state, cx);
            }
        });
    }

    /// Gives up handshakes that took too long.
    pub(super) fn expire_handshakes(&mut self) {
        while let Some(&(deadline, key)) = self.handshake_deadlines.front() {
            let still_opening = self
                .connection(key)
                .is_some_and(|connection| matches!(connection.stage, Stage::Opening(_)));
            if still_opening && deadline > self.now {
                return;
            }
            self.handshake_deadlines.pop_front();
            if still_opening {
                let connected = self.connection(key).is_some_and(|connection| {
                    matches!(&connection.stage, Stage::Opening(opening) if opening.unsent.is_empty())
                });
                self.vanish(
                    key,
                    match connected {
                        true => Cause::HandshakeTimeout,
                        false => Cause::ConnectTimeout,
                    },
                );
            }
        }
    }

    /// A connection never came into the table.
    fn count_failure(&mut self, number: u32, state: T, cause: Cause) {
        let key = NO_KEY;
        *self.tally.failed.entry(cause).or_default() += 1;
        self.ended.push((key, number, state, End::Failed(cause)));
    }
}

impl Route<'_> {
    /// Whether a header of the run is not sent because of this route.
    fn replaces(&self, name: &str) -> bool {
        let is_own = |own: &str| own.eq_ignore_ascii_case(name);
        self.headers.iter().any(|(own, _)| is_own(own))
            || (self.subprotocol.is_some() && is_own(SUBPROTOCOL))
    }
}

/// The subprotocols a request offers.
fn offered<'a>(dialing: &'a Dialing, route: &Route<'a>) -> Option<&'a str> {
    let of_the_run = || {
        let mut headers = dialing.headers.iter();
        let (_, value) = headers.find(|(name, _)| name.eq_ignore_ascii_case(SUBPROTOCOL))?;
        Some(value.as_str())
    };
    route.subprotocol.or_else(of_the_run)
}
