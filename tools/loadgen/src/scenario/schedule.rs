//! The planned times of an open loop.

use crate::engine::Net;

/// One thread's planned times, at even distances. The threads' times interleave.
#[derive(Debug)]
pub(super) struct Schedule {
    /// Nanoseconds between two of this thread's.
    gap: f64,
    /// The next one; `None` before the first turn.
    next: Option<f64>,
}

impl Schedule {
    /// For `per_second` in all, of which this thread does one of `threads` parts.
    pub(super) fn new(per_second: f64, threads: usize) -> Self {
        Schedule {
            gap: 1e9 * threads as f64 / per_second,
            next: None,
        }
    }

    /// The next time, if it has come.
    pub(super) fn take_due<T>(&mut self, net: &Net<T>) -> Option<u64> {
        let now = net.now() as f64;
        let next = *self.next.get_or_insert_with(|| {
            let offset = net.thread() as f64 / net.shared().threads() as f64;
            now + self.gap * offset
        });
        if next > now {
            return None;
        }
        self.next = Some(next + self.gap);
        Some(next as u64)
    }

    /// The next time.
    pub(super) fn next_time(&self) -> Option<u64> {
        self.next.map(|next| next as u64)
    }
}
