//! Topics whose publications are limited to a rate: the newest of each key waits for the
//! next tick of its topic.
//!
//! # Invariants worth naming
//!
//! - A topic that was quiet for its interval passes a publication on at once. Until the
//!   interval is over, what comes is held: one publication for each key, the newest.
//! - What is held leaves together at the tick, in the order in which it was published, so
//!   that no older one of a key follows a newer one.
//! - A topic is known here from a publication until an interval in which nothing came, and
//!   stands in `ticks` once for as long.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::{Duration, Instant};

use slab::Slab;

use crate::access::TopicRates;
use crate::publication::{Content, Topic};

/// The topics of a shard whose rate is limited and that were published to lately.
#[derive(Debug, Default)]
pub(super) struct Resampler {
    rates: TopicRates,
    names: HashMap<Topic, usize>,
    topics: Slab<Limited>,
    ticks: BinaryHeap<Reverse<(Instant, usize)>>,
    bytes: usize,
}

/// A topic between two ticks.
#[derive(Debug)]
struct Limited {
    name: Topic,
    interval: Duration,
    /// By key; each with the number of its place in the order.
    held: HashMap<u64, (u64, Held)>,
    next: u64,
}

/// A publication that waits for the tick.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Held {
    pub(super) content: Content,
    pub(super) except: Option<u32>,
}

impl Resampler {
    /// Other rates count from now on. What is held leaves at its tick.
    pub(super) fn set_rates(&mut self, rates: TopicRates) {
        self.rates = rates;
    }

    /// The interval of a topic; `None` for one without a limit.
    pub(super) fn interval_of(&self, topic: &str) -> Option<Duration> {
        self.rates.interval_of(topic)
    }

    /// Whether a publication may be passed on now; otherwise it is to be held.
    pub(super) fn passes(&mut self, topic: &Topic, interval: Duration, now: Instant) -> bool {
        if self.names.contains_key(topic) {
            return false;
        }
        let id = self.topics.insert(Limited {
            name: topic.clone(),
            interval,
            held: HashMap::new(),
            next: 0,
        });
        self.names.insert(topic.clone(), id);
        self.ticks.push(Reverse((now + interval, id)));
        true
    }

    /// Holds a publication of a topic that passes nothing on now. Returns whether it has
    /// taken the place of an older one.
    pub(super) fn hold(&mut self, topic: &Topic, held: Held) -> bool {
        let Some(id) = self.names.get(topic) else {
            debug_assert!(false, "a topic that is not limited passes everything on");
            return false;
        };
        let limited = &mut self.topics[*id];
        let (place, key) = (limited.next, held.content.key());
        limited.next += 1;
        self.bytes += held.content.frame().len();
        let before = limited.held.insert(key, (place, held));
        if let Some((_, before)) = &before {
            self.bytes -= before.content.frame().len();
        }
        before.is_some()
    }

    /// Takes out what is held for the next topic whose tick comes until then, in order.
    /// `now` is when it leaves, from which the topic's next interval counts.
    pub(super) fn take_due(&mut self, now: Instant, until: Instant) -> Option<(Topic, Vec<Held>)> {
        loop {
            let Reverse((due, id)) = *self.ticks.peek()?;
            if due > until {
                return None;
            }
            self.ticks.pop();
            let limited = &mut self.topics[id];
            if limited.held.is_empty() {
                let limited = self.topics.remove(id);
                self.names.remove(&limited.name);
                continue;
            }
            self.ticks.push(Reverse((now + limited.interval, id)));
            let mut held: Vec<_> = limited.held.drain().map(|(_, held)| held).collect();
            held.sort_unstable_by_key(|(place, _)| *place);
            let held: Vec<_> = held.into_iter().map(|(_, held)| held).collect();
            let bytes = held.iter().map(|held| held.content.frame().len());
            self.bytes -= bytes.sum::<usize>();
            return Some((limited.name.clone(), held));
        }
    }

