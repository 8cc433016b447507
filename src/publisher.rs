//! Publishing from outside of the shards: from any thread, on any executor or none.
//!
//! All [`Publisher`]s of a server are one participant of the mesh. They take turns,
//! by a lock that no shard knows of, at one end with a ring to each shard.
//!
//! # Invariants worth naming
//!
//! - A publication that was accepted is on the rings of all shards; one that was not
//!   is on none.
//! - Publications accepted one after the other arrive in that order, at every
//!   subscriber.
//! - Tasks that wait for room are served in the order in which they came; until they
//!   are, [`try_publish`](Publisher::try_publish) finds no room, so that no other
//!   publisher overtakes them. One that is dropped makes way.
//! - Back-pressure reaches here: a shard with as many publications pending as it may
//!   have takes no more from its ring, and the ring fills.
//! - After the last shard has ended nothing is accepted and no task waits.

mod line;

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::line::{InLine, Line};
use crate::hub::{Errand, Notice, Order, Question, ShardMessage};
use crate::mesh::{OutsideEnd, Refused};
use crate::metrics::ShardMetrics;
use crate::participant::Participant;
use crate::publication::{Content, Publication, Topic};
use crate::ws::{CloseCode, PreparedFrame};

/// Publishes to the sessions of a running server, from any thread.
///
/// It comes from [`RunningServer::publisher`](crate::server::RunningServer::publisher);
/// clones publish to the same server. Inside of a handler publish through its
/// [`Context`](crate::handler::Context), which needs no lock.
///
/// A publication is accepted for all shards or for none. The accepted publications of
/// one thread or task reach every subscriber of their topic in that order, and none is
/// lost on the way to a session. When the shards cannot keep up there is no room:
/// [`try_publish`](Publisher::try_publish) says so, and [`publish`](Publisher::publish)
/// waits.
///
/// ```
/// use corecast::config::Config;
/// use corecast::hub::Topic;
/// use corecast::publisher::PublishError;
/// use corecast::server::Server;
/// use corecast::ws::PreparedFrame;
///
/// let config = Config {
///     listen: vec!["127.0.0.1:0".parse()?],
///     admin: None,
///     shards: 2,
///     ..Config::default()
/// };
/// let server = Server::new(config)?.start()?;
/// let prices = Topic::new("prices");
///
/// // From any thread, without waiting.
/// let publisher = server.publisher();
/// let feed = std::thread::spawn({
///     let prices = prices.clone();
///     move || match publisher.try_publish(&prices, PreparedFrame::text("42")) {
///         Ok(()) => println!("on its way to all who have subscribed"),
///         Err(PublishError::Full) => println!("the shards cannot keep up"),
///         Err(PublishError::Stopped) => println!("there is nobody any more"),
///     }
/// });
///
/// // From a task of any executor, here tokio's.
/// let publisher = server.publisher();
/// tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
///     publisher.publish(&prices, PreparedFrame::text("43")).await?;
///     assert_eq!(publisher.subscribers(&prices).await?, 0);
///     Ok::<(), corecast::publisher::Stopped>(())
/// })?;
/// # feed.join().unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Publisher(Arc<Shared>);

struct Shared {
    turn: Mutex<Turn>,
    /// Of each shard.
    metrics: Vec<Arc<ShardMetrics>>,
}

/// The state under the publishers' lock.
struct Turn {
    /// `None` once the server has stopped.
    end: Option<OutsideEnd<ShardMessage>>,
    line: Line,
    /// The shard whose ring was found full last: the one the line waits for.
    full: usize,
}

/// Why a publication was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishError {
    /// A shard cannot keep up, or others wait for room already. Publish it again
    /// later, or let it be.
    Full,
    /// The server has stopped.
    Stopped,
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PublishError::Full => f.write_str(
                "no room for a publication: a shard has as many pending as --ring-capacity \
                 allows; publish more slowly, or wait for room with 'publish'",
            ),
            PublishError::Stopped => Stopped.fmt(f),
        }
    }
}

impl std::error::Error for PublishError {}

/// The server has stopped, so that no shard is left to publish to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing can be published because the server has stopped")
    }
}

impl std::error::Error for Stopped {}

impl From<Stopped> for PublishError {
    fn from(_: Stopped) -> Self {
        PublishError::Stopped
    }
}

impl Publisher {
    pub(crate) fn new(end: OutsideEnd<ShardMessage>, metrics: Vec<Arc<ShardMetrics>>) -> Self {
        Publisher(Arc::new(Shared {
            turn: Mutex::new(Turn {
                end: Some(end),
                line: Line::default(),
                full: 0,
            }),
            metrics,
        }))
    }

    /// Publishes to the subscribers of a topic on all shards, if there is room now.
    ///
    /// # Errors
    /// When there is no room, or the server has stopped.
    pub fn try_publish(
        &self,
        topic: &Topic,
        content: impl Into<Content>,
    ) -> Result<(), PublishError> {
        let message = self.publication(topic, content.into());
        let mut turn = self.0.turn();
        let result = match turn.line.is_empty() {
            true => turn.try_send(&message),
            false if turn.end.is_none() => Err(PublishError::Stopped),
            false => Err(PublishError::Full),
        };
        if result == Err(PublishError::Full) {
            self.0.count_full(&turn);
        }
        result
    }

