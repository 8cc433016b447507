//! The messages to a service manager, in systemd's protocol (`sd_notify`): that the
//! server is ready, that it stops, which process it is after a hand-over, and that it
//! lives.
//!
//! Without `NOTIFY_SOCKET` in the environment no message is sent.
//!
//! # Invariants worth naming
//!
//! - The manager hears that the server lives only if every shard has turned
//!   since it was last told. A shard ticks several times a second even when
//!   nothing happens, so one that does not turn is stuck.
//! - After a hand-over the old process is silent: its word would be taken for
//!   that of the service.
//! - The server never waits for its manager. Where the manager does not read,
//!   the latest change of state is kept and sent again until it is taken.

mod manager;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use self::manager::Manager;
use crate::server::Vitals;
use crate::shutdown::Phase;

/// Time between two reports where no watchdog asks for a shorter one.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);
/// The longest time in which a shard that lives may not turn. It ticks at least
/// every quarter of a second; the rest is for a host that is busy.
const LONGEST_TURN: Duration = Duration::from_secs(1);
/// The longest time an old process that has drained stays for a manager that has
/// not taken the new process's number yet: without it the manager would take the
/// end of this process for that of the service, and end the new process.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// The service that this process is, as its manager sees it.
#[derive(Debug)]
pub struct Service {
    manager: Option<Manager>,
    /// Whether this process may speak for the service.
    speaks: AtomicBool,
    /// The time after which the manager ends a process that it has not heard of.
    watchdog: Option<Duration>,
}

impl Service {
    /// The service that the environment names.
    pub fn from_environment() -> Arc<Self> {
        let manager = Manager::from_environment();
        Arc::new(Service {
            speaks: AtomicBool::new(manager.is_some()),
            manager,
            watchdog: sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero()),
        })
    }

    /// The server serves.
    pub fn ready(&self, status: &str) {
        self.tell(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// A new process is being started.
    pub(crate) fn reloading(&self) {
        let status = NotifyState::Status("starting a new process");
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now, status]),
            Err(_) => self.tell(&[NotifyState::Reloading, status]),
        }
    }

    /// No new process has come of it.
    pub(crate) fn goes_on(&self) {
        let status = "the hand-over failed, see the log; the process before it serves";
        self.ready(status);
    }

    /// Another process is the service from now on.
    pub(crate) fn handed_over_to(&self, new_process: u32) {
        self.tell(&[
            NotifyState::MainPid(new_process),
            NotifyState::Ready,
            NotifyState::Status("a new process has taken over"),
        ]);
        self.speaks.store(false, Ordering::Relaxed);
    }

    /// The server drains, and will have ended after this time.
    pub fn stopping(&self, within: Duration) {
        let within = u32::try_from(within.as_micros()).unwrap_or(u32::MAX);
        self.tell(&[
            NotifyState::Stopping,
            NotifyState::ExtendTimeoutUsec(within),
            NotifyState::Status("draining"),
        ]);
    }

    /// Reports on a server for as long as the process lives, on a thread of its own, if
    /// a manager listens.
    ///
    /// # Errors
    /// When there is no thread.
    pub fn report_on(self: &Arc<Self>, vitals: Vitals) -> std::io::Result<()> {
        if !self.may_speak() {
            return Ok(());
        }
        let service = Arc::clone(self);
        let builder = thread::Builder::new().name("service".to_owned());
        builder.spawn(move || service.report(&vitals)).map(drop)
    }

    fn report(&self, vitals: &Vitals) {
        let Some(manager) = &self.manager else { return };
        let half = self.watchdog.map(|limit| limit / 2);
        let interval = half.map_or(REPORT_INTERVAL, |half| half.min(REPORT_INTERVAL));
        let mut pulse = Pulse::new(&vitals.turns(), interval.max(LONGEST_TURN));
        let mut alarmed = false;
        let mut due = Instant::now();
        // An old process stays for its last word until the manager has taken it.
        while self.may_speak() || manager.has_untold() {
            if self.may_speak() && Instant::now() >= due {
                due = Instant::now() + interval;
                let stuck = pulse.stuck(&vitals.turns(), Instant::now());
                self.report_once(vitals, stuck, alarmed);
                alarmed = stuck.is_some();
            }
            manager.wait(due.saturating_duration_since(Instant::now()));
        }
    }

    fn report_once(&self, vitals: &Vitals, stuck: Option<usize>, alarmed: bool) {
        let Some(manager) = &self.manager else { return };
        match stuck {
            None => {
                let status = status(vitals);
                let status = NotifyState::Status(&status);
                if self.watchdog.is_some() {
                    manager.mention(&[NotifyState::Watchdog, status]);
                } else {
                    manager.mention(&[status]);
                }
            }
            Some(shard) if !alarmed => {
                tracing::error!(
                    "shard {shard} is stuck; the service manager is not told any more that the \
                     server lives"
                );
            }
            Some(_) => {}
        }
    }

    /// Waits until the manager has taken the new process's number, but not for
    /// long. To be called last in a process that has handed over.
    pub fn leave(&self) {
        let Some(manager) = &self.manager else { return };
        let until = Instant::now() + LAST_WAIT;
        while !self.may_speak() && manager.has_untold() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                tracing::error!(
                    "the service manager has not read NOTIFY_SOCKET for {LAST_WAIT:?}, so it does \
                     not know the new process and may end it with this process"
                );
                return;
            }
            manager.wait(left);
        }
    }

    fn may_speak(&self) -> bool {
        self.speaks.load(Ordering::Relaxed)
    }

    /// Tells of a change of state, now or when the manager reads again.
    fn tell(&self, states: &[NotifyState<'_>]) {
        if let (Some(manager), true) = (&self.manager, self.may_speak()) {
            manager.tell(states);
        }
    }
}

