//! A thread of the generator: its descriptor table, its core, its runtime, and
//! the loop that turns.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Barrier};

use corecast::plane::ResolvedDriver;
use corecast::runtime::{Runtime, Unavailable, make_plane};
use corecast::sys;
use monoio::net::TcpStream;

use super::arrivals::{Arrivals, Pace};
use super::net::{Dialing, Net};
use super::report::Report;
use super::scenario::Scenario;
use super::shared::Shared;
use super::worker::{Status, TIMER_KEY, Worker};
use crate::sys::{Timer, thread_cpu_nanos};

/// What a thread needs to begin.
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
        let parted = sys::unshare_files();
        self.parted.wait();
        if let Err(error) = parted {
            tracing::debug!("all threads share one descriptor table: {error}");
        }
        let prepared = self.prepare(make);
        match prepared {
            Ok((mut runtime, worker, wake)) => {
                ready(Ok(()));
                runtime.block_on(turn_until_finished(worker, wake));
            }
            Err(error) => ready(Err(error)),
        }
    }

    fn prepare<S: Scenario>(
        self,
        make: impl FnOnce(usize) -> S,
    ) -> Result<(Runtime, Worker<S>, OwnedFd), StartError> {
        let runtime = Runtime::new(self.driver)?;
        let event = Arc::clone(self.shared.waker(self.thread).event());
        let mut plane = make_plane(self.driver, event)?;
        let wake = plane.wake_fd()?;
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
        let worker = Worker {
            scenario: make(self.thread),
            net,
            arrivals,
            timer,
            reports: self.reports,
            timer_set: 0,
            reported_until: 0,
            reported_cpu: thread_cpu_nanos(),
            reported_status: Status::default(),
        };
        Ok((runtime, worker, wake))
    }
}

/// Turns while there is work, and waits for the plane in between.
async fn turn_until_finished<S: Scenario>(mut worker: Worker<S>, wake: OwnedFd) {
    let wake = match TcpStream::from_std(wake.into()) {
        Ok(wake) => wake,
        Err(error) => return tracing::error!("a thread ends because it cannot wait: {error}"),
    };
    let waker = Arc::clone(worker.net.shared.waker(worker.net.thread));
    loop {
        waker.begin();
        let more = match worker.turn() {
            Ok(more) => more,
            Err(error) => {
                return tracing::error!("a thread ends because its session plane failed: {error}");
            }
        };
        if worker.is_finished() {
            return;
        }
        if more || worker.net.table.plane().looks_ready() {
            continue;
        }
        waker.event().drain();
        if worker.net.table.plane().looks_ready() || !waker.try_park() {
            continue;
        }
        // That it became readable is all there is to know.
        let _ = wake.readable(false).await;
    }
}

/// Why a thread could not begin.
#[derive(Debug)]
pub enum StartError {
    /// The host gives no ring, or no epoll.
    Driver(Unavailable),
    /// Descriptors or memory ran out.
    Io(io::Error),
}

impl From<Unavailable> for StartError {
    fn from(unavailable: Unavailable) -> Self {
        StartError::Driver(unavailable)
    }
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        StartError::Io(error)
    }
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StartError::Driver(unavailable) => unavailable.fmt(f),
            StartError::Io(error) => write!(
                f,
                "a thread of the generator cannot begin: {error}; raise the limit with 'ulimit -n', \
                 or use fewer --threads"
            ),
        }
    }
}

impl std::error::Error for StartError {}
