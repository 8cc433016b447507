//! `broadcast`: each message of a publisher must reach every subscriber, once
//! and in order.
//!
//! # Invariants worth naming
//!
//! - Publishers are the first subscribers, so that every server that sends a
//!   message to all, the sender included, owes exactly one delivery to each.
//! - A publication is pending on a thread from the first delivery until all of
//!   its subscribers there have it, have gone, or time is up.
//! - In a closed loop a publisher goes on when *all* threads are done with a
//!   publication ([`Shared`](crate::engine::Shared) tells), not when its own is.

use std::collections::VecDeque;
use std::time::Duration;

use corecast::plane::SessionKey;
use corecast::ws::Message;

use super::Load;
use super::schedule::Schedule;
use crate::dialect::{Content, Draft, Wording};
use crate::engine::{Context, End, Net, PublicationPart, Scenario, Shared, Tally, Timed};
use crate::order::{Arrival, Order};
use crate::stamp::Stamp;

/// The settings of a broadcast.
#[derive(Debug, Clone)]
pub struct BroadcastPlan {
    /// How publications are written.
    pub wording: Wording,
    /// How many of the subscribers publish.
    pub publishers: u32,
    /// Publications under way per publisher, or publications per second of all
    /// publishers together.
    pub load: Load,
    /// Publishers get their own publications too.
    pub to_self: bool,
    /// How long a delivery may take before it counts as lost.
    pub timeout: Duration,
}

/// One thread's part.
pub struct Broadcast {
    plan: BroadcastPlan,
    schedule: Option<Schedule>,
    /// Publishers on this thread.
    publishers: Vec<Publisher>,
    /// The lack of subscribers here was reported.
    excused: bool,
    next_publisher: usize,
    /// The pending publications of each publisher, the oldest first.
    pending: Vec<Pending>,
    /// Open subscribers of this thread.
    subscribers: u64,
    /// Next sequence number by subscriber's slot and publisher.
    expected: Vec<u32>,
    free_slots: Vec<u32>,
    order: Order<(u32, u32)>,
    draft: Draft,
}

struct Publisher {
    number: u32,
    key: SessionKey,
    sent: u64,
    /// Publications given up because a thread never said that it was done.
    forgiven: u64,
    /// When the oldest that is not done was sent.
    waiting_since: u64,
}

/// Publications of one publisher that this thread's subscribers do not all have.
#[derive(Default)]
struct Pending {
    /// Sequence number of the first in `publications`; all before it are over.
    first: u32,
    publications: VecDeque<Publication>,
}

#[derive(Default)]
struct Publication {
    planned: u64,
    /// Deliveries owed to this thread's subscribers.
    owed: u64,
    micros: Vec<u32>,
}

/// The state of a connection.
pub struct Subscriber {
    slot: u32,
    open: bool,
}

impl Broadcast {
    /// Part `thread` of `threads`.
    pub fn new(plan: BroadcastPlan, thread: usize, threads: usize) -> Self {
        let here = (0..plan.publishers)
            .filter(|number| *number as usize % threads == thread)
            .count();
        let schedule = match plan.load {
            Load::Pipeline(_) => None,
            Load::Rate(_) if here == 0 => None,
            Load::Rate(per_second) => Some(Schedule::new(
                per_second * here as f64 * threads as f64 / f64::from(plan.publishers),
                threads,
            )),
        };
        Broadcast {
            schedule,
            publishers: Vec::new(),
            excused: false,
            next_publisher: 0,
            pending: (0..plan.publishers).map(|_| Pending::default()).collect(),
            subscribers: 0,
            expected: Vec::new(),
            free_slots: Vec::new(),
            order: Order::default(),
            draft: Draft::default(),
            plan,
        }
    }

    /// Sends `count` publications at once.
    fn publish(&mut self, place: usize, count: u64, planned: u64, net: &mut Net<Subscriber>) {
        let alone = self.owed(self.publishers[place].number) == 0;
        let publisher = &mut self.publishers[place];
        let (wording, draft) = (&self.plan.wording, &mut self.draft);
        let first = publisher.sent;
        let number = publisher.number;
        let sent = net.visit(publisher.key, |_, cx| {
            if cx.is_measured(planned) {
                cx.shared().measure_from(number as usize, first);
                cx.tally.deliveries.publications += count;
            }
            for sequence in first..first + count {
                let stamp = Stamp {
                    planned,
                    sender: number,
                    sequence: sequence as u32,
                };
                let opcode = wording.write(stamp, 0, draft);
                cx.send(opcode, draft.payload());
            }
        });
        if sent.is_none() {
            return;
        }
        publisher.sent += count;
        net.shared().set_published(number as usize, publisher.sent);
        if alone {
            // No delivery will come here and say so.
            let nothing_owed = || Publication {
                planned,
                ..Publication::default()
            };
            let pending = &mut self.pending[number as usize].publications;
            pending.extend((0..count).map(|_| nothing_owed()));
            let thread = net.thread();
            let (shared, tally) = net.shared_and_tally();
            self.complete(number, thread, shared, tally);
        }
    }

