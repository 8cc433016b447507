//! From received bytes to handler calls: the hot path.

use super::view::HandlerCall;
use crate::config::OverRatePolicy;
use crate::handler::{Context, guarded};
use crate::ws::{CloseCode, Event, Input, OpCode, ProtocolError};

/// How the serving of some input ended.
#[derive(Debug, PartialEq)]
pub(crate) enum Flow {
    /// All of it was served.
    Served,
    /// The rest must wait: publications or this session's own queue are backed
    /// up, or the session has used up its rate.
    Hold,
    /// The peer sent its close frame.
    PeerClosed(Option<CloseCode>),
    /// The peer broke the protocol.
    Fault(ProtocolError),
    /// The handler wants the session closed.
    Close(CloseCode, String),
    /// The handler panicked.
    Panicked,
    /// More messages came than are allowed.
    OverRate,
}

/// How many messages and pings of a session may be served now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    granted: u64,
    left: u64,
    /// The value of `left` at which the rest has to wait; never reached where one more
    /// is reason to close the session instead.
    hold_at: u64,
}

impl Allowance {
    /// As many as come.
    pub(crate) const UNLIMITED: Allowance = Allowance {
        granted: u64::MAX,
        left: u64::MAX,
        hold_at: u64::MAX,
    };

    /// So many, and the step that follows then. A session that is to wait is not read
    /// while it has none, so it has one at least.
    pub(crate) fn new(tokens: u64, policy: OverRatePolicy) -> Self {
        let (granted, hold_at) = match policy {
            OverRatePolicy::Pause => (tokens.max(1), 0),
            OverRatePolicy::Close => (tokens, u64::MAX),
        };
        Allowance {
            granted,
            left: granted,
            hold_at,
        }
    }

    /// How many were served.
    pub(crate) fn used(&self) -> u64 {
        self.granted - self.left
    }
}

impl HandlerCall<'_> {
    /// Serves the input until it is used up or the session cannot go on. Only an
    /// open session's messages reach its handler.
    #[inline]
    pub(super) fn receive(
        &mut self,
        input: &mut Input<'_>,
        is_open: bool,
        high_water_mark_bytes: usize,
        allowance: &mut Allowance,
    ) -> Flow {
        let HandlerCall {
            decoder,
            rules,
            metrics,
            route,
            slot,
            ctx,
        } = self;
        let mut messages = 0;
        let Allowance {
            mut left, hold_at, ..
        } = *allowance;
        let flow = loop {
            match decoder.next(input, rules) {
                Ok(Some(Event::Message(message))) if is_open => {
                    if left == 0 {
                        break Flow::OverRate;
                    }
                    left -= 1;
                    messages += 1;
                    if guarded(|| route.message(*slot, message, ctx)).is_err() {
                        break Flow::Panicked;
                    }
                    if let Some((code, reason)) = ctx.close.take() {
                        break Flow::Close(code, reason);
                    }
                    if must_wait(ctx, high_water_mark_bytes) || left == hold_at {
                        break Flow::Hold;
                    }
                }
                Ok(Some(Event::Ping(payload))) if is_open => {
                    if left == 0 {
                        break Flow::OverRate;
                    }
                    left -= 1;
                    ctx.answer(|answers| answers.control(OpCode::Pong, payload));
                    if must_wait(ctx, high_water_mark_bytes) || left == hold_at {
                        break Flow::Hold;
                    }
                }
                Ok(Some(Event::Close(close))) => {
                    break Flow::PeerClosed(close.map(|close| close.code));
                }
                // A pong needs no answer, and while we close nothing does.
                Ok(Some(_)) => {}
                Ok(None) => break Flow::Served,
                Err(fault) => break Flow::Fault(fault),
            }
        };
        allowance.left = left;
        metrics.messages_in.add(messages);
        flow
    }
}

/// Whether the session's further input has to wait.
#[inline]
fn must_wait(ctx: &mut Context<'_>, high_water_mark_bytes: usize) -> bool {
    let congested = std::mem::take(&mut ctx.published) && ctx.hub.is_congested();
    congested
        || ctx.answers.as_mut().is_some_and(|answers| {
            answers.pending_bytes() > high_water_mark_bytes && {
                // Most of it may only be waiting for the end of this turn.
                answers.flush();
                answers.pending_bytes() > high_water_mark_bytes
            }
        })
}
