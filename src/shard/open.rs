//! How sessions begin: from the bytes of an opening handshake to an entry in
//! the table.

use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::core::Core;
use crate::handler::Context;
use crate::hub::Subscriptions;
use crate::metrics::RefusalReason;
use crate::plane::SessionKey;
use crate::session::{Flow, Outgoing, Session, Stage, Wait};
use crate::shutdown::Heir;
use crate::source::{Admission, Finding, SourceRefusal, proxy_protocol};
use crate::sys::{Socket, is_temporary};
use crate::upgrade::{self, HttpError, Kind, Method, Page, Parsed, Refusal, Request, Response};
use crate::ws::Decoder;

/// When a client that was refused for want of room may come back.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// What is to be done about the bytes of an opening handshake.
pub(crate) enum Answer {
    /// Nothing yet: they are not complete.
    Wait,
    /// Send these bytes and close.
    Respond(Vec<u8>),
    /// Open a session: see [`Core::open`].
    Open(Box<Opening>),
}

/// A connection whose opening handshake is not answered yet.
pub(crate) struct Arrival {
    /// The other end.
    peer: SocketAddr,
    /// Where the client's address is to be found.
    finding: Finding,
    /// Length of the PROXY header before the request.
    prefix: usize,
    /// Its place among the connections of its source, once it has one.
    admission: Option<Admission>,
}

/// A handshake that may become a session.
pub(crate) struct Opening {
    request: Request,
    admission: Option<Admission>,
    route: u16,
    /// The answer that makes it one.
    response: Vec<u8>,
    /// Length of the handshake; what follows belongs to the session.
    pub(crate) consumed: usize,
}

impl Core {
    /// Looks at where a new connection comes from.
    ///
    /// # Errors
    /// The answer to a connection that is refused for that. Whoever asks for too
    /// much must not hold a place by not taking it, so it is sent as far as the
    /// socket takes it, and not waited for.
    pub(crate) fn arrive(&self, peer: SocketAddr) -> Result<Arrival, Vec<u8>> {
        let arrival = self.addresses.find(peer).and_then(|finding| {
            let mut arrival = Arrival {
                peer,
                finding,
                prefix: 0,
                admission: None,
            };
            if let Finding::Known(client) = finding {
                self.admit(&mut arrival, client)?;
            }
            Ok(arrival)
        });
        arrival.map_err(|error| self.refusal(&[], error))
    }

