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
use std::time::{Duration, Instant};

use super::fan_out::FanOutQueue;
use super::resample::{Held, Resampler};
use super::subscribers::{Limit, SubscriberTable, TopicId};
use crate::access::TopicRates;
use crate::metrics::ShardMetrics;
use crate::participant::Participant;
use crate::publication::{Content, Form, Publication, Run, Topic, WriteForm};
use crate::ws::PreparedFrame;

/// Bytes of pending publications that make publishers wait, for each publication
/// that may be pending. Small ones are counted, large ones are weighed, or as
/// many of the largest messages could be kept as of the smallest.
const BYTES_PER_PENDING: usize = 64 * 1024;

/// Later than any tick.
const FAR_FUTURE: Duration = Duration::from_secs(3_600);

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
    resampler: Resampler,
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
            resampler: Resampler::default(),
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
        match self.table.topic_ref(first).limit {
            Limit::None => self.push(first, arriving),
            Limit::Rate | Limit::Unknown => self.take_limited(first, arriving),
        }
    }

    /// The same for a topic that may have a limited rate.
    #[cold]
    fn take_limited(&mut self, first: TopicId, arriving: Arriving<'_>) {
        let interval = self.resampler.interval_of(arriving.topic.as_str());
        self.table.topic_mut(first).limit = match interval {
            Some(_) => Limit::Rate,
            None => Limit::None,
        };
        let passes = interval.is_none_or(|interval| {
            self.resampler
                .passes(arriving.topic, interval, Instant::now())
        });
        if passes {
            return self.push(first, arriving);
        }
        let held = Held {
            content: arriving.content.into_owned(),
            except: arriving.except,
        };
        let is_newer = self.resampler.hold(arriving.topic, held);
        self.metrics.resampled_publications.add(is_newer.into());
        // Memory goes before the rate.
        if self.resampler.bytes() > self.max_pending_bytes() {
            let now = Instant::now();
            self.pass_until(now, now + FAR_FUTURE);
        }
    }

    /// Passes on what was held until now for topics with a limited rate.
    pub(super) fn pass_due(&mut self, now: Instant) {
        self.pass_until(now, now);
    }

    /// The same for topics whose tick comes until then.
    fn pass_until(&mut self, now: Instant, until: Instant) {
        while let Some((topic, held)) = self.resampler.take_due(now, until) {
            for Held { content, except } in held {
                if let Some(first) = self.table.first_form(topic.as_str()) {
                    let arriving = Arriving {
                        topic: &topic,
                        content: Cow::Owned(content),
                        origin: Participant::Outside,
                        except,
                    };
                    self.push(first, arriving);
                }
            }
        }
    }

    /// When that has to be done next.
    #[inline]
    pub(super) fn next_tick(&self) -> Option<Instant> {
        self.resampler.next_tick()
    }

    /// Other limits count from now on.
    pub(super) fn set_rates(&mut self, rates: TopicRates) {
        self.resampler.set_rates(rates);
        self.table.forget_limits();
    }

    /// Queues a publication for the subscribers of a topic.
    #[inline]
    fn push(&mut self, first: TopicId, arriving: Arriving<'_>) {
        let is_alone = self.table.next_form(first).is_none();
        if !is_alone || self.table.topic_ref(first).form != arriving.content.form() {
            return self.push_in_forms(first, arriving);
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
    fn push_in_forms(&mut self, first: TopicId, arriving: Arriving<'_>) {
        let Arriving {
            topic,
            content,
            except,
            ..
        } = arriving;
        let key = content.key();
        let mut next = Some(first);
        while let Some(id) = next {
            next = self.table.next_form(id);
            let form = self.table.topic_ref(id).form;
            let message = match form == content.form() {
                true => Some(content.frame().clone()),
                false => (self.forms.write)(form, topic.as_str(), &content, &mut self.forms.text),
            };
            if let Some(message) = message {
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

    fn max_pending_bytes(&self) -> usize {
        self.max_pending.saturating_mul(BYTES_PER_PENDING)
    }

    /// How many more may be taken in, none while a long queue of fan-outs waits. None, however few there are, when as many
    /// bytes are pending as may be.
    pub(super) fn room(&self) -> usize {
        if self.queue.pending_bytes() >= self.max_pending_bytes() || self.queue.is_long() {
            return 0;
        }
        self.max_pending.saturating_sub(self.queue.pending())
    }
}
