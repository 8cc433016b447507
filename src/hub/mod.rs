//! The core-local registry of subscribers and the publish path.
//!
//! [`Hub::publish`] is called for what a session of this shard publishes: it
//! puts the publication on the rings to all other shards and then takes the
//! same step they take on receiving it, `publish_local`. The fan-out
//! itself runs in slices, [`Hub::run_slice`], so that a topic with very many
//! subscribers does not keep the shard from its other sockets.
//!
//! # Invariants worth naming
//!
//! - Publications are fanned out in the order they came, so every subscriber
//!   gets one publisher's messages in the order sent.
//! - Each subscriber gets each publication once, whoever joins or leaves while
//!   a fan-out is under way. Who joins may still get one that was made just
//!   before, if its fan-out had yet to begin or end.
//! - Topics are one name space for all routes of a server.
//! - Publications of one topic that wait together leave together: their frames
//!   become one run of bytes, one send per subscriber.
//! - Nothing is lost and little is kept: when much is pending, or a ring is
//!   full, [`Hub::is_congested`] says so and publishers are not read.

mod fan_out;
mod subscribers;
mod topic;

use std::any::Any;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

pub use subscribers::{SubscriberTable, Subscriptions};
pub use topic::Topic;

use crate::mesh::{MeshEnd, Notice, ShardMessage};
use crate::metrics::ShardMetrics;
use crate::ws::PreparedFrame;
use fan_out::FanOutQueue;

/// Pending publications, as a multiple of what makes publishers wait, above
/// which a shard takes no new sessions.
const OVERLOAD_FACTOR: usize = 4;

/// Bytes of pending publications that make publishers wait, for each publication
/// that may be pending. Small ones are counted, large ones are weighed, or as
/// many of the largest messages could be kept as of the smallest.
const BYTES_PER_PENDING: usize = 64 * 1024;

/// A message on its way to all subscribers of a topic.
#[derive(Debug)]
pub struct Publication {
    /// Where it goes.
    pub topic: Topic,
    /// What goes there.
    pub frame: PreparedFrame,
}

/// One shard's registry and publish path.
pub struct Hub {
    table: SubscriberTable,
    queue: FanOutQueue,
    mesh: MeshEnd,
    /// Publications may be waiting in the rings from other shards.
    incoming: bool,
    /// A notice that was taken from a ring, and what was taken behind it: its
    /// handler is called before anything behind it is published.
    inbox: VecDeque<ShardMessage>,
    /// Publications that may wait for their fan-out before publishers wait.
    max_pending: usize,
    metrics: Arc<ShardMetrics>,
}

impl Hub {
    /// A hub without subscribers. `max_pending` publications may wait for
    /// their fan-out before it counts as congested.
    pub fn new(mesh: MeshEnd, max_pending: usize, metrics: Arc<ShardMetrics>) -> Self {
        Hub {
            table: SubscriberTable::default(),
            queue: FanOutQueue::default(),
            mesh,
            incoming: false,
            inbox: VecDeque::new(),
            max_pending,
            metrics,
        }
    }

    /// The topic of this name, if it has subscribers on this shard, with whom
    /// the caller shares its memory then.
    pub fn topic_here(&self, name: &str) -> Option<Topic> {
        self.table.topic(name).cloned()
    }

    /// Enters a session into a topic. Returns `false` if it was in it already.
    pub fn subscribe(&mut self, session: u32, own: &mut Subscriptions, topic: &Topic) -> bool {
        self.table.subscribe(session, own, topic)
    }

    /// Takes a session out of a topic. Returns `false` if it was not in it.
    pub fn unsubscribe(&mut self, own: &mut Subscriptions, topic: &Topic) -> bool {
        self.table.unsubscribe(own, topic)
    }

    /// Takes a session out of all its topics.
    pub fn leave_all(&mut self, own: &mut Subscriptions) {
        self.table.leave_all(own);
    }

