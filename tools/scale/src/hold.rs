//! One size, held for minutes: heartbeats and broadcasts go on, and newcomers
//! must still be served.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use corecast_kit::host::stats::StatsClient;
use corecast_kit::outcome::Outcome;
use corecast_kit::{During, Error, Result};
use serde::{Deserialize, Serialize};

use crate::cli::HoldArgs;
use crate::contestant::{Contestant, Running};
use crate::newcomers::{self, Newcomer, Waits};
use crate::reading::Reading;
use crate::slabs::Cache;
use crate::{host, load, slabs};

/// Time between two looks at the server.
const LOOK: Duration = Duration::from_secs(5);
/// The silence after which the server pings a session, unless told otherwise.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// The results of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// The broadcasts.
    pub reading: Reading,
    /// How long all connections were held, in seconds.
    pub seconds: f64,
    /// Shards of the server.
    pub shards: u64,
    /// Deliveries that were due and came, each once and in order.
    pub deliveries: u64,
    /// Pings the server sent.
    pub pings: u64,
    /// Cores the server took while nothing but heartbeats went on.
    pub idle_server_cores: f64,
    /// The same of the load generator.
    pub idle_load_cores: f64,
    /// Newcomers while a broadcast was going on.
    pub during_broadcasts: Waits,
    /// Newcomers between broadcasts.
    pub between_broadcasts: Waits,
    /// The events that must not have happened, but did.
    pub failures: Vec<String>,
}

/// Holds the connections that were asked for; true if nothing went wrong.
///
/// # Errors
/// When the host does not allow it, connections or deliveries were lost, or a
/// file cannot be written.
pub fn run(args: &HoldArgs) -> Result<bool> {
    let cores = corecast_host::cpus::usable().len() as u64;
    let shards = host::shards_for(args.connections, host::descriptors()?, cores)?;
    let directory = &args.directory;
    fs::create_dir_all(directory).during(format!("making {}", directory.display()))?;
    let _files = host::FileMax::raise(args.connections)?;
    args.setup.prepare_network(args.connections)?;
    eprintln!(
        "{} connections to {shards} shards, held for {}, a broadcast every {}; both ends on this machine",
        args.connections,
        humantime::format_duration(args.hold),
        humantime::format_duration(args.publish_every),
    );
    let running = Contestant::Server.start(&args.setup, shards, &args.setup.server_arg)?;
    let (seen, kernel_caches) = slabs::watch(args.connections, || watch(args, &running));
    let held = judge(args, shards, seen?, kernel_caches)?;
    let path = directory.join("hold.json");
    let text = serde_json::to_string_pretty(&held).expect("figures are plain values");
    fs::write(&path, text).during(format!("writing {}", path.display()))?;
    println!("{}", summary(&held));
    println!(
        "Charts: {}/load.html  Figures: {}",
        directory.display(),
        path.display()
    );
    Ok(held.failures.is_empty())
}

/// The observations while the load ran.
struct Seen {
    outcome: Outcome,
    pings: u64,
    newcomers: Vec<Newcomer>,
    failures: Vec<String>,
}

fn watch(args: &HoldArgs, running: &Running) -> Result<Seen> {
    let rate = 1.0 / args.publish_every.as_secs_f64();
    let file = |name: &str| args.directory.join(name).display().to_string();
    let words = format!(
        "broadcast ws://{}/broadcast --subscribers {} --rate {rate} --duration {}s --warm-up 1s \
         --timeout 2m --close reset --report {} --csv {}",
        running.address,
        args.connections,
        args.hold.as_secs_f64(),
        file("load.html"),
        file("load.csv"),
    );
    let json = args.directory.join("load.json");
    let limit = args.hold + Duration::from_secs(120) + load::climb(args.connections);
    let stats = running
        .admin
        .map(|admin| StatsClient::new(&format!("http://{admin}")));
    let stats = stats.ok_or_else(|| Error::Usage("the server has no --admin".to_owned()))?;
    let (full, over) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        let load = scope.spawn(|| load::run(&args.setup.load, &words, running, &json, limit));
        let newcomers = scope.spawn(|| {
            while !full.load(Ordering::Relaxed) && !over.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(50));
            }
            newcomers::run(running.address, &over)
        });
        let began = Instant::now();
        let (mut pings, mut next) = (0, LOOK);
        while !load.is_finished() {
            // Not more often: asking takes the server's time, which is measured.
            thread::sleep(Duration::from_millis(500));
            // A server that is busy with both ends of everything may not answer in time.
            let Ok(now) = stats.fetch() else { continue };
            pings = pings.max(now.pings);
            if now.sessions >= args.connections {
                full.store(true, Ordering::Relaxed);
            } else if full.load(Ordering::Relaxed) {
                over.store(true, Ordering::Relaxed);
            }
            if began.elapsed() >= next {
                next += LOOK;
                eprintln!(
                    "{:>4.0} s: {} sessions, {} pings, {} deliveries",
                    began.elapsed().as_secs_f64(),
                    now.sessions,
                    now.pings,
                    now.deliveries
                );
            }
        }
        over.store(true, Ordering::Relaxed);
        let outcome = load.join().expect("starting a program does not panic");
        let (newcomers, failures) = newcomers.join().expect("newcomers do not panic");
        Ok(Seen {
            outcome: outcome?,
            pings,
            newcomers,
            failures,
        })
    })
}

