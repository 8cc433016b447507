//! Time: which session is looked at when, what it is due, and the drain.
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
//! - Where the server pings, a session is closed as idle only after it was pinged
//!   and had time to answer: a late ping leaves as long for the answer as one in
//!   time.
//! - A late shard must not time its sessions out: before it ends one for being late
//!   it writes to it and reads from it once more.

use std::time::{Duration, Instant};

use crate::config::Config;
use crate::metrics::EndReason;
use crate::session::{LIVES, Over, SessionMut, Stage};
use crate::ws::CloseCode;

/// Ticks of one sweep over the whole table.
const TICKS_PER_PERIOD: u32 = 8;
/// The longest time between two looks at a session.
const MAX_PERIOD_MS: u32 = 2_000;
/// The shortest tick. Limits below this are not worth the wake-ups.
const MIN_TICK_MS: u32 = 10;

/// The times at which sessions are looked at, and the steps that are then due. Times
/// are milliseconds of the shard's clock, zero for 'never'.
pub(crate) struct Deadlines {
    idle_ms: u32,
    ping_ms: u32,
    write_stall_ms: u32,
    close_ms: u32,
    drain_ms: u32,
    tick: Duration,
    /// The place to look at next.
    next: usize,
    /// When the table was last looked at.
    looked: Instant,
    drain: Option<Drain>,
}

/// A drain under way.
struct Drain {
    /// When the last close frame should have been sent.
    until_ms: u32,
    /// Sessions before this place are closed.
    next: usize,
}

/// A time in milliseconds, as far as they can be counted.
fn ms(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

/// The step that the sweep finds due for a session.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    /// It is not read for now, so its silence is ours.
    Excuse,
    Ping,
    Idle,
    Abort(EndReason),
}

impl Deadlines {
    /// The deadlines that the configuration asks for.
    pub(crate) fn new(config: &Config, now: Instant) -> Self {
        let mut deadlines = Deadlines {
            idle_ms: ms(config.idle_timeout),
            ping_ms: ms(config.ping_interval),
            write_stall_ms: ms(config.write_stall_timeout),
            close_ms: ms(config.close_timeout),
            drain_ms: ms(config.drain_timeout),
            tick: Duration::ZERO,
            next: 0,
            looked: now,
            drain: None,
        };
        let limits = [
            deadlines.idle_ms,
            deadlines.ping_ms,
            deadlines.write_stall_ms,
            deadlines.close_ms,
        ];
        let shortest = limits.into_iter().filter(|limit| *limit > 0).min();
        let period = shortest.map_or(MAX_PERIOD_MS, |shortest| (shortest / 4).min(MAX_PERIOD_MS));
        let tick = (period / TICKS_PER_PERIOD).max(MIN_TICK_MS);
        deadlines.tick = Duration::from_millis(tick.into());
        deadlines
    }

    /// Time between two looks at a part of the table.
    pub(crate) fn tick_interval(&self) -> Duration {
        self.tick
    }

    /// The places to look at now, of a table of so many: as large a part as the
    /// time since the last look is of the period.
    pub(super) fn part(
        &mut self,
        places: usize,
        now: Instant,
    ) -> impl Iterator<Item = usize> + use<> {
        let period = self.tick * TICKS_PER_PERIOD;
        let passed = now.saturating_duration_since(self.looked);
        let passed = passed.clamp(self.tick, period);
        self.looked = now;
        let part = (places as f64 * passed.as_secs_f64() / period.as_secs_f64()).ceil() as usize;
        let (from, part) = (self.next, part.min(places));
        self.next = (from + part).checked_rem(places).unwrap_or(0);
        (from..from + part).map(move |place| place % places)
    }

