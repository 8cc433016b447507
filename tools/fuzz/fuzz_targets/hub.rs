//! Hubs of several shards over real rings, under any order of operations.
//!
//! A session that is subscribed when a publication is made, and stays so, gets it
//! exactly once, and one publisher's publications in the order made, to whatever
//! topics they went. A session that left, or is the exception, gets none. The same
//! holds for publications that an outsider has had accepted. Notices arrive once and in
//! order. Shards are only ever run when they were woken or know of work, so a lost wake
//! is found as well: in the end nothing is pending anywhere.

#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arbitrary::Arbitrary;
use corecast::hub::{Hub, ShardMessage, Subscriptions, Topic};
use corecast::mesh::{OutsideEnd, Refused, ShardWaker, connect};
use corecast::metrics::ShardMetrics;
use corecast::participant::Participant;
use corecast::publication::Publication;
use corecast::sys::EventFd;
use corecast::ws::{PreparedFrame, Role, Rules};
use corecast_fuzz::codec::{Owned, decode};
use libfuzzer_sys::fuzz_target;

const SESSIONS: u8 = 6;
const TOPICS: u8 = 3;
const LARGE_BYTES: usize = 40_000;

#[derive(Debug, Arbitrary)]
struct Case {
    /// One to four.
    shards: u8,
    ring_capacity: u8,
    max_pending: u8,
    operations: Vec<(u8, Operation)>,
}

#[derive(Debug, Arbitrary)]
enum Operation {
    Subscribe {
        session: u8,
        topic: u8,
    },
    Unsubscribe {
        session: u8,
        topic: u8,
    },
    Leave {
        session: u8,
    },
    Publish {
        topic: u8,
        except: Option<u8>,
        times: u8,
        is_large: bool,
    },
    /// The shard of the operation does not matter.
    PublishOutside {
        topic: u8,
        times: u8,
        is_large: bool,
    },
    Tell,
    Receive,
    Flush,
    Run {
        budget: u8,
    },
    /// One turn of a shard.
    Turn {
        budget: u8,
    },
    Park,
}

/// Shard and session.
type Who = (usize, u32);

/// One publication: the place where it was made, and its number there.
type Id = (usize, u32);

/// The membership of a session in a topic, and the publications it has got there.
struct Membership {
    since: u32,
    got: BTreeSet<Id>,
}

struct Made {
    at: u32,
    except: Option<u32>,
}

#[derive(Default)]
struct Oracle {
    /// Counts operations.
    now: u32,
    made: BTreeMap<Id, Made>,
    members: BTreeMap<(Who, u8), Membership>,
    /// Publications each session still has to get, with their topic, in order.
    due: BTreeMap<Who, Vec<(Id, u8)>>,
}

impl Oracle {
    fn leave(&mut self, who: Who, topic: u8) -> bool {
        if let Some(due) = self.due.get_mut(&who) {
            due.retain(|(_, of)| *of != topic);
        }
        self.members.remove(&(who, topic)).is_some()
    }

    fn published(&mut self, id: Id, topic: u8, except: Option<u32>) {
        self.made.insert(
            id,
            Made {
                at: self.now,
                except,
            },
        );
        for &(who, of) in self.members.keys() {
            if of == topic && !(who.0 == id.0 && Some(who.1) == except) {
                self.due.entry(who).or_default().push((id, topic));
            }
        }
    }

    fn delivered(&mut self, who: Who, id: Id, topic: u8) {
        let made = &self.made[&id];
        assert!(
            !(who.0 == id.0 && made.except == Some(who.1)),
            "the exception got it"
        );
        let member = self
            .members
            .get_mut(&(who, topic))
            .expect("who left got it");
        assert!(member.got.insert(id), "{who:?} got {id:?} twice");
        let due = self.due.entry(who).or_default();
        match due.iter().position(|(next, _)| next.0 == id.0) {
            Some(first) if due[first].0 == id => drop(due.remove(first)),
            // A session that joins may get publications made just before, and
            // is owed none of them.
            _ => assert!(made.at < member.since, "{who:?} got {id:?} out of order"),
        }
    }
}

/// The outsider publishes under the number after the last shard's.
struct Outsider {
    end: OutsideEnd<ShardMessage>,
    number: usize,
    accepted: u32,
}

