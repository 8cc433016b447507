//! A participant that is no shard: it gives messages to all shards and takes none.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Waker;

use atomic_waker::AtomicWaker;

use super::load::Weigh;
use super::ring::Producer;

/// An outsider's ends of its rings, one to each shard. A full ring means that its
/// message is refused.
///
/// # Invariants worth naming
///
/// - A message is put on the rings of all shards or of none: only this end can fill
///   a ring, so one that has room keeps it until it is used.
/// - A message that was accepted is not lost: it is read by each shard, or dropped
///   with the shard and its subscribers.
pub struct OutsideEnd<M> {
    to: Vec<Producer<M>>,
    room: Arc<RoomWaker>,
}

/// Why a message was not put on the rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The ring to this shard is full, perhaps others too.
    Full {
        /// Its place among the shards.
        shard: usize,
    },
    /// All shards have ended.
    Stopped,
}

impl<M: Clone + Weigh> OutsideEnd<M> {
    pub(super) fn new(to: Vec<Producer<M>>, room: Arc<RoomWaker>) -> Self {
        OutsideEnd { to, room }
    }

    /// Sends a message to every shard that has not ended, and wakes those that sleep.
    ///
    /// # Errors
    /// When a ring is full, and after the last shard has ended. No shard gets the
    /// message then.
    pub fn try_broadcast(&mut self, message: &M) -> Result<(), Refused> {
        if self.to.iter().all(Producer::is_abandoned) {
            return Err(Refused::Stopped);
        }
        if let Some(shard) = self.to.iter().position(|producer| !producer.has_room()) {
            return Err(Refused::Full { shard });
        }
        for producer in &mut self.to {
            // A shard that has ended would never let go of it.
            if !producer.is_abandoned() && producer.push(message.clone()).is_ok() {
                producer.notify();
            }
        }
        Ok(())
    }

    /// Tells one task of room, or of the end of a shard. To be registered with before
    /// trying, or the room might come in between and no task be told of it.
    pub fn room(&self) -> &Arc<RoomWaker> {
        &self.room
    }
}

/// Wakes a task, of whatever executor, from a shard's thread: without a lock, and
/// once for each registration.
#[derive(Debug, Default)]
pub struct RoomWaker(AtomicWaker);

impl RoomWaker {
    /// Makes the next wake that of this task, in place of any other.
    pub fn register(&self, waker: &Waker) {
        self.0.register(waker);
    }

    /// Forgets the task.
    pub fn clear(&self) {
        self.0.take();
    }

    /// Wakes the task that has registered.
    pub(crate) fn wake(&self) {
        if let Some(waker) = self.0.take() {
            // Some executors' wakers panic on threads that are not theirs.
            let woken = catch_unwind(AssertUnwindSafe(|| waker.wake()));
            if woken.is_err() {
                tracing::error!(
                    "a task that waits to publish cannot be woken, because its executor's \
                     waker panics on other threads; for monoio, enable its feature 'sync'"
                );
            }
        }
    }
}
