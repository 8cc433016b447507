//! Asking the shards about topics.
//!
//! A list is walked shard by shard, a part of a table with each question, so that no
//! shard is kept from its sessions. The subscribers of what was found are asked of all
//! shards then. A topic with sessions on several shards is listed with the first.
//!
//! # Invariants worth naming
//!
//! - A topic that has subscribers all the time is listed once, by pages that follow
//!   each other. One that comes, goes or moves to another shard meanwhile may be left
//!   out or listed twice.
//! - A list ends early rather than late: at its limit, after so many questions, or
//!   after so much time. It then says where to go on.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::{Api, error::Problem, limits};
use crate::hub::{Inquiry, MAX_NAMED, SubscribersOfEach, Topic, Walk};

/// A place in the tables of all shards: written as `SHARD-PLACE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Cursor {
    shard: usize,
    place: usize,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.shard, self.place)
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (shard, place) = text.split_once('-').ok_or(())?;
        let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => text
                .parse::<u32>()
                .map(|number| number as usize)
                .map_err(drop),
            false => Err(()),
        };
        Ok(Cursor {
            shard: number(shard)?,
            place: number(place)?,
        })
    }
}

/// Topics with their subscribers.
pub(super) struct List {
    pub(super) topics: Vec<(Topic, u64)>,
    /// Where to go on; none at the end.
    pub(super) next: Option<Cursor>,
}

impl Api {
    /// The number of sessions that are subscribed to a topic.
    pub(super) async fn subscribers(&self, topic: &str) -> Result<u64, Problem> {
        let until = Instant::now() + limits::ANSWER_TIME;
        let sum = self
            .relay
            .run(self.publisher.subscribers(&Topic::new(topic)));
        let sum = timeout_at(until, sum).await.map_err(|_| Problem::Full)?;
        sum.map_err(|_| Problem::Stopped)
    }

    /// At most `limit` of the topics whose names begin with a prefix and satisfy a
    /// condition.
    pub(super) async fn list(
        &self,
        prefix: &str,
        is_wanted: impl Fn(&str) -> bool,
        limit: usize,
        from: Cursor,
    ) -> Result<List, Problem> {
        let shards = self.view.shards.len();
        let until = Instant::now() + limits::ANSWER_TIME;
        let permit = timeout_at(until, self.lists.acquire()).await;
        let _permit = permit.map_err(|_| Problem::Full)?;
        let mut topics = Vec::new();
        let mut at = from;
        for questions in 0.. {
            if at.shard >= shards {
                return Ok(List { topics, next: None });
            }
            let is_late = Instant::now() + limits::ANSWER_TIME / 4 > until;
            if topics.len() >= limit || questions >= limits::QUESTIONS || is_late {
                break;
            }
            let wanted = (limit - topics.len()).min(MAX_NAMED);
            let walk = self.ask(Walk::new(at.shard, at.place, prefix, wanted), until);
            let found = walk.await?.found();
            let Cursor { shard, place } = at;
            at = match found.next {
                Some(next) => Cursor {
                    shard,
                    place: next.max(place + 1),
                },
                None => Cursor {
                    shard: shard + 1,
                    place: 0,
                },
            };
            let named: Vec<_> = found
                .topics
                .into_iter()
                .filter(|topic| is_wanted(topic.as_str()))
                .collect();
            if named.is_empty() {
                continue;
            }
            let each = self.ask(SubscribersOfEach::of(named), until).await?;
            // Another shard's list has the others too.
            let sums = each.sums().filter(|(_, _, first)| *first == shard as u64);
            topics.extend(sums.map(|(topic, sum, _)| (topic.clone(), sum)));
        }
        Ok(List {
            topics,
            next: Some(at),
        })
    }

    async fn ask<I: Inquiry>(&self, inquiry: I, until: Instant) -> Result<Arc<I>, Problem> {
        let answer = self.relay.run(self.publisher.ask(inquiry));
        let answer = timeout_at(until, answer).await;
        let answer = answer.map_err(|_| Problem::Full)?;
        answer.map_err(|_| Problem::Stopped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
        let cursor = Cursor {
            shard: 3,
            place: 4_096,
        };
        assert_eq!(cursor.to_string(), "3-4096");
        assert_eq!("3-4096".parse(), Ok(cursor));
        for text in [
            "",
            "3",
            "-",
            "3-",
            "-3",
            "3-4-5",
            "+3-4",
            "3-99999999999",
            "a-b",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(()), "{text}");
        }
    }
}
