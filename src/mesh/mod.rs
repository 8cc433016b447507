//! All the rings between shards: one lock-free SPSC ring per ordered pair.
//!
//! # Invariants worth naming
//!
//! - A ring has one producer and one consumer, each owned by one shard; what
//!   one shard publishes arrives at another in the order published.
//! - Nothing is lost: what finds its ring full waits in the producer's
//!   backlog, in order, and its publisher is not read until the backlog is gone.
//! - A shard is woken at most once per batch; see [`ShardWaker`].
//! - A producer that found its ring full is woken when there is room again:
//!   it marks the ring starved and tries once more before it gives up; the
//!   consumer looks for the mark after it has made room.

mod waker;

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

pub use waker::ShardWaker;

use crate::hub::Publication;

/// One pinned core with its thread, runtime, listener and sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ShardId(pub u16);

impl ShardId {
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What travels on a ring.
#[derive(Debug, Clone)]
pub enum ShardMessage {
    /// Deliver this to the local subscribers of its topic.
    Publish(Arc<Publication>),
    /// Hand this to the handler of its route.
    Tell(Arc<Notice>),
}

/// What the handler of a route on one shard tells those on all others.
pub struct Notice {
    /// The route, by its number.
    pub route: u16,
    /// What is told; only the handler knows its type.
    pub content: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notice")
            .field("route", &self.route)
            .finish_non_exhaustive()
    }
}

/// A ring to one other shard, with the backlog of what did not fit.
struct Outgoing {
    ring: rtrb::Producer<ShardMessage>,
    backlog: VecDeque<ShardMessage>,
    /// Set while the backlog waits for room; the consumer clears it.
    starved: Arc<AtomicBool>,
    /// Something was pushed that the other shard was not yet told of.
    notify: bool,
    peer: usize,
}

impl Outgoing {
    /// Pushes, or gives the message back with the ring marked starved.
    fn push(&mut self, message: ShardMessage) -> Result<(), ShardMessage> {
        let message = match self.ring.push(message) {
            Ok(()) => {
                self.notify = true;
                return Ok(());
            }
            // A shard that has ended will not read it, nor has it subscribers.
            Err(rtrb::PushError::Full(_)) if self.ring.is_abandoned() => return Ok(()),
            Err(rtrb::PushError::Full(message)) => message,
        };
        self.starved.store(true, Ordering::Relaxed);
        // Orders the mark before the second look, against the consumer's fence
        // between making room and looking for the mark.
        fence(Ordering::SeqCst);
        match self.ring.push(message) {
            Ok(()) => {
                self.notify = true;
                Ok(())
            }
            Err(rtrb::PushError::Full(message)) => Err(message),
        }
    }
}

/// A ring from one other shard.
struct Incoming {
    ring: rtrb::Consumer<ShardMessage>,
    starved: Arc<AtomicBool>,
    peer: usize,
}

/// One shard's ends of all its rings.
pub struct MeshEnd {
    id: ShardId,
    outgoing: Vec<Outgoing>,
    incoming: Vec<Incoming>,
    wakers: Arc<[Arc<ShardWaker>]>,
    backlogged: usize,
    /// Something was pushed since the last flush.
    pushed: bool,
}

/// Connects shards, one per waker, with rings of `capacity` messages, and
/// gives each its end.
pub fn connect(wakers: Arc<[Arc<ShardWaker>]>, capacity: usize) -> Vec<MeshEnd> {
    let mut ends: Vec<MeshEnd> = (0..wakers.len())
        .map(|id| MeshEnd {
            id: ShardId(id as u16),
            outgoing: Vec::with_capacity(wakers.len() - 1),
            incoming: Vec::with_capacity(wakers.len() - 1),
            wakers: Arc::clone(&wakers),
            backlogged: 0,
            pushed: false,
        })
        .collect();
    for from in 0..ends.len() {
        for to in (0..ends.len()).filter(|to| *to != from) {
            let (producer, consumer) = rtrb::RingBuffer::new(capacity);
            let starved = Arc::new(AtomicBool::new(false));
            ends[from].outgoing.push(Outgoing {
                ring: producer,
                backlog: VecDeque::new(),
                starved: Arc::clone(&starved),
                notify: false,
                peer: to,
            });
            ends[to].incoming.push(Incoming {
                ring: consumer,
                starved,
                peer: from,
            });
        }
    }
    ends
}

impl MeshEnd {
    /// The shard that owns this end.
    pub fn id(&self) -> ShardId {
        self.id
    }

    /// The waker of the shard that owns this end.
    pub fn waker(&self) -> &ShardWaker {
        &self.wakers[self.id.index()]
    }

    /// The same, to keep.
    pub fn waker_handle(&self) -> Arc<ShardWaker> {
        Arc::clone(&self.wakers[self.id.index()])
    }

