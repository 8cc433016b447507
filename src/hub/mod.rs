//! The core-local registry of subscribers and the publish path.
//!
//! [`Hub::publish`] is called for what a session of this shard publishes: it
//! puts the publication on the rings to all other shards and then takes the
//! same step they take on receiving it, `Topics::take`. The fan-out
//! itself runs in slices, [`Hub::run_slice`], so that a topic with very many
//! subscribers does not keep the shard from its other sockets.
//!
//! # Invariants worth naming
//!
//! - Publications are fanned out in the order they came, so every subscriber
//!   gets one publisher's messages in the order sent.
//! - Each subscriber gets each publication once, whichever sessions join or leave
//!   while a fan-out is under way. A session that joins may still get one that was
//!   made just before, if its fan-out had yet to begin or end; so a session that
//!   leaves and joins again, which is a new subscriber, may get one again.
//! - Topics are one name space for all routes of a server.
//! - Publications of one topic that wait together leave together: their frames
//!   become one run of bytes, one send per subscriber.
//! - Nothing is lost and little is kept: when much is pending, or a ring is full,
//!   [`Hub::is_congested`] says so and publishers are not read. Publications of others
//!   stay in their rings then, so that publishers outside find those full.
//! - Notices wait for room as well, so that what their handlers publish has room;
//!   but only for room on this shard. Two shards that each waited for room in the
//!   other's ring would wait for ever.

mod fan_out;
mod message;
mod resample;
mod subscribers;
mod topics;

use std::any::Any;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

pub use message::{Errand, Notice, Order, Question, ShardMessage};
pub use subscribers::{SubscriberTable, Subscriptions};

use crate::access::TopicRates;
use crate::mesh::ShardEnd;
use crate::metrics::ShardMetrics;
use crate::participant::{Participant, ShardId};
use crate::plane::SessionKey;
pub use crate::publication::Topic;
pub(crate) use crate::publication::TopicSerial;
use crate::publication::{Content, Form, Publication, Run, WriteForm};
use crate::ws::PreparedFrame;
use topics::{Arriving, Topics};

/// Pending publications, as a multiple of what makes publishers wait, above
/// which a shard takes no new sessions.
const OVERLOAD_FACTOR: usize = 4;

/// One shard's registry and publish path.
pub struct Hub {
    topics: Topics,
    mesh: ShardEnd<ShardMessage>,
    /// Publications may be waiting in the rings to this shard.
    incoming: bool,
    /// A notice that was taken from a ring, and the messages that were taken after it:
    /// its handler is called before anything after it is published.
    inbox: VecDeque<ShardMessage>,
    /// What is to be done for sessions of this shard before the turn ends.
    orders: VecDeque<Arc<Order>>,
    max_pending: usize,
    metrics: Arc<ShardMetrics>,
}

impl Hub {
    /// A hub without subscribers. `max_pending` publications may wait for
    /// their fan-out before it counts as congested.
    pub fn new(
        mesh: ShardEnd<ShardMessage>,
        max_pending: usize,
        metrics: Arc<ShardMetrics>,
    ) -> Self {
        Hub {
            topics: Topics::new(max_pending, Arc::clone(&metrics)),
            mesh,
            incoming: false,
            inbox: VecDeque::new(),
            orders: VecDeque::new(),
            max_pending,
            metrics,
        }
    }

    /// How publications are written for subscribers in another form than that in which
    /// they were published.
    pub(crate) fn write_forms_with(&mut self, write: WriteForm) {
        self.topics.write_forms_with(write);
    }

    /// The topic of this name, if it has subscribers on this shard, with which the
    /// caller shares its memory then.
    pub fn topic_here(&self, name: &str) -> Option<Topic> {
        self.topics.table.topic(name).cloned()
    }

    /// Whether a session of this shard gets the publications to a topic in this form.
    pub fn has_form_here(&self, topic: &str, form: Form) -> bool {
        self.topics.has_form(topic, form)
    }

    /// Enters a session into a topic, whose publications it gets as their data. Returns
    /// `false` if it was in it already.
    pub fn subscribe(&mut self, session: u32, own: &mut Subscriptions, topic: &Topic) -> bool {
        self.subscribe_in(session, own, topic, Form::Data)
    }

    /// The same for another form of the publications.
    pub fn subscribe_in(
        &mut self,
        session: u32,
        own: &mut Subscriptions,
        topic: &Topic,
        form: Form,
    ) -> bool {
        self.topics.table.subscribe(session, own, topic, form)
    }

    /// Takes a session out of a topic. Returns `false` if it was not in it.
    pub fn unsubscribe(&mut self, own: &mut Subscriptions, topic: &Topic) -> bool {
        self.topics.table.unsubscribe(own, topic)
    }

