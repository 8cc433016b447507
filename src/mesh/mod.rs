//! The rings between participants: one lock-free SPSC ring from each participant to
//! each shard but itself.
//!
//! A *participant* is a shard, which sends and receives, or an outsider, which only
//! sends. They differ in what a full ring means to them: a shard holds its
//! publishers and keeps the message in a backlog ([`ShardEnd`]); an outsider's
//! message is refused ([`OutsideEnd`]). The mesh carries messages of any type and
//! knows nothing of what they mean.
//!
//! # Invariants worth naming
//!
//! - A ring has one producer and one consumer, each owned by one participant; the
//!   messages of one participant arrive at a shard in the order sent.
//! - Nothing is lost: what a shard finds no room for waits in its backlog, in order,
//!   and its publishers are not read until the backlog is gone.
//! - A ring is full by number or by weight, so a shard that lags has no more waiting in
//!   its rings, however large the messages are.
//! - A shard is woken at most once per batch; see [`ShardWaker`].
//! - A producer that found its ring full is told when there is room again, or the
//!   consumer has ended: it marks the ring starved and tries once more before it
//!   gives up; the consumer looks for the mark after it has made room.
//! - The consumer's side never waits for a lock, whichever participant is at the other
//!   end.

mod load;
#[cfg(all(test, not(loom)))]
mod model;
mod outside;
mod ring;
mod starved;
mod waker;

use std::collections::VecDeque;
use std::sync::Arc;

pub use load::Weigh;
pub use outside::{OutsideEnd, Refused, RoomWaker};
pub use waker::ShardWaker;

use crate::participant::ShardId;
use ring::{Consumer, Producer, ToldOfRoom, ring};

/// Connects shards, one per waker, and so many outsiders with rings of `capacity`
/// messages, and gives each participant its end.
pub fn connect<M: Clone + Weigh>(
    wakers: &[Arc<ShardWaker>],
    outsiders: usize,
    capacity: usize,
) -> (Vec<ShardEnd<M>>, Vec<OutsideEnd<M>>) {
    let end = |(id, waker): (usize, &Arc<ShardWaker>)| ShardEnd {
        id: ShardId(id as u16),
        waker: Arc::clone(waker),
        to: Vec::with_capacity(wakers.len() - 1),
        from: Vec::with_capacity(wakers.len() - 1 + outsiders),
        backlogged: 0,
        pushed: false,
    };
    let mut ends: Vec<_> = wakers.iter().enumerate().map(end).collect();
    for from in 0..ends.len() {
        for to in (0..ends.len()).filter(|to| *to != from) {
            let told = ToldOfRoom::Shard(Arc::clone(&wakers[from]));
            let (producer, consumer) = ring(capacity, &wakers[to], told);
            ends[from].to.push(Holding {
                producer,
                backlog: VecDeque::new(),
            });
            ends[to].from.push(consumer);
        }
    }
    let outside = |_| {
        let room = Arc::new(RoomWaker::default());
        let to_shard = |(end, waker): (&mut ShardEnd<M>, &Arc<ShardWaker>)| {
            let told = ToldOfRoom::Outsider(Arc::clone(&room));
            let (producer, consumer) = ring(capacity, waker, told);
            end.from.push(consumer);
            producer
        };
        let to = ends.iter_mut().zip(wakers).map(to_shard).collect();
        OutsideEnd::new(to, room)
    };
    let outsiders = (0..outsiders).map(outside).collect();
    (ends, outsiders)
}

/// A ring to another shard, with the backlog of what did not fit.
struct Holding<M> {
    producer: Producer<M>,
    backlog: VecDeque<M>,
}

/// One shard's ends of all its rings. A full ring holds its publishers: the message
/// waits in a backlog.
pub struct ShardEnd<M: Weigh> {
    id: ShardId,
    waker: Arc<ShardWaker>,
    to: Vec<Holding<M>>,
    from: Vec<Consumer<M>>,
    backlogged: usize,
    /// Something was pushed since the last flush.
    pushed: bool,
}

impl<M: Clone + Weigh> ShardEnd<M> {
    /// The shard that owns this end.
    pub fn id(&self) -> ShardId {
        self.id
    }

    /// The waker of the shard that owns this end.
    pub fn waker(&self) -> &ShardWaker {
        &self.waker
    }

    /// The same, to keep.
    pub fn waker_handle(&self) -> Arc<ShardWaker> {
        Arc::clone(&self.waker)
    }

    /// Whether there are other shards at all.
    pub fn has_peers(&self) -> bool {
        !self.to.is_empty()
    }

