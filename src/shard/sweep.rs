//! Time: deadlines of sessions, and draining.
//!
//! There is no timer per session and nothing to do per message but to note the
//! time. A sweep looks at every session once per period, a part of the table
//! each tick, so that a million sessions never cost a long pause.
//!
//! # Invariants worth naming
//!
//! - A deadline is noticed at most one period late. The period is a quarter of
//!   the shortest limit and never more than two seconds. A tick that comes late,
//!   as on a host with many more threads than cores, looks at as much more.
//! - Where the server asks for a sign of life, nobody is closed for silence who
//!   was not asked, nor before there was time to answer: a question that comes
//!   late leaves as long for the answer as one in time.
//! - Nobody is given up for what the shard itself is behind with: it writes to
//!   and reads from a session once more before it ends it for being late.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::core::{Core, Limits};
use crate::metrics::EndReason;
use crate::plane::SessionKey;
use crate::session::{Session, Stage};
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
    /// When it last looked.
    looked: Instant,
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
            looked: Instant::now(),
        }
    }

    /// The places of a table of `len` to look at now: as large a part of it as
    /// the time since the last look is of the period.
    fn part(&mut self, len: usize, now: Instant) -> impl Iterator<Item = usize> + use<> {
        let period = self.tick * TICKS_PER_PERIOD;
        let passed = now.duration_since(self.looked).clamp(self.tick, period);
        self.looked = now;
        let part = (len as f64 * passed.as_secs_f64() / period.as_secs_f64()).ceil() as usize;
        let (from, part) = (self.next, part.min(len));
        self.next = (from + part).checked_rem(len).unwrap_or(0);
        (from..from + part).map(move |place| place % len)
    }
}

/// A drain under way.
pub(super) struct Drain {
    /// When the last close frame should have been sent.
    until_ms: u32,
    pub(super) next: usize,
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
        let now = Instant::now();
        self.clock.refresh(now);
        for index in self.sweep.part(self.highest_index, now) {
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
            Stage::Open if !session.pinged && self.asks(session) => {
                over(limits.ping_ms, session.since).then_some(Due::Ping)
            }
            Stage::Open if over(limits.idle_ms, session.since) => Some(Due::Idle),
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

    /// Whether the server asks this session for a sign of life before it takes
    /// its silence for its end.
    fn asks(&self, session: &Session) -> bool {
        self.limits.ping_ms > 0 && self.routes[usize::from(session.route)].server_pings
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
                self.catch_up(key);
                if !matches!(self.due_again(key), Some(Due::Idle)) {
                    return;
                }
                let text = "nothing was received within the idle limit";
                self.close(key, CloseCode::GOING_AWAY, text, EndReason::Idle);
            }
            Due::Abort(reason) => {
                self.catch_up(key);
                if matches!(self.due_again(key), Some(Due::Abort(_))) {
                    self.abort(key, reason);
                }
            }
        }
    }

    /// Looks at a session before it is given up: a shard that is behind, or a
    /// process that stood still, has not yet written what there is room for nor
    /// read every sign of life.
    fn catch_up(&mut self, key: SessionKey) {
        self.write(key);
        self.read(key, false);
    }

    /// What is due of a session after it has caught up.
    fn due_again(&self, key: SessionKey) -> Option<Due> {
        self.sessions
            .get(key.index as usize)
            .filter(|session| session.generation == key.generation)
            .and_then(|session| self.due(session))
    }

    fn ping(&mut self, key: SessionKey) {
        let asked_in_time = self.clock.now_ms().wrapping_sub(self.limits.ping_ms);
        let Some(session) = self.session(key) else {
            return;
        };
        session.pinged = true;
        session.since = asked_in_time;
        self.send_control(key, |outgoing| outgoing.control(OpCode::Ping, &[]));
        self.metrics.pings.add(1);
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
        // Who is accepted behind the drain time, while a neighbour takes over,
        // has just come.
        if self.lifecycle.is_hurried() || (self.drain_time_is_over() && self.doors == 0) {
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
        // Sessions keep their places, so one walk meets each that is still open,
        // and goes back for those that open meanwhile.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep(next: usize) -> (Sweep, Instant) {
        let looked = Instant::now();
        let tick = Duration::from_millis(100);
        (Sweep { tick, next, looked }, looked)
    }

    #[test]
    fn ticks_in_time_see_every_place_once_a_period() {
        let (mut sweep, begin) = sweep(0);
        let mut seen: Vec<usize> = (1..=TICKS_PER_PERIOD)
            .flat_map(|tick| sweep.part(1_000, begin + sweep.tick * tick))
            .collect();
        seen.dedup();
        assert_eq!(seen, (0..1_000).collect::<Vec<_>>());
    }

    #[test]
    fn a_late_tick_looks_at_what_the_others_would_have() {
        let (mut sweep, begin) = sweep(900);
        let half_a_period = begin + sweep.tick * (TICKS_PER_PERIOD / 2);
        let seen: Vec<usize> = sweep.part(1_000, half_a_period).collect();
        assert_eq!(seen.len(), 500);
        assert_eq!(
            (seen[0], seen[99], seen[100], seen[499]),
            (900, 999, 0, 399)
        );

        let much_later = half_a_period + Duration::from_secs(60);
        assert_eq!(sweep.part(1_000, much_later).count(), 1_000);
    }

    #[test]
    fn an_empty_table_and_one_that_grows_are_no_trouble() {
        let (mut sweep, begin) = sweep(0);
        assert_eq!(sweep.part(0, begin + sweep.tick).count(), 0);
        let later = begin + sweep.tick * 2;
        assert!(sweep.part(3, later).all(|place| place < 3));
    }
}