    /// Whether a session is in this topic.
    pub(crate) fn is_in(&self, own: &Subscriptions, topic: TopicSerial) -> bool {
        self.topics.table.is_in(own, topic)
    }

    /// Takes a session out of all its topics.
    pub fn leave_all(&mut self, own: &mut Subscriptions) {
        self.topics.table.leave_all(own);
    }

    /// Publishes to the subscribers of a topic on all shards, except, if
    /// given, one session of this shard.
    pub fn publish(&mut self, topic: &Topic, content: impl Into<Content>, except: Option<u32>) {
        let content = content.into();
        self.metrics.publications.add(1);
        let origin = self.origin();
        if !self.mesh.has_peers() {
            return self.topics.take(Arriving {
                topic,
                content: Cow::Owned(content),
                origin,
                except,
            });
        }
        let publication = Arc::new(Publication {
            topic: topic.clone(),
            content,
            origin,
        });
        self.topics.take(Arriving {
            except,
            ..Arriving::from(&*publication)
        });
        let full = self.mesh.broadcast(&ShardMessage::Publish(publication));
        self.metrics.ring_full.add(full as u64);
    }

    /// Publishes to the subscribers of a topic on this shard only.
    pub fn publish_here(&mut self, topic: &Topic, content: impl Into<Content>) {
        self.metrics.publications.add(1);
        self.topics.take(Arriving {
            topic,
            content: Cow::Owned(content.into()),
            origin: self.origin(),
            except: None,
        });
    }

    /// Sends a frame to those subscribers of a topic on this shard that get its
    /// publications in this form.
    pub fn publish_here_in(&mut self, topic: &Topic, form: Form, frame: PreparedFrame) {
        self.metrics.publications.add(1);
        self.topics.take_for_form(topic, form, frame);
    }

    /// Tells the handlers of a route on all other shards something, in order
    /// with what this shard publishes.
    pub fn tell(&mut self, route: u16, content: impl Any + Send + Sync) {
        if self.mesh.has_peers() {
            let content = Box::new(content);
            let notice = Arc::new(Notice {
                route: Some(route),
                content,
            });
            let full = self.mesh.broadcast(&ShardMessage::Tell(notice));
            self.metrics.ring_full.add(full as u64);
        }
    }

    /// The next notice of those received, for the handler of its route, while there is
    /// room for what that publishes here. To be called after [`receive`](Hub::receive)
    /// until there is none: publications received between two notices are published
    /// between them.
    pub fn next_notice(&mut self) -> Option<Arc<Notice>> {
        loop {
            if let ShardMessage::Tell(_) = self.inbox.front()?
                && !self.has_room_here()
            {
                return None;
            }
            match self.inbox.pop_front()? {
                ShardMessage::Tell(notice) => return Some(notice),
                message => take_in(&mut self.topics, message),
            }
        }
    }

    /// Gives an order about a session, of this shard or another.
    pub fn order(&mut self, order: Order) {
        let order = Arc::new(order);
        match shard_of(order.session) == Some(self.mesh.id()) {
            true => self.orders.push_back(order),
            false => {
                let full = self.mesh.broadcast(&ShardMessage::Order(order));
                self.metrics.ring_full.add(full as u64);
            }
        }
    }

    /// Orders about sessions of this shard that are to be followed.
    pub(crate) fn orders(&self) -> usize {
        self.orders.len()
    }

    /// The next of them: the session's key, and what is to be done.
    pub(crate) fn next_order(&mut self) -> Option<(SessionKey, Arc<Order>)> {
        let order = self.orders.pop_front()?;
        Some((SessionKey::from_bits(order.session as u64), order))
    }

    /// Takes what other participants have published, as long as not too much is pending
    /// here. Publications that are not taken stay in the rings, and in time hold back
    /// their publishers.
    pub fn receive(&mut self) {
        if !self.incoming {
            return;
        }
        let room = self.topics.room().saturating_sub(self.inbox.len());
        if room == 0 {
            return;
        }
        let id = self.mesh.id();
        let Hub {
            topics,
            mesh,
            inbox,
            orders,
            metrics,
            ..
        } = self;
        metrics.ring_depth.set(mesh.depth() as u64);
        let taken = mesh.receive(room, |message| {
            match message {
                // Done in the same turn, whatever is before it in the inbox.
                ShardMessage::Order(order) => {
                    orders.extend((shard_of(order.session) == Some(id)).then_some(order));
                }
                message if !inbox.is_empty() || matches!(message, ShardMessage::Tell(_)) => {
                    inbox.push_back(message);
                }
                message => take_in(topics, message),
            }
        });
        metrics.ring_received.add(taken as u64);
        self.incoming = self.mesh.depth() > 0;
    }

