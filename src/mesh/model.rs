//! The ends of the mesh as a list of operations against an oracle of plain queues.
//!
//! The oracle knows each ring and backlog, which ends are parked or have registered,
//! and which must be told of what. After each operation it is compared with what the
//! ends returned: values and their order, full rings, wake-ups, and how many copies of
//! each message are alive, ends dropped at any time included.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use proptest::prelude::*;

use super::load::BYTES_PER_PLACE;
use super::tests::wakers;
use super::*;

#[derive(Debug, Clone)]
enum Operation {
    /// A shard sends to all others.
    Broadcast(usize),
    /// An outsider tries to send to all shards.
    TryBroadcast(usize),
    Flush(usize),
    Receive(usize, usize),
    /// A shard looks whether it was notified, and parks if not.
    Park(usize),
    /// An outsider's task wants to be told of room.
    Register(usize),
    DropShard(usize),
    DropOutsider(usize),
}

const SHARDS: usize = 3;
const OUTSIDERS: usize = 2;

fn operation() -> impl Strategy<Value = Operation> {
    let (shard, outsider) = (0..SHARDS, 0..OUTSIDERS);
    prop_oneof![
        6 => shard.clone().prop_map(Operation::Broadcast),
        6 => outsider.clone().prop_map(Operation::TryBroadcast),
        4 => shard.clone().prop_map(Operation::Flush),
        6 => (shard.clone(), 0usize..8).prop_map(|(shard, budget)| Operation::Receive(shard, budget)),
        4 => shard.clone().prop_map(Operation::Park),
        4 => outsider.clone().prop_map(Operation::Register),
        1 => shard.prop_map(Operation::DropShard),
        1 => outsider.prop_map(Operation::DropOutsider),
    ]
}

/// A message. Its copies are counted.
type Message = Arc<usize>;

impl Weigh for Message {
    fn weight(&self) -> usize {
        weight(**self)
    }
}

/// Of three messages one weighs nothing, one less than a place and one more than the
/// smallest ring may carry.
fn weight(message: usize) -> usize {
    [0, BYTES_PER_PLACE / 2, BYTES_PER_PLACE * 3 / 2][message % 3]
}

/// Counts how often a task was woken.
#[derive(Default)]
struct Task(AtomicUsize);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Activity {
    Working,
    Parked,
    Notified,
}

/// A ring and the state that its ends share.
#[derive(Default, Clone)]
struct Edge {
    ring: VecDeque<usize>,
    backlog: VecDeque<usize>,
    is_starved: bool,
    must_notify: bool,
    is_abandoned: bool,
    has_producer: bool,
}

impl Edge {
    /// Pushes a message that a shard sends. Returns whether it found room, or no
    /// consumer.
    fn push(&mut self, message: usize, capacity: usize) -> bool {
        if self.has_room(capacity) {
            self.ring.push_back(message);
            self.must_notify = true;
            return true;
        }
        self.is_starved = true;
        self.is_abandoned
    }

    fn has_room(&self, capacity: usize) -> bool {
        let load: usize = self.ring.iter().map(|message| weight(*message)).sum();
        self.ring.len() < capacity && load < capacity * BYTES_PER_PLACE
    }
}

/// Participants by number: first the shards, then the outsiders.
struct Oracle {
    capacity: usize,
    shards: usize,
    /// From each participant to each shard; to itself nothing is ever sent.
    edges: Vec<Vec<Edge>>,
    awake: Vec<Activity>,
    /// Whether the task of each outsider has registered.
    registered: Vec<bool>,
    woken: Vec<usize>,
}

impl Oracle {
    fn new(shards: usize, outsiders: usize, capacity: usize) -> Self {
        let edge = Edge {
            has_producer: true,
            ..Edge::default()
        };
        Oracle {
            capacity,
            shards,
            edges: vec![vec![edge; shards]; shards + outsiders],
            awake: vec![Activity::Working; shards],
            registered: vec![false; outsiders],
            woken: vec![0; outsiders],
        }
    }

    fn peers(&self, shard: usize) -> impl Iterator<Item = usize> + use<> {
        (0..self.shards).filter(move |peer| *peer != shard)
    }

    /// Those whose rings lead to a shard, in the order in which it takes from them.
    fn sources(&self, shard: usize) -> impl Iterator<Item = usize> + use<> {
        (0..self.edges.len()).filter(move |source| *source != shard)
    }

