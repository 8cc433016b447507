//! Runs of several machines as one.
//!
//! # Invariants worth naming
//!
//! - Counts are summed and histograms added: no percentile is ever averaged.
//! - Time is the wall clock's: the machines' clocks have to be in step.
//! - Resources that two runs have both seen are not counted twice: the cores
//!   and the kernel of one host, and the server that the same targets lead to.

mod series;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::{
    Connections, Deliveries, FORMAT, Finding, Latency, Messages, Outcome, Resources,
    ServerResources, Setting, Severity,
};

/// Runs that began further apart than this share of the measured time are
/// remarked upon.
const APART_SHARE: f64 = 0.05;
/// Less than this is never remarked upon, in seconds.
const APART_SECONDS: f64 = 2.0;

/// Why runs cannot be joined.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MergeError(pub String);

/// Joins runs of several machines that went on at the same time.
///
/// - Counts are summed, histograms added, machines listed one after the other.
/// - The run lasts from the first start to the last end, the opening phase from
///   the first machine's to the last one's. The measured time is the longest
///   of all: a rate is that of all together, provided that they measured at the
///   same time. When they began far apart a finding says so.
/// - The most connections at one time are those of the joined series, where
///   every machine has one; otherwise the sum of the peaks, an upper bound.
/// - The series is laid out anew, see [`Outcome::series`]: in intervals of a
///   second, or of the machines' own when that is longer. Counts are summed;
///   of each percentile the largest is taken, which is an upper bound, because
///   percentiles of an interval cannot be joined exactly.
/// - A server's figures are the largest that the runs against the same targets
///   saw; different targets are different servers, whose figures are summed.
/// - Findings, failures and differing settings carry the names of their
///   machines; one that several have alike is said once.
///
/// # Errors
///
/// There is none to join, or they are of different formats or scenarios. The
/// message names the position of the one that differs, counted from 1.
pub fn merge(mut outcomes: Vec<Outcome>) -> Result<Outcome, MergeError> {
    check(&outcomes)?;
    if outcomes.len() == 1 {
        return Ok(outcomes.remove(0));
    }
    let started_unix_ms = outcomes.iter().map(|run| run.started_unix_ms).min();
    let started_unix_ms = started_unix_ms.unwrap_or(0);
    let runs: Vec<Run> = outcomes
        .iter()
        .enumerate()
        .map(|(index, outcome)| Run::new(index, outcome, started_unix_ms))
        .collect();

    let series = series::join(&runs);
    let messages = messages(&runs);
    let mut findings = findings(&runs);
    findings.extend(apart(&runs, messages.seconds));
    Ok(Outcome {
        format: FORMAT,
        version: distinct(outcomes.iter().map(|run| &run.version)).join(", "),
        scenario: outcomes[0].scenario.clone(),
        command: distinct(outcomes.iter().map(|run| &run.command)).join(&";".to_owned()),
        targets: distinct(outcomes.iter().flat_map(|run| &run.targets)),
        settings: settings(&runs),
        started_unix_ms,
        seconds: runs.iter().map(Run::end).fold(0.0, f64::max),
        interrupted: outcomes.iter().any(|run| run.interrupted),
        machines: outcomes
            .iter()
            .flat_map(|run| run.machines.clone())
            .collect(),
        connections: connections(&runs, series.iter().map(|sample| sample.connected).max()),
        messages,
        deliveries: deliveries(&outcomes),
        latencies: latencies(&outcomes),
        resources: resources(&runs),
        series,
        findings,
        failures: named(&runs, |run| run.failures.clone())
            .into_iter()
            .map(|(names, failure)| format!("{names}{failure}"))
            .collect(),
    })
}

fn check(outcomes: &[Outcome]) -> Result<(), MergeError> {
    let first = outcomes
        .first()
        .ok_or_else(|| MergeError("there is no run to join".into()))?;
    for (index, outcome) in outcomes.iter().enumerate() {
        let position = index + 1;
        if outcome.format != FORMAT {
            return Err(MergeError(format!(
                "run {position} is in format {}; this version joins format {FORMAT}",
                outcome.format
            )));
        }
        if outcome.scenario != first.scenario {
            return Err(MergeError(format!(
                "run {position} is of scenario '{}', but run 1 of '{}': only runs of one scenario can be joined",
                outcome.scenario, first.scenario
            )));
        }
    }
    Ok(())
}

/// A run among others.
struct Run<'a> {
    outcome: &'a Outcome,
    /// The machines' names.
    name: String,
    /// The key that tells apart their kernels.
    kernel: String,
    /// How long after the first run it began, in seconds.
    offset: f64,
    /// The key that tells apart the servers.
    server: String,
}