    /// Sends a message to every other shard. Returns how many rings were full;
    /// for those it waits in the backlog.
    pub fn broadcast(&mut self, message: &M) -> usize {
        let mut full = 0;
        self.pushed = true;
        for Holding { producer, backlog } in &mut self.to {
            // Nothing may overtake a backlog.
            let refused = if backlog.is_empty() {
                producer.push(message.clone()).err()
            } else {
                Some(message.clone())
            };
            if let Some(message) = refused {
                backlog.push_back(message);
                self.backlogged += 1;
                full += 1;
            }
        }
        full
    }

    /// Messages that wait because their ring is full. While there are any,
    /// publishers should not be read.
    pub fn backlogged(&self) -> usize {
        self.backlogged
    }

    /// Moves the backlog into the rings as far as they have room, and wakes
    /// the shards that were sent something since the last call. Returns how many
    /// had to be woken.
    pub fn flush(&mut self) -> u64 {
        if !self.pushed && self.backlogged == 0 {
            return 0;
        }
        self.pushed = false;
        let mut woken = 0;
        for Holding { producer, backlog } in &mut self.to {
            while let Some(message) = backlog.pop_front() {
                if let Err(message) = producer.push(message) {
                    backlog.push_front(message);
                    break;
                }
                self.backlogged -= 1;
            }
            woken += u64::from(producer.notify());
        }
        woken
    }

    /// Messages waiting in the rings to this shard.
    pub fn depth(&self) -> usize {
        self.from.iter().map(Consumer::len).sum()
    }

    /// Takes up to `budget` messages from the rings to this shard, a fair share
    /// from each, and hands them to `deliver`. Returns how many were taken.
    pub fn receive(&mut self, budget: usize, mut deliver: impl FnMut(M)) -> usize {
        if self.from.is_empty() {
            return 0;
        }
        let share = budget.div_ceil(self.from.len());
        let rings = self.from.iter_mut();
        rings.map(|ring| ring.receive(share, &mut deliver)).sum()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sys::EventFd;

    impl Weigh for u32 {
        fn weight(&self) -> usize {
            0
        }
    }

    fn mesh(shards: usize, capacity: usize) -> Vec<ShardEnd<u32>> {
        connect(&wakers(shards), 0, capacity).0
    }

    pub(super) fn wakers(shards: usize) -> Vec<Arc<ShardWaker>> {
        (0..shards)
            .map(|_| Arc::new(ShardWaker::new(Arc::new(EventFd::new().unwrap()))))
            .collect()
    }

    #[test]
    fn every_other_shard_gets_each_message_in_order() {
        let mut ends = mesh(3, 8);
        for i in 0..5 {
            assert_eq!(ends[1].broadcast(&i), 0);
        }
        ends[1].flush();
        for reader in [0, 2] {
            let mut seen = Vec::new();
            ends[reader].receive(100, |number| seen.push(number));
            assert_eq!(seen, [0, 1, 2, 3, 4]);
        }
        assert_eq!(
            ends[1].receive(100, |_| panic!("a shard does not hear itself")),
            0
        );
    }

    #[test]
    fn what_finds_its_ring_full_waits_in_order() {
        let mut ends = mesh(2, 2);
        let full: usize = (0..7).map(|i| ends[0].broadcast(&i)).sum();
        assert_eq!(full, 5);
        assert_eq!(ends[0].backlogged(), 5);
        assert!(ends[0].waker().try_park());

        let mut seen = Vec::new();
        while seen.len() < 7 {
            ends[0].flush();
            assert!(ends[1].receive(100, |number| seen.push(number)) > 0);
        }
        assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(ends[0].backlogged(), 0);
        assert!(
            ends[0].waker().is_notified(),
            "the producer is told that there is room"
        );
    }

    /// Two real threads, a ring far smaller than the traffic, parking on real events:
    /// everything arrives, in order, and no thread sleeps for ever.
    #[test]
    fn threads_lose_nothing_through_a_tiny_ring() {
        const MESSAGES: u32 = if cfg!(miri) { 200 } else { 50_000 };
        let mut ends = mesh(2, 4);
        let mut consumer = ends.pop().unwrap();
        let mut producer = ends.pop().unwrap();
        let park = |end: &ShardEnd<u32>| {
            if end.waker().try_park() {
                while !end.waker().is_notified() {
                    std::thread::yield_now();
                }
            }
            end.waker().begin();
        };
        let reader = std::thread::spawn(move || {
            let mut next = 0;
            while next < MESSAGES {
                let taken = consumer.receive(16, |number| {
                    assert_eq!(number, next);
                    next += 1;
                });
                if taken == 0 {
                    park(&consumer);
                }
            }
        });
        for i in 0..MESSAGES {
            producer.broadcast(&i);
            while producer.backlogged() > 0 {
                producer.flush();
                if producer.backlogged() > 0 {
                    park(&producer);
                }
            }
            producer.flush();
        }
        reader.join().unwrap();
    }
}