    /// Does what is due of a session.
    pub(super) fn look_after(&self, session: &mut SessionMut<'_>) -> Over {
        match self.due(session) {
            None => LIVES,
            Some(Due::Excuse) => {
                session.excuse();
                LIVES
            }
            Some(Due::Ping) => {
                let now_ms = session.serving().clock.now_ms();
                let ping_ms = self.ping_ms(session);
                session.ping(now_ms.wrapping_sub(ping_ms))
            }
            Some(Due::Idle) => {
                catch_up(session)?;
                if self.due(session) != Some(Due::Idle) {
                    return LIVES;
                }
                let text = "nothing was received within the idle limit";
                session.close(CloseCode::GOING_AWAY, text, EndReason::Idle)
            }
            Some(Due::Abort(_)) => {
                catch_up(session)?;
                match self.due(session) {
                    Some(Due::Abort(reason)) => session.abort(reason),
                    _ => LIVES,
                }
            }
        }
    }

    /// Silence after which a session is pinged; 0 for none.
    fn ping_ms(&self, view: &SessionMut<'_>) -> u32 {
        let policy = &view.route().policy;
        match (policy.server_pings, policy.ping_interval) {
            (false, _) => 0,
            (true, None) => self.ping_ms,
            (true, Some(interval)) => ms(interval),
        }
    }

    fn due(&self, view: &SessionMut<'_>) -> Option<Due> {
        let (session, serving) = (view.session(), view.serving());
        let over = |limit: u32, since: u32| limit > 0 && serving.clock.since(since) > limit;
        let moved_at = session.outlet().moved_at();
        if moved_at.is_some_and(|moved_at| over(self.write_stall_ms, moved_at)) {
            return Some(Due::Abort(match session.stage() {
                Stage::Open { .. } => EndReason::WriteStalled,
                Stage::Closing(reason) | Stage::Lingering(reason) => reason,
            }));
        }
        match session.stage() {
            // A paused session is not read, so it cannot appear alive.
            Stage::Open { .. } if session.is_paused(serving.high_water_mark_bytes) => {
                Some(Due::Excuse)
            }
            Stage::Open { pinged: false, .. } if self.ping_ms(view) > 0 => {
                over(self.ping_ms(view), session.since()).then_some(Due::Ping)
            }
            Stage::Open { .. } => over(self.idle_ms, session.since()).then_some(Due::Idle),
            // As long as bytes leave, the close frame is on its way; but not for ever.
            Stage::Closing(reason) | Stage::Lingering(reason) => {
                let too_long = match moved_at {
                    Some(moved_at) => {
                        over(self.close_ms, moved_at)
                            || over(self.close_ms.max(self.write_stall_ms), session.since())
                    }
                    None => over(self.close_ms, session.since()),
                };
                too_long.then_some(Due::Abort(reason))
            }
        }
    }

    /// Begins the drain. Returns whether it had not begun before.
    pub(super) fn begin_drain(&mut self, now_ms: u32) -> bool {
        let is_new = self.drain.is_none();
        let until_ms = now_ms.wrapping_add(self.drain_ms);
        self.drain.get_or_insert(Drain { until_ms, next: 0 });
        is_new
    }

    /// Whether a drain is under way.
    pub(super) fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    /// Whether the time in which sessions were to be closed has passed.
    pub(super) fn drain_time_is_over(&self, now_ms: u32) -> bool {
        // After the deadline the subtraction has wrapped around.
        self.drain.as_ref().is_some_and(|drain| {
            let left_ms = drain.until_ms.wrapping_sub(now_ms);
            left_ms == 0 || left_ms > self.drain_ms
        })
    }

    /// How many of so many sessions this tick's share of the drain time closes.
    pub(super) fn drain_quota(&self, sessions: usize, now_ms: u32) -> usize {
        let Some(drain) = &self.drain else { return 0 };
        let left_ms = drain.until_ms.wrapping_sub(now_ms);
        let tick_ms = self.tick.as_millis() as u32;
        if left_ms <= tick_ms || self.drain_time_is_over(now_ms) {
            return usize::MAX;
        }
        (sessions as u64 * u64::from(tick_ms)).div_ceil(u64::from(left_ms)) as usize
    }

