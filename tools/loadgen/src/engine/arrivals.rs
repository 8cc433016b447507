//! When connections are to begin.

use std::time::Duration;

use super::random::Random;

/// How connections arrive.
#[derive(Debug, Clone, PartialEq)]
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
    /// At rates of their own, however long the server takes: phases, one after
    /// the other.
    Phases(Vec<ArrivalPhase>),
}

/// A time in which connections arrive at one rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ArrivalPhase {
    /// Its length; `None` goes on until all connections have arrived.
    pub duration: Option<Duration>,
    /// Connections per second, all threads together.
    pub per_second: f64,
    /// At even distances rather than at random ones (a Poisson process).
    pub even: bool,
    /// The most connections that arrive in it, all threads together.
    pub most: Option<u64>,
}

/// One thread's share of the connections that are to be opened.
#[derive(Debug)]
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

#[derive(Debug)]
enum Schedule {
    Maximum,
    Batches {
        size: u64,
        pause: u64,
        left: u64,
        not_before: u64,
    },
    Phases {
        phases: Vec<ArrivalPhase>,
        /// Which one, when it began, when the last arrival was planned, and
        /// how many have arrived in it on this thread.
        current: usize,
        began: u64,
        last: u64,
        arrived: u64,
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
            Pace::Phases(phases) => Schedule::Phases {
                phases: phases.clone(),
                current: 0,
                began: 0,
                last: 0,
                arrived: 0,
                next: None,
            },
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
        self.begun >= self.share
            || matches!(&self.schedule, Schedule::Phases { phases, current, .. } if *current >= phases.len())
    }

    /// Begins none any more.
    pub(super) fn stop(&mut self) {
        self.share = self.begun;
    }

    /// The next connection that is due, with the time it was planned for.
    pub(super) fn take_due(
        &mut self,
        now: u64,
        opening: usize,
        random: &mut Random,
    ) -> Option<(u32, u64)> {
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
            Schedule::Phases { .. } => {
                let planned = self.planned(random)?;
                if planned > now {
                    return None;
                }
                if let Schedule::Phases {
                    next,
                    arrived,
                    last,
                    ..
                } = &mut self.schedule
                {
                    *next = None;
                    *last = planned;
                    *arrived += 1;
                }
                planned
            }
        };
        let number = self.begun * self.threads + self.thread;
        self.begun += 1;
        Some((number as u32, planned))
    }

    /// When the next connection is due, if that is a matter of time alone.
    pub(super) fn next_time(&mut self, opening: usize, random: &mut Random) -> Option<u64> {
        if self.is_exhausted() {
            return None;
        }
        match &self.schedule {
            Schedule::Maximum => None,
            Schedule::Batches {
                left, not_before, ..
            } => (opening == 0 || *left > 0).then_some(*not_before),
            Schedule::Phases { .. } => self.planned(random),
        }
    }

    /// The planned time of the next arrival of a schedule in phases.
    fn planned(&mut self, random: &mut Random) -> Option<u64> {
        let Schedule::Phases {
            phases,
            current,
            began,
            last,
            arrived,
            next,
        } = &mut self.schedule
        else {
            return None;
        };
        loop {
            if let Some(next) = *next {
                return Some(next);
            }
            let phase = phases.get(*current)?;
            let ends = phase
                .duration
                .map(|duration| *began + duration.as_nanos() as u64);
            let most = phase.most.map_or(u64::MAX, |most| {
                most / self.threads + u64::from(self.thread < most % self.threads)
            });
            // Nanoseconds between two arrivals on this thread.
            let gap = 1e9 * self.threads as f64 / phase.per_second;
            let planned = if phase.even {
                let first = gap * self.thread as f64 / self.threads as f64;
                *began + (first + gap * *arrived as f64) as u64
            } else {
                *last + random.exponential(gap) as u64
            };
            if *arrived >= most || ends.is_some_and(|ends| planned >= ends) {
                *began = ends.unwrap_or(planned);
                *last = *began;
                *current += 1;
                *arrived = 0;
                continue;
            }
            *next = Some(planned);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// All arrivals up to a time, of all threads, sorted.
    fn run(pace: &Pace, connections: u64, threads: usize, until: u64) -> Vec<(u32, u64)> {
        let mut all = Vec::new();
        for thread in 0..threads {
            let mut random = Random::from_seed(thread as u64 + 1);
            let mut arrivals = Arrivals::new(pace, connections, thread, threads);
            while let Some(due) = arrivals.take_due(until, 0, &mut random) {
                all.push(due);
            }
        }
        all.sort_by_key(|&(number, planned)| (planned, number));
        all
    }

    fn phase(seconds: u64, per_second: f64, even: bool) -> ArrivalPhase {
        ArrivalPhase {
            duration: Some(Duration::from_secs(seconds)),
            per_second,
            even,
            most: None,
        }
    }

    #[test]
    fn even_arrivals_of_all_threads_interleave() {
        let all = run(&Pace::Phases(vec![phase(1, 10.0, true)]), 1_000, 3, 9 * SECOND);
        let numbers: Vec<u32> = all.iter().map(|due| due.0).collect();
        assert_eq!(numbers, (0..10).collect::<Vec<_>>());
        for (place, (_, planned)) in all.iter().enumerate() {
            assert!(planned.abs_diff(place as u64 * SECOND / 10) < 1_000, "{all:?}");
        }
    }

    #[test]
    fn phases_follow_each_other_at_their_rates() {
        let pace = Pace::Phases(vec![phase(10, 100.0, false), phase(10, 1_000.0, false)]);
        let all = run(&pace, 1_000_000, 2, 100 * SECOND);
        let first = all.iter().filter(|due| due.1 < 10 * SECOND).count();
        let second = all.len() - first;
        assert!((900..1_100).contains(&first), "{first}");
        assert!((9_600..10_400).contains(&second), "{second}");
        assert!(all.iter().all(|due| due.1 < 20 * SECOND));
    }

    #[test]
    fn a_phase_ends_with_the_most_it_may_have() {
        let mut limited = phase(100, 1_000.0, true);
        limited.most = Some(7);
        assert_eq!(run(&Pace::Phases(vec![limited]), 100, 2, 500 * SECOND).len(), 7);
    }

    #[test]
    fn batches_wait_for_their_answers_and_the_pause() {
        let mut random = Random::from_seed(1);
        let pause = Duration::from_secs(1);
        let mut arrivals = Arrivals::new(&Pace::Batches { size: 2, pause }, 5, 0, 1);
        let mut due = |now, opening| arrivals.take_due(now, opening, &mut random).is_some();
        assert!(due(0, 0) && due(0, 1));
        assert!(!due(10, 2), "the batch is full");
        assert!(!due(20, 0), "the pause begins when the batch is answered");
        assert!(!due(SECOND, 0) && due(SECOND + 20, 0) && due(SECOND + 20, 1));
    }

    #[test]
    fn every_number_comes_once_at_full_speed() {
        let mut numbers: Vec<u32> = run(&Pace::Maximum { parallel: 8 }, 10, 3, 1)
            .iter()
            .map(|due| due.0)
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..10).collect::<Vec<_>>());
    }
}
