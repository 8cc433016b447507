//! Publishing one entry of a request: scope, idempotency, and room on the rings.

use std::sync::{MutexGuard, PoisonError};
use std::time::Instant;

use tokio::time::timeout_at;

use super::idempotency::{Id, Idempotency, Met};
use super::keys::Key;
use super::{Api, error::Problem, limits};
use crate::handler::is_reserved_event;
use crate::publication::{Content, Topic};
use crate::publisher::PublishError;

/// How a publication was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is on the rings of all shards.
    Now,
    /// It was before, under the same idempotency key.
    Before,
}

/// The time by which the publications of one request must have found room.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(tokio::time::Instant);

impl Deadline {
    pub(super) fn from_now() -> Self {
        Deadline(tokio::time::Instant::now() + limits::ROOM_TIME)
    }
}

impl Api {
    /// Publishes once, if the key may. Waits for room until the deadline.
    pub(super) async fn publish(
        &self,
        key: &Key,
        topic: &str,
        content: Content,
        idempotency_key: Option<&str>,
        deadline: Deadline,
    ) -> Result<Taken, Problem> {
        check_topic(topic)?;
        key.may_publish_to(topic)?;
        let claim = match idempotency_key {
            Some(text) => match self.claim(key, topic, text)? {
                Some(claim) => Some(claim),
                None => {
                    self.metrics.replays.add(1);
                    return Ok(Taken::Before);
                }
            },
            None => None,
        };
        self.find_room(&Topic::new(topic), content, deadline)
            .await?;
        self.metrics.publications.add(1);
        if let Some(claim) = claim {
            claim.finish();
        }
        Ok(Taken::Now)
    }

    async fn find_room(
        &self,
        topic: &Topic,
        content: Content,
        Deadline(deadline): Deadline,
    ) -> Result<(), Problem> {
        match self.publisher.try_publish(topic, content.clone()) {
            Ok(()) => return Ok(()),
            Err(PublishError::Stopped) => return Err(Problem::Stopped),
            Err(PublishError::Full) => {}
        }
        // Dropped at the deadline, it publishes nothing.
        let publish = self.relay.run(self.publisher.publish(topic, content));
        match timeout_at(deadline, publish).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Problem::Stopped),
            Err(_) => Err(Problem::Full),
        }
    }

    /// A claim on an idempotency key; none if its publication was made.
    fn claim(&self, key: &Key, topic: &str, text: &str) -> Result<Option<Claim<'_>>, Problem> {
        if text.is_empty() || text.len() > limits::IDEMPOTENCY_BYTES {
            let most = limits::IDEMPOTENCY_BYTES;
            return Err(Problem::BadRequest(
                format!("the idempotency key is not 1 to {most} bytes").into(),
            ));
        }
        let mut known = self.idempotency();
        let id = known.id(key.name(), topic, text);
        match known.meet(id, Instant::now()) {
            Met::New => Ok(Some(Claim { api: self, id })),
            Met::UnderWay => Err(Problem::UnderWay),
            Met::Done => Ok(None),
        }
    }

    fn idempotency(&self) -> MutexGuard<'_, Idempotency> {
        // A panic leaves a key under way at worst.
        self.idempotency
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// An idempotency key whose publication is under way. Dropped before it was made, it
/// lets the key go: the client may have gone away while it waited for room.
struct Claim<'a> {
    api: &'a Api,
    id: Id,
}

impl Claim<'_> {
    fn finish(self) {
        let forgot = self.api.idempotency().finish(self.id, Instant::now());
        self.api.metrics.forgotten_keys.add(u64::from(forgot));
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.api.idempotency().give_up(self.id);
    }
}

/// Whether this can be a topic.
pub(super) fn check_topic(topic: &str) -> Result<(), Problem> {
    match topic.len() {
        0 => Err(Problem::BadRequest("the topic has no name".into())),
        1..=limits::TOPIC_BYTES => Ok(()),
        _ => Err(Problem::BadRequest(
            format!(
                "the topic's name is longer than {} bytes",
                limits::TOPIC_BYTES
            )
            .into(),
        )),
    }
}

/// Whether this can be the name of an event.
pub(super) fn check_event(event: &str) -> Result<(), Problem> {
    if is_reserved_event(event) {
        let what = "the event is one that only the server may say to Phoenix clients";
        return Err(Problem::BadRequest(what.into()));
    }
    let is_good = !event.is_empty()
        && event.len() <= limits::NAME_BYTES
        && !event.chars().any(char::is_control);
    match is_good {
        true => Ok(()),
        false => Err(Problem::BadRequest(
            format!(
                "the event is not 1 to {} bytes of text without control characters",
                limits::NAME_BYTES
            )
            .into(),
        )),
    }
}

/// Whether this can be the key of what a publication is the newest state of.
pub(super) fn check_key(key: &str) -> Result<(), Problem> {
    match key.len() {
        1..=limits::NAME_BYTES => Ok(()),
        _ => Err(Problem::BadRequest(
            format!("the key is not 1 to {} bytes", limits::NAME_BYTES).into(),
        )),
    }
}
