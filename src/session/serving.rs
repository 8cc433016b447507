//! The state with which the sessions of a shard are served.

use std::sync::Arc;
use std::time::Instant;

use super::{Expiries, Publishing, Rates, Unfinished};
use crate::metrics::ShardMetrics;
use crate::table::Scratch;
use crate::ws::Rules;

/// Everything that serving one session touches beside the session.
pub(crate) struct Serving {
    pub(crate) publishing: Publishing,
    /// The rates at which sessions may send, where they are limited.
    pub(crate) rates: Option<Rates>,
    /// When sessions end that last as long as a token.
    pub(crate) expiries: Expiries,
    pub(crate) rules: Rules,
    pub(crate) unfinished: Unfinished,
    /// Bytes waiting for a session above which it is not read.
    pub(crate) high_water_mark_bytes: usize,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<ShardMetrics>,
    /// Received bytes, for the one session being read.
    pub(crate) scratch: Scratch,
    /// Encoded answers, for the one session being served.
    pub(crate) answers: Vec<u8>,
}

impl Serving {
    /// Notes the memory that the session at this place holds for a message in pieces.
    #[cold]
    pub(crate) fn note_unfinished(&mut self, place: u32, bytes: usize) {
        if let Some(all) = self.unfinished.note(place, bytes) {
            self.metrics.unfinished_bytes.set(all as u64);
        }
    }
}

/// A shard's clock: set once per turn, good for 49 days between two readings
/// of one session.
pub(crate) struct Clock {
    epoch: Instant,
    elapsed_ms: u64,
}

impl Clock {
    /// A clock that begins now.
    pub(crate) fn new(now: Instant) -> Self {
        Clock {
            epoch: now,
            elapsed_ms: 0,
        }
    }

    /// Sets it.
    pub(crate) fn set(&mut self, now: Instant) {
        self.elapsed_ms = now.saturating_duration_since(self.epoch).as_millis() as u64;
    }

    /// The short form that sessions keep.
    #[inline]
    pub(crate) fn now_ms(&self) -> u32 {
        self.elapsed_ms as u32
    }

    /// Milliseconds since the shard began; never wraps around.
    pub(crate) fn elapsed_ms(&self) -> u64 {
        self.elapsed_ms
    }

    /// Milliseconds since a moment in the short form.
    pub(crate) fn since(&self, then_ms: u32) -> u32 {
        self.now_ms().wrapping_sub(then_ms)
    }
}
