//! Publications on their way to this shard's subscribers, in slices.

use std::collections::VecDeque;
use std::rc::Rc;

use super::subscribers::{SubscriberTable, TopicId};
use crate::publication::{Form, Run};
use crate::ws::PreparedFrame;

/// Frames that wait together are joined up to this size. A larger run would
/// not leave in one send anyway.
const MAX_RUN_BYTES: usize = 64 * 1024;

/// Fan-outs that wait, and deliveries that they take, with which publishers are to wait.
/// Publications to one topic join the last that waits, so only different topics, or large
/// messages, come to so many.
const LONG_QUEUE: usize = 4;
const LONG_DELIVERIES: usize = if cfg!(test) { 2_000 } else { 2 << 20 };

/// Publications of one topic that wait for their fan-out together.
#[derive(Debug)]
struct Waiting {
    topic: TopicId,
    except: Option<u32>,
    messages: Vec<PreparedFrame>,
    /// The keys of the messages, if any has one.
    keys: Vec<u64>,
    bytes: usize,
    /// Deliveries that its fan-out takes, as of when it came to wait.
    deliveries: usize,
}

impl Waiting {
    #[inline]
    fn push(&mut self, message: PreparedFrame, key: u64) {
        self.bytes += message.len();
        // Those without a key before the first with one, and after it.
        if key != 0 || !self.keys.is_empty() {
            self.keys.resize(self.messages.len(), 0);
            self.keys.push(key);
        }
        self.messages.push(message);
    }
}

/// The fan-out under way. How far it is stands in its topic.
#[derive(Debug)]
struct Running {
    topic: TopicId,
    except: Option<u32>,
    run: Rc<Run>,
    bytes: usize,
    deliveries: usize,
}

/// All fan-outs of a shard: one under way, the others waiting in order.
#[derive(Debug, Default)]
pub(super) struct FanOutQueue {
    running: Option<Running>,
    waiting: VecDeque<Waiting>,
    pending: usize,
    pending_bytes: usize,
    /// Deliveries of all fan-outs that are not over.
    pending_deliveries: usize,
}

impl FanOutQueue {
    /// Publications not yet delivered to all their subscribers.
    pub(super) fn pending(&self) -> usize {
        self.pending
    }

    /// Their bytes.
    pub(super) fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// Whether so many fan-outs to so many subscribers are waiting that what comes behind
    /// them would wait for seconds.
    pub(super) fn is_long(&self) -> bool {
        self.waiting.len() >= LONG_QUEUE && self.pending_deliveries >= LONG_DELIVERIES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.running.is_none() && self.waiting.is_empty()
    }

    /// Queues a publication, together with the last one if both go to the same
    /// sessions.
    pub(super) fn push(
        &mut self,
        table: &mut SubscriberTable,
        topic: TopicId,
        message: PreparedFrame,
        key: u64,
        except: Option<u32>,
    ) {
        self.pending += 1;
        let len = message.len();
        self.pending_bytes += len;
        match self.last_of(table, topic) {
            Some(last) if last.except == except && last.bytes + len <= MAX_RUN_BYTES => {
                last.push(message, key);
            }
            _ => {
                let entry = table.topic_mut(topic);
                entry.queued += 1;
                let deliveries = entry.subscribers.len();
                self.pending_deliveries += deliveries;
                let mut waiting = Waiting {
                    topic,
                    except,
                    messages: Vec::with_capacity(1),
                    keys: Vec::new(),
                    bytes: 0,
                    deliveries,
                };
                waiting.push(message, key);
                self.waiting.push_back(waiting);
            }
        }
    }

    /// The publications that a publication to `topic` may join: the last that wait, or
    /// those before it that it passes by because only other forms of its topic, and so
    /// other sessions, are waiting behind them.
    #[inline]
    fn last_of(&mut self, table: &SubscriberTable, topic: TopicId) -> Option<&mut Waiting> {
        for waiting in self.waiting.iter_mut().rev().take(Form::COUNT) {
            if waiting.topic == topic {
                return Some(waiting);
            }
            if !table.is_same_topic(waiting.topic, topic) {
                break;
            }
        }
        None
    }