fn status(vitals: &Vitals) -> String {
    let (shards, sessions) = (vitals.shards(), vitals.sessions());
    match vitals.phase() {
        Phase::Draining | Phase::Stopped => format!("draining, {sessions} sessions left"),
        Phase::Unready => format!("unready, {sessions} sessions, about to drain"),
        Phase::Starting | Phase::Running => {
            let (processes, others) = vitals.predecessors();
            let more = match processes {
                0 => String::new(),
                _ => format!("; {others} sessions more drain in the process before"),
            };
            format!("serving {sessions} sessions on {shards} shards{more}")
        }
    }
}

/// When each shard was last seen to turn.
struct Pulse {
    seen: Vec<(u64, Instant)>,
    limit: Duration,
}

impl Pulse {
    fn new(turns: &[Option<u64>], limit: Duration) -> Self {
        let now = Instant::now();
        let seen = turns
            .iter()
            .map(|turns| (turns.unwrap_or(0), now))
            .collect();
        Pulse { seen, limit }
    }

    /// A shard that has not turned for too long. One that has ended is not stuck.
    fn stuck(&mut self, turns: &[Option<u64>], now: Instant) -> Option<usize> {
        let mut stuck = None;
        for (shard, ((seen, when), turns)) in self.seen.iter_mut().zip(turns).enumerate() {
            match turns {
                Some(turns) if turns == seen => {
                    if now.duration_since(*when) >= self.limit {
                        stuck.get_or_insert(shard);
                    }
                }
                _ => (*seen, *when) = (turns.unwrap_or(*seen), now),
            }
        }
        stuck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_stuck_when_it_has_not_turned_for_the_limit() {
        let limit = Duration::from_secs(1);
        let mut pulse = Pulse::new(&[Some(5), Some(5)], limit);
        let begin = Instant::now();
        let after = |millis| begin + Duration::from_millis(millis);
        assert_eq!(pulse.stuck(&[Some(6), Some(6)], after(100)), None);
        assert_eq!(pulse.stuck(&[Some(7), Some(6)], after(900)), None);
        assert_eq!(pulse.stuck(&[Some(8), Some(6)], after(1_100)), Some(1));
        assert_eq!(
            pulse.stuck(&[Some(9), Some(7)], after(1_200)),
            None,
            "it goes on"
        );
        assert_eq!(
            pulse.stuck(&[None, Some(8)], after(5_000)),
            None,
            "one has ended"
        );
        assert_eq!(pulse.stuck(&[None, Some(8)], after(6_000)), Some(1));
    }
}
