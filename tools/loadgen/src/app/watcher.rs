//! Looks at this host and at the server while a run goes on.

use std::time::{Duration, Instant};

use super::Error;
use super::setup::Setup;
use super::verdict::{Asked, Verdict};
use crate::diagnosis::{Evidence, Seen};
use crate::engine::{Observer, Phase, Plan};
use crate::host::stats::{ServerStats, StatsClient, discover};
use crate::host::{Look, Usage, Watch, find_server, is_local};
use crate::live::LivePage;
use crate::outcome::{Outcome, Sample, ServerResources};
use crate::progress::{Progress, ProgressPlan};

/// How long the server's count of messages may stand still before it is taken
/// as final.
const STANDSTILL: Duration = Duration::from_millis(500);
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// The observer of a run.
pub(super) struct Watcher {
    asked: Asked,
    evidence: Evidence,
    watch: Watch,
    stats: Option<StatsClient>,
    progress: Progress,
    live: Option<LivePage>,
    /// Before the first connection.
    first: Look,
    /// At the begin of the measured time.
    began: Option<Look>,
    last: Look,
    usage: Option<Usage>,
    messages_before: Option<u64>,
    confirmed: Option<u64>,
    client_memory: u64,
    kernel_memory: Option<u64>,
    server: Option<ServerResources>,
    soak: Vec<SoakPoint>,
    next_soak: Option<Instant>,
    timeout: Duration,
}

/// The values that a soak looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct SoakPoint {
    /// Seconds of the run.
    pub at: f64,
    pub sessions: Option<u64>,
    pub server_memory: Option<u64>,
    pub server_descriptors: Option<u64>,
    pub kernel_memory: Option<u64>,
    pub client_memory: u64,
}

impl Watcher {
    pub(super) fn new(
        setup: &Setup,
        plan: &Plan,
        asked: Asked,
        progress: &ProgressPlan,
    ) -> Result<Self, Error> {
        let output = &setup.output;
        let server = output.server_pid.or_else(|| find_server(&setup.addresses));
        if let Some(pid) = output.server_pid
            && !std::path::Path::new(&format!("/proc/{pid}")).exists()
        {
            return Err(Error::msg(format!(
                "--server-pid: there is no process {pid}"
            )));
        }
        let stats = match &output.stats {
            Some(url) => {
                let stats = StatsClient::new(url);
                // Better to know now than after half an hour.
                stats
                    .fetch()
                    .map_err(|error| Error::msg(format!("--stats: {error}")))?;
                Some(stats)
            }
            None => discover(&setup.addresses),
        };
        let live = match output.live {
            Some(address) => {
                let live = LivePage::start(address)
                    .map_err(|error| Error::msg(format!("--live: {error}")))?;
                eprintln!("corecast-load: live page at http://{}/", live.address());
                Some(live)
            }
            None => None,
        };
        let watch = Watch::new(server);
        let first = watch.look();
        let mut seen = Seen::default();
        seen.take(&first);
        let evidence = Evidence {
            limits: setup.limits.clone(),
            sources: plan.dialing.sources.len() as u64,
            targets: setup.addresses.len() as u64,
            local: setup.addresses.iter().any(|address| is_local(address.ip())),
            loopback: setup
                .addresses
                .iter()
                .all(|address| address.is_ipv4() && address.ip().is_loopback()),
            threads: plan.threads as u64,
            tables: plan.threads as u64,
            pinned: plan.cores.clone(),
            seen,
            at_maximum: asked.at_maximum,
            ..Evidence::default()
        };
        let server = first.server.as_ref().map(|server| ServerResources {
            pid: server.pid,
            name: server.name.clone(),
            memory_bytes: server.memory_bytes,
            memory_before_bytes: server.memory_bytes,
            ..ServerResources::default()
        });
        Ok(Watcher {
            asked,
            evidence,
            stats,
            progress: Progress::new(progress),
            live,
            last: first.clone(),
            client_memory: first.client_memory_bytes,
            first,
            began: None,
            watch,
            usage: None,
            messages_before: None,
            confirmed: None,
            kernel_memory: None,
            server,
            soak: Vec::new(),
            next_soak: None,
            timeout: plan.dialing.timeout,
        })
    }

    fn ask_server(&self) -> Option<ServerStats> {
        self.stats.as_ref()?.fetch().ok()
    }