    /// Makes up to `budget` deliveries.
    pub(super) fn run(
        &mut self,
        table: &mut SubscriberTable,
        mut budget: usize,
        mut deliver: impl FnMut(u32, &Rc<Run>),
    ) {
        while budget > 0 {
            if self.running.is_none() {
                let next = self.waiting.pop_front();
                self.running = next.map(|waiting| start(waiting, table));
            }
            let Some(running) = &self.running else { return };
            let topic = table.topic_mut(running.topic);
            let from = topic.visited;
            let to = topic.subscribers.len().min(from + budget);
            for subscriber in &topic.subscribers[from..to] {
                if running.except != Some(subscriber.session) {
                    deliver(subscriber.session, &running.run);
                }
            }
            topic.visited = to;
            // An empty fan-out is work too, or a queue of them would not end.
            budget = budget.saturating_sub((to - from).max(1));
            if to == topic.subscribers.len() {
                topic.visited = 0;
                topic.queued -= 1;
                self.pending -= running.run.messages() as usize;
                self.pending_bytes -= running.bytes;
                self.pending_deliveries -= running.deliveries;
                table.remove_if_unused(running.topic);
                self.running = None;
            }
        }
    }
}

/// Joins what has waited together into one run of bytes.
fn start(waiting: Waiting, table: &SubscriberTable) -> Running {
    let topic = table.topic_ref(waiting.topic).serial;
    Running {
        topic: waiting.topic,
        except: waiting.except,
        run: Rc::new(Run::join(waiting.messages).of_topic(topic, waiting.keys)),
        bytes: waiting.bytes,
        deliveries: waiting.deliveries,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::super::{Subscriptions, Topic};
    use super::*;

    const SESSIONS: u32 = 12;
    const TOPICS: usize = 3;
    /// Each session gets its publications in one of these.
    const FORMS: [Form; 2] = [Form::Data, Form::PhoenixV2];

    #[derive(Debug, Clone)]
    enum Operation {
        Subscribe(u32, usize),
        Unsubscribe(u32, usize),
        Leave(u32),
        Publish(usize, Option<u32>),
        Run(usize),
    }

    fn operation() -> impl Strategy<Value = Operation> {
        let session = 0..SESSIONS;
        let topic = 0..TOPICS;
        prop_oneof![
            4 => (session.clone(), topic.clone()).prop_map(|(s, t)| Operation::Subscribe(s, t)),
            2 => (session.clone(), topic.clone()).prop_map(|(s, t)| Operation::Unsubscribe(s, t)),
            1 => session.clone().prop_map(Operation::Leave),
            3 => (topic, proptest::option::of(session)).prop_map(|(t, e)| Operation::Publish(t, e)),
            4 => (1usize..6).prop_map(Operation::Run),
        ]
    }

    /// The publications a subscriber must have got: each one made while it was
    /// subscribed, unless it left before the fan-out reached it.
    #[derive(Default)]
    struct Oracle {
        members: BTreeSet<(u32, usize)>,
        /// Publications each session still has to get, per topic, in order.
        due: BTreeMap<(u32, usize), Vec<u32>>,
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 8 } else { 1024 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// Every subscriber that stays gets every publication once and in order, in
        /// whatever slices it runs and whichever sessions join or leave in between.
        #[test]
        fn who_stays_gets_each_publication_once(
            operations in proptest::collection::vec(operation(), 0..120),
        ) {
            let topics: Vec<Topic> = (0..TOPICS).map(|i| Topic::new(format!("t{i}"))).collect();
            let mut table = SubscriberTable::default();
            let mut queue = FanOutQueue::default();
            let mut own = vec![Subscriptions::default(); SESSIONS as usize];
            let mut oracle = Oracle::default();
            let mut number = 0u32;

            let run = |queue: &mut FanOutQueue, table: &mut SubscriberTable, oracle: &mut Oracle, budget| {
                queue.run(table, budget, |session, run| {
                    // Each test frame is a 2-byte header, its topic, its number.
                    for frame in run.as_bytes().chunks(7) {
                        let topic = usize::from(frame[2]);
                        let number = u32::from_be_bytes(frame[3..7].try_into().unwrap());
                        let due = oracle.due.entry((session, topic)).or_default();
                        // A session that joined in between may be sent what was
                        // published before; it owes nothing for that.
                        if due.first() == Some(&number) {
                            due.remove(0);
                        } else {
                            assert!(!due.contains(&number), "out of order");
                            assert!(oracle.members.contains(&(session, topic)));
                        }
                    }
                });
            };

            for operation in operations {
                match operation {
                    Operation::Subscribe(s, t) => {
                        let new = table.subscribe(s, &mut own[s as usize], &topics[t], FORMS[s as usize % 2]);
                        prop_assert_eq!(new, oracle.members.insert((s, t)));
                    }
                    Operation::Unsubscribe(s, t) => {
                        let was = table.unsubscribe(&mut own[s as usize], &topics[t]);
                        prop_assert_eq!(was, oracle.members.remove(&(s, t)));
                        oracle.due.remove(&(s, t));
                    }
                    Operation::Leave(s) => {
                        table.leave_all(&mut own[s as usize]);
                        prop_assert!(own[s as usize].is_empty());
                        oracle.members.retain(|(session, _)| *session != s);
                        oracle.due.retain(|(session, _), _| *session != s);
                    }
                    Operation::Publish(t, except) => {
                        number += 1;
                        let mut payload = vec![t as u8];
                        payload.extend_from_slice(&number.to_be_bytes());
                        for form in table.forms(&topics[t]).collect::<Vec<_>>() {
                            queue.push(&mut table, form, PreparedFrame::binary(&payload), 0, except);
                        }
                        for (s, _) in oracle.members.iter().filter(|(s, topic)| *topic == t && Some(*s) != except) {
                            oracle.due.entry((*s, t)).or_default().push(number);
                        }
                    }
                    Operation::Run(budget) => run(&mut queue, &mut table, &mut oracle, budget),
                }
                table.check_invariants();
            }
            run(&mut queue, &mut table, &mut oracle, usize::MAX / 2);
            prop_assert!(queue.is_empty());
            prop_assert_eq!(queue.pending(), 0);
            prop_assert_eq!((queue.pending_bytes(), queue.pending_deliveries), (0, 0));
            prop_assert!(oracle.due.values().all(Vec::is_empty), "lost: {:?}", oracle.due);
            table.check_invariants();
        }
    }

    #[test]
    fn publications_that_wait_together_leave_together() {
        let topic = Topic::new("t");
        let mut table = SubscriberTable::default();
        let mut queue = FanOutQueue::default();
        let mut own = Subscriptions::default();
        table.subscribe(7, &mut own, &topic, Form::Data);
        let id = table.first_form(topic.as_str()).unwrap();
        for i in 0..16u8 {
            queue.push(&mut table, id, PreparedFrame::binary(&[i]), 0, None);
        }
        assert_eq!(runs(&mut queue, &mut table), [(7, 16)]);
    }

    /// Subscribers of one form hear nothing of the frames for another, and those do not
    /// part what waits together.
    #[test]
    fn publications_in_several_forms_leave_together_too() {
        let [topic, other] = ["t", "u"].map(Topic::new);
        let mut table = SubscriberTable::default();
        let mut queue = FanOutQueue::default();
        let mut own = [Subscriptions::default(); 3];
        table.subscribe(0, &mut own[0], &topic, FORMS[0]);
        table.subscribe(1, &mut own[1], &topic, FORMS[1]);
        table.subscribe(2, &mut own[2], &other, FORMS[0]);
        let mut push = |topic| {
            for form in table.forms(topic).collect::<Vec<_>>() {
                queue.push(&mut table, form, PreparedFrame::text("m"), 0, None);
            }
        };
        for topic in [&topic, &topic, &other, &topic] {
            push(topic);
        }
        let expected = [(0, 2), (1, 2), (2, 1), (0, 1), (1, 1)];
        assert_eq!(runs(&mut queue, &mut table), expected);
    }

    /// Publications to many topics with many subscribers make the queue long, those to one
    /// topic never.
    #[test]
    fn only_fan_outs_that_cannot_be_joined_make_the_queue_long() {
        const TOPICS: usize = LONG_QUEUE + 1;
        let subscribers = LONG_DELIVERIES / TOPICS + 1;
        let topics: Vec<Topic> = (0..TOPICS).map(|i| Topic::new(format!("t{i}"))).collect();
        let mut table = SubscriberTable::default();
        let mut own = vec![Subscriptions::default(); subscribers];
        for topic in &topics {
            for (session, own) in own.iter_mut().enumerate() {
                table.subscribe(session as u32, own, topic, Form::Data);
            }
        }
        let ids: Vec<_> = topics
            .iter()
            .map(|topic| table.first_form(topic.as_str()).unwrap())
            .collect();
        let mut queue = FanOutQueue::default();
        let frame = PreparedFrame::text("m");
        for _ in 0..1_000 {
            queue.push(&mut table, ids[0], frame.clone(), 0, None);
        }
        assert!(!queue.is_long());
        for id in &ids {
            assert!(!queue.is_long());
            queue.push(&mut table, *id, frame.clone(), 0, None);
        }
        assert!(queue.is_long());
        queue.run(&mut table, subscribers, |_, _| {});
        assert!(!queue.is_long(), "it goes on");
    }

    /// Runs all fan-outs: which session got how many messages at once.
    fn runs(queue: &mut FanOutQueue, table: &mut SubscriberTable) -> Vec<(u32, u32)> {
        let mut runs = Vec::new();
        queue.run(table, 100, |session, run| {
            runs.push((session, run.messages()))
        });
        runs
    }
}
