//! The figures of a run, in words, as the table and the page both show them.

use std::collections::BTreeMap;

use super::units::{duration, grouped, memory, micros, percent, rate, significant, throughput};
use crate::cause::Cause;
use crate::outcome::{Outcome, Percentiles, Severity, latency_title};

/// Stands in front of a rate that the server might have exceeded.
pub(super) const LOWER_BOUND: &str = "≥ ";
/// The short explanation of such a mark.
pub(super) const CLIENT_BOUND: &str = "client-bound: a lower bound";

/// Figures under one heading.
pub(super) struct Section {
    pub title: &'static str,
    pub rows: Vec<Row>,
}

/// One figure.
pub(super) struct Row {
    /// Its name.
    pub name: String,
    /// The figure with its unit.
    pub value: String,
    /// A remark that helps to judge it; often empty.
    pub remark: String,
}

impl Row {
    fn new(name: impl Into<String>, value: impl Into<String>, remark: impl Into<String>) -> Row {
        Row {
            name: name.into(),
            value: value.into(),
            remark: remark.into(),
        }
    }
}

/// All sections that have content, in the order in which they are read.
pub(super) fn sections(outcome: &Outcome) -> Vec<Section> {
    [
        ("connections", connections(outcome)),
        ("messages", messages(outcome)),
        ("deliveries", deliveries(outcome)),
        ("resources", resources(outcome)),
    ]
    .into_iter()
    .filter(|(_, rows)| !rows.is_empty())
    .map(|(title, rows)| Section { title, rows })
    .collect()
}

/// The few figures that a reader looks for first.
pub(super) fn key_figures(outcome: &Outcome) -> Vec<Row> {
    let connections = &outcome.connections;
    let mut rows = vec![
        Row::new(
            "connections at once",
            grouped(connections.peak),
            format!("of {} asked for", grouped(connections.asked)),
        ),
        Row::new(
            "opened per second",
            rate(connections.rate()),
            format!("in {}", duration(connections.opening_seconds)),
        ),
    ];
    for (name, count, per_second) in [
        (
            "sent per second",
            outcome.messages.sent,
            outcome.messages.sent_rate(),
        ),
        (
            "received per second",
            outcome.messages.received,
            outcome.messages.received_rate(),
        ),
    ] {
        if count > 0 {
            let (mark, remark) = bound(outcome);
            rows.push(Row::new(
                name,
                format!("{mark}{}", rate(per_second)),
                remark,
            ));
        }
    }
    // The subject of a run comes before the steps that had to happen first.
    let latency = outcome
        .latencies_in_order()
        .into_iter()
        .filter(|(_, latency)| !latency.is_empty())
        .min_by_key(|(name, _)| {
            let telling = ["echo", "last", "delivery", "reply", "heartbeat", "join"];
            telling
                .iter()
                .position(|told| told == name)
                .unwrap_or(telling.len())
        });
    if let Some((name, latency)) = latency {
        let p = latency.percentiles();
        rows.push(Row::new(
            format!("99 %: {}", lower_first(latency_title(name))),
            micros(p.p99),
            format!("median {}, longest {}", micros(p.p50), micros(p.max)),
        ));
    }
    rows.push(Row::new(
        "connections failed",
        grouped(connections.failures() + connections.losses()),
        format!(
            "{} while opening, {} once open",
            grouped(connections.failures()),
            grouped(connections.losses())
        ),
    ));
    rows
}

