//! Reports of all threads become one [`Outcome`].

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::report::Report;
use super::shared::Phase;
use super::tally::{PublicationPart, Traffic};
use super::worker::Status;
use crate::outcome::{Latency, Outcome, Sample};

/// Samples kept; beyond, adjacent samples are joined.
const MAX_SAMPLES: usize = 4_096;

/// The last known state of one thread.
#[derive(Debug, Clone, Copy, Default)]
struct Thread {
    reported_until: u64,
    users: u64,
    connected: u64,
    status: Status,
    /// Of the measured time.
    cpu_nanos: u64,
    measured_nanos: u64,
}

/// An interval of the series that is not complete yet.
#[derive(Debug, Default)]
struct Slot {
    opened: u64,
    failed: u64,
    traffic: Traffic,
    latencies: BTreeMap<&'static str, Latency>,
    cpu_nanos: u64,
}

/// Publications whose parts have not all come yet.
#[derive(Debug, Default)]
struct Publication {
    parts: usize,
    micros: Vec<u32>,
}

/// Puts an [`Outcome`] together from reports.
pub(super) struct Assembly {
    pub outcome: Outcome,
    /// Connections are opened before anything else.
    opens_first: bool,
    threads: Vec<Thread>,
    /// Nanoseconds of an interval of the series.
    interval: u64,
    slots: BTreeMap<u64, Slot>,
    publications: HashMap<(u32, u32), Publication>,
    /// Of the measured time.
    traffic: Traffic,
}

impl Assembly {
    pub(super) fn new(
        outcome: Outcome,
        threads: usize,
        interval: Duration,
        opens_first: bool,
    ) -> Self {
        Assembly {
            outcome,
            opens_first,
            threads: vec![Thread::default(); threads],
            interval: interval.as_nanos() as u64,
            slots: BTreeMap::new(),
            publications: HashMap::new(),
            traffic: Traffic::default(),
        }
    }

    /// Whether all threads say this of themselves.
    pub(super) fn all(&self, is: impl Fn(Status) -> bool) -> bool {
        self.threads.iter().all(|thread| is(thread.status))
    }

    /// Connections open now, as far as is known.
    pub(super) fn connected(&self) -> u64 {
        self.threads.iter().map(|thread| thread.connected).sum()
    }

    /// Takes in a report. Returns the samples that are complete now.
    pub(super) fn take(&mut self, report: Report) -> Vec<Sample> {
        let took = report.to - report.from;
        let thread = &mut self.threads[report.thread];
        thread.reported_until = report.to;
        thread.users = report.users;
        thread.connected = report.connected;
        thread.status = report.status;
        if report.phase == Phase::Measuring {
            thread.cpu_nanos += report.cpu_nanos;
            thread.measured_nanos += took;
            self.traffic.add(&report.tally.traffic);
        }
        self.count(&report);
        self.fill_slot(&report);
        for part in report.tally.publications {
            self.take_publication(part);
        }
        self.complete_slots()
    }

    fn count(&mut self, report: &Report) {
        let connected = self.connected();
        let outcome = &mut self.outcome;
        outcome.seconds = outcome.seconds.max(report.to as f64 / 1e9);
        let connections = &mut outcome.connections;
        let tally = &report.tally;
        connections.asked += tally.begun;
        connections.opened += tally.opened;
        connections.closed += tally.closed;
        connections.peak = connections.peak.max(connected);
        for (cause, count) in &tally.failed {
            *connections.failed.entry(*cause).or_default() += count;
        }
        for (cause, count) in &tally.lost {
            *connections.lost.entry(*cause).or_default() += count;
        }
        if (report.phase == Phase::Opening || !self.opens_first) && tally.opened > 0 {
            connections.opening_seconds = connections.opening_seconds.max(report.to as f64 / 1e9);
        }
        if tally.deliveries != Default::default() {
            outcome
                .deliveries
                .get_or_insert_default()
                .add(&tally.deliveries);
        }
        for (timed, times) in &report.times {
            outcome
                .latencies
                .entry(timed.name().to_owned())
                .or_default()
                .add_times(times);
        }
        let busiest =
            |thread: &Thread| thread.cpu_nanos as f64 / thread.measured_nanos.max(1) as f64;
        outcome.resources.client_cpu_seconds = self
            .threads
            .iter()
            .map(|thread| thread.cpu_nanos)
            .sum::<u64>() as f64
            / 1e9;
        outcome.resources.busiest_thread = self.threads.iter().map(busiest).fold(0.0, f64::max);
        let messages = &mut outcome.messages;
        messages.sent = self.traffic.sent;
        messages.received = self.traffic.received;
        messages.sent_bytes = self.traffic.sent_bytes;
        messages.received_bytes = self.traffic.received_bytes;
        messages.seconds = self
            .threads
            .iter()
            .map(|thread| thread.measured_nanos)
            .max()
            .unwrap_or(0) as f64
            / 1e9;
    }

