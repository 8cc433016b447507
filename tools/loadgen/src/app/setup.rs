//! The settings that all scenarios share, resolved: servers, addresses,
//! threads, arrival.

use std::net::SocketAddr;
use std::time::Duration;

use corecast::config::Driver;
use corecast::plane::{ResolvedDriver, resolve_driver};
use corecast_host::cpus;
use corecast_host::{Limits, Root, tables};

use super::Error;
use crate::cli::{
    ArrivalArg, ArrivalArgs, CloseArg, DriverArg, EngineArgs, HandshakeArgs, OutputArgs,
};
use crate::engine::{Dialing, Pace, Plan, PlannedTimes};
use crate::host;
use crate::outcome::{Outcome, Setting};
use crate::script::{Arrival, Arrivals};
use crate::sources::comfortable;
use crate::target::{Target, check_header, probe};

/// Ports of a source address, where the kernel does not say.
const DEFAULT_PORTS: u64 = 28_232;

/// The settings of a run besides its scenario.
pub(super) struct Setup {
    pub dialing: Dialing,
    /// The targets, as they were written.
    pub urls: Vec<String>,
    pub addresses: Vec<SocketAddr>,
    pub threads: usize,
    /// Cores the threads are pinned to.
    pub cores: Vec<usize>,
    pub driver: ResolvedDriver,
    pub limits: Limits,
    pub output: OutputArgs,
    pub settings: Vec<Setting>,
}

impl Setup {
    /// Resolves it, and tries one connection to each server.
    pub(super) fn new(
        urls: &[String],
        handshake: &HandshakeArgs,
        engine: &EngineArgs,
        output: &OutputArgs,
        connections: u64,
    ) -> Result<Self, Error> {
        let targets = urls
            .iter()
            .map(|url| Target::parse(url).map_err(Error::msg))
            .collect::<Result<Vec<_>, _>>()?;
        let mut headers = headers(&handshake.headers)?;
        if let Some(name) = &handshake.subprotocol
            && check_header(name, "").is_err()
        {
            return Err(Error::msg(format!(
                "--subprotocol '{name}' is not a name: it has characters that no name has"
            )));
        }
        for target in &targets {
            probe(
                target,
                None,
                &headers,
                handshake.subprotocol.as_deref(),
                engine.timeout(),
            )
            .map_err(Error::msg)?;
        }
        // From here on it is a header like the others.
        if let Some(name) = &handshake.subprotocol {
            headers.push(("Sec-WebSocket-Protocol".to_owned(), name.clone()));
        }
        if connections > u64::from(u32::MAX) {
            return Err(Error::msg(format!(
                "{connections} connections are too many"
            )));
        }

        // If it cannot be raised, the present limit counts.
        let descriptors = corecast::sys::raise_descriptor_limit().unwrap_or(1_024);
        let limits = Limits::read(&Root::default());
        let addresses: Vec<SocketAddr> = targets.iter().map(Target::address).collect();
        let mut distinct = addresses.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let ports = limits
            .ports
            .as_ref()
            .map_or(DEFAULT_PORTS, |ports| u64::from(ports.usable()));
        let cores = cores(engine.cpus.as_deref())?;
        let threads = match engine.threads {
            Some(threads) => threads,
            None => {
                let one_per_core = cores.len().max(1) as u64;
                tables::threads_for(connections, descriptors, one_per_core)
                    .unwrap_or_else(|| tables::best(descriptors).max(one_per_core))
            }
        };
        // A thread without connections would never send its part of the messages.
        let threads = threads.min(connections.max(1));
        let sources = engine
            .sources
            .resolve(&distinct, whole_shares(connections, threads, ports), ports)
            .map_err(Error::msg)?;
        let driver = resolve_driver(match engine.driver {
            DriverArg::Auto => Driver::Auto,
            DriverArg::Uring => Driver::Uring,
            DriverArg::Epoll => Driver::Epoll,
        })
        .map_err(Error::msg)?;

        let mut setup = Setup {
            dialing: Dialing {
                targets,
                sources,
                headers,
                timeout: engine.timeout(),
                users_per_room: 0,
                close_frames: engine.close == CloseArg::Frame,
            },
            urls: urls.to_vec(),
            addresses: distinct,
            threads: threads as usize,
            cores,
            driver,
            limits,
            output: output.clone(),
            settings: Vec::new(),
        };
        setup.set("Connections", connections);
        setup.set("Threads", threads);
        setup.set("Driver", driver.as_str());
        if !setup.dialing.sources.is_empty() {
            setup.set("Source addresses", setup.dialing.sources.len());
        }
        Ok(setup)
    }

