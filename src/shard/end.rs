//! How sessions end.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::core::Core;
use crate::handler::{Context, Ended};
use crate::metrics::{DropReason, EndReason};
use crate::plane::SessionKey;
use crate::session::{Flow, Outgoing, Session, Stage, Wait};
use crate::ws::{CloseCode, ProtocolError};

impl Core {
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
            Flow::OverRate => self.close_over_rate(key),
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
                // One without a code is a normal end, and answered as one.
                let code = code.unwrap_or(CloseCode::NORMAL);
                self.say_close(key, Some((code, "")), EndReason::PeerClosed);
                self.finish(key, EndReason::PeerClosed);
            }
            Stage::Closing(reason) => self.finish(key, reason),
            Stage::Lingering(_) => {}
        }
    }

    /// Both close frames are exchanged: the connection can go once ours has left,
    /// and with it what a peer has said that talks on behind its own.
    fn finish(&mut self, key: SessionKey, reason: EndReason) {
        match self.session(key) {
            Some(session)
                if session.queue.is_some() || session.unread || session.socket.has_unread() =>
            {
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
        self.send_control(key, |outgoing| outgoing.close(close));
    }

    /// Sends a control frame of the server's own behind everything else.
    pub(super) fn send_control(&mut self, key: SessionKey, say: impl FnOnce(&mut Outgoing<'_>)) {
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
        say(&mut outgoing);
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
            route: session.route,
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
        session.wait = Wait::No;
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
        if let Some(place) = self.admissions.get_mut(key.index as usize) {
            *place = None;
        }
        self.metrics.end(reason);
        self.metrics.sessions.set(self.sessions.len() as u64);
    }
}
