//! The phases of a server's life, from its first thread to its last.
//!
//! # Invariants worth naming
//!
//! - A phase only moves forward. After any thread has seen [`Phase::Draining`], no
//!   thread sees [`Phase::Running`] again.
//! - Reading the phase is one load without a lock, so a shard may ask on each turn.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::config::MAX_ENDPOINTS;

/// The phase of the server. The order of the variants is the order of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Phase {
    /// Shards are being started; connections may not be served yet.
    Starting,
    /// Every shard accepts connections.
    Running,
    /// As before, but health checks are told that the server is about to drain, so that
    /// load balancers send their clients elsewhere (`drain_delay`).
    Unready,
    /// No new sessions; those that live are being closed, spread over the drain time.
    Draining,
    /// Every session has ended, or was given up.
    Stopped,
}

impl Phase {
    /// Every phase, in the order of life.
    pub const ALL: &[Phase] = &[
        Phase::Starting,
        Phase::Running,
        Phase::Unready,
        Phase::Draining,
        Phase::Stopped,
    ];

    /// The word that stands for it in metrics, health answers and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::Running => "running",
            Phase::Unready => "unready",
            Phase::Draining => "draining",
            Phase::Stopped => "stopped",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// The successor at the address of an endpoint whose server drains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakenOverBy {
    /// None that we know of: new connections are refused.
    Nobody,
    /// Another server that listens on the same address beside this one.
    Neighbour,
    /// The process that this one has left its listeners to.
    NewProcess,
}

/// The successors of a server that drains, for each of its endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakeOver(u64);

// A bit for each endpoint, and one more.
const _: () = assert!(MAX_ENDPOINTS < 64);

impl TakeOver {
    /// Nothing, at any endpoint.
    pub const NONE: TakeOver = TakeOver(0);
    /// The process that has all listeners.
    pub const BY_NEW_PROCESS: TakeOver = TakeOver(u64::MAX);

    /// Neighbours at those endpoints that have one, in their order.
    pub fn by_neighbours(have: impl IntoIterator<Item = bool>) -> Self {
        let have = have.into_iter().take(MAX_ENDPOINTS).enumerate();
        TakeOver(have.fold(0, |bits, (place, has)| bits | u64::from(has) << place))
    }

    /// The successor at an endpoint, by its place.
    pub fn at(self, place: usize) -> TakenOverBy {
        if self == TakeOver::BY_NEW_PROCESS {
            TakenOverBy::NewProcess
        } else if self.0 >> place & 1 == 1 {
            TakenOverBy::Neighbour
        } else {
            TakenOverBy::Nobody
        }
    }
}

/// The beginning of a server's drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainStart {
    /// When the first close frames were sent.
    pub at: Instant,
    /// The sessions that were open then.
    pub sessions: u64,
}

/// The processes that have handed over to this one and still serve sessions.
#[derive(Debug, Default)]
pub struct Predecessors {
    processes: AtomicU64,
    sessions: AtomicU64,
}

impl Predecessors {
    /// Their number.
    pub fn processes(&self) -> u64 {
        self.processes.load(Ordering::Relaxed)
    }

    /// The sessions that they have left, all together.
    pub fn sessions(&self) -> u64 {
        self.sessions.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, processes: u64, sessions: u64) {
        self.processes.store(processes, Ordering::Relaxed);
        self.sessions.store(sessions, Ordering::Relaxed);
    }
}

/// The phase of one server, shared by all its threads, and how far its drain and those
/// of its predecessors have come.
#[derive(Debug, Default)]
pub struct Lifecycle {
    phase: AtomicU8,
    take_over: AtomicU64,
    hurried: AtomicBool,
    drain_start: OnceLock<DrainStart>,
    predecessors: Predecessors,
    /// Held while the phase is moved, for those that wait for it.
    moving: Mutex<()>,
    moved: Condvar,
}

impl Lifecycle {
    /// A server that is [`Phase::Starting`].
    pub fn new() -> Self {
        Lifecycle::default()
    }

    /// The phase now.
    #[inline]
    pub fn phase(&self) -> Phase {
        // Only `set` writes, and only discriminants, so the index is always good.
        Phase::ALL[usize::from(self.phase.load(Ordering::Acquire))]
    }

    /// Moves on to `phase`. Returns whether that was a step forward; a step
    /// back or on the spot changes nothing, so of two threads that both ask
    /// for a drain exactly one begins it.
    pub fn set(&self, phase: Phase) -> bool {
        let _moving = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
        let is_forward = self.phase.fetch_max(phase as u8, Ordering::AcqRel) < phase as u8;
        if is_forward {
            self.moved.notify_all();
        }
        is_forward
    }

    /// Waits until the phase is `phase` or a later one, but not longer than `limit`.
    /// Returns whether it is.
    pub(crate) fn wait_for(&self, phase: Phase, limit: Duration) -> bool {
        let moving = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .moved
            .wait_timeout_while(moving, limit, |()| self.phase() < phase);
        drop(waited);
        self.phase() >= phase
    }

    /// Moves on to [`Phase::Draining`], with something that takes over or not. Returns
    /// whether that was a step forward; if not, the successor stays too.
    pub fn drain(&self, take_over: TakeOver) -> bool {
        self.leave(Phase::Draining, take_over)
    }

    /// The same for [`Phase::Unready`], after which [`Phase::Draining`] is to follow.
    pub(crate) fn become_unready(&self, take_over: TakeOver) -> bool {
        self.leave(Phase::Unready, take_over)
    }