    /// Reads what a new connection has sent already, and decides what becomes
    /// of it. What must be kept is appended to `buffer`: the whole of an
    /// incomplete request, or what came behind a complete one.
    ///
    /// # Errors
    /// When the connection is gone again.
    pub(crate) fn first_bytes(
        &mut self,
        socket: &Socket,
        arrival: &mut Arrival,
        buffer: &mut Vec<u8>,
    ) -> io::Result<Answer> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let bytes = scratch.bytes();
        let answer = match socket.recv(bytes) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(received) => {
                let answer = self.answer(&bytes[..received], arrival);
                let keep = match &answer {
                    Answer::Wait => 0..received,
                    Answer::Open(opening) => opening.consumed..received,
                    Answer::Respond(_) => 0..0,
                };
                buffer.extend_from_slice(&bytes[keep]);
                Ok(answer)
            }
            Err(error) if is_temporary(&error) => Ok(Answer::Wait),
            Err(error) => Err(error),
        };
        self.scratch = scratch;
        answer
    }

    /// Reads an opening handshake and decides what becomes of it.
    pub(crate) fn answer(&mut self, bytes: &[u8], arrival: &mut Arrival) -> Answer {
        self.try_answer(bytes, arrival)
            .unwrap_or_else(|error| self.refuse(bytes, arrival, error))
    }

    fn try_answer(&mut self, bytes: &[u8], arrival: &mut Arrival) -> Result<Answer, HttpError> {
        if arrival.finding == Finding::InProxyHeader {
            let header = proxy_protocol::read(bytes).map_err(|_| HttpError::ProxyHeader)?;
            let Some(header) = header else {
                return Ok(Answer::Wait);
            };
            arrival.prefix = header.consumed;
            self.admit(arrival, header.client.unwrap_or(arrival.peer))?;
        }
        let bytes = &bytes[arrival.prefix..];
        let Some(mut parsed) = upgrade::parse(bytes, self.limits.max_header_bytes, arrival.peer)?
        else {
            return Ok(Answer::Wait);
        };
        if arrival.finding == Finding::InRequest {
            let client = self.addresses.forwarded_for(&parsed.request);
            self.admit(arrival, client.unwrap_or(arrival.peer))?;
        }
        if let Finding::Known(client) = arrival.finding {
            parsed.request.set_client(client);
        }
        match parsed.kind {
            Kind::Plain => self.plain(&parsed.request).map(Answer::Respond),
            Kind::WebSocket { accept } => self.accept(parsed, &accept, arrival),
        }
    }

    /// Notes whose connection it is, and lets it in.
    ///
    /// # Errors
    /// When its source is over a limit.
    fn admit(&self, arrival: &mut Arrival, client: SocketAddr) -> Result<(), HttpError> {
        arrival.finding = Finding::Known(client);
        let Some(sources) = &self.sources else {
            return Ok(());
        };
        let admission = sources
            .admit(client.ip())
            .map_err(|refusal| match refusal {
                SourceRefusal::Full => HttpError::SourceFull {
                    retry_after: RETRY_AFTER,
                },
                SourceRefusal::TooFast { retry_after } => HttpError::SourceTooFast { retry_after },
            })?;
        arrival.admission = Some(admission);
        Ok(())
    }

    /// Refuses a connection, of which `bytes` have arrived.
    pub(crate) fn refuse(&self, bytes: &[u8], arrival: &Arrival, error: HttpError) -> Answer {
        Answer::Respond(self.refusal(&bytes[arrival.prefix..], error))
    }

    fn refusal(&self, request: &[u8], error: HttpError) -> Vec<u8> {
        self.metrics.refuse(error.reason());
        let mut response = Vec::new();
        if upgrade::is_head(request) {
            Response::Error(error).encode_head(&mut response);
        } else {
            Response::Error(error).encode(&mut response);
        }
        response
    }

    /// Answers a plain request.
    fn plain(&mut self, request: &Request) -> Result<Vec<u8>, HttpError> {
        let page = match request.path() {
            "/" => Page::HOME,
            "/healthz" => Page::HEALTHY,
            path if self.router.find(path).is_some() => return Err(HttpError::UpgradeRequired),
            _ => return Err(HttpError::NotFound),
        };
        self.metrics.http_requests.add(1);
        let mut response = Vec::new();
        match request.method() {
            Method::Head => Response::Page(page).encode_head(&mut response),
            Method::Get => Response::Page(page).encode(&mut response),
        }
        Ok(response)
    }

    /// Finds out whether a request may become a session.
    fn accept(
        &mut self,
        parsed: Parsed,
        accept: &[u8; 28],
        arrival: &mut Arrival,
    ) -> Result<Answer, HttpError> {
        let Parsed {
            mut request,
            consumed,
            ..
        } = parsed;
        // Where somebody else serves the address, coming to us was no mistake: a
        // refusal would be the only sign of a hand-over that a client can get.
        if self.drain.is_some() && self.lifecycle.heir() == Heir::Nobody {
            return Err(HttpError::Draining {
                retry_after: RETRY_AFTER,
            });
        }
        let route = *self.router.route(&mut request).ok_or(HttpError::NotFound)?;
        if !self.origins.allows(&request) {
            return Err(HttpError::OriginRefused);
        }
        let handler = &mut self.routes[usize::from(route)].route;
        let accepted =
            catch_unwind(AssertUnwindSafe(|| handler.accept(&request))).unwrap_or_else(|_| {
                Err(Refusal::new(
                    500,
                    "The handler failed to look at this request.",
                ))
            });
        let mut response = Vec::with_capacity(192);
        let acceptance = match accepted {
            Ok(acceptance) => acceptance,
            Err(refusal) => {
                self.metrics.refuse(RefusalReason::Forbidden);
                Response::Refused(&refusal).encode(&mut response);
                return Ok(Answer::Respond(response));
            }
        };
        if self.sessions.len() >= self.limits.max_sessions || !self.permits.take() {
            return Err(HttpError::Full {
                retry_after: RETRY_AFTER,
            });
        }
        let subprotocol = acceptance.subprotocol.as_deref();
        Response::SwitchingProtocols {
            accept,
            subprotocol,
        }
        .encode(&mut response);
        Ok(Answer::Open(Box::new(Opening {
            request,
            route,
            response,
            consumed: arrival.prefix + consumed,
            admission: arrival.admission.take(),
        })))
    }

    /// Makes a session of an answered handshake: sends the answer together
    /// with what the handler has to say, and serves the bytes that came behind
    /// the handshake.
    pub(crate) fn open(&mut self, opening: Opening, socket: Socket, early: &mut [u8]) {
        let Opening {
            request,
            route,
            response,
            admission,
            ..
        } = opening;
        let generation = self.next_generation;
        self.next_generation = self.next_generation.wrapping_add(1);
        let entry = self.sessions.vacant_entry();
        let key = SessionKey {
            index: entry.key() as u32,
            generation,
        };
        if let Err(error) = self.plane.watch(&socket, key) {
            tracing::warn!("a session could not be watched and is refused: {error}");
            self.permits.give_back();
            let full = HttpError::Full {
                retry_after: RETRY_AFTER,
            };
            // The kernel has no memory for a watch; it may have none for this.
            let _ = socket.send_bytes(&self.refusal(&[], full));
            return;
        }
        let session = entry.insert(Session {
            socket,
            generation,
            decoder: Decoder::new(),
            queue: None,
            held: None,
            subscriptions: Subscriptions::default(),
            slot: Session::NO_SLOT,
            since: self.clock.now_ms(),
            route,
            stage: Stage::Open,
            unread: false,
            queued: false,
            wait: Wait::No,
            pinged: false,
        });
        if self.sources.is_some() {
            let index = key.index as usize;
            if index >= self.admissions.len() {
                self.admissions.resize_with(index + 1, || None);
            }
            self.admissions[index] = admission;
        }
        if let Some(meters) = &mut self.meters {
            meters.begin(key.index, self.clock.elapsed_ms());
        }
        self.highest_index = self.highest_index.max(key.index as usize + 1);
        // Who comes while the shard drains gets a close frame too.
        if let Some(drain) = &mut self.drain {
            drain.next = drain.next.min(key.index as usize);
        }
        self.metrics.opened.add(1);

        let Session {
            socket,
            queue,
            subscriptions,
            ..
        } = session;
        let mut outgoing = Outgoing::new(
            socket,
            queue,
            &mut self.collected,
            &self.metrics,
            self.clock.now_ms(),
        );
        outgoing.raw(&response);
        let mut ctx = Context {
            shard: self.hub.mesh().id(),
            route,
            session: key,
            hub: &mut self.hub,
            subscriptions,
            outgoing: Some(outgoing),
            close: None,
            published: false,
        };
        let handler = &mut self.routes[usize::from(route)].route;
        let opened = catch_unwind(AssertUnwindSafe(|| handler.open(&request, &mut ctx)));
        let close = ctx.close.take();
        let broken = ctx.outgoing.take().is_some_and(Outgoing::finish);
        if let Ok(slot) = opened {
            session.slot = slot;
        }
        self.metrics.sessions.set(self.sessions.len() as u64);
        if broken {
            return self.vanish(key);
        }
        match (opened, close) {
            (Err(_), _) => self.leave_open(key, Flow::Panicked),
            (Ok(_), Some((code, reason))) => self.leave_open(key, Flow::Close(code, reason)),
            (Ok(_), None) if !early.is_empty() => {
                self.meter_bytes(key, early.len());
                self.serve_received(key, early);
            }
            (Ok(_), None) => {}
        }
    }

    /// Watches a socket again whose watch the kernel gave up.
    pub(super) fn watch_again(&mut self, key: SessionKey) {
        let watched = match self.sessions.get(key.index as usize) {
            Some(session) if session.generation == key.generation => {
                self.plane.watch(&session.socket, key)
            }
            _ => return,
        };
        if watched.is_err() {
            self.vanish(key);
        }
    }
}
