//! One session, borrowed together with what it is served with.

use std::time::Duration;

use super::{Over, Serving, Session, ShardRoute};
use crate::handler::{Context, Route, guarded};
use crate::link::Answers;
use crate::metrics::ShardMetrics;
use crate::table::EntryMut;
use crate::upgrade::Request;
use crate::ws::{Decoder, OpCode, Rules};

use super::receive::Flow;

/// A session of a shard's table and everything that serving it touches. Its methods
/// return [`Over`] to say whether the session goes on; only the shard takes one that is
/// over out of its table.
pub(crate) struct SessionMut<'a> {
    pub(super) at: EntryMut<'a, Session>,
    pub(super) serving: &'a mut Serving,
}

/// A session's handler with what it needs to be called.
pub(super) struct HandlerCall<'a> {
    pub(super) decoder: &'a mut Decoder,
    pub(super) rules: &'a Rules,
    pub(super) metrics: &'a ShardMetrics,
    pub(super) route: &'a mut dyn Route,
    pub(super) slot: u32,
    pub(super) ctx: Context<'a>,
}

impl<'a> SessionMut<'a> {
    #[inline]
    pub(crate) fn new(at: EntryMut<'a, Session>, serving: &'a mut Serving) -> Self {
        SessionMut { at, serving }
    }

    /// The session.
    #[inline]
    pub(crate) fn session(&self) -> &Session {
        self.at.entry
    }

    /// The state with which it is served.
    pub(crate) fn serving(&self) -> &Serving {
        self.serving
    }

    /// Its route.
    pub(crate) fn route(&self) -> &ShardRoute {
        &self.serving.publishing.routes[self.at.entry.route()]
    }

    /// It is not read for now, so its silence is ours.
    pub(crate) fn excuse(&mut self) {
        self.at.entry.excuse(self.serving.clock.now_ms());
    }

    /// The session's handler and the context it acts through.
    #[inline]
    pub(super) fn handler(&mut self) -> HandlerCall<'_> {
        let Session {
            outlet,
            decoder,
            subscriptions,
            slot,
            route,
            ..
        } = &mut *self.at.entry;
        let Serving {
            publishing,
            rules,
            clock,
            metrics,
            answers,
            ..
        } = &mut *self.serving;
        let answers = Answers::new(outlet, answers, metrics, clock.now_ms());
        HandlerCall {
            decoder,
            rules,
            metrics,
            route: &mut *publishing.routes[usize::from(*route)].route,
            slot: *slot,
            ctx: Context::new(
                self.at.key,
                *route,
                &mut publishing.hub,
                subscriptions,
                Some(answers),
            ),
        }
    }

    /// Begins a new session: sends the answer to its handshake together with what
    /// its handler has to say, and serves the bytes that came after the handshake.
    pub(crate) fn open(&mut self, request: &Request, response: &[u8], early: &mut [u8]) -> Over {
        if let Some(rates) = &mut self.serving.rates {
            rates.begin(self.at.key.index, self.serving.clock.elapsed_ms());
        }
        let HandlerCall { route, mut ctx, .. } = self.handler();
        ctx.answer(|answers| answers.raw(response));
        let opened = guarded(|| route.open(request, &mut ctx));
        let ends_after = ctx.ends_after.take();
        let (close, broken) = ctx.finish();
        self.ends_after(ends_after);
        if let Ok(slot) = opened {
            self.at.entry.slot = slot;
        }
        if broken {
            return self.vanish();
        }
        match (opened, close) {
            (Err(_), _) => self.leave_open(Flow::Panicked),
            (Ok(_), Some((code, reason))) => self.leave_open(Flow::Close(code, reason)),
            (Ok(_), None) if early.is_empty() => super::LIVES,
            (Ok(_), None) => {
                self.meter_bytes(early.len())?;
                self.serve_received(early)
            }
        }
    }

    /// Notes when the session ends, if its handler has said so.
    #[inline]
    pub(super) fn ends_after(&mut self, time: Option<Duration>) {
        if let Some(time) = time {
            let Serving {
                expiries, clock, ..
            } = &mut *self.serving;
            expiries.add(self.at.key, clock.elapsed_ms(), time);
        }
    }

    /// Sends a control frame of the server's own after everything else.
    pub(super) fn send_control(&mut self, say: impl FnOnce(&mut Answers<'_>)) {
        let Serving {
            answers,
            metrics,
            clock,
            ..
        } = &mut *self.serving;
        let outlet = &mut self.at.entry.outlet;
        let mut answers = Answers::new(outlet, answers, metrics, clock.now_ms());
        say(&mut answers);
        // A connection that is lost shows itself in the next read.
        answers.finish();
    }

    /// Pings an open session, whose ping was due at `due_ms`.
    pub(crate) fn ping(&mut self, due_ms: u32) -> Over {
        self.at.entry.pinged(due_ms);
        self.serving.metrics.pings.add(1);
        let mut is_pinged = false;
        self.call(|route, slot, ctx| is_pinged = route.ping(slot, ctx))?;
        if !is_pinged {
            self.send_control(|answers| answers.control(OpCode::Ping, &[]));
        }
        super::LIVES
    }

    /// Calls the session's handler outside of its input.
    pub(super) fn call(
        &mut self,
        call: impl FnOnce(&mut dyn Route, u32, &mut Context<'_>),
    ) -> Over {
        let HandlerCall {
            route,
            slot,
            mut ctx,
            ..
        } = self.handler();
        let called = guarded(|| call(route, slot, &mut ctx));
        let (close, broken) = ctx.finish();
        if broken {
            return self.vanish();
        }
        self.wait_for_room();
        match (called, close) {
            (Err(_), _) => self.leave_open(Flow::Panicked),
            (Ok(()), Some((code, reason))) => self.leave_open(Flow::Close(code, reason)),
            (Ok(()), None) => super::LIVES,
        }
    }
}
