//! The results that must follow from everything that has happened.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::metrics::EndReason;

/// The sessions that get a publication.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scope {
    All,
    /// All but this session.
    Others(u64),
    /// The sessions of one shard.
    Shard(usize),
}

#[derive(Debug)]
struct Publication {
    at: u64,
    publisher: u64,
    number: u64,
    topic: u8,
    scope: Scope,
}

/// The calls of the handlers for one session, and the messages that its peer has seen.
#[derive(Debug, Default)]
struct Seen {
    shard: usize,
    ended: Option<EndReason>,
    /// When it joined the topics that it is in.
    topics: BTreeMap<u8, u64>,
    /// Topics it was ever in.
    ever: BTreeSet<u8>,
    /// When it left a topic, each time.
    left: Vec<(u8, u64)>,
    /// Answers that have to arrive, in order.
    due: VecDeque<usize>,
    /// The last publication of each publisher in each topic.
    last: BTreeMap<(u8, u64), u64>,
    /// How often its peer has got a publication of a publisher in a topic.
    received: BTreeMap<(u8, u64, u64), usize>,
}

/// The oracle. Its clock counts what handlers have said.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    now: u64,
    sessions: BTreeMap<u64, Seen>,
    publications: Vec<Publication>,
    numbers: BTreeMap<u64, u64>,
    /// Notices that each shard has told, and has heard.
    told: BTreeMap<usize, u64>,
    heard: BTreeMap<usize, u64>,
    /// Deliveries may be left out: the policy of slow consumers says so.
    pub(super) may_drop: bool,
    /// But never the newest of a topic.
    pub(super) keeps_latest: bool,
}

impl Oracle {
    fn session(&mut self, id: u64) -> &mut Seen {
        self.now += 1;
        self.sessions.get_mut(&id).expect("it has opened")
    }

    pub(super) fn opened(&mut self, id: u64, shard: usize) {
        let seen = Seen {
            shard,
            ..Seen::default()
        };
        assert!(self.sessions.insert(id, seen).is_none(), "opened twice");
    }

    pub(super) fn assert_open(&mut self, id: u64) {
        assert!(self.session(id).ended.is_none(), "served after its close");
    }

    pub(super) fn closed(&mut self, id: u64, reason: EndReason) {
        let session = self.session(id);
        assert!(session.ended.is_none(), "closed twice");
        session.ended = Some(reason);
        session.topics.clear();
    }

    pub(super) fn joined(&mut self, id: u64, topic: u8, new: bool) {
        let now = self.now + 1;
        let session = self.session(id);
        assert_eq!(new, !session.topics.contains_key(&topic));
        session.topics.entry(topic).or_insert(now);
        session.ever.insert(topic);
    }

    pub(super) fn left(&mut self, id: u64, topic: u8, was: bool) {
        let now = self.now + 1;
        let session = self.session(id);
        assert_eq!(was, session.topics.remove(&topic).is_some());
        session.left.push((topic, now));
    }

    pub(super) fn answered(&mut self, id: u64, number: usize) {
        self.session(id).due.push_back(number);
    }

    pub(super) fn published(&mut self, publisher: u64, topic: u8, scope: Scope) -> u64 {
        self.now += 1;
        let number = self.numbers.entry(publisher).or_default();
        *number += 1;
        self.publications.push(Publication {
            at: self.now,
            publisher,
            number: *number,
            topic,
            scope,
        });
        *number
    }

    /// The last publication found no room.
    pub(super) fn refused(&mut self) {
        self.publications.pop();
    }

    pub(super) fn told(&mut self, shard: usize) {
        *self.told.entry(shard).or_default() += 1;
    }

    pub(super) fn heard(&mut self, shard: usize) {
        *self.heard.entry(shard).or_default() += 1;
    }

