//! The bottleneck when the rate did not rise any further: the server, the load
//! generator, the cores they share, or none of these.

use super::Evidence;
use super::case::Case;
use super::words::{count, percent, rate};
use crate::host::{ThreadUsage, Usage};
use crate::outcome::Severity;

/// A thread or core as busy as this is full.
const FULL: f64 = 0.95;

/// A thread that others keep from its core now and then is full as well, if it
/// had the core for at least this share. Below, the others count.
const MOSTLY: f64 = 0.8;

/// Of full cores, the load generator has at least this share when they are
/// full because of it.
const MOST: f64 = 0.75;

/// A core with less than this to do has room for another thread.
const ROOM: f64 = 0.5;

/// Latency that grows to this many times its beginning is a queue that grows.
const GROWN: f64 = 2.0;

/// Stolen time above this share is worth a word.
const STOLEN: f64 = 0.05;

/// The bottleneck of the rate.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Bottleneck {
    /// The server was full.
    Server,
    /// The load generator was full, and the server was not, or is not seen.
    Client,
    /// Both are on the same full cores, so many of them.
    Shared(usize),
    /// Others took so much of the load generator's full cores, in cores.
    Others(f64),
    /// Neither was full.
    Nobody,
    /// The load generator had room, and the server is not seen.
    Unseen,
}

/// Whether it was the load generator, in a run that had reached a bound.
pub(super) fn is_the_client(evidence: &Evidence) -> bool {
    use Bottleneck::*;
    is_bounded(evidence) && matches!(of(evidence), Client | Shared(_) | Others(_))
}

/// Whether the rate was at its bound: it had none set, or missed the one it had.
fn is_bounded(evidence: &Evidence) -> bool {
    evidence.at_maximum || evidence.rate.as_ref().is_some_and(|rate| rate.missed())
}

fn of(evidence: &Evidence) -> Bottleneck {
    if server_is_full(evidence) {
        return Bottleneck::Server;
    }
    let usage = &evidence.usage;
    // Threads that are always on a core do not have to share one.
    let all_run = evidence.threads > 0 && usage.client_cpu >= evidence.threads as f64 * FULL;
    if all_run {
        return Bottleneck::Client;
    }
    if let Some(cores) = full_cores(evidence) {
        let count = cores.len() as f64;
        let rest = count - usage.client_cpu;
        if rest > count * (1.0 - MOST) {
            let server = server_cpu_on(&cores, usage);
            return match server >= rest / 2.0 {
                true => Bottleneck::Shared(cores.len()),
                false => Bottleneck::Others((rest - server).max(0.0)),
            };
        }
        return Bottleneck::Client;
    }
    if evidence.busiest_client_thread >= FULL {
        Bottleneck::Client
    } else if usage.server_cpu.is_some() {
        Bottleneck::Nobody
    } else {
        Bottleneck::Unseen
    }
}

fn server_is_full(evidence: &Evidence) -> bool {
    let usage = &evidence.usage;
    let cores = evidence
        .seen
        .server
        .as_ref()
        .map_or(0, |server| server.cores);
    let all = cores > 0
        && usage
            .server_cpu
            .is_some_and(|cpu| cpu >= cores as f64 * FULL);
    all || usage.server_threads.first().is_some_and(is_full)
}

/// Whether a thread always had something to do.
fn is_full(thread: &ThreadUsage) -> bool {
    thread.share >= FULL || thread.share >= MOSTLY && thread.share + thread.waited >= FULL
}

/// The cores that the load generator may use, if all of them were full.
fn full_cores(evidence: &Evidence) -> Option<Vec<usize>> {
    let all = &evidence.usage.cores;
    let mut cores: Vec<usize> = match evidence.pinned.as_slice() {
        [] => (0..all.len()).collect(),
        pinned => pinned.to_vec(),
    };
    cores.retain(|core| *core < all.len());
    let full = !cores.is_empty() && cores.iter().all(|core| all[*core] >= FULL);
    full.then_some(cores)
}

