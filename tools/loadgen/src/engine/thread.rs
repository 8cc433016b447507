//! A thread of the generator: its descriptor table, its core, and its worker.

use std::cell::RefCell;
use std::io;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use corecast::plane::ResolvedDriver;
use corecast::runtime::run::{Waiting, run_alone};
use corecast::runtime::{Unavailable, make_plane};
use corecast::sys;

use super::arrivals::{Arrivals, Pace};
use super::net::{Dialing, Net};
use super::report::Report;
use super::scenario::Scenario;
use super::shared::Shared;
use super::worker::{Status, TIMER_KEY, Worker};
use crate::sys::{Timer, thread_cpu_nanos};

/// The values with which a thread begins.
pub(super) struct Starter {
    pub thread: usize,
    pub core: Option<usize>,
    pub driver: ResolvedDriver,
    pub shared: Arc<Shared>,
    pub dialing: Arc<Dialing>,
    pub pace: Pace,
    pub connections: u64,
    pub reports: Sender<Report>,
    /// All threads part with the process's descriptor table before any opens
    /// a socket, so that no table holds another's.
    pub parted: Arc<Barrier>,
}

impl Starter {
    /// Runs the thread's part. Says through `ready` whether it could begin.
    pub(super) fn run<S: Scenario>(
        self,
        make: impl FnOnce(usize) -> S,
        ready: impl FnOnce(Result<(), StartError>),
    ) {
        if let Some(core) = self.core {
            // Unpinned it works too, only less steadily.
            core_affinity::set_for_current(core_affinity::CoreId { id: core });
        }
        // SAFETY: the thread uses only descriptors that it opens itself, and the wake
        // events, which were made before.
        let parted = unsafe { sys::unshare_files() };
        self.parted.wait();
        if let Err(error) = parted {
            tracing::debug!("all threads share one descriptor table: {error}");
        }
        let prepared = self.prepare(make);
        match prepared {
            Ok(worker) => {
                ready(Ok(()));
                turn_until_finished(worker);
            }
            Err(error) => ready(Err(error)),
        }
    }

    fn prepare<S: Scenario>(self, make: impl FnOnce(usize) -> S) -> Result<Worker<S>, StartError> {
        let event = Arc::clone(self.shared.waker(self.thread).event());
        let mut plane = make_plane(self.driver, event)?;
        let timer = Timer::new()?;
        plane.watch(timer.watched(), TIMER_KEY)?;
        let arrivals = Arrivals::new(
            &self.pace,
            self.connections,
            self.thread,
            self.shared.threads(),
        );
        let expected = usize::try_from(arrivals.share()).unwrap_or(0).min(1 << 20);
        let net = Net::new(self.thread, self.shared, self.dialing, plane, expected);
        Ok(Worker {
            scenario: make(self.thread),
            net,
            arrivals,
            timer,
            reports: self.reports,
            timer_set: 0,
            reported_until: 0,
            reported_cpu: thread_cpu_nanos(),
            reported_status: Status::default(),
        })
    }
}

/// Turns while there is work, and waits for the plane in between.
fn turn_until_finished<S: Scenario>(worker: Worker<S>) {
    let waker = Arc::clone(worker.net.shared.waker(worker.net.thread));
    let waiting = Waiting {
        waker: &waker,
        busy_poll: Duration::ZERO,
    };
    if let Err(error) = run_alone(&RefCell::new(worker), &waiting) {
        tracing::error!("a thread ends because its session plane failed: {error}");
    }
}

/// Why a thread could not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The host gives no ring, or no epoll.
    #[error(transparent)]
    Driver(#[from] Unavailable),
    /// Descriptors or memory ran out.
    #[error(
        "a thread of the generator cannot begin: {0}; raise the limit with 'ulimit -n', or use \
         fewer --threads"
    )]
    Io(#[from] io::Error),
}