    /// A peer has received a message.
    pub(super) fn received(&mut self, id: u64, text: &str) {
        let may_drop = self.may_drop;
        let session = self.sessions.get_mut(&id).expect("it has opened");
        let words: Vec<&str> = text.split(' ').collect();
        let number = |place: usize| -> u64 { words[place].parse().unwrap() };
        match words[0] {
            "welcome" => {}
            "echo" => assert_eq!(
                session.due.pop_front(),
                Some(number(1) as usize),
                "answers of {id} out of order"
            ),
            "publication" => {
                let (topic, publisher, number) = (number(1) as u8, number(2), number(3));
                assert!(session.ever.contains(&topic), "{id} was never in {topic}");
                let publication = self
                    .publications
                    .iter()
                    .find(|known| known.publisher == publisher && known.number == number)
                    .expect("it was published");
                // A session that joins again is a new subscriber, and may get what was
                // published before it left, though it has it; its peer may read both
                // later.
                let mut left = session.left.iter();
                let has_left = left.any(|(of, at)| *of == topic && *at > publication.at);
                let times = session
                    .received
                    .entry((topic, publisher, number))
                    .or_default();
                *times += 1;
                assert!(
                    *times == 1 || has_left,
                    "{id} got {number} of {publisher} twice"
                );
                let last = session.last.insert((topic, publisher), number);
                assert!(
                    last < Some(number) || has_left,
                    "{id} got {number} after {last:?}"
                );
                let is_meant = match publication.scope {
                    Scope::All => true,
                    Scope::Others(publisher) => publisher != id,
                    Scope::Shard(shard) => shard == session.shard,
                };
                assert!(is_meant && publication.topic == topic, "{id} was not meant");
                // Before a later one, none may be missing that was due.
                if let (false, Some(&joined)) = (may_drop, session.topics.get(&topic)) {
                    for earlier in &self.publications {
                        let is_due = earlier.topic == topic
                            && earlier.publisher == publisher
                            && earlier.number < number
                            && earlier.at > joined
                            && match earlier.scope {
                                Scope::All => true,
                                Scope::Others(publisher) => publisher != id,
                                Scope::Shard(shard) => shard == session.shard,
                            };
                        let key = (topic, publisher, earlier.number);
                        assert!(
                            !is_due || session.received.contains_key(&key),
                            "{id} missed {} of {publisher}",
                            earlier.number
                        );
                    }
                }
            }
            other => panic!("{id} got {other}"),
        }
    }

    /// Why a session has ended, as its handler knows.
    pub(super) fn end_of(&self, id: u64) -> Option<EndReason> {
        self.sessions.get(&id)?.ended
    }

    /// Whether a session is open, as its handler knows.
    pub(super) fn is_open(&self, id: u64) -> bool {
        self.sessions
            .get(&id)
            .is_some_and(|seen| seen.ended.is_none())
    }

    /// Nothing is on its way any more, and this session's peer has read everything.
    pub(super) fn assert_complete(&self, id: u64) {
        let session = &self.sessions[&id];
        assert!(
            session.due.is_empty(),
            "{id} misses answers: {:?}",
            session.due
        );
        let key = |publication: &Publication| {
            (publication.topic, publication.publisher, publication.number)
        };
        for publication in self.due_to(id).filter(|_| !self.may_drop) {
            assert!(
                session.received.contains_key(&key(publication)),
                "{id} misses {publication:?} of a topic that it is in",
            );
        }
        if !self.keeps_latest {
            return;
        }
        // The order in which a shard took the publications of several publishers is not
        // known here, but its last is the last of one of them.
        for topic in session.topics.keys() {
            let mut last_of = BTreeMap::new();
            let due = self.due_to(id).filter(|due| due.topic == *topic);
            due.for_each(|due| _ = last_of.insert(due.publisher, due));
            let is_received = |last: &&Publication| session.received.contains_key(&key(last));
            assert!(
                last_of.is_empty() || last_of.into_values().any(|last| is_received(&last)),
                "{id} misses the newest of topic {topic}",
            );
        }
    }

    /// What was published to a session while it was in the topic in which it still is.
    fn due_to(&self, id: u64) -> impl Iterator<Item = &Publication> {
        let session = &self.sessions[&id];
        self.publications.iter().filter(move |publication| {
            let is_meant = match publication.scope {
                Scope::All => true,
                Scope::Others(publisher) => publisher != id,
                Scope::Shard(shard) => shard == session.shard,
            };
            let joined = session.topics.get(&publication.topic);
            is_meant && joined.is_some_and(|joined| publication.at >= *joined)
        })
    }

    /// All that one handler told has reached the others.
    pub(super) fn assert_all_told(&self, shards: usize) {
        let told: u64 = self.told.values().sum();
        for shard in 0..shards {
            let own = self.told.get(&shard).copied().unwrap_or(0);
            let heard = self.heard.get(&shard).copied().unwrap_or(0);
            assert_eq!(heard, told - own, "shard {shard} has not heard all");
        }
    }

    /// Every session that has opened is closed.
    pub(super) fn assert_all_closed(&self) {
        for (id, session) in &self.sessions {
            assert!(
                session.ended.is_some(),
                "the handler was not told of the end of {id}"
            );
        }
    }
}
