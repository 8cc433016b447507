//! How sessions end: every transition out of [`Stage::Open`] and after it.

use std::ops::ControlFlow;

use super::receive::Flow;
use super::{LIVES, Over, Session, SessionMut, Stage};
use crate::failure_log;
use crate::handler::{Ended, guarded};
use crate::metrics::{DropReason, EndReason};
use crate::ws::{CloseCode, ProtocolError};

impl SessionMut<'_> {
    /// Ends the open stage as the input or the handler asked for.
    #[cold]
    pub(super) fn leave_open(&mut self, flow: Flow) -> Over {
        match flow {
            Flow::Served | Flow::Hold => LIVES,
            Flow::PeerClosed(code) => self.peer_closed(code),
            Flow::Fault(fault) => self.fault(&fault),
            Flow::Close(code, text) => self.close(code, &text, EndReason::HandlerClosed),
            Flow::OverRate => self.close_over_rate(),
            Flow::Panicked => {
                let (code, text) = (CloseCode::INTERNAL_ERROR, "the handler failed");
                self.close(code, text, EndReason::HandlerPanicked)
            }
        }
    }

    /// Closes an open session from our side.
    pub(crate) fn close(&mut self, code: CloseCode, text: &str, reason: EndReason) -> Over {
        if !self.at.entry.is_open() {
            return LIVES;
        }
        self.say_close(code, text, reason);
        self.enter(Stage::Closing(reason))
    }

    /// Closes a session that reads too slowly, without what it has not read.
    pub(crate) fn close_slow_consumer(&mut self) -> Over {
        if !self.at.entry.is_open() {
            return LIVES;
        }
        let forgotten = self.at.entry.outlet.abandon();
        let metrics = &self.serving.metrics;
        metrics.drop_deliveries(DropReason::Closed, forgotten);
        let text = "publications arrive faster than they are read";
        self.close(CloseCode::TRY_AGAIN_LATER, text, EndReason::SlowConsumer)
    }

    /// The peer broke the protocol: say so, then only get rid of the connection.
    fn fault(&mut self, fault: &ProtocolError) -> Over {
        let reason = match fault.close_code() {
            CloseCode::INVALID_PAYLOAD => EndReason::InvalidPayload,
            CloseCode::TOO_BIG => EndReason::TooBig,
            _ => EndReason::ProtocolError,
        };
        if self.at.entry.is_open() {
            self.say_close(fault.close_code(), &fault.to_string(), reason);
        }
        self.enter(Stage::Lingering(reason))
    }

    /// The peer's close frame: answer it, unless it is the answer.
    fn peer_closed(&mut self, code: Option<CloseCode>) -> Over {
        match self.at.entry.stage {
            Stage::Open { .. } => {
                let metrics = &self.serving.metrics;
                metrics.peer_close_code(code.map_or(1005, CloseCode::as_u16));
                // One without a code is a normal end, and answered as one.
                let code = code.unwrap_or(CloseCode::NORMAL);
                self.say_close(code, "", EndReason::PeerClosed);
                self.finish(EndReason::PeerClosed)
            }
            Stage::Closing(reason) => self.finish(reason),
            Stage::Lingering(_) => LIVES,
        }
    }

    /// Both close frames are exchanged: the connection can go once ours has left,
    /// and with it what a peer sends that goes on after its own.
    fn finish(&mut self, reason: EndReason) -> Over {
        let session = &*self.at.entry;
        if session.outlet.is_pending() || session.may_hold_unread() {
            return self.enter(Stage::Lingering(reason));
        }
        ControlFlow::Break(reason)
    }

    /// The peer will send nothing more.
    pub(super) fn end_of_stream(&mut self) -> Over {
        let session = &mut *self.at.entry;
        match session.stage {
            Stage::Open { .. } => self.vanish(),
            // The peer may still be reading. Its end shows again when all has left.
            Stage::Closing(_) | Stage::Lingering(_) if session.outlet.is_pending() => {
                session.owe_read();
                LIVES
            }
            Stage::Closing(reason) | Stage::Lingering(reason) => ControlFlow::Break(reason),
        }
    }

    /// The connection is gone, with or without the peer's close frame.
    pub(crate) fn vanish(&mut self) -> Over {
        self.abort(match self.at.entry.stage {
            Stage::Open { .. } => EndReason::Vanished,
            Stage::Closing(reason) | Stage::Lingering(reason) => reason,
        })
    }

    /// Ends the session without another word.
    pub(crate) fn abort(&mut self, reason: EndReason) -> Over {
        if self.at.entry.is_open() {
            self.tell_handler(Ended { reason, code: None });
        }
        ControlFlow::Break(reason)
    }

    /// Tells the handler that the session is over and queues the close frame
    /// after everything else.
    fn say_close(&mut self, code: CloseCode, text: &str, reason: EndReason) {
        self.tell_handler(Ended {
            reason,
            code: Some(code),
        });
        self.send_control(|answers| answers.close(code, text));
    }

    /// Takes the session out of its topics and tells its handler of the end, and the
    /// log of one by a fault.
    fn tell_handler(&mut self, ended: Ended) {
        let session = &mut *self.at.entry;
        failure_log::ended(ended.reason, || session.outlet.watched().peer());
        let hub = &mut self.serving.publishing.hub;
        hub.leave_all(&mut session.subscriptions);
        let forgotten = self.serving.publishing.latest.forget(self.at.key.index);
        let metrics = &self.serving.metrics;
        metrics.drop_deliveries(DropReason::Closed, forgotten);
        let slot = std::mem::replace(&mut session.slot, Session::NO_SLOT);
        let mut handler = self.handler();
        handler.ctx.mute();
        // A panic here can no longer be told to the handler; the session ends all the
        // same.
        let _ = guarded(|| handler.route.close(slot, ended, &mut handler.ctx));
    }

    /// Moves on to a later stage, and serves what is left of the input in it.
    fn enter(&mut self, stage: Stage) -> Over {
        let now_ms = self.serving.clock.now_ms();
        let held = self.at.entry.enter(stage, now_ms);
        self.read_what_is_owed();
        if let Some(mut held) = held {
            let served = held.served;
            self.find_close_frame(&mut held.bytes[served..])?;
        }
        LIVES
    }
}