    /// Deliveries of a publication of `publisher` that this thread is owed.
    fn owed(&self, publisher: u32) -> u64 {
        let not_to_itself =
            !self.plan.to_self && self.publishers.iter().any(|it| it.number == publisher);
        self.subscribers - u64::from(not_to_itself)
    }

    /// Closed loop: publishes until enough is under way.
    fn publish_more(&mut self, depth: u32, net: &mut Net<Subscriber>) -> Option<u64> {
        let timeout = self.plan.timeout.as_nanos() as u64;
        let mut look_again = None;
        for place in 0..self.publishers.len() {
            let publisher = &mut self.publishers[place];
            let everywhere = net
                .shared()
                .completed_everywhere(publisher.number as usize)
                .max(publisher.forgiven);
            let under_way = publisher.sent.saturating_sub(everywhere);
            if under_way < u64::from(depth) {
                publisher.waiting_since = net.now();
                self.publish(place, u64::from(depth) - under_way, net.now(), net);
            } else if net.now() > publisher.waiting_since + timeout {
                // It is lost on some thread; later publications show the other
                // losses.
                publisher.forgiven = publisher.sent;
            }
            let until = self.publishers[place].waiting_since + timeout + 1;
            look_again = Some(look_again.map_or(until, |earlier: u64| earlier.min(until)));
        }
        look_again
    }

    /// Notes a delivery of a publication that is still pending.
    fn deliver(&mut self, stamp: Stamp, cx: &mut Context<'_>) {
        let owed = self.owed(stamp.sender);
        let pending = &mut self.pending[stamp.sender as usize];
        let place = stamp.sequence.wrapping_sub(pending.first) as usize;
        if place > u32::MAX as usize / 2 {
            // It was given up.
            return;
        }
        while pending.publications.len() <= place {
            // Those before it are overdue, or they would have been here first.
            pending.publications.push_back(Publication {
                planned: stamp.planned,
                owed,
                micros: Vec::new(),
            });
        }
        let publication = &mut pending.publications[place];
        publication.planned = stamp.planned;
        let nanos = cx.now.saturating_sub(stamp.planned);
        let micros = u32::try_from(nanos / 1_000).unwrap_or(u32::MAX);
        publication.micros.push(micros);
        if place == 0 && publication.micros.len() as u64 >= publication.owed {
            self.complete(stamp.sender, thread_of(cx), cx.shared(), cx.tally);
        }
    }

    /// Takes the complete publications from the front of the pending ones, and
    /// tells how far this thread is.
    fn complete(&mut self, publisher: u32, thread: usize, shared: &Shared, tally: &mut Tally) {
        let pending = &mut self.pending[publisher as usize];
        while let Some(front) = pending.publications.front()
            && front.micros.len() as u64 >= front.owed
        {
            pending.finish_front(publisher, shared, tally);
        }
        shared.completed(thread, publisher as usize, u64::from(pending.first));
    }

    /// Gives up the publications that have waited too long, or all.
    fn give_up(&mut self, net: &mut Net<Subscriber>, before: u64) {
        let thread = net.thread();
        let (shared, tally) = net.shared_and_tally();
        for publisher in 0..self.pending.len() {
            let pending = &mut self.pending[publisher];
            let mut given_up = false;
            while let Some(front) = pending.publications.front()
                && front.planned < before
            {
                pending.finish_front(publisher as u32, shared, tally);
                given_up = true;
            }
            if given_up {
                self.complete(publisher as u32, thread, shared, tally);
            }
        }
    }
}

/// The thread a connection lives on.
fn thread_of(cx: &Context<'_>) -> usize {
    cx.number as usize % cx.shared().threads()
}

impl Pending {
    /// The oldest publication is over.
    fn finish_front(&mut self, publisher: u32, shared: &Shared, tally: &mut Tally) {
        if let Some(publication) = self.publications.pop_front() {
            publication.finish(publisher, self.first, shared, tally);
            self.first = self.first.wrapping_add(1);
        }
    }
}

impl Publication {
    /// It is over: a subscriber that does not have it now will not.
    fn finish(self, publisher: u32, sequence: u32, shared: &Shared, tally: &mut Tally) {
        let received = self.micros.len() as u64;
        tally.deliveries.lost += self.owed.saturating_sub(received);
        if !shared.is_measured(publisher as usize, sequence) {
            return;
        }
        tally.deliveries.expected += self.owed;
        tally.deliveries.received += received;
        tally.publications.push(PublicationPart {
            publisher,
            sequence,
            micros: self.micros,
        });
    }
}

impl Scenario for Broadcast {
    type State = Subscriber;

