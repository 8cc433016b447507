//! Time: deadlines of sessions, and draining.
//!
//! There is no timer per session and nothing to do per message but to note the
//! time. A sweep looks at every session once per period, a part of the table
//! each tick, so that a million sessions never cost a long pause.
//!
//! # Invariants worth naming
//!
//! - A deadline is noticed at most one period late. The period is a quarter of
//!   the shortest limit and never more than two seconds.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::core::{Core, Limits};
use crate::metrics::EndReason;
use crate::plane::SessionKey;
use crate::session::{Outgoing, Session, Stage};
use crate::shutdown::Phase;
use crate::sys;
use crate::ws::{CloseCode, OpCode};

/// Ticks of one sweep over the whole table.
const TICKS_PER_PERIOD: u32 = 8;
/// The longest time between two looks at a session.
const MAX_PERIOD_MS: u32 = 2_000;
/// The shortest tick. Limits below this are not worth the wake-ups.
const MIN_TICK_MS: u32 = 10;

/// Where the sweep stands.
pub(super) struct Sweep {
    tick: Duration,
    next: usize,
}

impl Sweep {
    pub(super) fn new(limits: &Limits) -> Self {
        let shortest = [
            limits.idle_ms,
            limits.ping_ms,
            limits.write_stall_ms,
            limits.close_ms,
        ]
        .into_iter()
        .filter(|limit| *limit > 0)
        .min()
        .unwrap_or(u32::MAX);
        let period = (shortest / 4).min(MAX_PERIOD_MS);
        let tick = (period / TICKS_PER_PERIOD).max(MIN_TICK_MS);
        Sweep {
            tick: Duration::from_millis(tick.into()),
            next: 0,
        }
    }
}

/// A drain under way.
pub(super) struct Drain {
    /// When the last close frame should have been sent.
    until_ms: u32,
    next: usize,
}

/// What the sweep finds to do about a session.
enum Due {
    /// It is not read for now, so its silence is ours.
    Excuse,
    Ping,
    Idle,
    Abort(EndReason),
}

impl Core {
    /// Time between two calls of [`Core::tick`].
    pub(crate) fn tick_interval(&self) -> Duration {
        self.sweep.tick
    }

    /// Looks at the next part of the table.
    pub(crate) fn tick(&mut self) {
        self.clock.refresh(Instant::now());
        let len = self.highest_index;
        let part = len.div_ceil(TICKS_PER_PERIOD as usize);
        let from = if self.sweep.next >= len {
            0
        } else {
            self.sweep.next
        };
        let to = (from + part).min(len);
        self.sweep.next = to;
        for index in from..to {
            let Some(session) = self.sessions.get(index) else {
                continue;
            };
            if let Some(due) = self.due(session) {
                let key = SessionKey {
                    index: index as u32,
                    generation: session.generation,
                };
                self.act_on(key, due);
            }
        }
        self.drain_some();
    }

    fn due(&self, session: &Session) -> Option<Due> {
        let limits = &self.limits;
        let over = |limit: u32, since: u32| limit > 0 && self.clock.since(since) > limit;
        if session
            .queue
            .as_ref()
            .is_some_and(|queue| over(limits.write_stall_ms, queue.moved_at))
        {
            return Some(Due::Abort(match session.stage {
                Stage::Open => EndReason::WriteStalled,
                Stage::Closing(reason) | Stage::Lingering(reason) => reason,
            }));
        }
        match session.stage {
            // Whom we do not read cannot show a sign of life.
            Stage::Open if session.is_paused(limits.high_water_mark_bytes) => Some(Due::Excuse),
            Stage::Open if over(limits.idle_ms, session.since) => Some(Due::Idle),
            Stage::Open if !session.pinged && over(limits.ping_ms, session.since) => {
                Some(Due::Ping)
            }
            Stage::Open => None,
            // As long as bytes leave, the close frame is on its way; but not for ever.
            Stage::Closing(reason) | Stage::Lingering(reason) => {
                let moved = session.queue.as_ref().map(|queue| queue.moved_at);
                let too_long = match moved {
                    Some(moved_at) => {
                        over(limits.close_ms, moved_at)
                            || over(limits.close_ms.max(limits.write_stall_ms), session.since)
                    }
                    None => over(limits.close_ms, session.since),
                };
                too_long.then_some(Due::Abort(reason))
            }
        }
    }