    /// The next place of so many whose session is to be closed by the drain.
    /// Sessions keep their places, so one walk meets each that is still open.
    pub(super) fn next_to_drain(&mut self, places: usize) -> Option<usize> {
        let drain = self.drain.as_mut()?;
        let place = drain.next;
        (place < places).then(|| {
            drain.next += 1;
            place
        })
    }

    /// A session has opened at this place. During a drain it gets a close frame too.
    pub(super) fn opened(&mut self, index: u32) {
        if let Some(drain) = &mut self.drain {
            drain.next = drain.next.min(index as usize);
        }
    }
}

/// Writes and reads a session once more before it is ended for being late: a late
/// shard, or a process that stood still, has not yet written what there is room for nor
/// read everything that shows a client is alive.
fn catch_up(session: &mut SessionMut<'_>) -> Over {
    session.write()?;
    session.read(false)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn deadlines(next: usize) -> (Deadlines, Instant) {
        let looked = Instant::now();
        let deadlines = Deadlines {
            tick: Duration::from_millis(100),
            next,
            ..Deadlines::new(&Config::default(), looked)
        };
        (deadlines, looked)
    }

    #[test]
    fn ticks_in_time_see_every_place_once_a_period() {
        let (mut deadlines, begin) = deadlines(0);
        let mut seen: Vec<usize> = (1..=TICKS_PER_PERIOD)
            .flat_map(|tick| deadlines.part(1_000, begin + deadlines.tick * tick))
            .collect();
        seen.dedup();
        assert_eq!(seen, (0..1_000).collect::<Vec<_>>());
    }

    #[test]
    fn a_late_tick_looks_at_what_the_others_would_have() {
        let (mut deadlines, begin) = deadlines(900);
        let half_a_period = begin + deadlines.tick * (TICKS_PER_PERIOD / 2);
        let seen: Vec<usize> = deadlines.part(1_000, half_a_period).collect();
        assert_eq!(seen.len(), 500);
        assert_eq!(
            (seen[0], seen[99], seen[100], seen[499]),
            (900, 999, 0, 399)
        );

        let much_later = half_a_period + Duration::from_secs(60);
        assert_eq!(deadlines.part(1_000, much_later).count(), 1_000);
    }

    #[test]
    fn an_empty_table_and_one_that_grows_are_no_trouble() {
        let (mut deadlines, begin) = deadlines(0);
        assert_eq!(deadlines.part(0, begin + deadlines.tick).count(), 0);
        let later = begin + deadlines.tick * 2;
        assert!(deadlines.part(3, later).all(|place| place < 3));
    }

    #[test]
    fn a_drain_closes_its_share_each_tick_and_all_at_the_end() {
        let (mut deadlines, _) = deadlines(0);
        assert_eq!(deadlines.drain_quota(1_000, 0), 0, "none is under way");
        deadlines.drain_ms = 1_000;
        assert!(deadlines.begin_drain(u32::MAX - 100));
        assert!(!deadlines.begin_drain(0), "it goes on");
        let now_ms = |after: u32| (u32::MAX - 100).wrapping_add(after);
        assert_eq!(deadlines.drain_quota(1_000, now_ms(0)), 100);
        assert_eq!(deadlines.drain_quota(500, now_ms(500)), 100);
        assert_eq!(deadlines.drain_quota(500, now_ms(900)), usize::MAX);
        assert!(!deadlines.drain_time_is_over(now_ms(999)));
        assert!(deadlines.drain_time_is_over(now_ms(1_000)));
        assert!(deadlines.drain_time_is_over(now_ms(5_000)));

        assert_eq!(deadlines.next_to_drain(2), Some(0));
        assert_eq!(deadlines.next_to_drain(2), Some(1));
        assert_eq!(deadlines.next_to_drain(2), None);
        deadlines.opened(1);
        assert_eq!(deadlines.next_to_drain(2), Some(1));
    }
}