    /// A look, from which the extremes of the run are kept.
    fn look(&mut self) -> Look {
        let look = self.watch.look();
        self.evidence.seen.take(&look);
        self.client_memory = self.client_memory.max(look.client_memory_bytes);
        if let (Some(server), Some(seen)) = (&mut self.server, &look.server) {
            server.memory_bytes = server.memory_bytes.max(seen.memory_bytes);
        }
        look
    }

    /// Waits until the server has counted all that was sent, or counts no further.
    fn confirm(&mut self, sent: u64) {
        let Some(before) = self.messages_before else {
            return;
        };
        let until = Instant::now() + self.timeout;
        let mut moved = Instant::now();
        while let Some(stats) = self.ask_server() {
            let counted = stats.messages_in.saturating_sub(before);
            if self.confirmed != Some(counted) {
                self.confirmed = Some(counted);
                moved = Instant::now();
            }
            let now = Instant::now();
            if counted >= sent || now > until || now > moved + STANDSTILL {
                return;
            }
            std::thread::sleep(ASK_AGAIN);
        }
    }

    fn take_soak_point(&mut self, at: f64, look: &Look, sessions: Option<u64>) {
        let Some((interval, _)) = self.asked.soak else {
            return;
        };
        let now = Instant::now();
        if self.began.is_none() || self.next_soak.is_some_and(|next| now < next) {
            return;
        }
        self.next_soak = Some(self.next_soak.unwrap_or(now) + interval);
        let server = look.server.as_ref();
        self.soak.push(SoakPoint {
            at,
            sessions,
            server_memory: server.map(|server| server.memory_bytes),
            server_descriptors: server.and_then(|server| server.descriptors),
            kernel_memory: look.kernel_memory_bytes,
            client_memory: look.client_memory_bytes,
        });
    }

    /// Adds the observations to the outcome, and the verdict.
    pub(super) fn finish(mut self, mut outcome: Outcome) -> Outcome {
        self.progress.finish();
        let last = self.watch.look();
        let usage = self.usage.take().unwrap_or_default();
        let resources = &mut outcome.resources;
        resources.client_memory_before_bytes = self.first.client_memory_bytes;
        resources.client_memory_bytes = self.client_memory;
        resources.kernel_memory_bytes = self.kernel_memory;
        resources.server = self.server.take().map(|server| ServerResources {
            cpu_seconds: usage.server_cpu_seconds().unwrap_or(0.0),
            busiest_thread: usage.busiest_server_thread().unwrap_or(0.0),
            ..server
        });
        outcome.messages.confirmed = self.confirmed;
        self.evidence.counters = last.since(&self.first).tcp;
        self.evidence.usage = usage;
        Verdict {
            asked: &self.asked,
            evidence: self.evidence,
            soak: &self.soak,
        }
        .pronounce(&mut outcome);
        if let Some(live) = &self.live {
            live.publish(&outcome);
            live.finish();
        }
        outcome
    }
}

impl Observer for Watcher {
    fn phase(&mut self, phase: Phase, outcome: &mut Outcome) {
        self.progress.phase(phase.describe());
        match phase {
            Phase::Opening => {
                if self.asked.confirms {
                    self.messages_before = self.ask_server().map(|stats| stats.messages_in);
                }
            }
            Phase::Warming => {}
            Phase::Measuring => self.began = Some(self.look()),
            Phase::Finishing => {
                let look = self.look();
                if let Some(began) = &self.began {
                    self.usage = Some(look.since(began));
                }
                let before = self.first.kernel_memory_bytes;
                self.kernel_memory = look
                    .kernel_memory_bytes
                    .zip(before)
                    .map(|(now, before)| now.saturating_sub(before));
            }
            Phase::Closing => self.confirm(outcome.messages.sent),
        }
    }

    fn sample(&mut self, sample: &mut Sample, outcome: &Outcome) {
        let look = self.look();
        let usage = look.since(&self.last);
        sample.cores = usage.cores;
        sample.server_cpu = usage.server_cpu;
        sample.client_memory_bytes = look.client_memory_bytes;
        sample.kernel_memory_bytes = look.kernel_memory_bytes;
        if let Some(server) = &look.server {
            sample.server_memory_bytes = Some(server.memory_bytes);
            sample.server_descriptors = server.descriptors;
        }
        sample.server_sessions = self.ask_server().map(|stats| stats.sessions);
        self.take_soak_point(sample.at, &look, sample.server_sessions);
        self.last = look;
        if let Some(live) = &self.live {
            live.publish(outcome);
        }
    }

    fn heard(&mut self, outcome: &Outcome) {
        self.progress.update(outcome);
    }
}
