//! How sessions begin and end.

use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::core::Core;
use crate::handler::{Context, Ended};
use crate::hub::Subscriptions;
use crate::metrics::{DropReason, EndReason, RefusalReason};
use crate::plane::SessionKey;
use crate::session::{Flow, Outgoing, Session, Stage, is_temporary};
use crate::sys::Socket;
use crate::upgrade::{self, HttpError, Kind, Method, Page, Parsed, Refusal, Request, Response};
use crate::ws::{CloseCode, Decoder, ProtocolError};

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

/// A handshake that may become a session.
pub(crate) struct Opening {
    request: Request,
    route: u16,
    /// The answer that makes it one.
    response: Vec<u8>,
    /// Length of the handshake; what follows belongs to the session.
    pub(crate) consumed: usize,
}

impl Core {
    /// Reads what a new connection has sent already, and decides what becomes
    /// of it. What must be kept is appended to `buffer`: the whole of an
    /// incomplete request, or what came behind a complete one.
    ///
    /// # Errors
    /// When the connection is gone again.
    pub(crate) fn first_bytes(
        &mut self,
        socket: &Socket,
        peer: SocketAddr,
        buffer: &mut Vec<u8>,
    ) -> io::Result<Answer> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let bytes = scratch.bytes();
        let answer = match socket.recv(bytes) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(received) => {
                let answer = self.answer(&bytes[..received], peer);
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
    pub(crate) fn answer(&mut self, bytes: &[u8], peer: SocketAddr) -> Answer {
        let parsed = match upgrade::parse(bytes, self.limits.max_header_bytes, peer) {
            Ok(None) => return Answer::Wait,
            Ok(Some(parsed)) => parsed,
            Err(error) => return self.refuse(bytes, error),
        };
        let opening = match parsed.kind {
            Kind::Plain => self.plain(&parsed.request).map(Answer::Respond),
            Kind::WebSocket { accept } => self.accept(parsed, &accept),
        };
        opening.unwrap_or_else(|error| self.refuse(bytes, error))
    }

    /// Refuses a request, of which `bytes` have arrived.
    pub(crate) fn refuse(&mut self, bytes: &[u8], error: HttpError) -> Answer {
        self.metrics.refuse(error.reason());
        let mut response = Vec::new();
        if upgrade::is_head(bytes) {
            Response::Error(error).encode_head(&mut response);
        } else {
            Response::Error(error).encode(&mut response);
        }
        Answer::Respond(response)
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
    fn accept(&mut self, parsed: Parsed, accept: &[u8; 28]) -> Result<Answer, HttpError> {
        let Parsed {
            mut request,
            consumed,
            ..
        } = parsed;
        if self.drain.is_some() {
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
            consumed,
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
            if let Answer::Respond(response) = self.refuse(&[], full) {
                // The kernel has no memory for a watch; it may have none for this.
                let _ = socket.send_bytes(&response);
            }
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
            waiting: false,
            pinged: false,
        });
        self.highest_index = self.highest_index.max(key.index as usize + 1);
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
            (Ok(_), None) if !early.is_empty() => self.serve_received(key, early),
            (Ok(_), None) => {}
        }
        self.kick.set();
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

    /// Ends a session's open stage as its input or its handler asked for.
    #[cold]
    pub(super) fn leave_open(&mut self, key: SessionKey, flow: Flow) {
        match flow {
            Flow::Served | Flow::Hold => {}
            Flow::PeerClosed(code) => self.peer_closed(key, code),
            Flow::Fault(fault) => {
                let reason = match fault.close_code() {
                    CloseCode::INVALID_PAYLOAD => EndReason::InvalidPayload,
                    CloseCode::TOO_BIG => EndReason::TooBig,
                    _ => EndReason::ProtocolError,
                };
                self.fault(key, &fault, reason);
            }
            Flow::Close(code, text) => {
                self.say_close(key, Some((code, &text)), EndReason::HandlerClosed);
                self.set_stage(key, Stage::Closing(EndReason::HandlerClosed));
            }
            Flow::Panicked => {
                let close = Some((CloseCode::INTERNAL_ERROR, "the handler failed"));
                self.say_close(key, close, EndReason::HandlerPanicked);
                self.set_stage(key, Stage::Closing(EndReason::HandlerPanicked));
            }
        }
    }

    /// Closes an open session for a reason of the server's own.
    pub(super) fn close(
        &mut self,
        key: SessionKey,
        code: CloseCode,
        text: &str,
        reason: EndReason,
    ) {
        if self.session(key).is_some_and(|session| session.is_open()) {
            self.say_close(key, Some((code, text)), reason);
            self.set_stage(key, Stage::Closing(reason));
        }
    }

    /// Closes a session that reads too slowly, without what it has not read.
    pub(super) fn close_slow_consumer(&mut self, key: SessionKey) {
        let Some(session) = self.session(key).filter(|session| session.is_open()) else {
            return;
        };
        let forgotten = session.queue.as_mut().map_or(0, |queue| queue.abandon());
        self.metrics.drop_deliveries(DropReason::Closed, forgotten);
        let text = "publications arrive faster than they are read";
        let reason = EndReason::SlowConsumer;
        self.say_close(key, Some((CloseCode::TRY_AGAIN_LATER, text)), reason);
        self.set_stage(key, Stage::Closing(reason));
    }

    /// The peer broke the protocol: say so, then only get rid of the connection.
    fn fault(&mut self, key: SessionKey, fault: &ProtocolError, reason: EndReason) {
        let Some(session) = self.session(key) else {
            return;
        };
        if session.is_open() {
            self.say_close(key, Some((fault.close_code(), &fault.to_string())), reason);
        }
        self.set_stage(key, Stage::Lingering(reason));
    }

    /// The peer's close frame: answer it, unless it is the answer.
    fn peer_closed(&mut self, key: SessionKey, code: Option<CloseCode>) {
        let Some(session) = self.session(key) else {
            return;
        };
        match session.stage {
            Stage::Open => {
                self.metrics
                    .peer_close_code(code.map_or(1005, CloseCode::as_u16));
                self.say_close(key, code.map(|code| (code, "")), EndReason::PeerClosed);
                self.finish(key, EndReason::PeerClosed);
            }
            Stage::Closing(reason) => self.finish(key, reason),
            Stage::Lingering(_) => {}
        }
    }

    /// Both close frames are exchanged: the connection can go once ours has left.
    fn finish(&mut self, key: SessionKey, reason: EndReason) {
        match self.session(key) {
            Some(session) if session.queue.is_some() => {
                self.set_stage(key, Stage::Lingering(reason))
            }
            Some(_) => self.end(key, reason),
            None => {}
        }
    }

    /// The peer will send nothing more.
    pub(super) fn end_of_stream(&mut self, key: SessionKey) {
        let Some(session) = self.session(key) else {
            return;
        };
        match session.stage {
            Stage::Open => self.vanish(key),
            // The peer may still be reading. Its end shows again when all has left.
            Stage::Closing(_) | Stage::Lingering(_) if session.queue.is_some() => {
                session.unread = true;
            }
            Stage::Closing(reason) | Stage::Lingering(reason) => self.end(key, reason),
        }
    }

    /// The connection is gone, with or without the peer's close frame.
    pub(super) fn vanish(&mut self, key: SessionKey) {
        let Some(session) = self.session(key) else {
            return;
        };
        match session.stage {
            Stage::Open => {
                self.tell_handler(
                    key,
                    Ended {
                        reason: EndReason::Vanished,
                        code: None,
                    },
                );
                self.end(key, EndReason::Vanished);
            }
            Stage::Closing(reason) | Stage::Lingering(reason) => self.end(key, reason),
        }
    }

    /// Ends an open session without another word.
    pub(super) fn abort(&mut self, key: SessionKey, reason: EndReason) {
        let Some(session) = self.session(key) else {
            return;
        };
        if session.is_open() {
            self.tell_handler(key, Ended { reason, code: None });
        }
        self.end(key, reason);
    }

    /// Tells the handler that the session is over and queues the close frame
    /// behind everything else.
    fn say_close(&mut self, key: SessionKey, close: Option<(CloseCode, &str)>, reason: EndReason) {
        self.tell_handler(
            key,
            Ended {
                reason,
                code: close.map(|(code, _)| code),
            },
        );
        let Core {
            sessions,
            collected,
            metrics,
            clock,
            ..
        } = self;
        let Some(session) = sessions.get_mut(key.index as usize) else {
            return;
        };
        let Session { socket, queue, .. } = session;
        let mut outgoing = Outgoing::new(socket, queue, collected, metrics, clock.now_ms());
        outgoing.close(close);
        // A broken connection shows itself in the next read.
        outgoing.finish();
    }

    /// Takes the session out of its topics and tells its handler of the end.
    fn tell_handler(&mut self, key: SessionKey, ended: Ended) {
        let Core {
            sessions,
            routes,
            hub,
            ..
        } = self;
        let Some(session) = sessions.get_mut(key.index as usize) else {
            return;
        };
        hub.leave_all(&mut session.subscriptions);
        let slot = std::mem::replace(&mut session.slot, Session::NO_SLOT);
        let mut ctx = Context {
            shard: hub.mesh().id(),
            session: key,
            hub,
            subscriptions: &mut session.subscriptions,
            outgoing: None,
            close: None,
            published: false,
        };
        let handler = &mut routes[usize::from(session.route)].route;
        // A panic here has nobody left to tell; the session ends all the same.
        let _ = catch_unwind(AssertUnwindSafe(|| handler.close(slot, ended, &mut ctx)));
    }

    fn set_stage(&mut self, key: SessionKey, stage: Stage) {
        let now_ms = self.clock.now_ms();
        let Some(session) = self.session(key) else {
            return;
        };
        session.stage = stage;
        session.since = now_ms;
        let held = session.held.take();
        session.waiting = false;
        if matches!(stage, Stage::Lingering(_)) && session.queue.is_none() {
            session.socket.shutdown_write();
        }
        if std::mem::take(&mut session.unread) {
            self.read_later(key);
        }
        if let Some(mut held) = held {
            self.find_close_frame(key, &mut held.bytes[held.served..]);
        }
    }

    /// Takes a session that is over out of the table and closes its socket.
    pub(super) fn end(&mut self, key: SessionKey, reason: EndReason) {
        if self.session(key).is_none() {
            return;
        }
        let session = self.sessions.remove(key.index as usize);
        self.plane.unwatch(&session.socket, key);
        // The kernel lets go of the socket in the next turn, for which the
        // peer should not have to wait.
        self.kick.set();
        self.permits.give_back();
        self.metrics.end(reason);
        self.metrics.sessions.set(self.sessions.len() as u64);
    }
}
