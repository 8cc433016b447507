//! The state that the threads of a run and their coordinator share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Instant;

use corecast::mesh::ShardWaker;
use strum::VariantArray;

/// The phase of a run. It only ever moves on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, VariantArray)]
#[repr(u8)]
pub enum Phase {
    /// Connections are opened.
    Opening,
    /// Messages flow, but do not count yet.
    Warming,
    /// Messages flow and count.
    Measuring,
    /// Nothing new is sent; messages on their way still count.
    Finishing,
    /// Connections are closed.
    Closing,
}

impl Phase {
    /// Whether messages are to be sent.
    pub fn is_running(self) -> bool {
        matches!(self, Phase::Warming | Phase::Measuring)
    }

    /// A word for people.
    pub fn describe(self) -> &'static str {
        match self {
            Phase::Opening => "opening connections",
            Phase::Warming => "warming up",
            Phase::Measuring => "measuring",
            Phase::Finishing => "waiting for what is on its way",
            Phase::Closing => "closing connections",
        }
    }
}

/// The state that all threads of a run see.
pub struct Shared {
    epoch: Instant,
    phase: AtomicU8,
    wakers: Vec<Arc<ShardWaker>>,
    /// How many publications each publisher has sent.
    published: Vec<AtomicU64>,
    /// The first publication of each publisher that belongs to the measurement.
    /// Apart from the others, because it is read with every delivery.
    measured_from: Vec<AtomicU64>,
    /// How many of them each thread's subscribers are done with.
    progress: Vec<AtomicU64>,
}

impl Shared {
    /// For threads that are woken by `wakers`, and `publishers` whose
    /// publications each of them follows.
    pub fn new(wakers: Vec<Arc<ShardWaker>>, publishers: usize) -> Self {
        Shared {
            epoch: Instant::now(),
            phase: AtomicU8::new(Phase::Opening as u8),
            progress: (0..wakers.len() * publishers)
                .map(|_| AtomicU64::new(0))
                .collect(),
            published: (0..publishers).map(|_| AtomicU64::new(0)).collect(),
            measured_from: (0..publishers).map(|_| AtomicU64::new(u64::MAX)).collect(),
            wakers,
        }
    }

    /// Nanoseconds since the run began.
    #[inline]
    pub fn now(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }

    /// The phase of the run.
    #[inline]
    pub fn phase(&self) -> Phase {
        Phase::VARIANTS[usize::from(self.phase.load(Ordering::Acquire))]
    }

    /// Moves on, and tells every thread.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
        for waker in &self.wakers {
            waker.notify();
        }
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        self.wakers.len()
    }

    /// The waker of a thread.
    pub fn waker(&self, thread: usize) -> &Arc<ShardWaker> {
        &self.wakers[thread]
    }

    /// Says how many publications `publisher` has sent.
    pub fn set_published(&self, publisher: usize, count: u64) {
        self.published[publisher].store(count, Ordering::Release);
    }

    /// How many publications `publisher` has sent.
    pub fn published(&self, publisher: usize) -> u64 {
        self.published[publisher].load(Ordering::Acquire)
    }

    /// Says that publication `sequence` of `publisher` and all after it belong
    /// to the measurement. To be said before it is sent: threads begin to
    /// measure at slightly different times, and all must agree on what counts.
    pub fn measure_from(&self, publisher: usize, sequence: u64) {
        self.measured_from[publisher].fetch_min(sequence, Ordering::Release);
    }

    /// Whether publication `sequence` of `publisher` belongs to the measurement.
    #[inline]
    pub fn is_measured(&self, publisher: usize, sequence: u32) -> bool {
        u64::from(sequence) >= self.measured_from[publisher].load(Ordering::Acquire)
    }

    /// How many publishers there are.
    pub fn publishers(&self) -> usize {
        self.published.len()
    }

    /// Says that the subscribers of `thread` are done with the first `count`
    /// publications of `publisher`, which lives on the thread `number % threads`.
    pub fn completed(&self, thread: usize, publisher: usize, count: u64) {
        self.progress[thread * self.published.len() + publisher].store(count, Ordering::Release);
        let home = publisher % self.threads();
        if home != thread {
            self.wakers[home].notify();
        }
    }

    /// How many publications of `publisher` all subscribers are done with.
    pub fn completed_everywhere(&self, publisher: usize) -> u64 {
        (0..self.threads())
            .map(|thread| {
                self.progress[thread * self.published.len() + publisher].load(Ordering::Acquire)
            })
            .min()
            .unwrap_or(0)
    }
}