    /// Publishes to the subscribers of a topic on all shards, except, if
    /// given, one session of this shard.
    pub fn publish(&mut self, topic: &Topic, frame: PreparedFrame, except: Option<u32>) {
        self.metrics.publications.add(1);
        if self.mesh.has_peers() {
            let publication = Publication {
                topic: topic.clone(),
                frame: frame.clone(),
            };
            let full = self
                .mesh
                .broadcast(&ShardMessage::Publish(Arc::new(publication)));
            self.metrics.ring_full.add(full as u64);
        }
        publish_local(&mut self.table, &mut self.queue, topic, frame, except);
    }

    /// Publishes to the subscribers of a topic on this shard only.
    pub fn publish_here(&mut self, topic: &Topic, frame: PreparedFrame) {
        self.metrics.publications.add(1);
        publish_local(&mut self.table, &mut self.queue, topic, frame, None);
    }

    /// Tells the handlers of a route on all other shards something, in order
    /// with what this shard publishes.
    pub fn tell(&mut self, route: u16, content: impl Any + Send + Sync) {
        if self.mesh.has_peers() {
            let content = Box::new(content);
            let notice = Arc::new(Notice { route, content });
            let full = self.mesh.broadcast(&ShardMessage::Tell(notice));
            self.metrics.ring_full.add(full as u64);
        }
    }

    /// The next notice of those received, for the handler of its route. To be
    /// called after [`receive`](Hub::receive) until there is none: what was
    /// received between two notices is published between them.
    pub fn next_notice(&mut self) -> Option<Arc<Notice>> {
        loop {
            match self.inbox.pop_front()? {
                ShardMessage::Tell(notice) => return Some(notice),
                ShardMessage::Publish(publication) => {
                    publish_received(&mut self.table, &mut self.queue, &publication);
                }
            }
        }
    }

    /// Takes what other shards have published, as long as not too much is
    /// pending here. What is not taken stays in the rings, and in time holds
    /// back its publishers.
    pub fn receive(&mut self) {
        let room = self.max_pending.saturating_sub(self.queue.pending());
        if !self.incoming || room == 0 || self.is_heavy() {
            return;
        }
        let Hub {
            table,
            queue,
            mesh,
            inbox,
            metrics,
            ..
        } = self;
        metrics.ring_depth.set(mesh.depth() as u64);
        let taken = mesh.receive(room, |message| match message {
            ShardMessage::Publish(publication) if inbox.is_empty() => {
                publish_received(table, queue, &publication);
            }
            message => inbox.push_back(message),
        });
        metrics.ring_received.add(taken as u64);
        self.incoming = self.mesh.depth() > 0;
    }

    /// Another shard has said that it put something on its ring to this one.
    pub fn expect_incoming(&mut self) {
        self.incoming = true;
    }

    /// Makes up to `budget` deliveries, each by a call of `deliver` with the
    /// session and the frames for it.
    pub fn run_slice(&mut self, budget: usize, deliver: impl FnMut(u32, &Rc<PreparedFrame>)) {
        if self.queue.is_empty() {
            return;
        }
        self.metrics.slices.add(1);
        self.queue.run(&mut self.table, budget, deliver);
    }

    /// Sends off what waits for other shards and wakes them.
    pub fn flush_mesh(&mut self) {
        let woken = self.mesh.flush();
        self.metrics.wakes.add(woken);
    }

