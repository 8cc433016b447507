//! The point at which all publications enter a shard.
//!
//! # Invariants worth naming
//!
//! - Every publication enters here, once on each shard, from any origin: a handler of
//!   this shard, one of another, or a publisher outside. So this is where a topic's
//!   policy is looked up, and where a log of it would be kept.
//! - Publications leave to their subscribers in the order in which they entered.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use super::fan_out::FanOutQueue;
use super::subscribers::SubscriberTable;
use crate::metrics::ShardMetrics;
use crate::participant::Participant;
use crate::publication::{Publication, Run, Topic};
use crate::ws::PreparedFrame;

/// Bytes of pending publications that make publishers wait, for each publication
/// that may be pending. Small ones are counted, large ones are weighed, or as
/// many of the largest messages could be kept as of the smallest.
const BYTES_PER_PENDING: usize = 64 * 1024;

/// A publication as it enters a shard.
pub(super) struct Arriving<'a> {
    pub(super) topic: &'a Topic,
    /// Borrowed where other shards have it too; it is shared if a session subscribes.
    pub(super) message: Cow<'a, PreparedFrame>,
    pub(super) origin: Participant,
    /// A session of this shard that does not get it.
    pub(super) except: Option<u32>,
}

impl<'a> From<&'a Publication> for Arriving<'a> {
    #[inline]
    fn from(publication: &'a Publication) -> Self {
        Arriving {
            topic: &publication.topic,
            message: Cow::Borrowed(&publication.message),
            origin: publication.origin,
            except: None,
        }
    }
}

/// A shard's topics: the members of each, and the publications on their way to them.
pub(super) struct Topics {
    pub(super) table: SubscriberTable,
    queue: FanOutQueue,
    /// Publications that may wait for their fan-out before publishers wait.
    max_pending: usize,
    metrics: Arc<ShardMetrics>,
}

impl Topics {
    pub(super) fn new(max_pending: usize, metrics: Arc<ShardMetrics>) -> Self {
        Topics {
            table: SubscriberTable::default(),
            queue: FanOutQueue::default(),
            max_pending,
            metrics,
        }
    }

    /// Takes in a publication for this shard's subscribers.
    #[inline]
    pub(super) fn take(&mut self, arriving: Arriving<'_>) {
        let Arriving {
            topic,
            message,
            origin,
            except,
        } = arriving;
        if origin == Participant::Outside {
            self.metrics.outside_publications.add(1);
        }
        if let Some(topic) = self.table.find(topic) {
            let message = message.into_owned();
            self.queue.push(&mut self.table, topic, message, except);
        }
    }

    /// Makes up to `budget` deliveries.
    #[inline]
    pub(super) fn run_slice(&mut self, budget: usize, deliver: impl FnMut(u32, &Rc<Run>)) {
        self.queue.run(&mut self.table, budget, deliver);
    }

    /// Whether publications wait for their fan-out.
    pub(super) fn has_fan_out(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Publications not yet delivered to all their subscribers.
    pub(super) fn pending(&self) -> usize {
        self.queue.pending()
    }

    /// How many more may be taken in. None, however few there are, when as many
    /// bytes are pending as may be.
    pub(super) fn room(&self) -> usize {
        let max_pending_bytes = self.max_pending.saturating_mul(BYTES_PER_PENDING);
        if self.queue.pending_bytes() >= max_pending_bytes {
            return 0;
        }
        self.max_pending.saturating_sub(self.queue.pending())
    }
}