    /// Notes a setting for the report.
    pub(super) fn set(&mut self, name: &str, value: impl ToString) {
        self.settings.push(Setting {
            name: name.to_owned(),
            value: value.to_string(),
        });
    }

    /// Notes a time for the report.
    pub(super) fn set_time(&mut self, name: &str, time: Duration) {
        self.set(name, humantime::format_duration(time));
    }

    /// How connections arrive.
    pub(super) fn pace(&self, args: &ArrivalArgs) -> Pace {
        match (args.batch, args.arrival_rate) {
            (Some(size), _) => Pace::Batches {
                size,
                pause: args.pause,
            },
            (None, Some(rate)) => planned(rate, args.arrival),
            (None, None) => Pace::Maximum {
                parallel: args
                    .parallel
                    .map_or((64 * self.threads).max(256), |parallel| parallel as usize),
            },
        }
    }

    /// A plan that opens `connections` first and then runs for `measured`.
    pub(super) fn plan(
        &mut self,
        connections: u64,
        pace: Pace,
        measured: Option<Duration>,
    ) -> Plan {
        let dialing = Dialing {
            targets: std::mem::take(&mut self.dialing.targets),
            sources: std::mem::take(&mut self.dialing.sources),
            headers: std::mem::take(&mut self.dialing.headers),
            ..self.dialing
        };
        Plan {
            patience: dialing.timeout,
            dialing,
            connections,
            pace,
            threads: self.threads,
            cores: self.cores.clone(),
            driver: self.driver,
            opens_first: true,
            warm_up: Duration::ZERO,
            measured,
            publishers: 0,
        }
    }

    /// An outcome that knows what was asked for, and nothing else yet.
    pub(super) fn outcome(&mut self, scenario: &str) -> Outcome {
        Outcome {
            command: std::env::args().collect(),
            targets: self.urls.clone(),
            settings: std::mem::take(&mut self.settings),
            machines: vec![host::machine(self.threads)],
            ..Outcome::new(scenario)
        }
    }
}

/// Connections at a rate.
pub(super) fn planned(rate: f64, arrival: ArrivalArg) -> Pace {
    let arrival = match arrival {
        ArrivalArg::Exponential => Arrival::Exponential,
        ArrivalArg::Even => Arrival::Even,
    };
    let seed = rand::random();
    Pace::Planned(PlannedTimes::new(move || {
        Arrivals::new(rate, arrival, seed)
    }))
}

/// So many connections that each thread has source addresses of its own. Two
/// threads with one address would search the same ports.
fn whole_shares(connections: u64, threads: u64, ports: u64) -> u64 {
    let per_source = comfortable(ports);
    if connections <= per_source {
        return connections;
    }
    let sources = connections.div_ceil(threads).div_ceil(per_source);
    sources * per_source * threads
}

fn headers(lines: &[String]) -> Result<Vec<(String, String)>, Error> {
    lines
        .iter()
        .map(|line| {
            let (name, value) = line.split_once(':').ok_or_else(|| {
                Error::msg(format!(
                    "--header '{line}' is not of the form 'Name: value'"
                ))
            })?;
            let (name, value) = (name.trim(), value.trim());
            check_header(name, value)
                .map_err(|error| Error::msg(format!("--header '{line}': {error}")))?;
            Ok((name.to_owned(), value.to_owned()))
        })
        .collect()
}

/// The cores to pin to: those listed, or all this process may use.
fn cores(list: Option<&str>) -> Result<Vec<usize>, Error> {
    let usable = cpus::usable();
    let Some(list) = list else {
        return Ok(usable);
    };
    let listed = cpus::parse(list).map_err(|error| Error::msg(format!("--cpus: {error}")))?;
    match listed.iter().find(|core| !usable.contains(core)) {
        None => Ok(listed),
        Some(core) => {
            let first = usable.first().copied().unwrap_or(0);
            let last = usable.last().copied().unwrap_or(0);
            Err(Error::msg(format!(
                "--cpus: this process may not use core {core}; it may use those from {first} to {last}"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_cores_say_what_is_wrong() {
        assert!(headers(&["X-A: b".into()]).is_ok());
        assert!(
            headers(&["nonsense".into()])
                .unwrap_err()
                .to_string()
                .contains("nonsense")
        );
        assert!(cores(Some("0")).is_ok());
        assert!(
            cores(Some("0-99999"))
                .unwrap_err()
                .to_string()
                .contains("0-99999")
        );
        assert!(cores(Some("x")).is_err());
    }
}