    /// Whether a fan-out is under way or waiting.
    pub fn has_fan_out(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether there is something to do without anything new coming in.
    pub fn has_work(&self) -> bool {
        self.has_fan_out() || self.incoming
    }

    /// Whether publishers should wait before they publish more.
    pub fn is_congested(&self) -> bool {
        self.mesh.backlogged() > 0 || self.queue.pending() >= self.max_pending || self.is_heavy()
    }

    /// Whether as many bytes are pending as may be.
    fn is_heavy(&self) -> bool {
        self.queue.pending_bytes() >= self.max_pending.saturating_mul(BYTES_PER_PENDING)
    }

    /// Whether so much is pending that not even new sessions should come, each
    /// of which may publish once before it has to wait.
    pub fn is_overloaded(&self) -> bool {
        self.mesh.backlogged() + self.queue.pending() > OVERLOAD_FACTOR * self.max_pending
    }

    /// Brings the gauges up to date.
    pub fn publish_gauges(&self) {
        self.metrics
            .subscriptions
            .set(self.table.subscriptions() as u64);
        self.metrics.topics.set(self.table.topics() as u64);
        self.metrics
            .pending_publications
            .set(self.queue.pending() as u64);
    }

    /// This shard's end of the rings.
    pub fn mesh(&self) -> &MeshEnd {
        &self.mesh
    }

    /// Checks what the table of subscribers promises; for the fuzz target, which
    /// otherwise sees deliveries only.
    #[cfg(fuzzing)]
    pub fn check_invariants(&self) {
        self.table.check_invariants();
    }
}

/// Queues a publication of another shard for this shard's subscribers.
fn publish_received(
    table: &mut SubscriberTable,
    queue: &mut FanOutQueue,
    publication: &Publication,
) {
    let Publication { topic, frame } = publication;
    publish_local(table, queue, topic, frame.clone(), None);
}

/// Queues a publication for this shard's subscribers, whichever shard made it.
fn publish_local(
    table: &mut SubscriberTable,
    queue: &mut FanOutQueue,
    topic: &Topic,
    frame: PreparedFrame,
    except: Option<u32>,
) {
    if let Some(topic) = table.find(topic) {
        queue.push(table, topic, frame, except);
    }
}

#[cfg(all(test, not(any(loom, miri))))]
mod tests {
    use super::*;
    use crate::mesh::{self, ShardWaker};
    use crate::sys::EventFd;

    /// Few large publications hold their publishers back as many small ones do,
    /// and delivering them ends that.
    #[test]
    fn pending_publications_are_weighed() {
        let event = Arc::new(EventFd::new().unwrap());
        let wakers = Arc::from([Arc::new(ShardWaker::new(event))]);
        let end = mesh::connect(wakers, 16).pop().unwrap();
        let mut hub = Hub::new(end, 16, Arc::default());
        let topic = Topic::new("topic");
        let mut own = Subscriptions::default();
        hub.subscribe(0, &mut own, &topic);

        let large = PreparedFrame::binary(&vec![0; 600 * 1024]);
        hub.publish(&topic, large.clone(), None);
        assert!(!hub.is_congested(), "600 KiB of 1 MiB");
        hub.publish(&topic, large, None);
        assert!(hub.is_congested(), "1200 KiB of 1 MiB");
        let mut deliveries = 0;
        hub.run_slice(2, |_, _| deliveries += 1);
        assert_eq!(deliveries, 2);
        assert!(!hub.is_congested());
        for _ in 0..16 {
            assert!(!hub.is_congested());
            hub.publish(&topic, PreparedFrame::text("small"), None);
        }
        assert!(hub.is_congested());
    }

    /// What its handler publishes on a notice comes before what was published
    /// behind the notice, because that waits.
    #[test]
    fn a_notice_is_handed_out_before_what_was_published_behind_it() {
        let wakers: Vec<_> = (0..2)
            .map(|_| Arc::new(ShardWaker::new(Arc::new(EventFd::new().unwrap()))))
            .collect();
        let mut hubs = mesh::connect(wakers.into(), 16)
            .into_iter()
            .map(|end| Hub::new(end, 16, Arc::default()));
        let (mut from, mut to) = (hubs.next().unwrap(), hubs.next().unwrap());
        let topic = Topic::new("t");
        to.subscribe(7, &mut Subscriptions::default(), &topic);

        from.publish(&topic, PreparedFrame::text("1"), None);
        from.tell(3, "a");
        from.publish(&topic, PreparedFrame::text("2"), None);
        from.tell(4, "b");
        to.expect_incoming();
        to.receive();
        assert_eq!(to.queue.pending(), 1);
        let notice = to.next_notice().unwrap();
        assert_eq!(
            (notice.route, notice.content.downcast_ref()),
            (3, Some(&"a"))
        );
        assert_eq!(to.queue.pending(), 1);
        assert_eq!(to.next_notice().unwrap().route, 4);
        assert_eq!(to.queue.pending(), 2);
        assert!(to.next_notice().is_none());
        assert!(to.inbox.is_empty());
    }
}
