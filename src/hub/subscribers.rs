//! The members of each topic, on this shard.
//!
//! A topic holds its subscribers in one dense array, because a fan-out walks
//! all of it. A session holds the head of a list of its subscriptions, each of
//! which knows its place in its topic's array; leaving is O(1) for each topic
//! the session is in.
//!
//! # Invariants worth naming
//!
//! - `subscriptions[s.subscription].position` is the place of `s` in its topic.
//! - While a fan-out walks a topic, the subscribers it has visited are exactly those
//!   before `visited`. Joining appends at the end; leaving closes the gap without
//!   moving a subscriber across that line.
//! - A topic exists while it has subscribers or a fan-out refers to it.
//! - The subscribers of each form are an audience of their own, an entry for each topic
//!   and form. The entries of one topic are a list that begins with the one its name
//!   leads to, so that a publication finds them all by one look-up.

use std::collections::HashMap;

use slab::Slab;

use super::Topic;
use crate::publication::{Form, TopicSerial};

/// Names the subscribers of one form of a topic of this shard while there are any.
pub(super) type TopicId = u32;

const END: u32 = u32::MAX;

/// A session's own end of its subscriptions: the head of their list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscriptions(u32);

impl Default for Subscriptions {
    fn default() -> Self {
        Subscriptions(END)
    }
}

impl Subscriptions {
    /// Whether the session is in no topic.
    pub fn is_empty(self) -> bool {
        self.0 == END
    }
}

/// A session's entry in a topic.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subscriber {
    pub(super) session: u32,
    subscription: u32,
}

/// The session's side of that entry.
#[derive(Debug)]
struct Subscription {
    topic: TopicId,
    position: u32,
    /// The session's next subscription.
    next: u32,
}

/// Whether a topic passes publications on as they come; kept in its first entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// As they come.
    None,
    /// Its rate is limited.
    Rate,
    /// To be looked for.
    Unknown,
}

/// The subscribers to a topic in one form.
#[derive(Debug)]
pub(super) struct TopicEntry {
    name: Topic,
    pub(super) serial: TopicSerial,
    pub(super) form: Form,
    pub(super) limit: Limit,
    /// The next form of the same topic.
    next_form: TopicId,
    pub(super) subscribers: Vec<Subscriber>,
    /// How many of them the running fan-out has visited.
    pub(super) visited: usize,
    /// Fan-outs that refer to this topic.
    pub(super) queued: usize,
}

/// Topics and their subscribers.
#[derive(Debug, Default)]
pub struct SubscriberTable {
    /// Hashed with a secret, because clients may choose the names.
    names: HashMap<Topic, TopicId>,
    topics: Slab<TopicEntry>,
    subscriptions: Slab<Subscription>,
    next_serial: u64,
}

impl SubscriberTable {
    /// Enters `session` into `topic`, whose publications it gets in `form`. Returns
    /// `false` if it was in it already, in whatever form.
    pub fn subscribe(
        &mut self,
        session: u32,
        own: &mut Subscriptions,
        topic: &Topic,
        form: Form,
    ) -> bool {
        if self.own_subscription(*own, topic).is_some() {
            return false;
        }
        let existing = self
            .forms(topic)
            .find(|id| self.topics[*id as usize].form == form);
        let id = existing.unwrap_or_else(|| self.create(topic, form));
        let subscribers = &mut self.topics[id as usize].subscribers;
        let position = subscribers.len() as u32;
        let subscription = self.subscriptions.insert(Subscription {
            topic: id,
            position,
            next: own.0,
        });
        let subscription = subscription as u32;
        subscribers.push(Subscriber {
            session,
            subscription,
        });
        own.0 = subscription;
        true
    }

    /// Takes the session out of `topic`. Returns `false` if it was not in it.
    pub fn unsubscribe(&mut self, own: &mut Subscriptions, topic: &Topic) -> bool {
        let Some(found) = self.own_subscription(*own, topic) else {
            return false;
        };
        let next = self.subscriptions[found as usize].next;
        if own.0 == found {
            own.0 = next;
        } else {
            let mut before = own.0 as usize;
            while self.subscriptions[before].next != found {
                before = self.subscriptions[before].next as usize;
            }
            self.subscriptions[before].next = next;
        }
        self.remove(found);
        true
    }

    /// Takes the session out of all its topics.
    pub fn leave_all(&mut self, own: &mut Subscriptions) {
        while own.0 != END {
            let first = own.0;
            own.0 = self.subscriptions[first as usize].next;
            self.remove(first);
        }
    }

