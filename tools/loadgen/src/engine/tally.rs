//! The counts of a thread between two reports.

use std::collections::BTreeMap;

use crate::cause::Cause;
use crate::outcome::{Deliveries, Latency, Times};

/// The intervals that are timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum Timed {
    /// From the planned begin of a connection until its handshake is done.
    Handshake,
    /// From the planned time of a message until its echo is here.
    Echo,
    /// From the planned time of a publication until one subscriber has it.
    Delivery,
    /// From a channel's join until its reply.
    Join,
    /// From a push until its reply.
    Reply,
    /// From a heartbeat or ping until its answer.
    Heartbeat,
}

impl Timed {
    /// All of them.
    pub const ALL: &'static [Timed] = <Timed as strum::VariantArray>::VARIANTS;

    /// Its name in [`Outcome::latencies`](crate::outcome::Outcome::latencies).
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Messages and bytes of payload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages sent.
    pub sent: u64,
    /// Messages received.
    pub received: u64,
    /// Bytes of payload sent.
    pub sent_bytes: u64,
    /// Bytes of payload received.
    pub received_bytes: u64,
}

impl Traffic {
    /// Adds another count.
    pub fn add(&mut self, other: &Traffic) {
        self.sent += other.sent;
        self.received += other.received;
        self.sent_bytes += other.sent_bytes;
        self.received_bytes += other.received_bytes;
    }
}

/// One thread's part of a publication: which of its subscribers had it when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicationPart {
    /// Which publisher.
    pub publisher: u32,
    /// The number of the publication in the publisher's sequence.
    pub sequence: u32,
    /// Microseconds from the planned time until each subscriber had it, in the
    /// order of arrival.
    pub micros: Vec<u32>,
}

/// The counts of a thread since its last report.
#[derive(Debug, Default)]
pub struct Tally {
    /// Connections begun.
    pub begun: u64,
    /// Handshakes done.
    pub opened: u64,
    /// Connections that were never open.
    pub failed: BTreeMap<Cause, u64>,
    /// Open connections that ended without our will.
    pub lost: BTreeMap<Cause, u64>,
    /// Open connections that we ended.
    pub closed: u64,
    /// Messages.
    pub traffic: Traffic,
    /// The deliveries that arrived, and those that should have.
    pub deliveries: Deliveries,
    /// Publications that are over for this thread.
    pub publications: Vec<PublicationPart>,
    latencies: [Option<Box<Latency>>; Timed::ALL.len()],
}

impl Tally {
    /// Records a time.
    #[inline]
    pub fn record(&mut self, timed: Timed, nanos: u64) {
        self.latencies[timed as usize]
            .get_or_insert_default()
            .record_nanos(nanos);
    }

    /// Takes the recorded times, for a report.
    pub(super) fn take_times(&mut self) -> Vec<(Timed, Times)> {
        let latencies = std::mem::take(&mut self.latencies);
        Timed::ALL
            .iter()
            .copied()
            .zip(latencies)
            .filter_map(|(timed, latency)| Some((timed, latency?.times())))
            .collect()
    }
}