impl Outsider {
    fn publish(&mut self, topic: u8, is_large: bool, oracle: &mut Oracle) {
        let publication = Publication {
            topic: name(topic),
            content: PreparedFrame::binary(&payload(topic, self.number, self.accepted, is_large))
                .into(),
            origin: Participant::Outside,
        };
        let message = ShardMessage::Publish(Arc::new(publication));
        match self.end.try_broadcast(&message) {
            Ok(()) => {
                oracle.published((self.number, self.accepted), topic, None);
                self.accepted += 1;
            }
            Err(Refused::Full { shard }) => assert!(shard < self.number),
            Err(Refused::Stopped) => panic!("no shard has ended"),
        }
    }
}

struct Shard {
    hub: Hub,
    sessions: Vec<Subscriptions>,
    published: u32,
    told: u32,
    /// How many notices of each shard it has received.
    heard: Vec<u32>,
}

impl Shard {
    fn run(&mut self, shard: usize, budget: usize, oracle: &mut Oracle) {
        let rules = Rules {
            role: Role::Client,
            max_frame_bytes: usize::MAX,
            max_message_bytes: usize::MAX,
        };
        self.hub.run_slice(budget, |session, joined| {
            let run = decode(&rules, joined.as_bytes());
            assert_eq!(
                (run.fault, run.events.len()),
                (None, joined.messages() as usize)
            );
            for event in run.events {
                let bytes = match event {
                    Owned::Binary(bytes) => bytes,
                    other => panic!("{other:?} was never published"),
                };
                let id = (
                    usize::from(bytes[1]),
                    u32::from_be_bytes(bytes[2..6].try_into().unwrap()),
                );
                oracle.delivered((shard, session), id, bytes[0]);
            }
        });
    }

    /// The part of a shard's turn before it serves its sockets.
    fn receive(&mut self) {
        if self.hub.mesh().waker().begin() {
            self.hub.expect_incoming();
        }
        self.hub.receive();
        while let Some(notice) = self.hub.next_notice() {
            let (from, number): &(usize, u32) = notice.content.downcast_ref().expect("as told");
            assert_eq!(self.heard[*from], *number, "in order");
            self.heard[*from] += 1;
        }
    }

    fn publish(
        &mut self,
        shard: usize,
        topic: u8,
        except: Option<u32>,
        is_large: bool,
        oracle: &mut Oracle,
    ) {
        let payload = payload(topic, shard, self.published, is_large);
        oracle.published((shard, self.published), topic, except);
        self.published += 1;
        self.hub
            .publish(&name(topic), PreparedFrame::binary(&payload), except);
    }

    fn check(&self, shard: usize, oracle: &Oracle) {
        self.hub.check_invariants();
        for (session, own) in self.sessions.iter().enumerate() {
            let who = (shard, session as u32);
            let is_member = (0..TOPICS).any(|topic| oracle.members.contains_key(&(who, topic)));
            assert_eq!(own.is_empty(), !is_member);
        }
    }
}

fn payload(topic: u8, from: usize, number: u32, is_large: bool) -> Vec<u8> {
    let mut payload = vec![topic, from as u8];
    payload.extend(number.to_be_bytes());
    if is_large {
        payload.resize(LARGE_BYTES, 0);
    }
    payload
}

fn name(topic: u8) -> Topic {
    Topic::new(format!("topic {topic}"))
}