    /// The topic of this name, if it exists.
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.names.get_key_value(name).map(|(topic, _)| topic)
    }

    /// Topics that exist.
    pub fn topics(&self) -> usize {
        self.names.len()
    }

    /// Sessions in this topic, in all forms.
    pub fn subscribers(&self, topic: &Topic) -> usize {
        let forms = self.forms(topic);
        forms
            .map(|id| self.topics[id as usize].subscribers.len())
            .sum()
    }

    /// Entries of all sessions in all topics.
    pub fn subscriptions(&self) -> usize {
        self.subscriptions.len()
    }

    /// The first form of a topic.
    #[inline]
    pub(super) fn first_form(&self, topic: &str) -> Option<TopicId> {
        self.names.get(topic).copied()
    }

    /// The form after this one, of the same topic.
    #[inline]
    pub(super) fn next_form(&self, id: TopicId) -> Option<TopicId> {
        let next = self.topics[id as usize].next_form;
        (next != END).then_some(next)
    }

    /// The forms in which a topic has subscribers.
    pub(super) fn forms(&self, topic: &Topic) -> impl Iterator<Item = TopicId> {
        std::iter::successors(self.first_form(topic.as_str()), |id| self.next_form(*id))
    }

    /// Whether both are forms of the same topic.
    pub(super) fn is_same_topic(&self, a: TopicId, b: TopicId) -> bool {
        let name = |id| self.topics[id as usize].name.as_str().as_ptr();
        name(a) == name(b)
    }

    /// Has the limits of all topics looked for again.
    pub(super) fn forget_limits(&mut self) {
        self.topics
            .iter_mut()
            .for_each(|(_, entry)| entry.limit = Limit::Unknown);
    }

    #[inline]
    pub(super) fn topic_ref(&self, id: TopicId) -> &TopicEntry {
        &self.topics[id as usize]
    }

    pub(super) fn topic_mut(&mut self, id: TopicId) -> &mut TopicEntry {
        &mut self.topics[id as usize]
    }

    /// Forgets a topic that has no members and to which nothing refers.
    pub(super) fn remove_if_unused(&mut self, id: TopicId) {
        let entry = &self.topics[id as usize];
        if !entry.subscribers.is_empty() || entry.queued > 0 {
            return;
        }
        let TopicEntry {
            name, next_form, ..
        } = self.topics.remove(id as usize);
        let Some(first) = self.names.get_mut(&name) else {
            debug_assert!(false, "an entry is found by its name");
            return;
        };
        if *first != id {
            let mut before = *first as usize;
            while self.topics[before].next_form != id {
                before = self.topics[before].next_form as usize;
            }
            self.topics[before].next_form = next_form;
        } else if next_form != END {
            *first = next_form;
        } else {
            self.names.remove(&name);
        }
    }

    /// Makes an entry, after the first one of the same topic if there is one.
    fn create(&mut self, topic: &Topic, form: Form) -> TopicId {
        let first = self.first_form(topic.as_str());
        let first_entry = first.map(|first| &self.topics[first as usize]);
        let entry = TopicEntry {
            // The forms of a topic share its name's memory.
            name: first_entry.map_or(topic, |entry| &entry.name).clone(),
            serial: TopicSerial(self.next_serial),
            form,
            limit: Limit::Unknown,
            next_form: first_entry.map_or(END, |entry| entry.next_form),
            subscribers: Vec::new(),
            visited: 0,
            queued: 0,
        };
        self.next_serial += 1;
        let id = self.topics.insert(entry) as TopicId;
        match first {
            Some(first) => self.topics[first as usize].next_form = id,
            None => _ = self.names.insert(topic.clone(), id),
        }
        id
    }

    /// The session's subscription to this topic, in whichever form.
    fn own_subscription(&self, own: Subscriptions, topic: &Topic) -> Option<u32> {
        let mut forms = self.forms(topic);
        forms.find_map(|id| self.find_subscription(own, id))
    }

    /// Whether the session is in this topic.
    pub(super) fn is_in(&self, own: &Subscriptions, topic: TopicSerial) -> bool {
        let mut at = own.0;
        while at != END {
            let subscription = &self.subscriptions[at as usize];
            if self.topics[subscription.topic as usize].serial == topic {
                return true;
            }
            at = subscription.next;
        }
        false
    }

    /// The session's subscription to this topic, found along its list.
    fn find_subscription(&self, own: Subscriptions, topic: TopicId) -> Option<u32> {
        let mut at = own.0;
        while at != END {
            let subscription = &self.subscriptions[at as usize];
            if subscription.topic == topic {
                return Some(at);
            }
            at = subscription.next;
        }
        None
    }

    /// Takes a subscription out of its topic and closes the gap it leaves: first among
    /// the visited, then among the rest, so that no subscriber crosses the line and is
    /// left out or visited twice.
    fn remove(&mut self, subscription: u32) {
        let Subscription {
            topic, position, ..
        } = self.subscriptions.remove(subscription as usize);
        let entry = &mut self.topics[topic as usize];
        let mut gap = position as usize;
        if gap < entry.visited {
            entry.visited -= 1;
            let last_visited = entry.subscribers[entry.visited];
            if gap != entry.visited {
                entry.subscribers[gap] = last_visited;
                self.subscriptions[last_visited.subscription as usize].position = gap as u32;
            }
            gap = entry.visited;
        }
        entry.subscribers.swap_remove(gap);
        if let Some(moved) = entry.subscribers.get(gap) {
            self.subscriptions[moved.subscription as usize].position = gap as u32;
        }
        // A topic that was once large gives its memory back.
        if entry.subscribers.len() * 4 < entry.subscribers.capacity() {
            entry.subscribers.shrink_to(entry.subscribers.len() * 2);
        }
        self.remove_if_unused(topic);
    }

    /// Checks everything the module promises.
    #[cfg(any(test, fuzzing))]
    pub(super) fn check_invariants(&self) {
        let mut total = 0;
        for (id, entry) in &self.topics {
            assert!(entry.visited <= entry.subscribers.len());
            assert!(
                !entry.subscribers.is_empty() || entry.queued > 0,
                "an unused topic was kept"
            );
            let same_form = |other: &TopicId| self.topics[*other as usize].form == entry.form;
            let found: Vec<_> = self.forms(&entry.name).filter(same_form).collect();
            assert_eq!(found, [id as TopicId], "each form of a topic has one entry");
            for (position, subscriber) in entry.subscribers.iter().enumerate() {
                let subscription = &self.subscriptions[subscriber.subscription as usize];
                assert_eq!(subscription.topic as usize, id);
                assert_eq!(subscription.position as usize, position);
            }
            total += entry.subscribers.len();
        }
        assert_eq!(total, self.subscriptions.len());
        let forms = self.names.keys().map(|topic| self.forms(topic).count());
        assert_eq!(forms.sum::<usize>(), self.topics.len());
    }
}
