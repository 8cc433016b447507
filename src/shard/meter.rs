//! How much each session may send per second, where that is limited.
//!
//! # Invariants worth naming
//!
//! - Without a limit there are no meters, and a session costs nothing for them.
//! - A session over its rate is either closed, or it is not read until its
//!   rate allows more; then the kernel's flow control reaches its peer, and
//!   nothing it sent is lost.
//! - Messages are counted before a handler sees them: what arrived in one
//!   segment is still served at the rate. Bytes are counted as they are read,
//!   so a session may be over by one read, and pays for it before the next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::core::Core;
use crate::config::{Config, OverRatePolicy};
use crate::metrics::EndReason;
use crate::plane::SessionKey;
use crate::rate::{Bucket, Rate};
use crate::session::{Allowance, Wait};
use crate::ws::CloseCode;

/// The rates and what each session has left of them.
pub(crate) struct Meters {
    messages: Option<Rate>,
    bytes: Option<Rate>,
    policy: OverRatePolicy,
    /// By the session's place in the shard's table.
    meters: Vec<Meter>,
    /// Sessions that are not read for now, and until when.
    paused: BinaryHeap<Reverse<(u64, SessionKey)>>,
}

/// What one session has left. The bucket of a rate that is not limited is not
/// looked at.
#[derive(Clone, Copy, Default)]
struct Meter {
    messages: Bucket,
    bytes: Bucket,
}

impl Meters {
    /// The meters of a shard, or `None` where nothing is limited. Room for
    /// `expected_sessions` is reserved; untouched it costs no memory.
    pub(crate) fn new(config: &Config, expected_sessions: usize) -> Option<Meters> {
        let messages = Rate::new(config.max_message_rate, config.rate_burst);
        let bytes = Rate::new(config.max_byte_rate, config.rate_burst);
        (messages.is_some() || bytes.is_some()).then(|| Meters {
            messages,
            bytes,
            policy: config.over_rate,
            meters: Vec::with_capacity(expected_sessions),
            paused: BinaryHeap::new(),
        })
    }

    /// Begins to measure a new session.
    pub(super) fn begin(&mut self, index: u32, now_ms: u64) {
        let index = index as usize;
        if index >= self.meters.len() {
            self.meters.resize(index + 1, Meter::default());
        }
        let full = |rate: Option<Rate>| rate.map_or(Bucket::default(), |r| Bucket::full(r, now_ms));
        self.meters[index] = Meter {
            messages: full(self.messages),
            bytes: full(self.bytes),
        };
    }

    /// How many messages of a session may be served now.
    pub(super) fn allowance(&mut self, index: u32, now_ms: u64) -> Allowance {
        match self.messages {
            Some(rate) => {
                let left = self.meters[index as usize].messages.tokens(rate, now_ms);
                Allowance::new(left, self.policy)
            }
            None => Allowance::UNLIMITED,
        }
    }

    /// Notes messages that were served.
    pub(super) fn took_messages(&mut self, index: u32, messages: u64) {
        self.meters[index as usize].messages.take(messages);
    }

    /// Notes bytes that were read. Returns whether they are reason to close the session.
    fn took_bytes(&mut self, index: u32, bytes: usize, now_ms: u64) -> bool {
        let Some(rate) = self.bytes else { return false };
        let bucket = &mut self.meters[index as usize].bytes;
        let allowed = bucket.tokens(rate, now_ms);
        bucket.take(bytes as u64);
        self.policy == OverRatePolicy::Close && bytes as u64 > allowed
    }

    /// When a session that may not be read now may be read again.
    fn pause_until(&mut self, index: u32, now_ms: u64) -> Option<u64> {
        if self.policy == OverRatePolicy::Close {
            return None;
        }
        let meter = &mut self.meters[index as usize];
        let wait = |bucket: &mut Bucket, rate: Option<Rate>| {
            rate.map_or(0, |rate| bucket.wait_ms(rate, now_ms))
        };
        let wait_ms =
            wait(&mut meter.messages, self.messages).max(wait(&mut meter.bytes, self.bytes));
        (wait_ms > 0).then_some(now_ms + wait_ms)
    }
}

impl Core {
    /// Notes bytes read from an open session, and closes it if they are too many.
    #[inline]
    pub(super) fn meter_bytes(&mut self, key: SessionKey, bytes: usize) {
        let now_ms = self.clock.elapsed_ms();
        if let Some(meters) = &mut self.meters
            && meters.took_bytes(key.index, bytes, now_ms)
        {
            self.close_over_rate(key);
        }
    }

    /// Closes a session that sends more than its rate.
    pub(super) fn close_over_rate(&mut self, key: SessionKey) {
        let text = "more is sent per second than allowed";
        self.close(key, CloseCode::POLICY, text, EndReason::OverRate);
    }

    /// Stops reading an open session that has used up its rate. Returns
    /// whether it has.
    #[inline]
    pub(super) fn pause_over_rate(&mut self, key: SessionKey) -> bool {
        let now_ms = self.clock.elapsed_ms();
        let Core {
            meters, sessions, ..
        } = self;
        let Some(meters) = meters else { return false };
        let Some(session) = sessions.get_mut(key.index as usize).filter(|session| {
            session.generation == key.generation && session.is_open() && session.wait == Wait::No
        }) else {
            return false;
        };
        let Some(until_ms) = meters.pause_until(key.index, now_ms) else {
            return false;
        };
        session.wait = Wait::ForRate;
        meters.paused.push(Reverse((until_ms, key)));
        self.metrics.rate_pauses.add(1);
        true
    }

    /// Lets sessions go on whose rate allows it again.
    pub(super) fn resume_paused(&mut self) {
        let now_ms = self.clock.elapsed_ms();
        while let Some(key) = self.meters.as_mut().and_then(|meters| {
            let Reverse((until_ms, _)) = meters.paused.peek()?;
            (*until_ms <= now_ms).then(|| meters.paused.pop())?
        }) {
            let Reverse((_, key)) = key;
            if self
                .session(key)
                .is_some_and(|session| session.wait == Wait::ForRate)
            {
                self.resume(key);
            }
        }
    }

    /// Time until the first of the paused sessions may go on.
    pub(crate) fn until_resume(&self) -> Option<Duration> {
        let Reverse((until_ms, _)) = self.meters.as_ref()?.paused.peek()?;
        let left_ms = until_ms.saturating_sub(self.clock.elapsed_ms());
        Some(Duration::from_millis(left_ms))
    }
}
