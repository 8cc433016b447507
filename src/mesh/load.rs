//! The bytes that a ring carries, beside the number of its messages.
//!
//! # Invariants worth naming
//!
//! - A ring takes a message as long as those in it weigh less than its bound, so it
//!   carries at most one message more, and one of any size passes an empty ring.
//! - Each end counts what it has done itself, and writes no number of the other: no
//!   line of a cache is written by two cores.
//! - The consumer says what it has taken before it looks for the mark of a starved
//!   producer, as it makes room in places before; see [`starved`](super::starved).

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The weight of a message on a ring.
pub trait Weigh {
    /// The bytes that it keeps in memory, those apart that every message has.
    fn weight(&self) -> usize;
}

/// The bytes that a ring may carry, for each of its places: messages of this size fill
/// it as soon by number as by weight.
pub(super) const BYTES_PER_PLACE: usize = 16 * 1024;

/// The two counts of a ring of so many places.
pub(super) fn load(capacity: usize) -> (Pushed, Taken) {
    let published = Arc::new(AtomicU64::new(0));
    let pushed = Pushed {
        bytes: 0,
        taken: Cell::new(0),
        most: capacity.saturating_mul(BYTES_PER_PLACE) as u64,
        published: Arc::clone(&published),
    };
    (
        pushed,
        Taken {
            bytes: 0,
            published,
        },
    )
}

/// The producer's count.
pub(super) struct Pushed {
    bytes: u64,
    /// As the consumer last said when it mattered.
    taken: Cell<u64>,
    most: u64,
    published: Arc<AtomicU64>,
}

impl Pushed {
    /// Adds a message that was pushed.
    #[inline]
    pub(super) fn add(&mut self, weight: usize) {
        self.bytes += weight as u64;
    }

    /// Whether those in the ring weigh as much as they may.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.bytes - self.taken.get() >= self.most && {
            self.taken.set(self.published.load(Ordering::Acquire));
            self.bytes - self.taken.get() >= self.most
        }
    }
}

/// The consumer's count.
pub(super) struct Taken {
    bytes: u64,
    published: Arc<AtomicU64>,
}

impl Taken {
    /// Adds a message that was taken.
    #[inline]
    pub(super) fn add(&mut self, weight: usize) {
        self.bytes += weight as u64;
    }

    /// Lets the producer know of it.
    #[inline]
    pub(super) fn publish(&self) {
        self.published.store(self.bytes, Ordering::Release);
    }
}