/// The server's share of the time of these cores, as far as its threads stayed
/// where they were last seen.
fn server_cpu_on(cores: &[usize], usage: &Usage) -> f64 {
    if cores.len() >= usage.cores.len() {
        return usage.server_cpu.unwrap_or(0.0);
    }
    let threads = usage.server_threads.iter();
    let there = threads.filter(|thread| cores.contains(&thread.core));
    there.map(|thread| thread.share).sum()
}

/// "while …", when a bottleneck was found; for sentences about messages that
/// came too late.
pub(super) fn meanwhile(evidence: &Evidence) -> String {
    match of(evidence) {
        Bottleneck::Nobody | Bottleneck::Unseen => String::new(),
        full => format!(", while {}", reason(full, evidence)),
    }
}

/// The busiest server thread, for people.
fn server_load(evidence: &Evidence) -> String {
    let usage = &evidence.usage;
    match usage.server_threads.first() {
        Some(busiest) if is_full(busiest) || usage.server_threads.len() == 1 => {
            let waited = match busiest.share >= FULL {
                true => String::new(),
                false => format!(
                    " and waited {} of the time for a core",
                    percent(busiest.waited)
                ),
            };
            let (name, share) = (&busiest.name, percent(busiest.share));
            format!("its busiest thread ({name}) was {share} busy{waited}")
        }
        _ => format!(
            "its threads took {:.2} cores",
            usage.server_cpu.unwrap_or(0.0)
        ),
    }
}

/// The reason for naming this bottleneck, with numbers.
fn reason(bottleneck: Bottleneck, evidence: &Evidence) -> String {
    let usage = &evidence.usage;
    let client = percent(evidence.busiest_client_thread);
    let server = usage.busiest_server_thread().map(percent);
    let own = usage.client_cpu;
    match bottleneck {
        Bottleneck::Server => {
            let load = server_load(evidence);
            format!("the server was full ({load}; the load generator's busiest {client})")
        }
        Bottleneck::Client => {
            let load = match evidence.busiest_client_thread >= FULL {
                true => format!("its busiest thread was {client} busy"),
                false => format!("its cores had no time left, of which it took {own:.2}"),
            };
            match server {
                Some(server) => format!(
                    "the load generator was full ({load}) and the server was not (its busiest \
                     thread was {server} busy)"
                ),
                None => format!("the load generator was full ({load})"),
            }
        }
        Bottleneck::Shared(cores) => format!(
            "the server and the load generator share {} (it took {own:.2} cores, the server {:.2})",
            count(cores as u64, "full core"),
            usage.server_cpu.unwrap_or(0.0),
        ),
        Bottleneck::Others(cores) => format!(
            "other programs or interrupts took {cores:.2} of the load generator's full cores \
             (it took {own:.2})"
        ),
        Bottleneck::Nobody => format!(
            "neither the load generator (busiest thread {client}) nor the server (busiest \
             thread {}) was full",
            server.unwrap_or_else(|| "unknown".into())
        ),
        Bottleneck::Unseen => format!(
            "the load generator was not full (busiest thread {client}), and the server cannot \
             be seen from here"
        ),
    }
}

fn remedy(bottleneck: Bottleneck, evidence: &Evidence) -> String {
    let idle = evidence.usage.cores.iter().filter(|share| **share < ROOM);
    let idle = idle.count() as u64;
    match bottleneck {
        Bottleneck::Server => {
            "Nothing to mend in the measurement; for more, give the server more cores or shards."
                .into()
        }
        Bottleneck::Client if idle > 0 => format!(
            "Use --threads {}, because {} of this host had room.",
            evidence.threads + idle,
            count(idle, "core")
        ),
        Bottleneck::Client => "Give the load generator more cores with as many --threads, or run \
                               it on more machines and merge their results."
            .into(),
        Bottleneck::Shared(_) => "Give each cores of its own (taskset -c, or the server's \
                                  --cpus), or run the load generator on another machine."
            .into(),
        Bottleneck::Others(_) => "Stop the other programs (top shows them), or run the load \
                                  generator on cores of its own."
            .into(),
        Bottleneck::Nobody if evidence.at_maximum => "Use more connections, or --pipeline for \
                                                      several messages on their way in each."
            .into(),
        Bottleneck::Nobody => {
            "Use more connections, so that each has less to send in its turn.".into()
        }
        Bottleneck::Unseen => "See on its host with top -H whether one of its threads is full; \
                               if none is, use more connections or --pipeline."
            .into(),
    }
}

