//! One ring: a lock-free SPSC queue whose ends tell each other of messages and of
//! room.

use std::sync::Arc;

use super::outside::RoomWaker;
use super::starved::Starved;
use super::waker::ShardWaker;

/// Makes a ring to the shard of `consumer`. `producer` is told when there is room
/// again.
pub(super) fn ring<M>(
    capacity: usize,
    consumer: &Arc<ShardWaker>,
    producer: ToldOfRoom,
) -> (Producer<M>, Consumer<M>) {
    let (to, from) = rtrb::RingBuffer::new(capacity);
    let starved = Arc::new(Starved::new());
    (
        Producer {
            ring: to,
            starved: Arc::clone(&starved),
            consumer: Arc::clone(consumer),
            notify: false,
        },
        Consumer {
            ring: from,
            room: Room { starved, producer },
        },
    )
}

/// The end that is pushed to.
pub(super) struct Producer<M> {
    ring: rtrb::Producer<M>,
    starved: Arc<Starved>,
    consumer: Arc<ShardWaker>,
    /// Something was pushed that the consumer was not yet told of.
    notify: bool,
}

impl<M> Producer<M> {
    /// Pushes, or gives the message back with the ring marked starved.
    pub(super) fn push(&mut self, message: M) -> Result<(), M> {
        let message = match self.ring.push(message) {
            Ok(()) => {
                self.notify = true;
                return Ok(());
            }
            Err(rtrb::PushError::Full(message)) => message,
        };
        self.starved.mark();
        match self.ring.push(message) {
            Ok(()) => {
                self.notify = true;
                Ok(())
            }
            // A shard that has ended will not read it, nor has it subscribers.
            Err(rtrb::PushError::Full(_)) if self.is_abandoned() => Ok(()),
            Err(rtrb::PushError::Full(message)) => Err(message),
        }
    }

    /// Whether the next push will not be refused. If it would be, the ring is marked
    /// starved.
    pub(super) fn has_room(&self) -> bool {
        !self.ring.is_full() || {
            self.starved.mark();
            !self.ring.is_full() || self.is_abandoned()
        }
    }

    /// Whether the consumer has ended.
    pub(super) fn is_abandoned(&self) -> bool {
        self.ring.is_abandoned()
    }

    /// Makes the consumer look, if something was pushed since it was last told.
    /// Returns whether its shard had to be woken.
    pub(super) fn notify(&mut self) -> bool {
        std::mem::take(&mut self.notify) && self.consumer.notify()
    }
}

/// The end that is taken from. Dropping it lets go of the messages left in the ring,
/// and of the producer that waits for room.
pub(super) struct Consumer<M> {
    // Before `room`, because fields are dropped in this order: a producer that is told
    // then must find the ring abandoned.
    ring: rtrb::Consumer<M>,
    room: Room,
}

impl<M> Consumer<M> {
    /// Messages in the ring.
    pub(super) fn len(&self) -> usize {
        self.ring.slots()
    }

    /// Takes up to `share` messages. Returns how many there were.
    pub(super) fn receive(&mut self, share: usize, mut deliver: impl FnMut(M)) -> usize {
        let mut taken = 0;
        while taken < share {
            let Ok(message) = self.ring.pop() else {
                break;
            };
            deliver(message);
            taken += 1;
        }
        if taken > 0 {
            self.room.tell_if_starved();
        }
        taken
    }
}

impl<M> Drop for Consumer<M> {
    fn drop(&mut self) {
        while self.ring.pop().is_ok() {}
    }
}

/// A consumer's view of the producer that waits for room.
struct Room {
    starved: Arc<Starved>,
    producer: ToldOfRoom,
}

impl Room {
    fn tell_if_starved(&self) {
        if self.starved.take() {
            match &self.producer {
                ToldOfRoom::Shard(waker) => {
                    waker.notify();
                }
                ToldOfRoom::Outsider(waker) => waker.wake(),
            }
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.tell_if_starved();
    }
}

/// The participant at the other end of a ring.
pub(super) enum ToldOfRoom {
    Shard(Arc<ShardWaker>),
    Outsider(Arc<RoomWaker>),
}
