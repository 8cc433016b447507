//! The course of a drain as an operator sees it: the time before it in which health
//! checks fail already, a line in the log now and then, and the sum at its end.
//!
//! # Invariants worth naming
//!
//! - A thread watches each drain that was asked for. Without one the drain begins at
//!   once and is not told of, and goes on all the same.

use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::config::show_time;
use crate::metrics::{EndReason, ShardMetrics};
use crate::server::ServerHandle;
use crate::shutdown::Phase;

/// Time between two lines of the log.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// What a server had counted when it was asked to stop.
#[derive(Debug, Clone, Copy)]
struct Before {
    at: Instant,
    sessions: u64,
    opened: u64,
    refused: u64,
    ended: [u64; EndReason::ALL.len()],
}

/// The counters of a server, and what they said when it was asked to stop.
#[derive(Debug)]
pub(crate) struct DrainCourse {
    metrics: Vec<Arc<ShardMetrics>>,
    before: OnceLock<Before>,
}

impl DrainCourse {
    pub(crate) fn new(metrics: Vec<Arc<ShardMetrics>>) -> Self {
        DrainCourse {
            metrics,
            before: OnceLock::new(),
        }
    }

    /// The server was asked to stop; the first time counts.
    pub(crate) fn begin(&self) {
        let _ = self.before.set(self.now());
    }

    /// The sessions that are open.
    pub(crate) fn sessions(&self) -> u64 {
        self.sum(|shard| shard.sessions.value())
    }

    fn sum(&self, read: impl Fn(&ShardMetrics) -> u64) -> u64 {
        self.metrics.iter().map(|shard| read(shard)).sum()
    }

    fn now(&self) -> Before {
        let ended = std::array::from_fn(|reason| self.sum(|shard| shard.ended[reason].value()));
        let refused = |shard: &ShardMetrics| shard.refused.iter().map(|count| count.value()).sum();
        Before {
            at: Instant::now(),
            sessions: self.sessions(),
            opened: self.sum(|shard| shard.opened.value()),
            refused: self.sum(refused),
            ended,
        }
    }

    /// The sum of the drain, for its last line in the log.
    pub(crate) fn summary(&self) -> Option<String> {
        let before = self.before.get()?;
        let now = self.now();
        let took = rounded(before.at.elapsed());
        let ended: Vec<_> = EndReason::ALL
            .iter()
            .enumerate()
            .map(|(index, reason)| (now.ended[index] - before.ended[index], reason.label()))
            .filter(|(count, _)| *count > 0)
            .map(|(count, label)| format!("{label} {count}"))
            .collect();
        let ended = match ended.is_empty() {
            true => "none".to_owned(),
            false => ended.join(", "),
        };
        Some(format!(
            "drained in {took}; sessions at the signal: {}, opened since: {}, ended since: {ended}, \
             left: {}; connections refused since: {}",
            before.sessions,
            now.opened - before.opened,
            now.sessions,
            now.refused - before.refused
        ))
    }
}

/// A time in whole seconds, or in milliseconds where it is short.
fn rounded(time: Duration) -> String {
    let unit = match time.as_secs() {
        0 => Duration::from_millis(1),
        _ => Duration::from_millis(100),
    };
    let units = time.as_millis() / unit.as_millis();
    show_time(unit * u32::try_from(units).unwrap_or(u32::MAX))
}

/// Lets a server that is unready drain when `delay` is over, and logs how far its drain
/// has come, on a thread of its own.
pub(crate) fn watch(handle: &ServerHandle, delay: Duration) {
    let watched = handle.clone();
    let thread = thread::Builder::new()
        .name("drain".to_owned())
        .spawn(move || {
            if !watched.lifecycle().wait_for(Phase::Draining, delay) {
                watched.end_delay();
            }
            log_progress(&watched);
        });
    if let Err(error) = thread {
        tracing::warn!("the drain begins at once and is not told of: no thread for it: {error}");
        handle.end_delay();
    }
}

fn log_progress(handle: &ServerHandle) {
    let lifecycle = handle.lifecycle();
    let Some(start) = lifecycle.drain_start() else {
        return;
    };
    while !lifecycle.wait_for(Phase::Stopped, LOG_INTERVAL) {
        let left = handle.course().sessions();
        let passed = start.at.elapsed().as_secs();
        tracing::info!(
            "draining: {left} of {} sessions left after {passed}s",
            start.sessions
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_counts_from_the_beginning_of_the_drain() {
        let metrics: Vec<_> = (0..2).map(|_| Arc::new(ShardMetrics::default())).collect();
        let course = DrainCourse::new(metrics.clone());
        metrics[0].end(EndReason::Idle);
        metrics[0].opened.add(9);
        metrics[1].sessions.set(7);
        assert_eq!(course.summary(), None);
        course.begin();
        metrics[0].end(EndReason::Drained);
        metrics[1].end(EndReason::Drained);
        metrics[1].end(EndReason::PeerClosed);
        metrics[0].opened.add(1);
        metrics[1].sessions.set(5);
        let summary = course.summary().unwrap();
        let (took, rest) = summary.split_once("; ").unwrap();
        assert!(took.starts_with("drained in "), "{summary}");
        assert_eq!(
            rest,
            "sessions at the signal: 7, opened since: 1, ended since: peer_closed 1, drained 2, \
             left: 5; connections refused since: 0"
        );
    }

    #[test]
    fn times_are_rounded_as_people_read_them() {
        for (millis, text) in [(7, "7ms"), (1_234, "1s 200ms"), (12_000, "12s")] {
            assert_eq!(rounded(Duration::from_millis(millis)), text);
        }
    }
}
