//! One ring: a lock-free SPSC queue whose ends tell each other of messages and of
//! room.

use std::sync::Arc;

use super::load::{Pushed, Taken, Weigh, load};
use super::outside::RoomWaker;
use super::starved::Starved;
use super::waker::ShardWaker;

/// Makes a ring to the shard of `consumer`. `producer` is told when there is room
/// again.
pub(super) fn ring<M: Weigh>(
    capacity: usize,
    consumer: &Arc<ShardWaker>,
    producer: ToldOfRoom,
) -> (Producer<M>, Consumer<M>) {
    let (to, from) = rtrb::RingBuffer::new(capacity);
    let (pushed, taken) = load(capacity);
    let starved = Arc::new(Starved::new());
    (
        Producer {
            ring: to,
            load: pushed,
            starved: Arc::clone(&starved),
            consumer: Arc::clone(consumer),
            notify: false,
        },
        Consumer {
            ring: from,
            load: taken,
            room: Room { starved, producer },
        },
    )
}

/// The end that is pushed to.
pub(super) struct Producer<M> {
    ring: rtrb::Producer<M>,
    load: Pushed,
    starved: Arc<Starved>,
    consumer: Arc<ShardWaker>,
    /// Something was pushed that the consumer was not yet told of.
    notify: bool,
}

impl<M: Weigh> Producer<M> {
    /// Pushes, or gives the message back with the ring marked starved.
    pub(super) fn push(&mut self, message: M) -> Result<(), M> {
        let Err(message) = self.try_push(message) else {
            return Ok(());
        };
        self.starved.mark();
        match self.try_push(message) {
            // A shard that has ended will not read it, nor has it subscribers.
            Err(_) if self.is_abandoned() => Ok(()),
            tried => tried,
        }
    }

    #[inline]
    fn try_push(&mut self, message: M) -> Result<(), M> {
        if self.load.is_full() {
            return Err(message);
        }
        let weight = message.weight();
        match self.ring.push(message) {
            Ok(()) => {
                self.load.add(weight);
                self.notify = true;
                Ok(())
            }
            Err(rtrb::PushError::Full(message)) => Err(message),
        }
    }
}

impl<M> Producer<M> {
    /// Whether the next push will not be refused. If it would be, the ring is marked
    /// starved.
    pub(super) fn has_room(&self) -> bool {
        let has_room = || !self.load.is_full() && !self.ring.is_full();
        has_room() || {
            self.starved.mark();
            has_room() || self.is_abandoned()
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
pub(super) struct Consumer<M: Weigh> {
    // Before `room`, because fields are dropped in this order: a producer that is told
    // then must find the ring abandoned.
    ring: rtrb::Consumer<M>,
    load: Taken,
    room: Room,
}

impl<M: Weigh> Consumer<M> {
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
            self.load.add(message.weight());
            deliver(message);
            taken += 1;
        }
        if taken > 0 {
            self.load.publish();
            self.room.tell_if_starved();
        }
        taken
    }
}

impl<M: Weigh> Drop for Consumer<M> {
    fn drop(&mut self) {
        while let Ok(message) = self.ring.pop() {
            self.load.add(message.weight());
        }
        self.load.publish();
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