    /// Bytes of the publications that are held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the first tick comes.
    #[inline]
    pub(super) fn next_tick(&self) -> Option<Instant> {
        self.ticks.peek().map(|Reverse((due, _))| *due)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::ws::PreparedFrame;

    const INTERVAL: Duration = Duration::from_millis(100);

    fn content(number: usize, key: &str) -> Content {
        let content = Content::from(PreparedFrame::text(&number.to_string()));
        match key {
            "" => content,
            key => content.with_key(key),
        }
    }

    /// What leaves early, for want of memory, puts no later publication off.
    #[test]
    fn what_leaves_early_leaves_the_next_tick_where_it_was() {
        let topic = Topic::new("a");
        let mut resampler = Resampler::default();
        let now = Instant::now();
        assert!(resampler.passes(&topic, INTERVAL, now));
        let held = |number| Held {
            content: content(number, ""),
            except: None,
        };
        resampler.hold(&topic, held(1));
        let later = now + Duration::from_secs(3_600);
        assert!(resampler.take_due(now, later).is_some());
        assert!(resampler.take_due(now, later).is_none());
        assert_eq!(resampler.bytes(), 0);
        // Whether it passes or waits, it leaves within an interval.
        if !resampler.passes(&topic, INTERVAL, now) {
            resampler.hold(&topic, held(2));
        }
        assert!(
            resampler
                .next_tick()
                .is_some_and(|tick| tick <= now + INTERVAL)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 8 } else { 256 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// Of each key the newest publication leaves, at most once in an interval, no
        /// later than an interval after it came, and never an older after a newer.
        #[test]
        fn the_newest_leaves_within_an_interval(
            steps in proptest::collection::vec((0u64..80, 0usize..2, 0usize..3), 1..80),
        ) {
            let topics = ["a", "b"].map(Topic::new);
            let mut resampler = Resampler::default();
            let mut now = Instant::now();
            // Of each topic: when something last left, the newest of each key with the
            // time it came, and the last that left.
            let mut left_at: [Option<Instant>; 2] = [None, None];
            let mut waiting: BTreeMap<(usize, usize), (usize, Instant)> = BTreeMap::new();
            let mut last: BTreeMap<(usize, usize), usize> = BTreeMap::new();
            let keys = ["", "x", "y"];
            let steps = steps.into_iter().chain([(500, 0, 0)]);
            for (number, (wait, topic, key)) in steps.enumerate() {
                now += Duration::from_millis(wait);
                while let Some((name, held)) = resampler.take_due(now, now) {
                    let topic = topics.iter().position(|topic| *topic == name).unwrap();
                    left_at[topic] = Some(now);
                    let mut before = None;
                    for held in held {
                        let of = keys.iter().position(|key| content(0, key).key() == held.content.key());
                        let of = (topic, of.unwrap());
                        let (newest, _) = waiting.remove(&of).unwrap();
                        prop_assert_eq!(&held.content, &content(newest, keys[of.1]));
                        prop_assert!(last.insert(of, newest).is_none_or(|last| last < newest));
                        prop_assert!(before < Some(newest), "in the order of publishing");
                        before = Some(newest);
                    }
                }
                for (_, came) in waiting.values() {
                    prop_assert!(now.duration_since(*came) < INTERVAL);
                }
                if resampler.passes(&topics[topic], INTERVAL, now) {
                    let is_over = |at: Instant| now.duration_since(at) >= INTERVAL;
                    prop_assert!(left_at[topic].is_none_or(is_over), "over the rate");
                    left_at[topic] = Some(now);
                    last.insert((topic, key), number);
                } else {
                    let content = content(number, keys[key]);
                    let is_newer = resampler.hold(&topics[topic], Held { content, except: None });
                    let before = waiting.insert((topic, key), (number, now));
                    prop_assert_eq!(is_newer, before.is_some());
                }
            }
            now += 2 * INTERVAL;
            while resampler.take_due(now, now).is_some() {}
            now += 2 * INTERVAL;
            prop_assert!(resampler.take_due(now, now).is_none());
            prop_assert!(resampler.next_tick().is_none() && resampler.names.is_empty());
            prop_assert_eq!(resampler.bytes(), 0);
        }
    }
}
