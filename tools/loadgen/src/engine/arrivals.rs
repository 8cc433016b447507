//! When connections are to begin.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How connections arrive.
#[derive(Debug, Clone)]
pub enum Pace {
    /// As fast as they can be opened: so many at a time, all threads together.
    Maximum {
        /// Handshakes under way at one time.
        parallel: usize,
    },
    /// In batches, each of which begins no sooner than `pause` after the one
    /// before it was answered.
    Batches {
        /// Connections in a batch, all threads together.
        size: u64,
        /// The pause.
        pause: Duration,
    },
    /// At times of their own, however long the server takes.
    Planned(PlannedTimes),
}

/// Begins a series of planned times: nanoseconds since the first, in order.
/// Every thread begins the same series and takes its share of it, so it must be
/// the same each time.
#[derive(Clone)]
pub struct PlannedTimes(Arc<dyn Fn() -> Box<dyn Iterator<Item = u64>> + Send + Sync>);

impl PlannedTimes {
    /// From a function that begins the series.
    pub fn new<I: Iterator<Item = u64> + 'static>(
        begin: impl Fn() -> I + Send + Sync + 'static,
    ) -> Self {
        PlannedTimes(Arc::new(move || Box::new(begin())))
    }
}

impl fmt::Debug for PlannedTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlannedTimes")
    }
}

/// One thread's share of the connections that are to be opened.
pub(super) struct Arrivals {
    thread: u64,
    threads: u64,
    /// How many this thread has begun.
    begun: u64,
    /// How many it is to begin.
    share: u64,
    /// Handshakes this thread may have under way.
    window: usize,
    schedule: Schedule,
}

enum Schedule {
    Maximum,
    Batches {
        size: u64,
        pause: u64,
        left: u64,
        not_before: u64,
    },
    Planned {
        /// This thread's share of the series.
        times: Box<dyn Iterator<Item = u64>>,
        /// The time the series counts from: this thread's first turn.
        began: Option<u64>,
        /// The next one, since then; `None` after the last.
        next: Option<u64>,
    },
}

impl Arrivals {
    pub(super) fn new(pace: &Pace, connections: u64, thread: usize, threads: usize) -> Self {
        let (thread, threads) = (thread as u64, threads as u64);
        let part = |whole: u64| whole / threads + u64::from(thread < whole % threads);
        let window = match pace {
            Pace::Maximum { parallel } => part(*parallel as u64).max(1) as usize,
            _ => usize::MAX,
        };
        let schedule = match pace {
            Pace::Maximum { .. } => Schedule::Maximum,
            Pace::Batches { size, pause } => Schedule::Batches {
                size: part(*size).max(1),
                pause: pause.as_nanos() as u64,
                left: part(*size).max(1),
                not_before: 0,
            },
            Pace::Planned(PlannedTimes(begin)) => {
                let mut times = begin().skip(thread as usize).step_by(threads as usize);
                Schedule::Planned {
                    next: times.next(),
                    times: Box::new(times),
                    began: None,
                }
            }
        };
        Arrivals {
            thread,
            threads,
            begun: 0,
            share: part(connections),
            window,
            schedule,
        }
    }

    /// Connections this thread will hold at most.
    pub(super) fn share(&self) -> u64 {
        self.share
    }

    /// Whether none will come any more.
    pub(super) fn is_exhausted(&self) -> bool {
        self.begun >= self.share || matches!(&self.schedule, Schedule::Planned { next: None, .. })
    }

    /// Begins none any more.
    pub(super) fn stop(&mut self) {
        self.share = self.begun;
    }

    /// The next connection that is due, with the time it was planned for.
    pub(super) fn take_due(&mut self, now: u64, opening: usize) -> Option<(u32, u64)> {
        if self.is_exhausted() || opening >= self.window {
            return None;
        }
        let planned = match &mut self.schedule {
            Schedule::Maximum => now,
            Schedule::Batches {
                size,
                pause,
                left,
                not_before,
            } => {
                if *left == 0 {
                    if opening > 0 {
                        return None;
                    }
                    *left = *size;
                    *not_before = now + *pause;
                }
                if now < *not_before {
                    return None;
                }
                *left -= 1;
                now
            }
            Schedule::Planned { times, began, next } => {
                let planned = *began.get_or_insert(now) + (*next)?;
                if planned > now {
                    return None;
                }
                *next = times.next();
                planned
            }
        };
        let number = self.begun * self.threads + self.thread;
        self.begun += 1;
        Some((number as u32, planned))
    }

    /// When the next connection is due, if that is a matter of time alone.
    pub(super) fn next_time(&self, opening: usize) -> Option<u64> {
        if self.is_exhausted() {
            return None;
        }
        match &self.schedule {
            Schedule::Maximum => None,
            Schedule::Batches {
                left, not_before, ..
            } => (opening == 0 || *left > 0).then_some(*not_before),
            Schedule::Planned { began, next, .. } => Some((*began)? + (*next)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn planned_arrivals_of_all_threads_are_the_series() {
        let times: Vec<u64> = (0..10).map(|k| k * k * SECOND).collect();
        let series = times.clone();
        let pace = Pace::Planned(PlannedTimes::new(move || series.clone().into_iter()));
        let mut all = Vec::new();
        for thread in 0..3 {
            let mut arrivals = Arrivals::new(&pace, 1_000, thread, 3);
            for now in 0..100 {
                while let Some(due) = arrivals.take_due(now * SECOND, 0) {
                    all.push(due);
                }
            }
            assert!(arrivals.is_exhausted());
        }
        all.sort_unstable();
        let expected: Vec<(u32, u64)> = (0..).zip(times).collect();
        assert_eq!(all, expected);
    }

    #[test]
    fn batches_wait_for_their_answers_and_the_pause() {
        let pause = Duration::from_secs(1);
        let mut arrivals = Arrivals::new(&Pace::Batches { size: 2, pause }, 5, 0, 1);
        let mut due = |now, opening| arrivals.take_due(now, opening).is_some();
        assert!(due(0, 0) && due(0, 1));
        assert!(!due(10, 2), "the batch is full");
        assert!(!due(20, 0), "the pause begins when the batch is answered");
        assert!(!due(SECOND, 0) && due(SECOND + 20, 0) && due(SECOND + 20, 1));
    }

    #[test]
    fn every_number_comes_once_at_full_speed() {
        let pace = Pace::Maximum { parallel: 8 };
        let mut numbers: Vec<u32> = (0..3)
            .flat_map(|thread| {
                let mut arrivals = Arrivals::new(&pace, 10, thread, 3);
                std::iter::from_fn(move || arrivals.take_due(0, 0)).map(|due| due.0)
            })
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..10).collect::<Vec<_>>());
    }
}
