//! The run as a whole: threads are started and led from phase to phase, and
//! their reports are read.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use corecast::mesh::ShardWaker;
use corecast::plane::ResolvedDriver;
use corecast::sys::EventFd;

use super::arrivals::Pace;
use super::assembly::Assembly;
use super::net::Dialing;
use super::report::Report;
use super::scenario::Scenario;
use super::shared::{Phase, Shared};
use super::thread::{StartError, Starter};
use crate::outcome::Outcome;

/// How long the coordinator waits for a report before it looks at the clock.
const PATIENCE: Duration = Duration::from_millis(20);

/// The settings of a run.
#[derive(Debug)]
pub struct Plan {
    /// How connections are made.
    pub dialing: Dialing,
    /// How many there are to be.
    pub connections: u64,
    /// How they arrive.
    pub pace: Pace,
    /// Threads that hold them.
    pub threads: usize,
    /// Cores the threads are pinned to, in turn; none leaves them free.
    pub cores: Vec<usize>,
    /// io_uring or epoll.
    pub driver: ResolvedDriver,
    /// All connections are opened before anything is sent. Otherwise they
    /// arrive while the run is measured.
    pub opens_first: bool,
    /// Time for which messages flow but do not count.
    pub warm_up: Duration,
    /// Time for which they count; `None` until every thread is done.
    pub measured: Option<Duration>,
    /// How long to wait, at the end, for messages on their way.
    pub patience: Duration,
    /// Publishers whose publications every thread follows.
    pub publishers: usize,
}

impl Plan {
    /// The length of an interval of the series.
    pub fn sample_interval(&self) -> Duration {
        let short = self
            .measured
            .is_none_or(|measured| measured <= Duration::from_secs(30));
        Duration::from_millis(if short { 250 } else { 1_000 })
    }
}

/// Asks a run to end early, from a signal handler's thread for example.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Lets the run end: messages on their way are waited for, connections are
    /// closed.
    pub fn ask(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether a stop was asked for.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Why a run could not begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The operating system gave no descriptor or thread.
    #[error(
        "the generator cannot begin: {0}; raise the limit with 'ulimit -n' or 'ulimit -u', or use \
         fewer --threads"
    )]
    Io(#[from] io::Error),
    /// A thread could not begin.
    #[error(transparent)]
    Start(StartError),
    /// A thread has ended before its time; its log says why.
    #[error("a thread of the generator has failed")]
    ThreadLost,
}

/// Observes a run while it goes on.
pub trait Observer {
    /// A new phase has begun.
    fn phase(&mut self, _phase: Phase, _outcome: &mut Outcome) {}
    /// An interval is over; `sample` may be completed before it is kept.
    fn sample(&mut self, _sample: &mut crate::outcome::Sample, _outcome: &Outcome) {}
    /// A report has come. Called many times a second.
    fn heard(&mut self, _outcome: &Outcome) {}
}

/// Runs a scenario to its end. `outcome` brings the facts known beforehand,
/// such as the settings; `make` makes each thread's part of the scenario, by
/// the thread's number.
///
/// # Errors
/// When the host does not give what the run needs. Connections that fail are
/// no error; they are in the outcome.
pub fn run<S: Scenario>(
    plan: Plan,
    outcome: Outcome,
    make: impl Fn(usize) -> S + Sync,
    stop: &Stop,
    observer: &mut dyn Observer,
) -> Result<Outcome, RunError> {
    let threads = plan.threads.max(1);
    let wakers = (0..threads)
        .map(|_| Ok(Arc::new(ShardWaker::new(Arc::new(EventFd::new()?)))))
        .collect::<io::Result<Vec<_>>>()?;
    let shared = Arc::new(Shared::new(wakers, plan.publishers));
    let (reports, heard) = mpsc::channel();
    let (ready, started) = mpsc::channel();
    let parted = Arc::new(Barrier::new(threads));
    // A connection that arrives in a running run is started at once. The server
    // may greet it in the same moment, so no thread may still be in the phase
    // before.
    let first_running = match plan.warm_up.is_zero() {
        true => Phase::Measuring,
        false => Phase::Warming,
    };
    let mut phase = Phase::Opening;
    if !plan.opens_first {
        phase = first_running;
        shared.enter(phase);
    }
    let assembly = Assembly::new(outcome, threads, plan.sample_interval(), plan.opens_first);
    let coordinator = Coordinator {
        first_running,
        warm_up: plan.warm_up,
        measured: plan.measured,
        patience: plan.patience,
        shared: Arc::clone(&shared),
        assembly,
        stop,
        phase,
        since: Instant::now(),
    };
    let dialing = Arc::new(plan.dialing);
    let make = &make;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let starter = Starter {
                thread,
                core: (!plan.cores.is_empty()).then(|| plan.cores[thread % plan.cores.len()]),
                driver: plan.driver,
                shared: Arc::clone(&shared),
                dialing: Arc::clone(&dialing),
                pace: plan.pace.clone(),
                connections: plan.connections,
                reports: reports.clone(),
                parted: Arc::clone(&parted),
            };
            let ready = ready.clone();
            std::thread::Builder::new()
                .name(format!("load-{thread}"))
                .spawn_scoped(scope, move || {
                    starter.run(make, |result| drop(ready.send(result)));
                })?;
        }
        drop((reports, ready));
        let failed = started.iter().take(threads).find_map(Result::err);
        if let Some(error) = failed {
            shared.enter(Phase::Closing);
            return Err(RunError::Start(error));
        }
        coordinator.lead(&heard, observer)
    })
}