fuzz_target!(|case: Case| {
    let count = 1 + usize::from(case.shards % 4);
    let events: Vec<_> = (0..count)
        .map(|_| EventFd::new().expect("a descriptor"))
        .collect();
    let wakers = events
        .into_iter()
        .map(|event| Arc::new(ShardWaker::new(Arc::new(event))));
    let wakers: Vec<_> = wakers.collect();
    let ring_capacity = 1 + usize::from(case.ring_capacity % 8);
    let (ends, mut outside) = connect(&wakers, 1, ring_capacity);
    let mut outsider = Outsider {
        end: outside.pop().expect("one was asked for"),
        number: count,
        accepted: 0,
    };
    let max_pending = 1 + usize::from(case.max_pending % 8);
    let mut shards: Vec<Shard> = ends
        .into_iter()
        .map(|end| Shard {
            hub: Hub::new(end, max_pending, Arc::new(ShardMetrics::default())),
            sessions: vec![Subscriptions::default(); usize::from(SESSIONS)],
            published: 0,
            told: 0,
            heard: vec![0; count],
        })
        .collect();
    let mut oracle = Oracle::default();

    for (index, operation) in case.operations {
        oracle.now += 1;
        let index = usize::from(index) % count;
        let shard = &mut shards[index];
        match operation {
            Operation::Subscribe { session, topic } => {
                let (session, topic) = (session % SESSIONS, topic % TOPICS);
                let own = &mut shard.sessions[usize::from(session)];
                let is_new = shard.hub.subscribe(u32::from(session), own, &name(topic));
                let key = ((index, u32::from(session)), topic);
                assert_eq!(is_new, !oracle.members.contains_key(&key));
                let since = oracle.now;
                oracle.members.entry(key).or_insert(Membership {
                    since,
                    got: BTreeSet::new(),
                });
            }
            Operation::Unsubscribe { session, topic } => {
                let (session, topic) = (session % SESSIONS, topic % TOPICS);
                let own = &mut shard.sessions[usize::from(session)];
                let was_in = shard.hub.unsubscribe(own, &name(topic));
                assert_eq!(was_in, oracle.leave((index, u32::from(session)), topic));
            }
            Operation::Leave { session } => {
                let session = session % SESSIONS;
                shard
                    .hub
                    .leave_all(&mut shard.sessions[usize::from(session)]);
                for topic in 0..TOPICS {
                    oracle.leave((index, u32::from(session)), topic);
                }
            }
            Operation::Publish {
                topic,
                except,
                times,
                is_large,
            } => {
                let except = except.map(|session| u32::from(session % SESSIONS));
                for _ in 0..=times % 8 {
                    shard.publish(index, topic % TOPICS, except, is_large, &mut oracle);
                }
            }
            Operation::PublishOutside {
                topic,
                times,
                is_large,
            } => {
                for _ in 0..=times % 8 {
                    outsider.publish(topic % TOPICS, is_large, &mut oracle);
                }
            }
            Operation::Tell => {
                shard.hub.tell(0, (index, shard.told));
                shard.told += 1;
            }
            Operation::Receive => shard.receive(),
            Operation::Flush => shard.hub.flush_mesh(),
            Operation::Run { budget } => shard.run(index, usize::from(budget), &mut oracle),
            Operation::Turn { budget } => {
                shard.receive();
                shard.hub.flush_mesh();
                shard.run(index, usize::from(budget), &mut oracle);
                shard.hub.flush_mesh();
            }
            Operation::Park => {
                shard.hub.mesh().waker().try_park();
            }
        }
        shard.check(index, &oracle);
    }

    run_to_the_end(&mut shards, &mut oracle);
    for (index, shard) in shards.iter().enumerate() {
        assert_eq!(shard.hub.mesh().backlogged(), 0, "a backlog was forgotten");
        assert_eq!(shard.hub.mesh().depth(), 0, "a ring was forgotten");
        shard.check(index, &oracle);
        for (from, heard) in shard.heard.iter().enumerate() {
            let told = if from == index { 0 } else { shards[from].told };
            assert_eq!(*heard, told, "a notice was lost");
        }
    }
    assert!(
        oracle.due.values().all(Vec::is_empty),
        "lost: {:?}",
        oracle.due
    );
});

/// Gives each shard a turn as long as any was woken, has work, or has pushed
/// something that it has not told of: a shard flushes before it sleeps.
fn run_to_the_end(shards: &mut [Shard], oracle: &mut Oracle) {
    for shard in &mut *shards {
        shard.hub.flush_mesh();
    }
    loop {
        let mut has_run = false;
        for (index, shard) in shards.iter_mut().enumerate() {
            if shard.hub.mesh().waker().is_notified() || shard.hub.has_work() {
                has_run = true;
                shard.receive();
                shard.hub.flush_mesh();
                shard.run(index, 64, oracle);
                shard.hub.flush_mesh();
            }
        }
        if !has_run {
            return;
        }
    }
}
