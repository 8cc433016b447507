//! The messages that travel on the rings to a shard.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use super::SubscriberTable;
use super::inquiry::Inquiry;
use crate::mesh::{RoomWaker, Weigh};
use crate::publication::Publication;
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
    /// Say something about the topics here.
    Ask(Arc<Question>),
}

impl Weigh for ShardMessage {
    fn weight(&self) -> usize {
        match self {
            ShardMessage::Publish(publication) => publication.content.frame().len(),
            ShardMessage::Order(order) => match &order.errand {
                Errand::Send(frame) => frame.len(),
                Errand::Close(..) | Errand::Visit(_) => 0,
            },
            // A handler's own, and small.
            ShardMessage::Tell(_) | ShardMessage::Ask(_) => 0,
        }
    }
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

/// Something that all shards are asked.
///
/// It is answered when every shard has let go of it, so that one that ends before it
/// comes to the question, and whose sessions are gone then, keeps no caller waiting.
#[derive(Debug)]
pub struct Question {
    inquiry: Arc<dyn Inquiry>,
    completion: Arc<Completion>,
}

#[derive(Debug, Default)]
struct Completion {
    is_complete: AtomicBool,
    asker: RoomWaker,
}

impl Question {
    /// A question, and its answer to come.
    pub(crate) fn new<I: Inquiry>(inquiry: I) -> (Question, Answering<I>) {
        let inquiry = Arc::new(inquiry);
        let completion = Arc::<Completion>::default();
        let question = Question {
            inquiry: Arc::<I>::clone(&inquiry),
            completion: Arc::clone(&completion),
        };
        let answering = Answering {
            inquiry,
            completion,
        };
        (question, answering)
    }

    /// Adds what one shard says.
    pub(crate) fn ask(&self, shard: usize, table: &SubscriberTable) {
        self.inquiry.look(shard, table);
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        // The shards that held it before let go of it before, and so have added.
        self.completion.is_complete.store(true, Ordering::Release);
        self.completion.asker.wake();
    }
}

/// The answer to a [`Question`], once it is complete.
#[derive(Debug)]
pub(crate) struct Answering<I> {
    inquiry: Arc<I>,
    completion: Arc<Completion>,
}

impl<I> Future for Answering<I> {
    type Output = Arc<I>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Arc<I>> {
        self.completion.asker.register(cx.waker());
        match self.completion.is_complete.load(Ordering::Acquire) {
            true => Poll::Ready(Arc::clone(&self.inquiry)),
            false => Poll::Pending,
        }
    }
}
