//! A room: every publication goes to the queue of each subscriber.
//!
//! # Invariants worth naming
//!
//! - A publication is one `Bytes` that all queues share.
//! - Each publisher's messages reach every queue in the order published: a
//!   publisher that waits for room publishes nothing else meanwhile.
//! - A full queue means one of two things. If the subscriber's socket takes
//!   nothing, the consumer is slow and is cut at once. If not, the server is
//!   behind, and the publisher waits; cutting would punish the wrong one.
//! - A key may be used again after a cut, so it counts only together with its
//!   link.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use slab::Slab;
use tokio::sync::Notify;
use tokio::sync::mpsc::error::{SendTimeoutError, TrySendError};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio_tungstenite::tungstenite::Message;

use crate::config::{QUEUE_MESSAGES, STUCK_CHECK_INTERVAL};

/// The subscribers of one topic.
#[derive(Debug, Default)]
pub struct Room {
    subscribers: RwLock<Slab<Subscriber>>,
}

/// A subscriber as publishers see it.
#[derive(Debug, Clone)]
struct Subscriber {
    queue: Sender<Message>,
    link: Arc<Link>,
}

/// The signals between a session and its publishers, beside the queue.
#[derive(Debug, Default)]
pub struct Link {
    stuck: AtomicBool,
    cut: Notify,
}

impl Link {
    /// To be awaited while the session's socket takes nothing. Returns when a
    /// publisher has cut the session for it.
    pub async fn stuck(&self) {
        struct Reset<'l>(&'l AtomicBool);
        impl Drop for Reset<'_> {
            fn drop(&mut self) {
                self.0.store(false, Ordering::Relaxed);
            }
        }
        self.stuck.store(true, Ordering::Relaxed);
        let _reset = Reset(&self.stuck);
        self.cut.notified().await;
    }

    fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }
}

/// A place in a room, which is left when this is dropped.
#[derive(Debug)]
pub struct Subscription<'r> {
    /// Its room.
    pub room: &'r Room,
    key: usize,
    /// The publications since. It ends when the session was cut.
    pub queue: Receiver<Message>,
    /// The signals between the session and its publishers.
    pub link: Arc<Link>,
}

impl Drop for Subscription<'_> {
    fn drop(&mut self) {
        self.room.remove(self.key, &self.link);
    }
}

/// The outcome of a publication.
pub struct Published<'r> {
    /// How many queues have taken it so far.
    pub deliveries: u64,
    /// The work that remains if queues were full.
    pub rest: Option<Rest<'r>>,
}

/// Delivers a publication to those whose queues were full, and says how many
/// have taken it. The publisher must publish nothing else before it is done.
pub type Rest<'r> = Pin<Box<dyn Future<Output = u64> + Send + 'r>>;

