//! Waking a parked shard, once per batch.
//!
//! # Invariants worth naming
//!
//! - A shard parks only after it has said so and was not notified since it last looked
//!   at its rings (check, register, check again).
//! - A producer that pushes to a ring notifies afterwards. At most one notification per
//!   park writes to the shard's event; the others find the mark already set.

#[cfg(loom)]
use loom::sync::atomic::{AtomicU8, Ordering};
use std::sync::Arc;
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU8, Ordering};

use crate::sys::EventFd;

/// The shard is at work and will look at its rings before it parks.
const AWAKE: u8 = 0;
/// The shard waits for its event.
const PARKED: u8 = 1;
/// Something was pushed since the shard last looked.
const NOTIFIED: u8 = 2;

/// The protocol alone, so that a model checker can run it.
#[derive(Debug)]
pub(super) struct WakeState(AtomicU8);

impl WakeState {
    pub(super) fn new() -> Self {
        WakeState(AtomicU8::new(AWAKE))
    }

    /// Called after a push. Returns whether the shard's event must be written.
    pub(super) fn notify(&self) -> bool {
        self.0.swap(NOTIFIED, Ordering::AcqRel) == PARKED
    }

    /// Called before the shard looks at its rings. Returns whether anything
    /// was pushed since it last did.
    pub(super) fn begin(&self) -> bool {
        self.0.swap(AWAKE, Ordering::AcqRel) == NOTIFIED
    }

    /// Called before the shard waits. `false`: look at the rings again first.
    pub(super) fn try_park(&self) -> bool {
        self.0
            .compare_exchange(AWAKE, PARKED, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    fn is_notified(&self) -> bool {
        self.0.load(Ordering::Acquire) == NOTIFIED
    }
}

/// Wakes one shard from any other thread.
#[derive(Debug)]
pub struct ShardWaker {
    state: WakeState,
    event: Arc<EventFd>,
}

impl ShardWaker {
    /// A waker that writes to `event`, which must have been made before the
    /// shards' descriptor tables part.
    pub fn new(event: Arc<EventFd>) -> Self {
        ShardWaker {
            state: WakeState::new(),
            event,
        }
    }

    /// Makes the shard look at its rings. Returns whether it had to be woken.
    pub fn notify(&self) -> bool {
        let parked = self.state.notify();
        if parked {
            self.event.notify();
        }
        parked
    }

    /// The shard is about to look at its rings: is there anything to see?
    pub fn begin(&self) -> bool {
        self.state.begin()
    }

    /// The shard wants to wait for its event; `false` says that it must not.
    pub fn try_park(&self) -> bool {
        self.state.try_park()
    }

    /// Whether something was pushed since the shard last looked. For busy polling.
    pub fn is_notified(&self) -> bool {
        self.state.is_notified()
    }

    /// The event that ends a park.
    pub fn event(&self) -> &Arc<EventFd> {
        &self.event
    }
}

/// The wake protocol under every interleaving: `make loom`.
#[cfg(all(test, loom))]
mod model {
    use super::WakeState;
    use loom::sync::atomic::{AtomicUsize, Ordering};
    use loom::sync::{Arc, Notify};
    use loom::thread;

    /// Two producers push to a ring each and notify; the consumer must see all
    /// of it, and must never park with something unseen and no event written.
    #[test]
    fn nothing_pushed_is_slept_through() {
        // Three preemptions reach every interesting order of so few steps;
        // without a bound the waiting loop below is explored for minutes.
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let state = Arc::new(WakeState::new());
            let rings = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
            let event = Arc::new(Notify::new());

            let producers: Vec<_> = (0..2)
                .map(|producer| {
                    let (state, rings, event) = (state.clone(), rings.clone(), event.clone());
                    thread::spawn(move || {
                        rings[producer].fetch_add(1, Ordering::Release);
                        if state.notify() {
                            event.notify();
                        }
                    })
                })
                .collect();

            let mut seen = 0;
            while seen < 2 {
                if state.begin() {
                    seen += rings
                        .iter()
                        .map(|ring| ring.swap(0, Ordering::Acquire))
                        .sum::<usize>();
                }
                if seen < 2 && state.try_park() {
                    // Parked: only the event may end it. If it is never
                    // written, loom reports a deadlock.
                    event.wait();
                }
            }
            for producer in producers {
                producer.join().unwrap();
            }
        });
    }

    /// A burst to a shard that is already notified costs no second event.
    #[test]
    fn one_event_per_park() {
        loom::model(|| {
            let state = Arc::new(WakeState::new());
            assert!(state.try_park());
            let producers: Vec<_> = (0..2)
                .map(|_| {
                    let state = state.clone();
                    thread::spawn(move || usize::from(state.notify()))
                })
                .collect();
            let events: usize = producers
                .into_iter()
                .map(|producer| producer.join().unwrap())
                .sum();
            assert_eq!(events, 1);
            assert!(state.begin());
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::WakeState;

    #[test]
    fn a_notified_shard_does_not_park() {
        let state = WakeState::new();
        assert!(!state.notify(), "an awake shard needs no event");
        assert!(!state.try_park());
        assert!(state.begin());
        assert!(!state.begin(), "the mark is taken once");
        assert!(state.try_park());
        assert!(state.notify(), "a parked shard needs its event");
        assert!(!state.notify(), "but only once");
    }
}
