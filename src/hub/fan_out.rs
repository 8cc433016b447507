//! Publications on their way to this shard's subscribers, in slices.

use std::collections::VecDeque;
use std::rc::Rc;

use super::subscribers::{SubscriberTable, TopicId};
use crate::publication::Run;
use crate::ws::PreparedFrame;

/// Frames that wait together are joined up to this size. A larger run would
/// not leave in one send anyway.
const MAX_RUN_BYTES: usize = 64 * 1024;

/// Publications of one topic that wait for their fan-out together.
#[derive(Debug)]
struct Waiting {
    topic: TopicId,
    except: Option<u32>,
    messages: Vec<PreparedFrame>,
    bytes: usize,
}

/// The fan-out under way. How far it is stands in its topic.
#[derive(Debug)]
struct Running {
    topic: TopicId,
    except: Option<u32>,
    run: Rc<Run>,
    bytes: usize,
}

/// All fan-outs of a shard: one under way, the others waiting in order.
#[derive(Debug, Default)]
pub(super) struct FanOutQueue {
    running: Option<Running>,
    waiting: VecDeque<Waiting>,
    pending: usize,
    pending_bytes: usize,
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
        except: Option<u32>,
    ) {
        self.pending += 1;
        let len = message.len();
        self.pending_bytes += len;
        match self.waiting.back_mut() {
            Some(last)
                if last.topic == topic
                    && last.except == except
                    && last.bytes + len <= MAX_RUN_BYTES =>
            {
                last.messages.push(message);
                last.bytes += len;
            }
            _ => {
                table.topic_mut(topic).queued += 1;
                self.waiting.push_back(Waiting {
                    topic,
                    except,
                    messages: vec![message],
                    bytes: len,
                });
            }
        }
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
                self.running = self.waiting.pop_front().map(start);
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
                table.remove_if_unused(running.topic);
                self.running = None;
            }
        }
    }
}

/// Joins what has waited together into one run of bytes.
fn start(waiting: Waiting) -> Running {
    Running {
        topic: waiting.topic,
        except: waiting.except,
        run: Rc::new(Run::join(waiting.messages)),
        bytes: waiting.bytes,
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
            let mut own: Vec<_> = (0..SESSIONS).map(|_| Subscriptions::default()).collect();
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
                        let new = table.subscribe(s, &mut own[s as usize], &topics[t]);
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
                        if let Some(topic) = table.find(&topics[t]) {
                            queue.push(&mut table, topic, PreparedFrame::binary(&payload), except);
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
        table.subscribe(7, &mut own, &topic);
        let id = table.find(&topic).unwrap();
        for i in 0..16u8 {
            queue.push(&mut table, id, PreparedFrame::binary(&[i]), None);
        }
        let mut runs = Vec::new();
        queue.run(&mut table, 100, |session, run| {
            runs.push((session, run.messages()))
        });
        assert_eq!(runs, [(7, 16)]);
    }
}