impl<'a> Run<'a> {
    fn new(index: usize, outcome: &'a Outcome, first_unix_ms: u64) -> Run<'a> {
        let machines = &outcome.machines;
        let hostnames: Vec<_> = machines
            .iter()
            .map(|machine| machine.hostname.as_str())
            .collect();
        let name = match hostnames.as_slice() {
            [] => format!("machine {}", index + 1),
            names => names.join("+"),
        };
        let boots: Vec<_> = machines
            .iter()
            .map(|machine| machine.boot.as_str())
            .collect();
        let kernel = match boots.iter().any(|boot| boot.is_empty()) {
            true => name.clone(),
            false => boots.join("+"),
        };
        let mut targets = outcome.targets.clone();
        targets.sort();
        Run {
            outcome,
            name,
            kernel,
            offset: (outcome.started_unix_ms - first_unix_ms) as f64 / 1e3,
            server: targets.join(" "),
        }
    }

    /// When it ended, in seconds since the first run began.
    fn end(&self) -> f64 {
        self.offset + self.outcome.seconds
    }
}

/// Adds up what different observers have seen: for each `key` the largest
/// figure, and of these the sum. Nothing when no observer has seen anything.
fn seen<'a>(figures: impl Iterator<Item = (&'a str, Option<f64>)>) -> Option<f64> {
    let mut largest: BTreeMap<&str, f64> = BTreeMap::new();
    for (key, figure) in figures {
        if let Some(figure) = figure {
            let known = largest.entry(key).or_insert(figure);
            *known = known.max(figure);
        }
    }
    (!largest.is_empty()).then(|| largest.values().sum())
}

fn connections(runs: &[Run], series_peak: Option<u64>) -> Connections {
    let mut joined = Connections::default();
    let mut largest_peak = 0;
    for connections in runs.iter().map(|run| &run.outcome.connections) {
        joined.asked += connections.asked;
        joined.opened += connections.opened;
        joined.closed += connections.closed;
        joined.peak += connections.peak;
        largest_peak = largest_peak.max(connections.peak);
        for (cause, count) in &connections.failed {
            *joined.failed.entry(*cause).or_default() += count;
        }
        for (cause, count) in &connections.lost {
            *joined.lost.entry(*cause).or_default() += count;
        }
    }
    let all_have_series = runs.iter().all(|run| !run.outcome.series.is_empty());
    if let (true, Some(peak)) = (all_have_series, series_peak) {
        // A series looks once an interval and can have missed a moment.
        joined.peak = peak.clamp(largest_peak, joined.peak);
    }
    let opening = || {
        let opening = |run: &&Run| run.outcome.connections.opening_seconds > 0.0;
        runs.iter().filter(opening)
    };
    let start = opening().map(|run| run.offset).fold(f64::MAX, f64::min);
    let end = opening()
        .map(|run| run.offset + run.outcome.connections.opening_seconds)
        .fold(0.0, f64::max);
    joined.opening_seconds = (end - start).max(0.0);
    joined
}

fn messages(runs: &[Run]) -> Messages {
    let mut joined = Messages::default();
    let all = || runs.iter().map(|run| &run.outcome.messages);
    for messages in all() {
        joined.seconds = joined.seconds.max(messages.seconds);
        joined.sent += messages.sent;
        joined.received += messages.received;
        joined.sent_bytes += messages.sent_bytes;
        joined.received_bytes += messages.received_bytes;
    }
    // A server that counts for all of its clients tells each machine of the
    // others' messages too: then one has to be asked, not the sum taken.
    let counts_for_all = all().any(|one| one.confirmed.is_some_and(|count| count > one.sent));
    joined.confirmed = if counts_for_all {
        let confirmed = |run: &Run| run.outcome.messages.confirmed.map(|count| count as f64);
        seen(runs.iter().map(|run| (run.server.as_str(), confirmed(run)))).map(|sum| sum as u64)
    } else {
        all().filter_map(|one| one.confirmed).reduce(|a, b| a + b)
    };
    joined
}

fn deliveries(outcomes: &[Outcome]) -> Option<Deliveries> {
    outcomes
        .iter()
        .filter_map(|run| run.deliveries.clone())
        .reduce(|a, b| Deliveries {
            publications: a.publications + b.publications,
            expected: a.expected + b.expected,
            received: a.received + b.received,
            lost: a.lost + b.lost,
            reordered: a.reordered + b.reordered,
            duplicated: a.duplicated + b.duplicated,
            corrupt: a.corrupt + b.corrupt,
        })
}

fn latencies(outcomes: &[Outcome]) -> BTreeMap<String, Latency> {
    let mut joined: BTreeMap<String, Latency> = BTreeMap::new();
    for (name, latency) in outcomes.iter().flat_map(|run| &run.latencies) {
        joined.entry(name.clone()).or_default().add(latency);
    }
    joined
}

