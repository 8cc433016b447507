//! The limit that stopped a run, and whether the run went well.

use std::time::Duration;

use super::watcher::SoakPoint;
use crate::diagnosis::{Evidence, Rate, client_bound, diagnose};
use crate::outcome::{Finding, Outcome, Sample, Severity};
use crate::trend;

/// Slab and socket buffers: the kernel does not count them by program.
const KERNEL_MEMORY: &str = "the kernel's socket memory";
/// Bytes that the generator may grow by each second because it writes down what
/// it measured for the report; 1.4 KiB were seen.
const WRITTEN_DOWN_PER_SECOND: f64 = 2_048.0;
/// The share by which the median latency may rise over a soak. Any neighbour on
/// the host moves it by some percent; a server that falls behind multiplies it.
const LATENCY_TOLERANCE: f64 = 1.0;

/// The goals of a scenario, as far as the verdict needs them.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Messages to be sent in all.
    pub messages: Option<u64>,
    /// Messages per second.
    pub message_rate: Option<f64>,
    /// Publications per second.
    pub publication_rate: Option<f64>,
    /// Connections per second.
    pub connection_rate: Option<f64>,
    /// The server's own count of messages is to be held against ours.
    pub confirms: bool,
    /// Everything was sent as fast as it went.
    pub at_maximum: bool,
    /// How often a soak is looked at, and the share by which a value may rise.
    pub soak: Option<(Duration, f64)>,
    /// The kernel's memory may climb for reasons of others.
    pub shared_host: bool,
    /// The latency that tells whether the server falls behind.
    pub latency: Option<&'static str>,
}

/// Everything the verdict is made from.
pub(super) struct Verdict<'v> {
    pub asked: &'v Asked,
    pub evidence: Evidence,
    pub soak: &'v [SoakPoint],
}