    fn act_on(&mut self, key: SessionKey, due: Due) {
        match due {
            Due::Excuse => {
                let now_ms = self.clock.now_ms();
                if let Some(session) = self.session(key) {
                    session.since = now_ms;
                }
            }
            Due::Ping => self.ping(key),
            Due::Idle => {
                let text = "nothing was received within the idle limit";
                self.close(key, CloseCode::GOING_AWAY, text, EndReason::Idle);
            }
            Due::Abort(reason) => self.abort(key, reason),
        }
    }

    fn ping(&mut self, key: SessionKey) {
        let Core {
            sessions,
            routes,
            collected,
            metrics,
            clock,
            ..
        } = self;
        let Some(session) = sessions.get_mut(key.index as usize) else {
            return;
        };
        if !routes[usize::from(session.route)].server_pings {
            return;
        }
        session.pinged = true;
        let Session { socket, queue, .. } = session;
        let mut outgoing = Outgoing::new(socket, queue, collected, metrics, clock.now_ms());
        outgoing.control(OpCode::Ping, &[]);
        // A broken connection shows itself in the next read.
        outgoing.finish();
        metrics.pings.add(1);
    }

    /// Begins to drain if the server does.
    pub(super) fn begin_drain_if_asked(&mut self) {
        if self.lifecycle.phase() < Phase::Draining {
            return;
        }
        if self.drain.is_none() {
            let until_ms = self.clock.now_ms().wrapping_add(self.limits.drain_ms);
            self.drain = Some(Drain { until_ms, next: 0 });
            self.drain_some();
        }
        if self.lifecycle.is_hurried() {
            self.drain_sessions(usize::MAX);
        }
        if self.lifecycle.is_hurried() || self.drain_time_is_over() {
            self.give_up_handshakes();
        }
    }

    /// Ends the opening handshakes in flight: their tasks see an end of stream.
    fn give_up_handshakes(&mut self) {
        for (_, fd) in &self.handshakes {
            // SAFETY: an entry is taken out in the step that lets go of its
            // socket, and no other task runs in between.
            sys::shutdown(unsafe { BorrowedFd::borrow_raw(*fd) });
        }
    }

    /// Whether the time in which sessions were to be closed has passed.
    pub(super) fn drain_time_is_over(&self) -> bool {
        // After the deadline the subtraction has wrapped around.
        self.drain.as_ref().is_some_and(|drain| {
            let left_ms = drain.until_ms.wrapping_sub(self.clock.now_ms());
            left_ms == 0 || left_ms > self.limits.drain_ms
        })
    }

    /// Closes as many sessions as this tick's share of the drain time asks for.
    fn drain_some(&mut self) {
        let Some(drain) = &self.drain else { return };
        let left_ms = drain.until_ms.wrapping_sub(self.clock.now_ms());
        let tick_ms = self.sweep.tick.as_millis() as u32;
        let quota = if left_ms <= tick_ms || self.drain_time_is_over() {
            usize::MAX
        } else {
            (self.sessions.len() as u64 * u64::from(tick_ms)).div_ceil(u64::from(left_ms)) as usize
        };
        self.drain_sessions(quota);
    }

    fn drain_sessions(&mut self, mut quota: usize) {
        let len = self.highest_index;
        let Some(drain) = &mut self.drain else { return };
        // Sessions keep their places, so one walk meets each that is still open.
        let mut index = drain.next;
        while index < len && quota > 0 {
            if let Some(session) = self.sessions.get(index).filter(|session| session.is_open()) {
                let key = SessionKey {
                    index: index as u32,
                    generation: session.generation,
                };
                let code = self.routes[usize::from(session.route)].drain_code;
                self.close(key, code, "the server is shutting down", EndReason::Drained);
                quota -= 1;
            }
            index += 1;
        }
        if let Some(drain) = &mut self.drain {
            drain.next = index;
        }
    }
}
