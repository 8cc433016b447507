//! The members of each topic with presence, on all shards.
//!
//! Every shard has the whole table: each tells all others which of its own sessions came
//! and went, and so can answer by itself.
//!
//! # Invariants worth naming
//!
//! - A client is in a topic once: a session subscribes once.
//! - The changes that one shard tells of its sessions are applied everywhere in the order
//!   told, so a member that has gone is gone on each shard.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::reply::Movement;

/// A member of a topic, as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) client: u128,
    /// Empty for a client without a name.
    pub(super) user: Box<str>,
    /// JSON about the connection, from its token.
    pub(super) info: Option<Arc<str>>,
    /// JSON about the subscription, from its token.
    pub(super) channel_info: Option<Arc<str>>,
}

/// The same, borrowed: a client as others see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Info<'a> {
    pub(super) client: u128,
    pub(super) user: &'a str,
    pub(super) info: Option<&'a str>,
    pub(super) channel_info: Option<&'a str>,
}

impl Member {
    pub(super) fn info(&self) -> Info<'_> {
        Info {
            client: self.client,
            user: &self.user,
            info: self.info.as_deref(),
            channel_info: self.channel_info.as_deref(),
        }
    }
}

/// A member came or went.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) topic: Arc<str>,
    pub(super) movement: Movement,
    pub(super) member: Arc<Member>,
}

/// All members on one route.
#[derive(Debug, Default)]
pub(super) struct Members(HashMap<Arc<str>, BTreeMap<u128, Arc<Member>>>);

impl Members {
    /// Applies a change.
    pub(super) fn apply(&mut self, change: &Change) {
        let client = change.member.client;
        match change.movement {
            Movement::Join => {
                let members = self.0.entry(Arc::clone(&change.topic)).or_default();
                members.insert(client, Arc::clone(&change.member));
            }
            Movement::Leave => {
                let Some(members) = self.0.get_mut(&change.topic) else {
                    return;
                };
                members.remove(&client);
                if members.is_empty() {
                    self.0.remove(&change.topic);
                }
            }
        }
    }

    /// A member of a topic, and the memory of the topic's name.
    pub(super) fn get(&self, topic: &str, client: u128) -> Option<(&Arc<str>, &Arc<Member>)> {
        let (name, members) = self.0.get_key_value(topic)?;
        Some((name, members.get(&client)?))
    }

    /// All members of a topic.
    pub(super) fn of(&self, topic: &str) -> Vec<&Member> {
        let members = self.0.get(topic).into_iter();
        members.flat_map(BTreeMap::values).map(|it| &**it).collect()
    }

    /// How many clients and how many users are in a topic.
    pub(super) fn count(&self, topic: &str) -> (usize, usize) {
        let Some(members) = self.0.get(topic) else {
            return (0, 0);
        };
        let users: HashSet<&str> = members.values().map(|member| &*member.user).collect();
        (members.len(), users.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(movement: Movement, client: u128, user: &str) -> Change {
        Change {
            topic: "t".into(),
            movement,
            member: Arc::new(Member {
                client,
                user: user.into(),
                info: None,
                channel_info: None,
            }),
        }
    }

    #[test]
    fn clients_are_counted_once_and_so_are_users() {
        let mut members = Members::default();
        for (client, user) in [(1, "a"), (2, "a"), (3, "b"), (3, "b")] {
            members.apply(&change(Movement::Join, client, user));
        }
        assert_eq!(members.count("t"), (3, 2));
        assert_eq!(members.of("t").len(), 3);
        for client in [2, 2, 9] {
            members.apply(&change(Movement::Leave, client, "a"));
        }
        assert_eq!(members.count("t"), (2, 2));
        assert!(members.get("t", 1).is_some() && members.get("t", 2).is_none());
        for client in [1, 3] {
            members.apply(&change(Movement::Leave, client, "a"));
        }
        assert!(members.0.is_empty());
        assert_eq!((members.count("t"), members.of("t").len()), ((0, 0), 0));
    }
}