    fn leave(&self, phase: Phase, take_over: TakeOver) -> bool {
        // Told first: a thread that sees the phase sees this too. A drain that is
        // under way has it already, so of two that ask at once the first counts.
        if self.phase() < Phase::Unready {
            let (none, order) = (TakeOver::NONE.0, Ordering::AcqRel);
            let _ = self
                .take_over
                .compare_exchange(none, take_over.0, order, Ordering::Acquire);
        }
        self.set(phase)
    }

    /// Whether a health check of an endpoint should find a server that takes new
    /// sessions: this one, or one that has taken over there.
    pub(crate) fn is_ready_at(&self, place: usize) -> bool {
        self.phase() < Phase::Unready || self.take_over().at(place) != TakenOverBy::Nobody
    }

    /// Notes that the drain begins, with so many sessions; the first time counts.
    pub(crate) fn note_drain(&self, sessions: u64) {
        let at = Instant::now();
        let _ = self.drain_start.set(DrainStart { at, sessions });
    }

    /// The beginning of the drain, once there is one.
    pub fn drain_start(&self) -> Option<DrainStart> {
        self.drain_start.get().copied()
    }

    /// The processes that have handed over to this one.
    pub fn predecessors(&self) -> &Predecessors {
        &self.predecessors
    }

    /// The successors of this server once it drains.
    pub fn take_over(&self) -> TakeOver {
        TakeOver(self.take_over.load(Ordering::Acquire))
    }

    /// Asks a drain to end at once, as a second signal does.
    pub fn hurry(&self) {
        self.hurried.store(true, Ordering::Release);
    }

    /// Whether [`Lifecycle::hurry`] was called.
    #[inline]
    pub fn is_hurried(&self) -> bool {
        self.hurried.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_discriminants_index_all() {
        for (index, phase) in Phase::ALL.iter().enumerate() {
            assert_eq!(*phase as usize, index);
        }
    }

    #[test]
    fn phases_only_move_forward() {
        let lifecycle = Lifecycle::new();
        assert_eq!(lifecycle.phase(), Phase::Starting);
        assert!(lifecycle.set(Phase::Draining), "phases may be skipped");
        assert!(!lifecycle.set(Phase::Draining));
        assert!(!lifecycle.set(Phase::Running));
        assert_eq!(lifecycle.phase(), Phase::Draining);
        assert!(lifecycle.set(Phase::Stopped));
    }

    #[test]
    fn the_first_drain_says_what_takes_over() {
        let neighbours = TakeOver::by_neighbours([true]);
        let lifecycle = Lifecycle::new();
        assert!(lifecycle.drain(TakeOver::BY_NEW_PROCESS));
        assert_eq!(lifecycle.take_over(), TakeOver::BY_NEW_PROCESS);
        assert!(!lifecycle.drain(neighbours));
        assert_eq!(lifecycle.take_over(), TakeOver::BY_NEW_PROCESS);

        let lifecycle = Lifecycle::new();
        assert!(lifecycle.drain(TakeOver::NONE));
        assert!(!lifecycle.drain(TakeOver::BY_NEW_PROCESS));
        assert_eq!(lifecycle.take_over(), TakeOver::NONE);
    }

    #[test]
    fn a_wait_ends_with_the_phase_or_with_its_limit() {
        let lifecycle = Lifecycle::new();
        assert!(!lifecycle.wait_for(Phase::Draining, Duration::from_millis(1)));
        std::thread::scope(|scope| {
            scope.spawn(|| lifecycle.drain(TakeOver::NONE));
            assert!(lifecycle.wait_for(Phase::Unready, Duration::from_secs(60)));
        });
        assert!(lifecycle.wait_for(Phase::Draining, Duration::ZERO));
    }

    #[test]
    fn an_unready_server_is_ready_only_where_another_takes_over() {
        let lifecycle = Lifecycle::new();
        lifecycle.set(Phase::Running);
        assert!(lifecycle.is_ready_at(0));
        assert!(lifecycle.become_unready(TakeOver::by_neighbours([false, true])));
        assert!(!lifecycle.is_ready_at(0));
        assert!(lifecycle.is_ready_at(1));
        assert!(lifecycle.drain(TakeOver::NONE));
        assert!(lifecycle.is_ready_at(1), "the first word counts");
    }

    #[test]
    fn each_endpoint_has_a_neighbour_or_not() {
        let take_over = TakeOver::by_neighbours([false, true]);
        assert_eq!(take_over.at(0), TakenOverBy::Nobody);
        assert_eq!(take_over.at(1), TakenOverBy::Neighbour);
        for take_over in [TakeOver::NONE, TakeOver::by_neighbours([false; 2])] {
            assert_eq!(take_over.at(1), TakenOverBy::Nobody);
        }
        let all = TakeOver::by_neighbours([true; MAX_ENDPOINTS]);
        assert_eq!(all.at(MAX_ENDPOINTS - 1), TakenOverBy::Neighbour);
        assert_eq!(TakeOver::BY_NEW_PROCESS.at(1), TakenOverBy::NewProcess);
    }

    #[test]
    fn hurrying_is_apart_from_the_phase() {
        let lifecycle = Lifecycle::new();
        assert!(!lifecycle.is_hurried());
        lifecycle.hurry();
        assert!(lifecycle.is_hurried());
        assert_eq!(lifecycle.phase(), Phase::Starting);
    }
}