    fn connect(&mut self, _number: u32) -> Subscriber {
        let slot = self.free_slots.pop().unwrap_or_else(|| {
            let slot = self.expected.len() / self.pending.len();
            let more = self.expected.len() + self.pending.len();
            self.expected.resize(more, 0);
            slot as u32
        });
        Subscriber { slot, open: false }
    }

    fn opened(&mut self, subscriber: &mut Subscriber, cx: &mut Context<'_>) {
        subscriber.open = true;
        self.subscribers += 1;
        if cx.number < self.plan.publishers {
            self.publishers.push(Publisher {
                number: cx.number,
                key: cx.key,
                sent: 0,
                forgiven: 0,
                waiting_since: cx.now,
            });
        }
    }

    #[inline]
    fn message(&mut self, subscriber: &mut Subscriber, message: Message<'_>, cx: &mut Context<'_>) {
        let stamp = match self.plan.wording.read(message) {
            Content::Stamped(stamp) if stamp.sender < self.plan.publishers => stamp,
            Content::Other => return,
            _ => {
                cx.tally.deliveries.corrupt += 1;
                return;
            }
        };
        let place = subscriber.slot as usize * self.pending.len() + stamp.sender as usize;
        let name = (cx.number, stamp.sender);
        match self
            .order
            .arrive(&mut self.expected[place], stamp.sequence, name)
        {
            Arrival::Next | Arrival::Gap(_) => {}
            Arrival::Late => cx.tally.deliveries.reordered += 1,
            Arrival::Duplicate => {
                cx.tally.deliveries.duplicated += 1;
                return;
            }
        }
        if cx
            .shared()
            .is_measured(stamp.sender as usize, stamp.sequence)
        {
            let took = cx.now.saturating_sub(stamp.planned);
            cx.tally.record(Timed::Delivery, took);
        }
        self.deliver(stamp, cx);
    }

    fn turn(&mut self, net: &mut Net<Subscriber>) -> Option<u64> {
        if self.subscribers == 0 && !std::mem::replace(&mut self.excused, true) {
            for publisher in 0..self.pending.len() {
                net.shared().completed(net.thread(), publisher, u64::MAX);
            }
        }
        let timeout = self.plan.timeout.as_nanos() as u64;
        self.give_up(net, net.now().saturating_sub(timeout));
        if let Load::Pipeline(depth) = self.plan.load {
            return self.publish_more(depth, net);
        }
        loop {
            let planned = self.schedule.as_mut()?.take_due(net);
            let (Some(planned), false) = (planned, self.publishers.is_empty()) else {
                return self.schedule.as_ref()?.next_time();
            };
            self.next_publisher = (self.next_publisher + 1) % self.publishers.len();
            self.publish(self.next_publisher, 1, planned, net);
        }
    }

    fn ended(&mut self, subscriber: &mut Subscriber, _end: End, cx: &mut Context<'_>) {
        if subscriber.open {
            self.subscribers -= 1;
            self.publishers
                .retain(|publisher| publisher.number != cx.number);
            // Pending publications will not reach it any more.
            for publisher in 0..self.pending.len() {
                let place = subscriber.slot as usize * self.pending.len() + publisher;
                let missing = self.order.forget(&(cx.number, publisher as u32));
                if !self.plan.to_self && cx.number == publisher as u32 {
                    continue;
                }
                let (shared, next) = (cx.shared(), self.expected[place]);
                let pending = &mut self.pending[publisher];
                for (ahead, publication) in pending.publications.iter_mut().enumerate() {
                    let sequence = pending.first.wrapping_add(ahead as u32);
                    let unseen = sequence.wrapping_sub(next) < u32::MAX / 2;
                    if publication.owed > 0 && (unseen || missing.contains(&sequence)) {
                        publication.owed -= 1;
                        cx.tally.deliveries.lost += 1;
                        cx.tally.deliveries.expected +=
                            u64::from(shared.is_measured(publisher, sequence));
                    }
                }
                self.complete(publisher as u32, thread_of(cx), shared, cx.tally);
            }
        }
        for expected in self
            .expected
            .iter_mut()
            .skip(subscriber.slot as usize * self.pending.len())
            .take(self.pending.len())
        {
            *expected = 0;
        }
        self.free_slots.push(subscriber.slot);
    }

    fn is_settled(&self, shared: &Shared) -> bool {
        self.subscribers == 0
            || self
                .pending
                .iter()
                .enumerate()
                .all(|(publisher, pending)| u64::from(pending.first) == shared.published(publisher))
    }

    fn settle(&mut self, net: &mut Net<Subscriber>) {
        // Publications of which this thread has not even seen one delivery.
        for (publisher, pending) in self.pending.iter().enumerate() {
            let known = u64::from(pending.first) + pending.publications.len() as u64;
            let unknown = net.shared().published(publisher).saturating_sub(known);
            let owed = unknown * self.owed(publisher as u32);
            net.tally().deliveries.lost += owed;
            net.tally().deliveries.expected += owed;
        }
        self.give_up(net, u64::MAX);
    }
}