    /// Publishes to the subscribers of a topic on all shards, once there is room.
    /// Dropped before that, it publishes nothing.
    ///
    /// # Errors
    /// When the server has stopped.
    pub fn publish<C: Into<Content>>(
        &self,
        topic: &Topic,
        content: C,
    ) -> impl Future<Output = Result<(), Stopped>> + Send + use<C> {
        self.in_line(self.publication(topic, content.into()))
    }

    /// Tells the handlers of all routes something, on all shards: their
    /// [`Handler::notice`](crate::handler::Handler::notice) is called with it, in order
    /// with what is published here.
    ///
    /// # Errors
    /// When the server has stopped.
    pub fn tell<N: Any + Send + Sync>(
        &self,
        notice: N,
    ) -> impl Future<Output = Result<(), Stopped>> + Send + use<N> {
        let content = Box::new(notice);
        let notice = Notice {
            route: None,
            content,
        };
        self.in_line(ShardMessage::Tell(Arc::new(notice)))
    }

    /// Sends a message to one session, by its
    /// [number](crate::handler::Context::session_id), once there is room. A session that
    /// is over gets nothing; one that reads too slowly is treated as a slow consumer.
    ///
    /// # Errors
    /// When the server has stopped.
    pub fn send_to(
        &self,
        session: u128,
        frame: PreparedFrame,
    ) -> impl Future<Output = Result<(), Stopped>> + Send + use<> {
        self.order(session, Errand::Send(frame))
    }

    /// Closes one session, by its [number](crate::handler::Context::session_id), if it is
    /// not over.
    ///
    /// # Errors
    /// When the server has stopped.
    pub fn close_session(
        &self,
        session: u128,
        code: CloseCode,
        reason: &str,
    ) -> impl Future<Output = Result<(), Stopped>> + Send + use<> {
        self.order(session, Errand::Close(code, reason.to_owned()))
    }

    /// Has the handler of one session called for it: its
    /// [`Handler::visit`](crate::handler::Handler::visit) gets the content.
    ///
    /// # Errors
    /// When the server has stopped.
    pub fn visit<T: Any + Send + Sync>(
        &self,
        session: u128,
        content: T,
    ) -> impl Future<Output = Result<(), Stopped>> + Send + use<T> {
        self.order(session, Errand::Visit(Box::new(content)))
    }

    fn order(&self, session: u128, errand: Errand) -> InLine {
        self.in_line(ShardMessage::Order(Arc::new(Order { session, errand })))
    }

    /// Puts a message on the rings once there is room.
    fn in_line(&self, message: ShardMessage) -> InLine {
        InLine::new(Arc::clone(&self.0), message)
    }

    /// How many sessions are subscribed to a topic, on all shards.
    ///
    /// Each shard is asked over its ring, in order with what was published before,
    /// and adds the sessions that it has at that moment. So the sum is of moments
    /// that lie a little apart, and a little back; and the question waits for room
    /// as a publication does.
    ///
    /// # Errors
    /// When the server has stopped.
    pub fn subscribers(
        &self,
        topic: &Topic,
    ) -> impl Future<Output = Result<u64, Stopped>> + Send + use<> {
        let (question, answer) = Question::new(topic);
        let question = ShardMessage::Ask(Arc::new(question));
        let asked = self.in_line(question);
        async move {
            asked.await?;
            Ok(answer.await)
        }
    }

    /// Notes that the server has stopped. Lets go of what is left in the rings, and of
    /// those that wait.
    pub(crate) fn stop(&self) {
        let (end, waiting) = {
            let mut turn = self.0.turn();
            (turn.end.take(), turn.line.wakers())
        };
        drop(end);
        waiting.into_iter().for_each(|waker| waker.wake());
    }

    fn publication(&self, topic: &Topic, content: Content) -> ShardMessage {
        ShardMessage::Publish(Arc::new(Publication {
            topic: topic.clone(),
            content,
            origin: Participant::Outside,
        }))
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").finish_non_exhaustive()
    }
}

impl Shared {
    fn turn(&self) -> MutexGuard<'_, Turn> {
        // Nothing is left half done by a panic: each step is a whole one.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a publication that found no room.
    fn count_full(&self, turn: &Turn) {
        if let Some(metrics) = self.metrics.get(turn.full) {
            metrics.outside_full.add(1);
        }
    }
}

impl Turn {
    /// Puts a message on the rings, if they have room.
    fn try_send(&mut self, message: &ShardMessage) -> Result<(), PublishError> {
        let end = self.end.as_mut().ok_or(PublishError::Stopped)?;
        end.try_broadcast(message).map_err(|refused| match refused {
            Refused::Full { shard } => {
                self.full = shard;
                PublishError::Full
            }
            Refused::Stopped => PublishError::Stopped,
        })
    }
}

#[cfg(all(test, not(any(loom, miri))))]
mod tests;