fn connections(outcome: &Outcome) -> Vec<Row> {
    let connections = &outcome.connections;
    let mut rows = vec![
        Row::new("asked for", grouped(connections.asked), ""),
        Row::new(
            "opened",
            grouped(connections.opened),
            percent(connections.opened as f64, connections.asked as f64),
        ),
        Row::new("failed to open", grouped(connections.failures()), ""),
    ];
    rows.extend(by_cause(&connections.failed));
    let begun = connections.opened + connections.failures();
    if begun < connections.asked {
        rows.push(Row::new(
            "never begun",
            grouped(connections.asked - begun),
            "",
        ));
    }
    rows.push(Row::new(
        "lost once open",
        grouped(connections.losses()),
        "",
    ));
    rows.extend(by_cause(&connections.lost));
    rows.push(Row::new("open at once", grouped(connections.peak), ""));
    rows.push(Row::new(
        "opened per second",
        rate(connections.rate()),
        format!("in {}", duration(connections.opening_seconds)),
    ));
    rows
}

/// The causes of failures, the most frequent first.
pub(super) fn causes(counts: &BTreeMap<Cause, u64>) -> Vec<(Cause, u64)> {
    let mut causes: Vec<_> = counts
        .iter()
        .map(|(cause, count)| (*cause, *count))
        .filter(|(_, count)| *count > 0)
        .collect();
    causes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    causes
}

fn by_cause(counts: &BTreeMap<Cause, u64>) -> impl Iterator<Item = Row> {
    causes(counts)
        .into_iter()
        .map(|(cause, count)| Row::new("", grouped(count), cause.describe()))
}

fn messages(outcome: &Outcome) -> Vec<Row> {
    let messages = &outcome.messages;
    if messages.sent == 0 && messages.received == 0 {
        return Vec::new();
    }
    let (mark, _) = bound(outcome);
    let row = |name, count: u64, bytes: u64, per_second: f64| {
        let volume = throughput(bytes as f64 / messages.seconds.max(f64::MIN_POSITIVE));
        let mut remark = format!(
            "{} in {}, {volume}",
            grouped(count),
            duration(messages.seconds)
        );
        if outcome.resources.client_bound {
            remark.push_str("; client-bound");
        }
        Row::new(name, format!("{mark}{}", rate(per_second)), remark)
    };
    let mut rows = vec![
        row(
            "sent per second",
            messages.sent,
            messages.sent_bytes,
            messages.sent_rate(),
        ),
        row(
            "received per second",
            messages.received,
            messages.received_bytes,
            messages.received_rate(),
        ),
    ];
    if let Some(confirmed) = messages.confirmed {
        rows.push(Row::new(
            "confirmed by the server",
            grouped(confirmed),
            format!(
                "{} of those sent",
                percent(confirmed as f64, messages.sent as f64)
            ),
        ));
    }
    rows
}

fn deliveries(outcome: &Outcome) -> Vec<Row> {
    let Some(deliveries) = &outcome.deliveries else {
        return Vec::new();
    };
    let share = |count: u64| match count {
        0 => String::new(),
        _ => percent(count as f64, deliveries.expected as f64),
    };
    let mut rows = vec![Row::new(
        "expected",
        grouped(deliveries.expected),
        format!("from {} publications", grouped(deliveries.publications)),
    )];
    for (name, count) in [
        ("received", deliveries.received),
        ("lost", deliveries.lost),
        ("reordered", deliveries.reordered),
        ("duplicated", deliveries.duplicated),
        ("corrupt", deliveries.corrupt),
    ] {
        rows.push(Row::new(name, grouped(count), share(count)));
    }
    rows
}