    fn fill_slot(&mut self, report: &Report) {
        let middle = report.from + (report.to - report.from) / 2;
        let slot = self.slots.entry(middle / self.interval).or_default();
        let tally = &report.tally;
        slot.opened += tally.opened;
        slot.failed += tally.failed.values().sum::<u64>() + tally.lost.values().sum::<u64>();
        slot.traffic.add(&tally.traffic);
        slot.cpu_nanos += report.cpu_nanos;
        for (timed, times) in &report.times {
            slot.latencies
                .entry(timed.name())
                .or_default()
                .add_times(times);
        }
    }

    /// Takes one thread's part of a publication; the last one completes it.
    fn take_publication(&mut self, part: PublicationPart) {
        // A thread without subscribers has no part in any publication.
        let involved = self.threads.iter().filter(|thread| thread.connected > 0);
        let involved = involved.count();
        let key = (part.publisher, part.sequence);
        let publication = self.publications.entry(key).or_default();
        publication.parts += 1;
        publication.micros.extend_from_slice(&part.micros);
        if publication.parts >= involved {
            let publication = self.publications.remove(&key).unwrap_or_default();
            self.complete_publication(publication.micros);
        }
    }

    /// All its deliveries are known: when the first, the median and the last were.
    fn complete_publication(&mut self, mut micros: Vec<u32>) {
        micros.sort_unstable();
        let (Some(&first), Some(&last)) = (micros.first(), micros.last()) else {
            return;
        };
        let median = micros[(micros.len() - 1) / 2];
        for (name, micros) in [("first", first), ("median", median), ("last", last)] {
            self.outcome
                .latencies
                .entry(name.to_owned())
                .or_default()
                .record_nanos(u64::from(micros) * 1_000);
        }
    }

    /// The intervals that every thread is past, or that are long over.
    fn complete_slots(&mut self) -> Vec<Sample> {
        let heard = self.threads.iter().map(|thread| thread.reported_until);
        let everywhere = heard.min().unwrap_or(0);
        let newest = self.slots.keys().next_back().copied().unwrap_or(0);
        let mut complete = Vec::new();
        while let Some((&number, _)) = self.slots.first_key_value() {
            if (number + 1) * self.interval > everywhere && number + 3 > newest {
                break;
            }
            if let Some((_, slot)) = self.slots.pop_first() {
                complete.push(self.sample(number, slot));
            }
        }
        complete
    }

    /// The samples that are left at the end of the run.
    pub(super) fn last_samples(&mut self) -> Vec<Sample> {
        for publication in std::mem::take(&mut self.publications).into_values() {
            self.complete_publication(publication.micros);
        }
        let mut samples = Vec::new();
        while let Some((number, slot)) = self.slots.pop_first() {
            samples.push(self.sample(number, slot));
        }
        samples
    }

    fn sample(&self, number: u64, slot: Slot) -> Sample {
        let seconds = self.interval as f64 / 1e9;
        Sample {
            at: (number + 1) as f64 * seconds,
            seconds,
            users: self.threads.iter().map(|thread| thread.users).sum(),
            connected: self.connected(),
            opened: slot.opened,
            failed: slot.failed,
            sent: slot.traffic.sent,
            received: slot.traffic.received,
            sent_bytes: slot.traffic.sent_bytes,
            received_bytes: slot.traffic.received_bytes,
            latencies: slot
                .latencies
                .iter()
                .map(|(name, latency)| ((*name).to_owned(), latency.percentiles()))
                .collect(),
            client_cpu: slot.cpu_nanos as f64 / self.interval as f64,
            ..Sample::default()
        }
    }

    /// Adds samples to the series, which never grows without bound.
    pub(super) fn keep(&mut self, sample: Sample) {
        let series = &mut self.outcome.series;
        series.push(sample);
        if series.len() > MAX_SAMPLES {
            *series = series.chunks(2).map(Sample::joined).collect();
        }
    }
}