impl Room {
    /// Joins the room.
    pub fn subscribe(&self) -> Subscription<'_> {
        let (sender, queue) = mpsc::channel(QUEUE_MESSAGES);
        let link = Arc::new(Link::default());
        let subscriber = Subscriber {
            queue: sender,
            link: Arc::clone(&link),
        };
        let key = self.write().insert(subscriber);
        Subscription {
            room: self,
            key,
            queue,
            link,
        }
    }

    /// Hands a message to everyone.
    pub fn publish(&self, message: &Message) -> Published<'_> {
        let mut deliveries = 0;
        let mut full = Vec::new();
        for (key, subscriber) in self.read().iter() {
            match subscriber.queue.try_send(message.clone()) {
                Ok(()) => deliveries += 1,
                Err(TrySendError::Full(_)) => full.push((key, subscriber.clone())),
                // Its session is about to leave.
                Err(TrySendError::Closed(_)) => {}
            }
        }
        if full.is_empty() {
            return Published {
                deliveries,
                rest: None,
            };
        }
        let rest = Box::pin(self.deliver_rest(full, message.clone()));
        Published {
            deliveries,
            rest: Some(rest),
        }
    }

    /// Waits for room in each queue, or cuts the session that it belongs to.
    async fn deliver_rest(&self, full: Vec<(usize, Subscriber)>, message: Message) -> u64 {
        let mut deliveries = 0;
        for (key, Subscriber { queue, link }) in full {
            let mut message = message.clone();
            loop {
                if link.is_stuck() && queue.capacity() == 0 {
                    self.remove(key, &link);
                    link.cut.notify_one();
                    break;
                }
                match queue.send_timeout(message, STUCK_CHECK_INTERVAL).await {
                    Ok(()) => {
                        deliveries += 1;
                        break;
                    }
                    Err(SendTimeoutError::Timeout(again)) => message = again,
                    Err(SendTimeoutError::Closed(_)) => break,
                }
            }
        }
        deliveries
    }

    fn remove(&self, key: usize, link: &Arc<Link>) {
        let mut subscribers = self.write();
        let is_it = |subscriber: &Subscriber| Arc::ptr_eq(&subscriber.link, link);
        if subscribers.get(key).is_some_and(is_it) {
            subscribers.remove(key);
        }
    }

    // Nothing panics between two changes, so a poisoned registry is whole.
    fn read(&self) -> RwLockReadGuard<'_, Slab<Subscriber>> {
        self.subscribers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Slab<Subscriber>> {
        self.subscribers
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;
    use std::time::Duration;

    use futures_util::poll;
    use tokio::time::timeout;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn message(number: usize) -> Message {
        Message::text(number.to_string())
    }

    /// Publishes until one queue is full.
    fn fill(room: &Room) -> Published<'_> {
        for number in 0..QUEUE_MESSAGES {
            assert!(room.publish(&message(number)).rest.is_none());
        }
        room.publish(&message(QUEUE_MESSAGES))
    }

    #[tokio::test]
    async fn everyone_gets_everything_in_order() {
        let room = Room::default();
        let mut subscriptions: Vec<_> = (0..3).map(|_| room.subscribe()).collect();
        for number in 0..10 {
            assert_eq!(room.publish(&message(number)).deliveries, 3);
        }
        for subscription in &mut subscriptions {
            for number in 0..10 {
                assert_eq!(subscription.queue.try_recv(), Ok(message(number)));
            }
        }
        subscriptions.pop();
        assert_eq!(room.publish(&message(0)).deliveries, 2);
    }

    #[tokio::test]
    async fn a_publisher_waits_for_a_session_that_is_only_behind() {
        let room = Room::default();
        let mut behind = room.subscribe();
        let mut rest = fill(&room).rest.expect("a full queue");
        assert_eq!(poll!(&mut rest), Poll::Pending);
        for number in 0..=QUEUE_MESSAGES {
            if number == 1 {
                assert_eq!(timeout(LIMIT, &mut rest).await, Ok(1));
            }
            assert_eq!(behind.queue.recv().await, Some(message(number)));
        }
        assert_eq!(room.publish(&message(0)).deliveries, 1);
    }

    #[tokio::test]
    async fn a_session_that_is_stuck_is_cut() {
        let room = Room::default();
        let slow = room.subscribe();
        let mut other = room.subscribe();
        let mut stuck = Box::pin(slow.link.stuck());
        assert_eq!(poll!(&mut stuck), Poll::Pending);
        for number in 0..QUEUE_MESSAGES {
            assert!(room.publish(&message(number)).rest.is_none());
            assert_eq!(other.queue.try_recv(), Ok(message(number)));
        }
        let published = room.publish(&message(QUEUE_MESSAGES));
        assert_eq!(published.deliveries, 1);
        assert_eq!(
            timeout(LIMIT, published.rest.expect("a full queue")).await,
            Ok(0)
        );
        timeout(LIMIT, stuck).await.expect("it hears of it");
        // The next subscriber gets its place, and keeps it when the slow one
        // leaves.
        let _next = room.subscribe();
        drop(slow);
        assert_eq!(room.publish(&message(0)).deliveries, 2);
    }

    #[tokio::test]
    async fn one_that_becomes_stuck_while_a_publisher_waits_is_cut_too() {
        let room = Room::default();
        let slow = room.subscribe();
        let mut rest = fill(&room).rest.expect("a full queue");
        assert_eq!(poll!(&mut rest), Poll::Pending);
        let mut stuck = Box::pin(slow.link.stuck());
        assert_eq!(poll!(&mut stuck), Poll::Pending);
        assert_eq!(timeout(LIMIT, rest).await, Ok(0));
        timeout(LIMIT, stuck).await.expect("it hears of it");
    }
}