fn resources(outcome: &Outcome) -> Vec<Row> {
    let resources = &outcome.resources;
    let mut rows = Vec::new();
    if resources.client_bound {
        rows.push(Row::new(
            "limited by",
            "the client",
            "CLIENT-BOUND: rates are lower bounds, latencies upper ones",
        ));
    }
    if resources.client_cpu_seconds > 0.0 {
        rows.push(cpu(
            outcome,
            "client CPU",
            resources.client_cpu_seconds,
            resources.busiest_thread,
        ));
    }
    if let Some(server) = &resources.server {
        rows.push(cpu(
            outcome,
            "server CPU",
            server.cpu_seconds,
            server.busiest_thread,
        ));
        if server.cpu_seconds > 0.0 {
            rows.push(Row::new(
                "client ÷ server CPU",
                significant(resources.client_cpu_seconds / server.cpu_seconds),
                "",
            ));
        }
    }
    if resources.client_memory_bytes > 0 {
        rows.push(resident(
            outcome,
            "client memory",
            resources.client_memory_bytes,
            resources.client_memory_before_bytes,
        ));
    }
    if let Some(server) = &resources.server {
        rows.push(resident(
            outcome,
            "server memory",
            server.memory_bytes,
            server.memory_before_bytes,
        ));
    }
    if let Some(bytes) = resources.kernel_memory_bytes {
        // A server that was seen runs on this host: its sockets are in the same kernel.
        let ends = match resources.server {
            Some(_) => "both ends of each connection",
            None => "this end of each connection",
        };
        let (name, value) = per_connection(outcome, "kernel memory", bytes as f64);
        rows.push(Row::new(
            name,
            value,
            format!("{} in all; {ends}", memory(bytes as f64)),
        ));
    }
    rows
}

/// The processor time of one message. An echo is one message, so are a delivery
/// and, where nothing comes back, a message sent.
fn cpu(outcome: &Outcome, name: &str, seconds: f64, busiest_thread: f64) -> Row {
    let messages = &outcome.messages;
    let cores = seconds / messages.seconds.max(f64::MIN_POSITIVE);
    let busiest = format!("busiest thread {:.0} %", busiest_thread * 100.0);
    match messages.sent.max(messages.received) {
        0 => Row::new(name, format!("{} s", significant(seconds)), busiest),
        count => Row::new(
            format!("{name} per message"),
            format!("{} µs", significant(seconds * 1e6 / count as f64)),
            format!("{} cores, {busiest}", significant(cores)),
        ),
    }
}

fn resident(outcome: &Outcome, name: &str, bytes: u64, before: u64) -> Row {
    let (name, value) = per_connection(outcome, name, bytes.saturating_sub(before) as f64);
    Row::new(
        name,
        value,
        format!(
            "{} resident, {} before the first",
            memory(bytes as f64),
            memory(before as f64)
        ),
    )
}

/// Memory that connections took, each if they are so many that the rest of a
/// program's memory does not matter.
fn per_connection(outcome: &Outcome, name: &str, bytes: f64) -> (String, String) {
    const MANY: u64 = 1_000;
    match outcome.connections.peak {
        few if few < MANY => (format!("{name}, growth"), memory(bytes)),
        peak => (
            format!("{name} per connection"),
            memory(bytes / peak as f64),
        ),
    }
}

/// The mark and the remark of a rate.
fn bound(outcome: &Outcome) -> (&'static str, &'static str) {
    if outcome.resources.client_bound {
        (LOWER_BOUND, CLIENT_BOUND)
    } else {
        ("", "")
    }
}

/// The headings of [`latencies`].
pub(super) const LATENCY_HEADINGS: [&str; 8] = [
    "latency", "count", "p50", "p90", "p99", "p99.9", "p99.99", "max",
];

/// One line for each latency that was measured.
pub(super) fn latencies(outcome: &Outcome) -> Vec<[String; 8]> {
    outcome
        .latencies_in_order()
        .into_iter()
        .filter(|(_, latency)| !latency.is_empty())
        .map(|(name, latency)| {
            let Percentiles {
                count,
                p50,
                p90,
                p99,
                p99_9,
                p99_99,
                max,
                ..
            } = latency.percentiles();
            [
                latency_title(name).to_owned(),
                grouped(count),
                micros(p50),
                micros(p90),
                micros(p99),
                micros(p99_9),
                micros(p99_99),
                micros(max),
            ]
        })
        .collect()
}

/// How a finding is introduced.
pub(super) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Failure => "failure",
        Severity::Limit => "limit",
        Severity::Note => "note",
    }
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(characters).collect()
    })
}
