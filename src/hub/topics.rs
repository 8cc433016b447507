//! The point at which all publications enter a shard.
//!
//! # Invariants worth naming
//!
//! - Every publication enters here, once on each shard, from any origin: a handler of
//!   this shard, one of another, or a publisher outside. So this is where a topic's
//!   policy is looked up, and where a log of it would be kept.
//! - Publications leave to their subscribers in the order in which they entered.

use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use super::fan_out::FanOutQueue;
use super::subscribers::{SubscriberTable, TopicId};
use crate::metrics::ShardMetrics;
use crate::participant::Participant;
use crate::publication::{Content, Form, Publication, Run, Topic, WriteForm};
use crate::ws::PreparedFrame;

/// Bytes of pending publications that make publishers wait, for each publication
/// that may be pending. Small ones are counted, large ones are weighed, or as
/// many of the largest messages could be kept as of the smallest.
const BYTES_PER_PENDING: usize = 64 * 1024;

/// A publication as it enters a shard.
pub(super) struct Arriving<'a> {
    pub(super) topic: &'a Topic,
    /// Borrowed where other shards have it too; it is shared if a session subscribes.
    pub(super) content: Cow<'a, Content>,
    pub(super) origin: Participant,
    /// A session of this shard that does not get it.
    pub(super) except: Option<u32>,
}

impl<'a> From<&'a Publication> for Arriving<'a> {
    #[inline]
    fn from(publication: &'a Publication) -> Self {
        Arriving {
            topic: &publication.topic,
            content: Cow::Borrowed(&publication.content),
            origin: publication.origin,
            except: None,
        }
    }
}

/// A shard's topics: the members of each, and the publications on their way to them.
pub(super) struct Topics {
    pub(super) table: SubscriberTable,
    queue: FanOutQueue,
    forms: Forms,
    /// Publications that may wait for their fan-out before publishers wait.
    max_pending: usize,
    metrics: Arc<ShardMetrics>,
}

/// Writes publications in the forms that subscribers get them in.
struct Forms {
    write: WriteForm,
    /// The buffer to write in.
    text: String,
}

impl fmt::Debug for Forms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forms").finish_non_exhaustive()
    }
}

impl Topics {
    pub(super) fn new(max_pending: usize, metrics: Arc<ShardMetrics>) -> Self {
        Topics {
            table: SubscriberTable::default(),
            queue: FanOutQueue::default(),
            forms: Forms {
                write: |_, _, _, _| None,
                text: String::new(),
            },
            max_pending,
            metrics,
        }
    }

    /// How publications are written in other forms than those they were published in.
    /// Without it subscribers in such a form do not get them.
    pub(super) fn write_forms_with(&mut self, write: WriteForm) {
        self.forms.write = write;
    }

    /// Takes in a publication for this shard's subscribers.
    #[inline]
    pub(super) fn take(&mut self, arriving: Arriving<'_>) {
        if arriving.origin == Participant::Outside {
            self.metrics.outside_publications.add(1);
        }
        let Some(first) = self.table.first_form(arriving.topic.as_str()) else {
            return;
        };
        let is_alone = self.table.next_form(first).is_none();
        if !is_alone || self.table.topic_ref(first).form != arriving.content.form() {
            return self.take_in_forms(first, arriving);
        }
        let Arriving {
            content, except, ..
        } = arriving;
        let key = content.key();
        let message = match content {
            Cow::Owned(content) => content.into_frame(),
            Cow::Borrowed(content) => content.frame().clone(),
        };
        self.queue
            .push(&mut self.table, first, message, key, except);
    }

    /// The same where not all subscribers get the frame as it came.
    #[cold]
    fn take_in_forms(&mut self, first: TopicId, arriving: Arriving<'_>) {
        let Arriving {
            topic,
            content,
            except,
            ..
        } = arriving;
        let mut next = Some(first);
        while let Some(id) = next {
            next = self.table.next_form(id);
            let form = self.table.topic_ref(id).form;
            let message = match form == content.form() {
                true => Some(content.frame().clone()),
                false => (self.forms.write)(form, topic.as_str(), &content, &mut self.forms.text),
            };
            if let Some(message) = message {
                let key = content.key();
                self.queue.push(&mut self.table, id, message, key, except);
            }
        }
    }

    /// Takes in a frame for those of this shard's subscribers that get this form.
    pub(super) fn take_for_form(&mut self, topic: &Topic, form: Form, frame: PreparedFrame) {
        if let Some(id) = self.in_form(topic.as_str(), form) {
            self.queue.push(&mut self.table, id, frame, 0, None);
        }
    }

    /// Whether a session of this shard has subscribed to a topic in this form.
    pub(super) fn has_form(&self, topic: &str, form: Form) -> bool {
        self.in_form(topic, form).is_some()
    }

    fn in_form(&self, topic: &str, form: Form) -> Option<TopicId> {
        let mut at = self.table.first_form(topic);
        while let Some(id) = at {
            if self.table.topic_ref(id).form == form {
                return Some(id);
            }
            at = self.table.next_form(id);
        }
        None
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