    /// Notifies a shard. Returns whether it had to be woken.
    fn notify(&mut self, shard: usize) -> bool {
        std::mem::replace(&mut self.awake[shard], Activity::Notified) == Activity::Parked
    }

    /// Tells the producer that waits for room in a ring, if one does.
    fn made_room(&mut self, from: usize, to: usize) {
        if !std::mem::take(&mut self.edges[from][to].is_starved) {
            return;
        }
        match from.checked_sub(self.shards) {
            None => drop(self.notify(from)),
            Some(outsider) => {
                let was = std::mem::take(&mut self.registered[outsider]);
                self.woken[outsider] += usize::from(was);
            }
        }
    }

    fn broadcast(&mut self, from: usize, message: usize) -> usize {
        let (capacity, peers) = (self.capacity, self.peers(from));
        let mut full = 0;
        for to in peers {
            let edge = &mut self.edges[from][to];
            if !edge.backlog.is_empty() || !edge.push(message, capacity) {
                edge.backlog.push_back(message);
                full += 1;
            }
        }
        full
    }

    fn try_broadcast(&mut self, outsider: usize, message: usize) -> Result<(), Refused> {
        let from = self.shards + outsider;
        let capacity = self.capacity;
        let edges = &mut self.edges[from];
        if edges.iter().all(|edge| edge.is_abandoned) {
            return Err(Refused::Stopped);
        }
        for (shard, edge) in edges.iter_mut().enumerate() {
            if !edge.has_room(capacity) {
                edge.is_starved = true;
                if !edge.is_abandoned {
                    return Err(Refused::Full { shard });
                }
            }
        }
        for shard in 0..self.shards {
            let edge = &mut self.edges[from][shard];
            if !edge.is_abandoned {
                edge.ring.push_back(message);
                self.notify(shard);
            }
        }
        Ok(())
    }

    fn flush(&mut self, from: usize) -> u64 {
        let (capacity, peers) = (self.capacity, self.peers(from));
        let mut woken = 0;
        for to in peers {
            let edge = &mut self.edges[from][to];
            while let Some(message) = edge.backlog.front() {
                if !edge.push(*message, capacity) {
                    break;
                }
                edge.backlog.pop_front();
            }
            if std::mem::take(&mut edge.must_notify) {
                woken += u64::from(self.notify(to));
            }
        }
        woken
    }

    fn receive(&mut self, to: usize, budget: usize) -> Vec<usize> {
        let sources: Vec<_> = self.sources(to).collect();
        if sources.is_empty() {
            return Vec::new();
        }
        let share = budget.div_ceil(sources.len());
        let mut taken = Vec::new();
        for from in sources {
            let ring = &mut self.edges[from][to].ring;
            let count = share.min(ring.len());
            taken.extend(ring.drain(..count));
            if count > 0 {
                self.made_room(from, to);
            }
        }
        taken
    }

    fn backlogged(&self, shard: usize) -> usize {
        let edges = self.edges[shard].iter();
        edges.map(|edge| edge.backlog.len()).sum()
    }

    fn depth(&self, shard: usize) -> usize {
        let sources = self.sources(shard);
        sources.map(|from| self.edges[from][shard].ring.len()).sum()
    }

    /// A participant's rings get no more; the messages in them can still be taken.
    fn drop_producers(&mut self, from: usize) {
        for edge in &mut self.edges[from] {
            edge.has_producer = false;
            edge.backlog.clear();
            if edge.is_abandoned {
                edge.ring.clear();
            }
        }
    }

    fn drop_shard(&mut self, shard: usize) {
        self.drop_producers(shard);
        for from in self.sources(shard) {
            let edge = &mut self.edges[from][shard];
            edge.ring.clear();
            edge.is_abandoned = true;
            self.made_room(from, shard);
        }
    }

    fn copies(&self, message: usize) -> usize {
        let edges = self.edges.iter().flatten();
        let kept = edges.flat_map(|edge| edge.ring.iter().chain(&edge.backlog));
        kept.filter(|kept| **kept == message).count()
    }
}

/// The mesh under test, beside its oracle.
struct Mesh {
    shards: Vec<Option<ShardEnd<Message>>>,
    outsiders: Vec<Option<OutsideEnd<Message>>>,
    wakers: Vec<Arc<ShardWaker>>,
    tasks: Vec<Arc<Task>>,
    /// One copy of each message.
    messages: Vec<Message>,
    oracle: Oracle,
}

