//! The messages that travel on the rings to a shard.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use crate::mesh::RoomWaker;
use crate::publication::{Publication, Topic};
use crate::ws::{CloseCode, PreparedFrame};

/// A message on a ring.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ShardMessage {
    /// Deliver this to the local subscribers of its topic.
    Publish(Arc<Publication>),
    /// Hand this to the handler of its route.
    Tell(Arc<Notice>),
    /// Do this for a session, if it is of this shard.
    Order(Arc<Order>),
    /// Say how many local subscribers its topic has.
    Ask(Arc<Question>),
}

/// A notice from the handler of a route on one shard to those on all others.
pub struct Notice {
    /// The route, by its number; `None` for all of them.
    pub route: Option<u16>,
    /// The content of the notice; only the handler knows its type.
    pub content: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notice")
            .field("route", &self.route)
            .finish_non_exhaustive()
    }
}

/// An order about one session, from outside of its handler.
#[derive(Debug)]
pub struct Order {
    /// The session's number ([`Context::session_id`](crate::handler::Context::session_id)).
    pub session: u128,
    /// What is to be done.
    pub errand: Errand,
}

/// What is done for one session that no message of its own has caused.
pub enum Errand {
    /// Send it this.
    Send(PreparedFrame),
    /// Close it.
    Close(CloseCode, String),
    /// Call its handler with this.
    Visit(Box<dyn Any + Send + Sync>),
}

impl fmt::Debug for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Errand::Send(frame) => f.debug_tuple("Send").field(&frame.len()).finish(),
            Errand::Close(code, _) => f.debug_tuple("Close").field(code).finish(),
            Errand::Visit(_) => f.write_str("Visit(..)"),
        }
    }
}

/// How many sessions are subscribed to a topic, asked of all shards.
///
/// It is answered when every shard has let go of it, so that one that ends before it
/// comes to the question, and whose sessions are gone then, keeps no caller waiting.
#[derive(Debug)]
pub struct Question {
    topic: Topic,
    answer: Arc<Answer>,
}

#[derive(Debug, Default)]
struct Answer {
    subscribers: AtomicU64,
    is_complete: AtomicBool,
    asker: RoomWaker,
}

impl Question {
    /// A question about this topic, and its answer to come.
    pub(crate) fn new(topic: &Topic) -> (Question, Answering) {
        let answer = Arc::<Answer>::default();
        let question = Question {
            topic: topic.clone(),
            answer: Arc::clone(&answer),
        };
        (question, Answering(answer))
    }

    /// The topic it is about.
    pub(super) fn topic(&self) -> &Topic {
        &self.topic
    }

    /// Adds the subscribers of one shard.
    pub(crate) fn add(&self, subscribers: usize) {
        let subscribers = subscribers as u64;
        self.answer
            .subscribers
            .fetch_add(subscribers, Ordering::Relaxed);
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        // The shards that held it before let go of it before, and so have added.
        self.answer.is_complete.store(true, Ordering::Release);
        self.answer.asker.wake();
    }
}

/// The answer to a [`Question`], once it is complete.
#[derive(Debug)]
pub(crate) struct Answering(Arc<Answer>);

impl Future for Answering {
    type Output = u64;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u64> {
        self.0.asker.register(cx.waker());
        match self.0.is_complete.load(Ordering::Acquire) {
            true => Poll::Ready(self.0.subscribers.load(Ordering::Relaxed)),
            false => Poll::Pending,
        }
    }
}