fn judge(args: &HoldArgs, shards: u64, seen: Seen, kernel_caches: Vec<Cache>) -> Result<Held> {
    let Seen {
        outcome,
        pings,
        newcomers,
        mut failures,
    } = seen;
    let reading = Reading::of(Contestant::Server, &outcome, kernel_caches)
        .ok_or_else(|| Error::Process("the load generator did not see the server".to_owned()))?;
    // The load leaves at the end, and newcomers with it.
    failures.truncate(20);
    let silent = args.hold.as_secs_f64() / PING_INTERVAL.as_secs_f64() - 2.0;
    let wanted = (silent.max(0.0) * args.connections as f64) as u64;
    if args.setup.server_arg.is_empty() && pings < wanted {
        failures.push(format!(
            "{pings} pings were sent, at least {wanted} were due"
        ));
    }
    let is_busy = |ms: u64| {
        let at = ms.saturating_sub(outcome.started_unix_ms) as f64 / 1e3;
        outcome.series.iter().any(|sample| {
            sample.received > 0 && (sample.at - sample.seconds..=sample.at).contains(&at)
        })
    };
    let (during, between): (Vec<&Newcomer>, Vec<&Newcomer>) = newcomers
        .iter()
        .partition(|newcomer| is_busy(newcomer.planned_unix_ms));
    let quiet: Vec<_> = outcome
        .series
        .iter()
        .filter(|sample| {
            sample.connected >= args.connections && sample.received == 0 && sample.opened == 0
        })
        .collect();
    let mean = |figures: Vec<f64>| figures.iter().sum::<f64>() / figures.len().max(1) as f64;
    Ok(Held {
        seconds: outcome.messages.seconds,
        shards,
        deliveries: outcome
            .deliveries
            .as_ref()
            .map_or(0, |deliveries| deliveries.received),
        pings,
        idle_server_cores: mean(
            quiet
                .iter()
                .filter_map(|sample| sample.server_cpu)
                .collect(),
        ),
        idle_load_cores: mean(quiet.iter().map(|sample| sample.client_cpu).collect()),
        during_broadcasts: Waits::of(during.into_iter()),
        between_broadcasts: Waits::of(between.into_iter()),
        failures,
        reading,
    })
}

fn summary(held: &Held) -> String {
    let reading = &held.reading;
    let ms = |micros: u64| micros as f64 / 1e3;
    let waits = |waits: &Waits| {
        format!(
            "{} newcomers, opened in {:.1} ms (99 %: {:.1}), echo in {:.2} ms (99 %: {:.1}, longest {:.1})",
            waits.count,
            ms(waits.open_p50_micros),
            ms(waits.open_p99_micros),
            ms(waits.echo_p50_micros),
            ms(waits.echo_p99_micros),
            ms(waits.echo_max_micros),
        )
    };
    let verdict = match held.failures.as_slice() {
        [] => {
            "passed: every connection was held and had every publication once and in order".into()
        }
        failures => format!("FAILED: {}", failures.join("; ")),
    };
    format!(
        "{} connections, opened at {:.0}/s, held for {:.0} s on {} shards\n\
         {} publications, {} deliveries, last subscriber after {:.1} s, {:.2} µs of server time each \
         (load {:.2})\n\
         {} pings; with heartbeats alone the server took {:.2} cores, the load {:.2}\n\
         per connection: server {:.0} B, load {:.0} B, kernel {:.0} B for both ends\n\
         during broadcasts: {}\n\
         between them: {}\n\
         {verdict}",
        reading.connections,
        reading.opened_per_second,
        held.seconds,
        held.shards,
        reading.publications,
        held.deliveries,
        reading.last_seconds,
        reading.server_micros,
        reading.load_micros,
        held.pings,
        held.idle_server_cores,
        held.idle_load_cores,
        reading.server_bytes,
        reading.load_bytes,
        reading.kernel_bytes,
        waits(&held.during_broadcasts),
        waits(&held.between_broadcasts),
    )
}