    /// Whether there are other shards at all.
    pub fn has_peers(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Sends a message to every other shard. Returns how many rings were full;
    /// for those it waits in the backlog.
    pub fn broadcast(&mut self, message: &ShardMessage) -> usize {
        let mut full = 0;
        self.pushed = true;
        for outgoing in &mut self.outgoing {
            // Behind a backlog nothing may overtake it.
            let refused = if outgoing.backlog.is_empty() {
                outgoing.push(message.clone()).err()
            } else {
                Some(message.clone())
            };
            if let Some(message) = refused {
                outgoing.backlog.push_back(message);
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
    /// whoever was sent something since the last call. Returns how many shards
    /// had to be woken.
    pub fn flush(&mut self) -> u64 {
        if !self.pushed && self.backlogged == 0 {
            return 0;
        }
        self.pushed = false;
        let mut woken = 0;
        for outgoing in &mut self.outgoing {
            while let Some(message) = outgoing.backlog.pop_front() {
                if let Err(message) = outgoing.push(message) {
                    outgoing.backlog.push_front(message);
                    break;
                }
                self.backlogged -= 1;
            }
            if std::mem::take(&mut outgoing.notify) {
                woken += u64::from(self.wakers[outgoing.peer].notify());
            }
        }
        woken
    }

    /// Messages waiting in the incoming rings.
    pub fn depth(&self) -> usize {
        self.incoming
            .iter()
            .map(|incoming| incoming.ring.slots())
            .sum()
    }

    /// Takes up to `budget` messages from the incoming rings, a fair share
    /// from each, and hands them to `deliver`. Returns how many were taken.
    pub fn receive(&mut self, budget: usize, mut deliver: impl FnMut(ShardMessage)) -> usize {
        if self.incoming.is_empty() {
            return 0;
        }
        let share = budget.div_ceil(self.incoming.len());
        let mut total = 0;
        for incoming in &mut self.incoming {
            let mut taken = 0;
            while taken < share {
                let Ok(message) = incoming.ring.pop() else {
                    break;
                };
                deliver(message);
                taken += 1;
            }
            if taken > 0 {
                fence(Ordering::SeqCst);
                if incoming.starved.swap(false, Ordering::Relaxed) {
                    self.wakers[incoming.peer].notify();
                }
            }
            total += taken;
        }
        total
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::hub::Topic;
    use crate::sys::EventFd;
    use crate::ws::PreparedFrame;

    fn mesh(shards: usize, capacity: usize) -> Vec<MeshEnd> {
        let wakers: Vec<_> = (0..shards)
            .map(|_| Arc::new(ShardWaker::new(Arc::new(EventFd::new().unwrap()))))
            .collect();
        connect(wakers.into(), capacity)
    }

    fn message(number: u32) -> ShardMessage {
        ShardMessage::Publish(Arc::new(Publication {
            topic: Topic::new("t"),
            frame: PreparedFrame::binary(&number.to_be_bytes()),
        }))
    }

    fn number(message: &ShardMessage) -> u32 {
        let ShardMessage::Publish(publication) = message else {
            panic!("not a publication: {message:?}");
        };
        let bytes = publication.frame.as_bytes();
        u32::from_be_bytes(bytes[bytes.len() - 4..].try_into().unwrap())
    }

    #[test]
    fn every_other_shard_gets_each_message_in_order() {
        let mut ends = mesh(3, 8);
        for i in 0..5 {
            assert_eq!(ends[1].broadcast(&message(i)), 0);
        }
        ends[1].flush();
        for reader in [0, 2] {
            let mut seen = Vec::new();
            ends[reader].receive(100, |message| seen.push(number(&message)));
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
        let full: usize = (0..7).map(|i| ends[0].broadcast(&message(i))).sum();
        assert_eq!(full, 5);
        assert_eq!(ends[0].backlogged(), 5);
        assert!(ends[0].waker().try_park());

        let mut seen = Vec::new();
        while seen.len() < 7 {
            ends[0].flush();
            assert!(ends[1].receive(100, |message| seen.push(number(&message))) > 0);
        }
        assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(ends[0].backlogged(), 0);
        assert!(
            ends[0].waker().is_notified(),
            "the producer is told that there is room"
        );
    }

    /// Two real threads, a ring far smaller than the traffic, parking on real
    /// events: everything arrives, in order, and nobody sleeps for ever.
    #[test]
    fn threads_lose_nothing_through_a_tiny_ring() {
        const MESSAGES: u32 = if cfg!(miri) { 200 } else { 50_000 };
        let mut ends = mesh(2, 4);
        let mut consumer = ends.pop().unwrap();
        let mut producer = ends.pop().unwrap();
        let park = |end: &MeshEnd| {
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
                let taken = consumer.receive(16, |message| {
                    assert_eq!(number(&message), next);
                    next += 1;
                });
                if taken == 0 {
                    park(&consumer);
                }
            }
        });
        for i in 0..MESSAGES {
            producer.broadcast(&message(i));
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