struct Coordinator<'s> {
    first_running: Phase,
    warm_up: Duration,
    measured: Option<Duration>,
    patience: Duration,
    shared: Arc<Shared>,
    assembly: Assembly,
    stop: &'s Stop,
    phase: Phase,
    since: Instant,
}

impl Coordinator<'_> {
    /// Reads reports and moves on, until all connections are closed.
    fn lead(
        mut self,
        heard: &Receiver<Report>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, RunError> {
        observer.phase(Phase::Opening, &mut self.assembly.outcome);
        if self.phase != Phase::Opening {
            self.since = Instant::now();
            observer.phase(self.phase, &mut self.assembly.outcome);
        }
        loop {
            match heard.recv_timeout(PATIENCE) {
                Ok(report) => {
                    for sample in self.assembly.take(report) {
                        self.keep(sample, observer);
                    }
                    observer.heard(&self.assembly.outcome);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.stop.is_asked() && self.phase < Phase::Finishing {
                self.assembly.outcome.interrupted = true;
                let next = match self.phase {
                    Phase::Opening => Phase::Closing,
                    _ => Phase::Finishing,
                };
                self.enter(next, observer);
            } else if let Some(next) = self.next_phase() {
                self.enter(next, observer);
            }
        }
        if !self.assembly.all(|status| status.gone) {
            return Err(RunError::ThreadLost);
        }
        for sample in self.assembly.last_samples() {
            self.keep(sample, observer);
        }
        Ok(self.assembly.outcome)
    }

    /// The phase to enter now, if it is time.
    fn next_phase(&self) -> Option<Phase> {
        let elapsed = self.since.elapsed();
        let all = |is: fn(super::worker::Status) -> bool| self.assembly.all(is);
        match self.phase {
            Phase::Opening if all(|status| status.arrived) => {
                match self.assembly.connected() {
                    // Without any connection, there is nothing to measure.
                    0 => Some(Phase::Closing),
                    _ => Some(self.first_running),
                }
            }
            Phase::Warming if elapsed >= self.warm_up => Some(Phase::Measuring),
            Phase::Measuring => {
                let over = self.measured.is_some_and(|measured| elapsed >= measured);
                (over || all(|status| status.done)).then_some(Phase::Finishing)
            }
            Phase::Finishing => {
                (elapsed >= self.patience || all(|status| status.settled)).then_some(Phase::Closing)
            }
            _ => None,
        }
    }

    fn enter(&mut self, phase: Phase, observer: &mut dyn Observer) {
        self.phase = phase;
        self.since = Instant::now();
        // The observer looks at the server before the server's connections are
        // closed.
        observer.phase(phase, &mut self.assembly.outcome);
        self.shared.enter(phase);
    }

    fn keep(&mut self, mut sample: crate::outcome::Sample, observer: &mut dyn Observer) {
        observer.sample(&mut sample, &self.assembly.outcome);
        self.assembly.keep(sample);
    }
}