/// Why the rate did not rise any further.
pub(super) fn plateau(case: &mut Case<'_>) {
    let evidence = case.evidence;
    // Without a measured time, or a server for all of it, there is no rate to
    // explain.
    if evidence.usage.seconds <= 0.0 || evidence.seen.server_gone {
        return;
    }
    let bottleneck = of(evidence);
    let why = reason(bottleneck, evidence);
    let remedy = remedy(bottleneck, evidence);
    if let Some(missed) = evidence.rate.as_ref().filter(|rate| rate.missed()) {
        let what = format!(
            "Only {} of {} {} per second were reached ({}): {why}.",
            rate(missed.achieved),
            rate(missed.asked),
            missed.noun,
            percent(missed.achieved / missed.asked),
        );
        case.find(Severity::Limit, what, remedy);
    } else if evidence.at_maximum {
        let (severity, meaning) = match bottleneck {
            Bottleneck::Server => (Severity::Limit, "so the figures are the server's limit"),
            Bottleneck::Client => (
                Severity::Limit,
                "so the run was client-bound and the figures are a lower bound",
            ),
            Bottleneck::Shared(_) | Bottleneck::Others(_) => (
                Severity::Limit,
                "so the figures are a lower bound for a server with cores of its own",
            ),
            Bottleneck::Nobody => (
                Severity::Limit,
                "so what bounds the rate is the time that each connection waits for its answer",
            ),
            Bottleneck::Unseen => (
                Severity::Note,
                "so the figures are the limit of the server, of the network, or of so few \
                 connections",
            ),
        };
        case.find(severity, capital(&format!("{why}, {meaning}.")), remedy);
    } else {
        let meaning = match bottleneck {
            Bottleneck::Server => "it has no room above this load",
            Bottleneck::Client => "latencies may hold time that answers waited here",
            Bottleneck::Shared(_) | Bottleneck::Others(_) => {
                "latencies hold time that both waited for a core"
            }
            Bottleneck::Nobody | Bottleneck::Unseen => return,
        };
        let what = format!("The load was reached, but {why}: {meaning}.");
        case.find(Severity::Note, what, remedy);
    }
}

/// Answers that come later and later.
pub(super) fn growing_latency(case: &mut Case<'_>) {
    let evidence = case.evidence;
    let Some(growth) = evidence.latency_growth.filter(|growth| *growth >= GROWN) else {
        return;
    };
    let growth = format!(
        "The median latency grew {growth:.1}-fold between the beginning and the end of the \
         measured time"
    );
    if evidence.rate.is_some() {
        case.find(
            Severity::Limit,
            format!("{growth}: a queue grows, so this rate cannot be kept up."),
            "Lower the rate until the latency stays level.",
        );
    } else {
        case.find(
            Severity::Note,
            format!("{growth}: the server became slower under the same load."),
            "Measure for longer to see whether it settles.",
        );
    }
}

/// Processor time that this virtual machine did not get.
pub(super) fn stolen_time(case: &mut Case<'_>) {
    let stolen = case.evidence.usage.stolen;
    if stolen < STOLEN {
        return;
    }
    let severity = match is_bounded(case.evidence) {
        true => Severity::Limit,
        false => Severity::Note,
    };
    case.find(
        severity,
        format!(
            "The hypervisor gave {} of this machine's processor time to others in the measured time.",
            percent(stolen)
        ),
        "Measure again when the physical machine is quiet, or on one of your own.",
    );
}

fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
