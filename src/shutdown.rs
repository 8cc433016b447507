//! The phases of a server's life, from its first thread to its last.
//!
//! # Invariants worth naming
//!
//! - A phase only moves forward. Whoever sees [`Phase::Draining`] will never
//!   see [`Phase::Running`] again, whichever thread asks.
//! - Reading the phase is one load without a lock, so a shard may ask on each turn.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// What the server is doing. The order of the variants is the order of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Phase {
    /// Shards are being started; connections may not be served yet.
    Starting,
    /// Every shard accepts connections.
    Running,
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
        Phase::Draining,
        Phase::Stopped,
    ];

    /// The word that stands for it in metrics, health answers and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::Running => "running",
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

/// What serves the address of a server that drains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum TakenOverBy {
    /// Nobody that we know of: new connections are refused.
    #[default]
    Nobody,
    /// Another server that listens on the same address beside this one.
    Neighbour,
    /// The process that this one has left its listeners to.
    NewProcess,
}

/// The phase of one server, shared by all its threads.
#[derive(Debug, Default)]
pub struct Lifecycle {
    phase: AtomicU8,
    taken_over_by: AtomicU8,
    hurried: AtomicBool,
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
        self.phase.fetch_max(phase as u8, Ordering::AcqRel) < phase as u8
    }

    /// Moves on to [`Phase::Draining`], with somebody else serving the address or
    /// not. Returns whether that was a step forward; if not, what takes over stays too.
    pub fn drain(&self, taken_over_by: TakenOverBy) -> bool {
        // Told first: a thread that sees the phase sees this too. A drain that is
        // under way has it already, so of two that ask at once the first counts.
        if self.phase() < Phase::Draining {
            let nobody = TakenOverBy::Nobody as u8;
            let (new, order) = (taken_over_by as u8, Ordering::AcqRel);
            let _ = self
                .taken_over_by
                .compare_exchange(nobody, new, order, Ordering::Acquire);
        }
        self.set(Phase::Draining)
    }

    /// Who serves the address once this server drains.
    pub fn taken_over_by(&self) -> TakenOverBy {
        match self.taken_over_by.load(Ordering::Acquire) {
            1 => TakenOverBy::Neighbour,
            2 => TakenOverBy::NewProcess,
            _ => TakenOverBy::Nobody,
        }
    }

    /// Asks a drain to end at once, as a second signal does.
    pub fn hurry(&self) {
        self.hurried.store(true, Ordering::Release);
    }

    /// Whether somebody called [`Lifecycle::hurry`].
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
        let lifecycle = Lifecycle::new();
        assert!(lifecycle.drain(TakenOverBy::NewProcess));
        assert_eq!(lifecycle.taken_over_by(), TakenOverBy::NewProcess);
        assert!(!lifecycle.drain(TakenOverBy::Neighbour));
        assert_eq!(lifecycle.taken_over_by(), TakenOverBy::NewProcess);

        let lifecycle = Lifecycle::new();
        assert!(lifecycle.drain(TakenOverBy::Nobody));
        assert!(!lifecycle.drain(TakenOverBy::NewProcess));
        assert_eq!(lifecycle.taken_over_by(), TakenOverBy::Nobody);
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