    /// Another participant has said that it put something on its ring to this shard.
    pub fn expect_incoming(&mut self) {
        self.incoming = true;
    }

    /// Limits topics to other rates from now on.
    pub(crate) fn set_rates(&mut self, rates: TopicRates) {
        self.topics.set_rates(rates);
    }

    /// Publishes what was held until now for topics with a limited rate.
    #[inline]
    pub(crate) fn pass_due(&mut self, now: Instant) {
        if self.topics.next_tick().is_some_and(|tick| tick <= now) {
            self.topics.pass_due(now);
        }
    }

    /// When that has to be done next.
    pub(crate) fn next_tick(&self) -> Option<Instant> {
        self.topics.next_tick()
    }

    /// Makes up to `budget` deliveries, each by a call of `deliver` with the
    /// session and the run for it.
    pub fn run_slice(&mut self, budget: usize, deliver: impl FnMut(u32, &Rc<Run>)) {
        if !self.has_fan_out() {
            return;
        }
        self.metrics.slices.add(1);
        self.topics.run_slice(budget, deliver);
    }

    /// Sends off what waits for other shards and wakes them.
    pub fn flush_mesh(&mut self) {
        let woken = self.mesh.flush();
        self.metrics.wakes.add(woken);
    }

    /// Whether a fan-out is under way or waiting.
    pub fn has_fan_out(&self) -> bool {
        self.topics.has_fan_out()
    }

    /// Whether there is something to do without anything new coming in.
    pub fn has_work(&self) -> bool {
        self.has_fan_out() || self.incoming || !self.inbox.is_empty() || !self.orders.is_empty()
    }

    /// Whether publishers should wait before they publish more.
    pub fn is_congested(&self) -> bool {
        self.mesh.backlogged() > 0 || !self.has_room_here()
    }

    /// Whether one more publication may wait for its fan-out on this shard.
    pub fn has_room_here(&self) -> bool {
        self.topics.room() > 0
    }

    /// Counts a publication that was refused for want of room.
    pub(crate) fn count_refused(&self) {
        self.metrics.refused_publications.add(1);
    }

    /// Counts a publication of a client that may not publish.
    pub(crate) fn count_denied(&self) {
        self.metrics.denied_publications.add(1);
    }

    /// Whether so much is pending that not even new sessions should come, each
    /// of which may publish once before it has to wait.
    pub fn is_overloaded(&self) -> bool {
        self.mesh.backlogged() + self.topics.pending() > OVERLOAD_FACTOR * self.max_pending
    }

    /// Brings the gauges up to date.
    pub fn update_gauges(&self) {
        let table = &self.topics.table;
        self.metrics.subscriptions.set(table.subscriptions() as u64);
        self.metrics.topics.set(table.topics() as u64);
        self.metrics
            .pending_publications
            .set(self.topics.pending() as u64);
    }

    /// This shard's end of the rings.
    pub fn mesh(&self) -> &ShardEnd<ShardMessage> {
        &self.mesh
    }

    /// Checks what the table of subscribers promises; for the fuzz target, which
    /// otherwise sees deliveries only.
    #[cfg(fuzzing)]
    pub fn check_invariants(&self) {
        self.topics.table.check_invariants();
    }

    fn origin(&self) -> Participant {
        Participant::Shard(self.mesh.id())
    }
}

/// The shard that a session lives on, by the session's number.
fn shard_of(session: u128) -> Option<ShardId> {
    let shard = u16::try_from(session >> 64).ok()?;
    Some(ShardId(shard))
}

/// Takes in a message of another participant that is not for a handler.
#[inline]
fn take_in(topics: &mut Topics, message: ShardMessage) {
    match message {
        ShardMessage::Publish(publication) => topics.take(Arriving::from(&*publication)),
        ShardMessage::Ask(question) => question.add(topics.table.subscribers(question.topic())),
        ShardMessage::Tell(_) => unreachable!("a notice waits for its handler"),
        ShardMessage::Order(_) => unreachable!("an order has a queue of its own"),
    }
}

#[cfg(all(test, not(any(loom, miri))))]
mod tests {
    use super::*;
    use crate::mesh::{self, ShardWaker};
    use crate::sys::EventFd;

    /// The hubs of so many shards, with rings and room for `capacity` messages.
    fn hubs<const SHARDS: usize>(capacity: usize) -> [Hub; SHARDS] {
        let wakers = [(); SHARDS].map(|()| {
            let event = EventFd::new().unwrap();
            Arc::new(ShardWaker::new(Arc::new(event)))
        });
        let (ends, _) = mesh::connect(&wakers, 0, capacity);
        let hub = |end| Hub::new(end, capacity, Arc::default());
        let hubs: Vec<Hub> = ends.into_iter().map(hub).collect();
        hubs.try_into().unwrap_or_else(|_| unreachable!())
    }