impl Mesh {
    fn new(shards: usize, outsiders: usize, capacity: usize) -> Self {
        let wakers = wakers(shards);
        let (ends, outside) = connect(&wakers, outsiders, capacity);
        Mesh {
            shards: ends.into_iter().map(Some).collect(),
            outsiders: outside.into_iter().map(Some).collect(),
            wakers,
            tasks: (0..outsiders).map(|_| Arc::default()).collect(),
            messages: Vec::new(),
            oracle: Oracle::new(shards, outsiders, capacity),
        }
    }

    fn message(&mut self) -> (usize, Message) {
        let message = Arc::new(self.messages.len());
        self.messages.push(Arc::clone(&message));
        (self.messages.len() - 1, message)
    }

    fn apply(&mut self, operation: Operation) {
        let (shards, outsiders) = (self.shards.len(), self.outsiders.len());
        let (number, message) = match operation {
            Operation::Broadcast(_) | Operation::TryBroadcast(_) => self.message(),
            _ => (0, Arc::default()),
        };
        let oracle = &mut self.oracle;
        match operation {
            Operation::Broadcast(shard) => {
                let shard = shard % shards;
                if let Some(end) = &mut self.shards[shard] {
                    assert_eq!(end.broadcast(&message), oracle.broadcast(shard, number));
                }
            }
            Operation::Flush(shard) => {
                let shard = shard % shards;
                if let Some(end) = &mut self.shards[shard] {
                    assert_eq!(end.flush(), oracle.flush(shard), "shards woken");
                }
            }
            Operation::Receive(shard, budget) => {
                let shard = shard % shards;
                if let Some(end) = &mut self.shards[shard] {
                    let mut taken = Vec::new();
                    let count = end.receive(budget, |message| taken.push(*message));
                    assert_eq!(taken, oracle.receive(shard, budget));
                    assert_eq!(count, taken.len());
                }
            }
            Operation::Park(shard) => {
                let shard = shard % shards;
                let awake = &mut oracle.awake[shard];
                let was_notified = *awake == Activity::Notified;
                assert_eq!(self.wakers[shard].begin(), was_notified);
                assert!(self.wakers[shard].try_park(), "it has just looked");
                *awake = Activity::Parked;
            }
            Operation::DropShard(shard) => {
                let shard = shard % shards;
                if self.shards[shard].take().is_some() {
                    oracle.drop_shard(shard);
                }
            }
            // The others are for meshes that have outsiders.
            _ if outsiders == 0 => {}
            Operation::TryBroadcast(outsider) => {
                let outsider = outsider % outsiders;
                if let Some(end) = &mut self.outsiders[outsider] {
                    let expected = oracle.try_broadcast(outsider, number);
                    assert_eq!(end.try_broadcast(&message), expected);
                }
            }
            Operation::Register(outsider) => {
                let outsider = outsider % outsiders;
                if let Some(end) = &self.outsiders[outsider] {
                    let waker = Waker::from(Arc::clone(&self.tasks[outsider]));
                    end.room().register(&waker);
                    oracle.registered[outsider] = true;
                }
            }
            Operation::DropOutsider(outsider) => {
                let outsider = outsider % outsiders;
                if self.outsiders[outsider].take().is_some() {
                    oracle.drop_producers(shards + outsider);
                }
            }
        }
    }

    fn check(&self) {
        for (shard, end) in self.shards.iter().enumerate() {
            let is_notified = self.oracle.awake[shard] == Activity::Notified;
            assert_eq!(self.wakers[shard].is_notified(), is_notified, "of {shard}");
            if let Some(end) = end {
                assert_eq!(end.backlogged(), self.oracle.backlogged(shard));
                assert_eq!(end.depth(), self.oracle.depth(shard));
            }
        }
        for (task, woken) in self.tasks.iter().zip(&self.oracle.woken) {
            assert_eq!(task.0.load(Ordering::Relaxed), *woken, "wakes of a task");
        }
        for (number, message) in self.messages.iter().enumerate() {
            let copies = Arc::strong_count(message) - 1;
            assert_eq!(copies, self.oracle.copies(number), "copies of {number}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 8 } else { 1024 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_ends_do_what_plain_queues_would(
        shards in 1..=SHARDS,
        outsiders in 0..=OUTSIDERS,
        capacity in 1usize..4,
        operations in proptest::collection::vec(operation(), 0..100),
    ) {
        let mut mesh = Mesh::new(shards, outsiders, capacity);
        for operation in operations {
            mesh.apply(operation);
            mesh.check();
        }
    }
}
