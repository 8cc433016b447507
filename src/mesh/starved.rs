//! Telling a producer that its full ring has room again.
//!
//! # Invariants worth naming
//!
//! - A producer that found no room marks the ring and then looks once more. A
//!   consumer makes room and then looks for the mark. Both swap the mark, so one
//!   comes before the other and is seen by it, with all that it did before: either
//!   the consumer finds the mark and tells the producer, or the producer finds the
//!   room.
//! - A mark is taken once: however much room is made, the producer is told once.

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, Ordering};

/// The mark of a ring whose producer waits for room.
#[derive(Debug)]
pub(super) struct Starved(AtomicBool);

impl Starved {
    pub(super) fn new() -> Self {
        Starved(AtomicBool::new(false))
    }

    /// Called by the producer after it found no room, and before it looks again.
    pub(super) fn mark(&self) {
        // A swap, although its result is not used: a store would not see the room that
        // was made before it.
        self.0.swap(true, Ordering::AcqRel);
    }

    /// Called by the consumer after it has made room. Returns whether the producer
    /// must be told.
    pub(super) fn take(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}

/// The protocol under every interleaving: `make loom`.
#[cfg(all(test, loom))]
mod model {
    use super::Starved;
    use loom::future::{AtomicWaker, block_on};
    use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use loom::sync::{Arc, Notify};
    use loom::thread;
    use std::future::poll_fn;
    use std::task::Poll;

    /// A ring of one place, as far as its two ends see of each other.
    struct Ring {
        popped: AtomicUsize,
        is_abandoned: AtomicBool,
        starved: Starved,
    }

    impl Ring {
        /// A ring whose place is taken.
        fn full() -> Arc<Ring> {
            Arc::new(Ring {
                popped: AtomicUsize::new(0),
                is_abandoned: AtomicBool::new(false),
                starved: Starved::new(),
            })
        }

        /// Whether the `pushed`th message would have to wait.
        fn is_full(&self, pushed: usize) -> bool {
            pushed > self.popped.load(Ordering::Acquire)
                && !self.is_abandoned.load(Ordering::Acquire)
        }

        /// The steps of a producer that found no room.
        fn has_room_at_last(&self, pushed: usize) -> bool {
            !self.is_full(pushed) || {
                self.starved.mark();
                !self.is_full(pushed)
            }
        }
    }

    /// A shard that holds its publishers parks, and only its event may wake it. If
    /// that is never written although there is room, loom reports a deadlock.
    #[test]
    fn a_producer_that_parks_is_told_of_room() {
        loom::model(|| {
            let (ring, event) = (Ring::full(), Arc::new(Notify::new()));
            let consumer = {
                let (ring, event) = (ring.clone(), event.clone());
                thread::spawn(move || {
                    for popped in 1..=2 {
                        ring.popped.store(popped, Ordering::Release);
                        if ring.starved.take() {
                            event.notify();
                        }
                    }
                })
            };
            for pushed in 1..=2 {
                while !ring.has_room_at_last(pushed) {
                    event.wait();
                }
            }
            consumer.join().unwrap();
        });
    }

    /// A publisher outside registers its task first, then tries as a shard does.
    #[test]
    fn a_task_that_waits_is_woken() {
        loom::model(|| {
            let (ring, waker) = (Ring::full(), Arc::new(AtomicWaker::new()));
            let consumer = {
                let (ring, waker) = (ring.clone(), waker.clone());
                thread::spawn(move || {
                    ring.popped.store(1, Ordering::Release);
                    if ring.starved.take() {
                        waker.wake();
                    }
                })
            };
            block_on(poll_fn(|cx| {
                waker.register_by_ref(cx.waker());
                match ring.has_room_at_last(1) {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            }));
            consumer.join().unwrap();
        });
    }

    /// A consumer that ends tells the producer that waits for room that will never
    /// come.
    #[test]
    fn an_abandoned_ring_keeps_nobody_waiting() {
        loom::model(|| {
            let (ring, event) = (Ring::full(), Arc::new(Notify::new()));
            let consumer = {
                let (ring, event) = (ring.clone(), event.clone());
                thread::spawn(move || {
                    ring.is_abandoned.store(true, Ordering::Release);
                    if ring.starved.take() {
                        event.notify();
                    }
                })
            };
            while !ring.has_room_at_last(1) {
                event.wait();
            }
            consumer.join().unwrap();
        });
    }
}