    /// Few large publications hold their publishers back as many small ones do,
    /// and delivering them ends that.
    #[test]
    fn pending_publications_are_weighed() {
        let [mut hub] = hubs(16);
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

    /// Publications that a handler makes on a notice come before those that were
    /// published after the notice, because those wait.
    #[test]
    fn a_notice_is_handed_out_before_what_was_published_behind_it() {
        let [mut from, mut to] = hubs(16);
        let topic = Topic::new("t");
        to.subscribe(7, &mut Subscriptions::default(), &topic);

        from.publish(&topic, PreparedFrame::text("1"), None);
        from.tell(3, "a");
        from.publish(&topic, PreparedFrame::text("2"), None);
        from.tell(4, "b");
        to.expect_incoming();
        to.receive();
        assert_eq!(to.topics.pending(), 1);
        let notice = to.next_notice().unwrap();
        assert_eq!(
            (notice.route, notice.content.downcast_ref()),
            (Some(3), Some(&"a"))
        );
        assert_eq!(to.topics.pending(), 1);
        assert_eq!(to.next_notice().unwrap().route, Some(4));
        assert_eq!(to.topics.pending(), 2);
        assert!(to.next_notice().is_none());
        assert!(to.inbox.is_empty());
    }

    /// Its handler may publish, so a notice waits while as much is pending as may be,
    /// and so does what came after it.
    #[test]
    fn a_notice_waits_for_room_on_its_shard() {
        let [mut from, mut to] = hubs(2);
        let topic = Topic::new("t");
        to.subscribe(7, &mut Subscriptions::default(), &topic);
        for text in ["1", "2"] {
            to.publish_here(&topic, PreparedFrame::text(text));
        }
        from.tell(3, "a");
        to.run_slice(1, |_, _| {});
        to.expect_incoming();
        to.receive();
        to.publish_here(&topic, PreparedFrame::text("3"));
        to.publish_here(&topic, PreparedFrame::text("4"));
        assert!(to.next_notice().is_none());
        to.run_slice(9, |_, _| {});
        assert!(to.has_work(), "the notice is not forgotten");
        assert_eq!(to.next_notice().unwrap().route, Some(3));
        assert!(!to.has_work());
    }

    /// Two shards tell each other more than their rings hold. If notices waited for
    /// room in the rings, neither would ever take what the other waits for.
    #[test]
    fn notices_do_not_wait_for_room_in_a_ring() {
        let mut hubs: [Hub; 2] = hubs(1);
        for hub in &mut hubs {
            (0..8).for_each(|number| hub.tell(0, number));
            assert!(hub.is_congested());
        }
        let mut heard = [0, 0];
        for _ in 0..8 {
            for (hub, heard) in hubs.iter_mut().zip(&mut heard) {
                hub.expect_incoming();
                hub.receive();
                while let Some(notice) = hub.next_notice() {
                    assert_eq!(notice.content.downcast_ref(), Some(&*heard));
                    *heard += 1;
                }
                hub.flush_mesh();
            }
        }
        assert_eq!(heard, [8, 8]);
    }

    /// Publications from outside are taken in as long as there is room; then they are
    /// refused, and nothing of what was accepted is lost.
    #[test]
    fn a_congested_shard_takes_nothing_from_outside() {
        const CAPACITY: usize = 2;
        let event = EventFd::new().unwrap();
        let wakers = [Arc::new(ShardWaker::new(Arc::new(event)))];
        let (ends, mut outside) = mesh::connect(&wakers, 1, CAPACITY);
        let end = ends.into_iter().next().unwrap();
        let mut hub = Hub::new(end, CAPACITY, Arc::default());
        let topic = Topic::new("t");
        hub.subscribe(0, &mut Subscriptions::default(), &topic);
        let mut publish = |number: u8| {
            let publication = Publication {
                topic: Topic::new("t"),
                content: PreparedFrame::binary(&[number]).into(),
                origin: Participant::Outside,
            };
            outside[0]
                .try_broadcast(&ShardMessage::Publish(Arc::new(publication)))
                .is_ok()
        };
        let mut accepted = 0;
        for _ in 0..5 {
            accepted += u8::from(publish(accepted));
            hub.expect_incoming();
            hub.receive();
        }
        // Two pending, two in the ring.
        assert_eq!(accepted, 4);
        let mut numbers = Vec::new();
        while hub.has_work() {
            hub.run_slice(9, |_, run| {
                numbers.extend(run.frames().map(|frame| frame.payload()[0]));
            });
            hub.receive();
        }
        assert_eq!(numbers, [0, 1, 2, 3]);
        assert!(publish(4));
    }
}