fn resources(runs: &[Run]) -> Resources {
    let all = || runs.iter().map(|run| &run.outcome.resources);
    let of_kernels = |run: &Run| {
        let bytes = run.outcome.resources.kernel_memory_bytes;
        bytes.map(|bytes| bytes as f64)
    };
    let kernels = runs
        .iter()
        .map(|run| (run.kernel.as_str(), of_kernels(run)));
    Resources {
        client_cpu_seconds: all().map(|one| one.client_cpu_seconds).sum(),
        busiest_thread: all().map(|one| one.busiest_thread).fold(0.0, f64::max),
        client_memory_bytes: all().map(|one| one.client_memory_bytes).sum(),
        client_memory_before_bytes: all().map(|one| one.client_memory_before_bytes).sum(),
        server: server(runs),
        kernel_memory_bytes: seen(kernels).map(|sum| sum as u64),
        client_bound: all().any(|one| one.client_bound),
    }
}

fn server(runs: &[Run]) -> Option<ServerResources> {
    let servers: Vec<(&str, &ServerResources)> = runs
        .iter()
        .filter_map(|run| Some((run.server.as_str(), run.outcome.resources.server.as_ref()?)))
        .collect();
    let all = || servers.iter().map(|(_, server)| *server);
    let sum = |of: fn(&ServerResources) -> f64| {
        let figures = servers.iter();
        seen(figures.map(|(key, server)| (*key, Some(of(server))))).unwrap_or(0.0)
    };
    Some(ServerResources {
        pid: all().next()?.pid,
        name: distinct(all().map(|server| &server.name)).join(", "),
        cpu_seconds: sum(|server| server.cpu_seconds),
        busiest_thread: all()
            .map(|server| server.busiest_thread)
            .fold(0.0, f64::max),
        memory_bytes: sum(|server| server.memory_bytes as f64) as u64,
        memory_before_bytes: sum(|server| server.memory_before_bytes as f64) as u64,
    })
}

fn settings(runs: &[Run]) -> Vec<Setting> {
    let mut settings = vec![Setting {
        name: "joined from".into(),
        value: format!("{} runs, each with these settings", runs.len()),
    }];
    let names = distinct(
        runs.iter()
            .flat_map(|run| &run.outcome.settings)
            .map(|setting| &setting.name),
    );
    for name in names {
        let values = |run: &Outcome| {
            let same_name = run.settings.iter().filter(|setting| setting.name == name);
            same_name.map(|setting| setting.value.clone()).collect()
        };
        let values = named(runs, values);
        let is_same = values.len() == 1;
        settings.extend(values.into_iter().map(|(machines, value)| Setting {
            name: name.clone(),
            value: if is_same {
                value
            } else {
                format!("{machines}{value}")
            },
        }));
    }
    settings
}

fn findings(runs: &[Run]) -> Vec<Finding> {
    let parts = |run: &Outcome| {
        let findings = run.findings.iter().cloned();
        findings
            .map(|finding| (finding.severity, finding.what, finding.remedy))
            .collect()
    };
    let mut findings: Vec<_> = named(runs, parts)
        .into_iter()
        .map(|(machines, (severity, what, remedy))| Finding {
            severity,
            what: format!("{machines}{what}"),
            remedy,
        })
        .collect();
    findings.sort_by_key(|finding| finding.severity);
    findings
}

/// The finding about runs that did not go on at the same time.
fn apart(runs: &[Run], measured_seconds: f64) -> Option<Finding> {
    let apart = runs.iter().map(|run| run.offset).fold(0.0, f64::max);
    let limit = (measured_seconds * APART_SHARE).max(APART_SECONDS);
    (apart > limit).then(|| Finding {
        severity: Severity::Note,
        what: format!(
            "the machines began {apart:.1} s apart: the joined rates may never have been reached at one time"
        ),
        remedy: "start them together, with clocks in step (see: chronyc tracking)".into(),
    })
}

/// The items of the runs, with the names of the machines that have them;
/// without names if there is only one machine.
fn named<T: PartialEq>(runs: &[Run], of: impl Fn(&Outcome) -> Vec<T>) -> Vec<(String, T)> {
    let mut said: Vec<(Vec<&str>, T)> = Vec::new();
    for run in runs {
        for item in of(run.outcome) {
            match said.iter_mut().find(|(_, known)| *known == item) {
                Some((names, _)) if names.contains(&run.name.as_str()) => {}
                Some((names, _)) => names.push(&run.name),
                None => said.push((vec![&run.name], item)),
            }
        }
    }
    let is_one_machine = runs.iter().all(|run| run.name == runs[0].name);
    said.into_iter()
        .map(|(names, item)| match is_one_machine {
            true => (String::new(), item),
            false => (format!("{}: ", names.join(", ")), item),
        })
        .collect()
}

/// Each once, in the order of their first appearance.
fn distinct<'a, T: PartialEq + Clone + 'a>(items: impl Iterator<Item = &'a T>) -> Vec<T> {
    let mut distinct: Vec<T> = Vec::new();
    for item in items {
        if !distinct.contains(item) {
            distinct.push(item.clone());
        }
    }
    distinct
}