impl Verdict<'_> {
    /// Puts findings and failures into the outcome.
    pub(super) fn pronounce(mut self, outcome: &mut Outcome) {
        let connections = &outcome.connections;
        self.evidence.asked = connections.asked;
        self.evidence.opened = connections.opened;
        self.evidence.peak = connections.peak;
        self.evidence.failed = connections.failed.clone();
        self.evidence.lost = connections.lost.clone();
        self.evidence.deliveries = outcome.deliveries.clone();
        self.evidence.busiest_client_thread = outcome.resources.busiest_thread;
        self.evidence.rate = self.rate(outcome);
        self.evidence.latency_growth = self
            .asked
            .latency
            .and_then(|name| latency_growth(&outcome.series, name));
        outcome.resources.client_bound = client_bound(&self.evidence);
        outcome.findings = diagnose(&self.evidence);
        self.check_confirmed(outcome);
        self.check_soak(outcome);
    }

    fn rate(&self, outcome: &Outcome) -> Option<Rate> {
        if outcome.interrupted {
            return None;
        }
        let rate = |noun: &str, asked: f64, achieved: f64| Rate {
            noun: noun.to_owned(),
            asked,
            achieved,
        };
        let seconds = outcome.messages.seconds.max(f64::MIN_POSITIVE);
        if let Some(asked) = self.asked.message_rate {
            let messages = &outcome.messages;
            // If each message has an answer, the slower of the two rates
            // counts: an open loop sends on, whatever becomes of the answers.
            let achieved = match outcome.deliveries {
                Some(_) => messages.sent_rate().min(messages.received_rate()),
                None => messages.sent_rate(),
            };
            return Some(rate("messages", asked, achieved));
        }
        if let (Some(asked), Some(deliveries)) = (self.asked.publication_rate, &outcome.deliveries)
        {
            let achieved = deliveries.publications as f64 / seconds;
            return Some(rate("publications", asked, achieved));
        }
        // Random arrivals of a few hundred connections miss their rate by themselves.
        let asked = self.asked.connection_rate?;
        let noise = 3.0 / (outcome.connections.opened.max(1) as f64).sqrt();
        let achieved = outcome.connections.rate() * (1.0 + noise);
        Some(rate("connections", asked, achieved.min(asked)))
    }

    fn check_confirmed(&self, outcome: &mut Outcome) {
        let sent = outcome.messages.sent;
        if let Some(confirmed) = outcome.messages.confirmed
            && confirmed < sent
        {
            outcome.failures.push(format!(
                "the server says it has received {confirmed} of {sent} messages"
            ));
        }
    }

    /// A soak fails when anything climbs.
    fn check_soak(&self, outcome: &mut Outcome) {
        let Some((_, tolerance)) = self.asked.soak else {
            return;
        };
        if self.soak.len() < trend::ENOUGH_POINTS {
            let (looks, enough) = (self.soak.len(), trend::ENOUGH_POINTS);
            outcome.findings.push(Finding {
                severity: Severity::Note,
                what: format!(
                    "the server was looked at {looks} times, which is too few to tell whether \
                     anything climbs: it takes {enough}"
                ),
                remedy: "a longer --duration, or a shorter --sample".to_owned(),
            });
        }
        type Read = fn(&SoakPoint) -> Option<u64>;
        let watched: [(&str, Read); 5] = [
            ("the server's sessions", |point| point.sessions),
            ("the server's memory", |point| point.server_memory),
            ("the server's descriptors", |point| point.server_descriptors),
            (KERNEL_MEMORY, |point| point.kernel_memory),
            ("the generator's memory", |point| {
                let written_down = (point.at * WRITTEN_DOWN_PER_SECOND) as u64;
                Some(point.client_memory.saturating_sub(written_down))
            }),
        ];
        for (what, read) in watched {
            let points: Vec<(f64, f64)> = self
                .soak
                .iter()
                .filter_map(|point| Some((point.at, read(point)? as f64)))
                .collect();
            let Some(climb) = climb(what, &points, tolerance) else {
                continue;
            };
            if self.asked.shared_host && what == KERNEL_MEMORY {
                outcome.findings.push(Finding {
                    severity: Severity::Note,
                    what: format!(
                        "{climb}; it is the memory of the whole host, which others use too"
                    ),
                    remedy: "the same on a host of its own, without --shared-host".to_owned(),
                });
            } else {
                outcome.failures.push(climb);
            }
        }
        let latencies = self.asked.latency.map_or(Vec::new(), |name| {
            let median = |sample: &Sample| {
                let percentiles = sample.latencies.get(name)?;
                (percentiles.count > 0).then_some((sample.at, percentiles.p50 as f64))
            };
            outcome.series.iter().filter_map(median).collect()
        });
        let climb = climb("the median latency in µs", &latencies, LATENCY_TOLERANCE);
        outcome.failures.extend(climb);
    }
}

/// The sentence about a value that climbs.
fn climb(what: &str, points: &[(f64, f64)], tolerance: f64) -> Option<String> {
    let trend = trend::fit(points).filter(|trend| trend.climbs(tolerance))?;
    Some(format!(
        "{what} climbed from {:.0} to {:.0} in {:.0} s, and still does: {:.0} an hour",
        trend.start, trend.end, trend.seconds, trend.slope_per_hour
    ))
}

/// How many times the median latency of the end is that of the beginning.
fn latency_growth(series: &[Sample], name: &str) -> Option<f64> {
    let medians: Vec<u64> = series
        .iter()
        .filter_map(|sample| sample.latencies.get(name))
        .filter(|percentiles| percentiles.count > 0)
        .map(|percentiles| percentiles.p50)
        .collect();
    let part = medians.len() / 4;
    if part == 0 {
        return None;
    }
    let mean = |values: &[u64]| values.iter().sum::<u64>() as f64 / values.len() as f64;
    let (begin, end) = (&medians[..part], &medians[medians.len() - part..]);
    Some(mean(end) / mean(begin).max(1.0))
}
