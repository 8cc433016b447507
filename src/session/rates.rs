//! How much each session may send per second, where that is limited.
//!
//! # Invariants worth naming
//!
//! - Without a limit there are no rates, and a session costs nothing for them.
//! - A session over its rate is either closed, or it is not read until its
//!   rate allows more; then the kernel's flow control reaches its peer, and
//!   nothing it sent is lost.
//! - Messages are counted before a handler sees them: those that arrived in one segment
//!   are still served at the rate. Bytes are counted as they are read, so a session may
//!   be over by one read, and pays for it before the next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::receive::Allowance;
use crate::config::{Config, OverRatePolicy};
use crate::plane::SessionKey;
use crate::rate::{Bucket, Rate};

/// The rates at which a session may send, and the policy for a session over them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateLimits {
    messages: Option<Rate>,
    bytes: Option<Rate>,
    policy: OverRatePolicy,
}

impl RateLimits {
    pub(crate) fn new(config: &Config) -> Self {
        RateLimits {
            messages: Rate::new(config.max_message_rate, config.rate_burst),
            bytes: Rate::new(config.max_byte_rate, config.rate_burst),
            policy: config.over_rate,
        }
    }

    fn is_limited(&self) -> bool {
        self.messages.is_some() || self.bytes.is_some()
    }
}

/// The rates and the rest of them that each session may still use.
pub(crate) struct Rates {
    limits: RateLimits,
    /// By the session's place in the shard's table.
    left: Vec<Left>,
    /// Sessions that are not read for now, and until when.
    paused: BinaryHeap<Reverse<(u64, SessionKey)>>,
}

/// The rest of its rates that one session may still use. The bucket of a rate that is
/// not limited is not looked at.
#[derive(Clone, Copy, Default)]
struct Left {
    messages: Bucket,
    bytes: Bucket,
}

impl Left {
    /// Of a session that has not sent anything.
    fn full(limits: RateLimits, now_ms: u64) -> Left {
        let full = |rate: Option<Rate>| rate.map_or(Bucket::default(), |r| Bucket::full(r, now_ms));
        Left {
            messages: full(limits.messages),
            bytes: full(limits.bytes),
        }
    }
}

impl Rates {
    /// The rates of a shard's sessions, or `None` where nothing is limited. Room for
    /// `expected_sessions` is reserved; untouched it costs no memory.
    pub(crate) fn new(limits: RateLimits, expected_sessions: usize) -> Option<Rates> {
        limits.is_limited().then(|| Rates {
            limits,
            left: Vec::with_capacity(expected_sessions),
            paused: BinaryHeap::new(),
        })
    }

    /// The rates of a shard whose table has so many places with sessions already,
    /// each of which may use a whole burst from now on.
    pub(crate) fn anew(limits: RateLimits, places: usize, now_ms: u64) -> Option<Rates> {
        let mut rates = Rates::new(limits, places)?;
        rates.left.resize(places, Left::full(limits, now_ms));
        Some(rates)
    }

    /// The limits that count.
    pub(crate) fn limits(&self) -> RateLimits {
        self.limits
    }

    /// The sessions that are not read for now.
    pub(crate) fn into_paused(self) -> impl Iterator<Item = SessionKey> {
        self.paused.into_iter().map(|Reverse((_, key))| key)
    }

    /// Begins to measure a new session.
    pub(super) fn begin(&mut self, index: u32, now_ms: u64) {
        let index = index as usize;
        if index >= self.left.len() {
            self.left.resize(index + 1, Left::default());
        }
        self.left[index] = Left::full(self.limits, now_ms);
    }

    /// How many messages of a session may be served now.
    pub(super) fn allowance(&mut self, index: u32, now_ms: u64) -> Allowance {
        match self.limits.messages {
            Some(rate) => {
                let left = self.left[index as usize].messages.tokens(rate, now_ms);
                Allowance::new(left, self.limits.policy)
            }
            None => Allowance::UNLIMITED,
        }
    }

    /// Notes messages that were served.
    pub(super) fn took_messages(&mut self, index: u32, messages: u64) {
        self.left[index as usize].messages.take(messages);
    }

    /// Notes bytes that were read. Returns whether they are reason to close the session.
    pub(super) fn took_bytes(&mut self, index: u32, bytes: usize, now_ms: u64) -> bool {
        let Some(rate) = self.limits.bytes else {
            return false;
        };
        let bucket = &mut self.left[index as usize].bytes;
        let allowed = bucket.tokens(rate, now_ms);
        bucket.take(bytes as u64);
        self.limits.policy == OverRatePolicy::Close && bytes as u64 > allowed
    }

    /// Puts a session that has used up its rate into the list of those that are
    /// paused. Returns whether it has.
    #[inline]
    pub(super) fn pause(&mut self, key: SessionKey, now_ms: u64) -> bool {
        let until_ms = self.pause_until(key.index, now_ms);
        self.paused
            .extend(until_ms.map(|until_ms| Reverse((until_ms, key))));
        until_ms.is_some()
    }

    /// The next session whose rate allows it to be read again.
    pub(crate) fn next_resumed(&mut self, now_ms: u64) -> Option<SessionKey> {
        let Reverse((until_ms, _)) = self.paused.peek()?;
        if *until_ms > now_ms {
            return None;
        }
        self.paused.pop().map(|Reverse((_, key))| key)
    }

    /// Time until the first of the paused sessions may go on.
    pub(crate) fn until_resume(&self, now_ms: u64) -> Option<Duration> {
        let Reverse((until_ms, _)) = self.paused.peek()?;
        Some(Duration::from_millis(until_ms.saturating_sub(now_ms)))
    }

    /// When a session that may not be read now may be read again.
    fn pause_until(&mut self, index: u32, now_ms: u64) -> Option<u64> {
        if self.limits.policy == OverRatePolicy::Close {
            return None;
        }
        let left = &mut self.left[index as usize];
        let wait = |bucket: &mut Bucket, rate: Option<Rate>| {
            rate.map_or(0, |rate| bucket.wait_ms(rate, now_ms))
        };
        let wait_ms = wait(&mut left.messages, self.limits.messages)
            .max(wait(&mut left.bytes, self.limits.bytes));
        (wait_ms > 0).then_some(now_ms + wait_ms)
    }
}
