//! The results of a run: one value that the table, the JSON, the CSV, the page
//! and the merge all read, and nothing else.
//!
//! # Invariants worth naming
//!
//! - Times are measured in microseconds and kept in histograms, so that runs of
//!   several machines can be joined without averaging percentiles.
//! - Every connection that was asked for is in exactly one place: opened,
//!   failed (by cause) or never begun. An opened one that ended before the run
//!   did is also in `lost`.
//! - A verdict is computed from the figures ([`Outcome::problems`]), never stored.

mod joined;
mod json;
mod latency;
mod merge;
mod problems;

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

pub use json::{json, read_json};
pub use latency::{Latency, Percentiles, Times};
pub use merge::{MergeError, merge};

use crate::cause::Cause;

/// The version of this format; [`merge`] refuses others.
pub const FORMAT: u32 = 1;

/// Everything a run has found out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// [`FORMAT`].
    pub format: u32,
    /// The version of the tool.
    pub version: String,
    /// The scenario's name: `connect`, `echo`, …
    pub scenario: String,
    /// The command line, as it was typed.
    pub command: Vec<String>,
    /// The servers' URLs.
    pub targets: Vec<String>,
    /// The settings that were asked for, in words for people, in the order of
    /// the options.
    pub settings: Vec<Setting>,
    /// When the run began, in milliseconds since 1970.
    pub started_unix_ms: u64,
    /// How long it took, from the first connection attempt to the last close.
    pub seconds: f64,
    /// A user pressed Ctrl-C.
    pub interrupted: bool,
    /// The machines that generated the load; several after a merge.
    pub machines: Vec<Machine>,
    /// The numbers of connections, by their outcome.
    pub connections: Connections,
    /// Messages and bytes.
    pub messages: Messages,
    /// The deliveries that arrived, and those that should have, if the scenario
    /// knows.
    pub deliveries: Option<Deliveries>,
    /// Distributions of times, by name. See [`latency_title`] for the names.
    pub latencies: BTreeMap<String, Latency>,
    /// The resources that the client and, if it was seen, the server used.
    pub resources: Resources,
    /// One entry per interval, in order of time.
    pub series: Vec<Sample>,
    /// The limits that stopped the run.
    pub findings: Vec<Finding>,
    /// Other reasons to fail than what the figures show, such as a soak's
    /// climbing memory.
    pub failures: Vec<String>,
}

/// A setting of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// Its value with its unit.
    pub value: String,
}

/// A machine that generated load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Its name.
    pub hostname: String,
    /// The identifier that tells its running kernel from others. Containers have
    /// names of their own and this in common. Empty in results that know nothing
    /// of it.
    #[serde(default)]
    pub boot: String,
    /// Release of its kernel.
    pub kernel: String,
    /// Model of its processor.
    pub cpu: String,
    /// Cores this process may use.
    pub cores: usize,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Threads that generated load.
    pub threads: usize,
}

/// The numbers of connections, by their outcome.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Connections {
    /// How many there should be.
    pub asked: u64,
    /// Opening handshakes that succeeded.
    pub opened: u64,
    /// Those that did not, by cause.
    pub failed: BTreeMap<Cause, u64>,
    /// Open connections that the generator did not end, by cause.
    pub lost: BTreeMap<Cause, u64>,
    /// Open ones that were ended by this tool.
    pub closed: u64,
    /// The most that were open at one time.
    pub peak: u64,
    /// Time from the first attempt until the last handshake of the opening phase.
    pub opening_seconds: f64,
}

impl Connections {
    /// Connections that could not be opened.
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Connections lost after they were open.
    pub fn losses(&self) -> u64 {
        self.lost.values().sum()
    }

    /// Handshakes per second of the opening phase.
    pub fn rate(&self) -> f64 {
        per_second(self.opened, self.opening_seconds)
    }
}

/// Messages and bytes of the measured time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Messages {
    /// The measured time; connecting, warming up and closing are outside of it.
    pub seconds: f64,
    /// Messages sent.
    pub sent: u64,
    /// Messages received.
    pub received: u64,
    /// Bytes of payload sent.
    pub sent_bytes: u64,
    /// Bytes of payload received.
    pub received_bytes: u64,
    /// Messages the server says it has received, where it was asked.
    pub confirmed: Option<u64>,
}

impl Messages {
    /// Messages sent per second.
    pub fn sent_rate(&self) -> f64 {
        per_second(self.sent, self.seconds)
    }

    /// Messages received per second.
    pub fn received_rate(&self) -> f64 {
        per_second(self.received, self.seconds)
    }
}

/// The deliveries that arrived, and those that should have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deliveries {
    /// Publications, or requests where each has one answer.
    pub publications: u64,
    /// Deliveries that these should have become.
    pub expected: u64,
    /// Those that arrived, each counted once.
    pub received: u64,
    /// Those that never came.
    pub lost: u64,
    /// Those that came after a later one.
    pub reordered: u64,
    /// Those that came again.
    pub duplicated: u64,
    /// Messages with other content than was sent.
    pub corrupt: u64,
}

impl Deliveries {
    /// Adds another count.
    pub fn add(&mut self, other: &Deliveries) {
        self.publications += other.publications;
        self.expected += other.expected;
        self.received += other.received;
        self.lost += other.lost;
        self.reordered += other.reordered;
        self.duplicated += other.duplicated;
        self.corrupt += other.corrupt;
    }
}

/// The resources of the machine that a run used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Resources {
    /// Processor time of the generator in the measured time, in seconds.
    pub client_cpu_seconds: f64,
    /// The busiest generator thread's share of its time, from 0 to 1.
    pub busiest_thread: f64,
    /// The most memory the generator had resident, in bytes.
    pub client_memory_bytes: u64,
    /// Memory the generator had resident before the first connection, in bytes.
    pub client_memory_before_bytes: u64,
    /// The server, when it runs on this machine or was named.
    pub server: Option<ServerResources>,
    /// Memory of the kernel's TCP sockets and slab when the most connections
    /// were open, beyond that before the run, in bytes.
    pub kernel_memory_bytes: Option<u64>,
    /// The figures were limited by the generator, not by the server.
    pub client_bound: bool,
}

/// The resources that a server process used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerResources {
    /// Its process id.
    pub pid: u32,
    /// Its program's name.
    pub name: String,
    /// Processor time in the measured time, in seconds.
    pub cpu_seconds: f64,
    /// The busiest thread's share of its time, from 0 to 1.
    pub busiest_thread: f64,
    /// The most memory it had resident, in bytes.
    pub memory_bytes: u64,
    /// Memory it had resident before the first connection, in bytes.
    pub memory_before_bytes: u64,
}

/// One interval of the run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The end of the interval, in seconds since the run began.
    pub at: f64,
    /// Its length in seconds.
    pub seconds: f64,
    /// Connections on their way or open, at its end.
    pub users: u64,
    /// Connections open, at its end.
    pub connected: u64,
    /// Connections opened in it.
    pub opened: u64,
    /// Connections that failed or were lost in it.
    pub failed: u64,
    /// Messages sent in it.
    pub sent: u64,
    /// Messages received in it.
    pub received: u64,
    /// Bytes of payload sent in it.
    pub sent_bytes: u64,
    /// Bytes of payload received in it.
    pub received_bytes: u64,
    /// Percentiles of the times measured in it, by the names of
    /// [`Outcome::latencies`].
    pub latencies: BTreeMap<String, Percentiles>,
    /// Processor time of the generator per second: 1 is one full core.
    pub client_cpu: f64,
    /// Processor time of the server per second.
    pub server_cpu: Option<f64>,
    /// Each core's busy share, from 0 to 1.
    pub cores: Vec<f64>,
    /// Memory the generator has resident, in bytes.
    pub client_memory_bytes: u64,
    /// Memory the server has resident, in bytes.
    pub server_memory_bytes: Option<u64>,
    /// Memory of the kernel's TCP sockets and its slab, in bytes.
    pub kernel_memory_bytes: Option<u64>,
    /// Descriptors the server has open.
    pub server_descriptors: Option<u64>,
    /// Sessions the server says it has.
    pub server_sessions: Option<u64>,
}

/// A limit of the run, and its remedy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How sure it is that this stopped the run.
    pub severity: Severity,
    /// The event and its reason, in one sentence with its numbers.
    pub what: String,
    /// The remedy: a command if there is one.
    pub remedy: String,
}

/// How a finding bears on the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Connections or messages were lost to it.
    Failure,
    /// The figures would be higher without it.
    Limit,
    /// Worth knowing, but nothing was lost to it.
    Note,
}

impl Outcome {
    /// The outcome of a scenario that begins now and has measured nothing yet.
    pub fn new(scenario: &str) -> Outcome {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Outcome {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            scenario: scenario.to_owned(),
            command: Vec::new(),
            targets: Vec::new(),
            settings: Vec::new(),
            started_unix_ms: now.map_or(0, |since| since.as_millis() as u64),
            seconds: 0.0,
            interrupted: false,
            machines: Vec::new(),
            connections: Connections::default(),
            messages: Messages::default(),
            deliveries: None,
            latencies: BTreeMap::new(),
            resources: Resources::default(),
            series: Vec::new(),
            findings: Vec::new(),
            failures: Vec::new(),
        }
    }
}

/// The names in [`Outcome::latencies`] and what they stand for, for people, in
/// the order in which a connection meets them.
const LATENCIES: &[(&str, &str)] = &[
    ("handshake", "Opening handshake"),
    ("join", "Channel join"),
    ("echo", "Echo round trip"),
    ("reply", "Reply"),
    ("delivery", "Delivery"),
    ("first", "First subscriber"),
    ("median", "Median subscriber"),
    ("last", "Last subscriber"),
    ("heartbeat", "Heartbeat"),
];

/// The title of a name in [`Outcome::latencies`], for people.
pub fn latency_title(name: &str) -> &str {
    let known = LATENCIES.iter().find(|(known, _)| *known == name);
    known.map_or(name, |(_, title)| title)
}

impl Outcome {
    /// The latencies in the order in which a connection meets them; those this
    /// version does not know come last.
    pub fn latencies_in_order(&self) -> Vec<(&str, &Latency)> {
        let place = |name: &str| LATENCIES.iter().position(|(known, _)| *known == name);
        let mut latencies: Vec<_> = self
            .latencies
            .iter()
            .map(|(name, latency)| (name.as_str(), latency))
            .collect();
        latencies.sort_by_key(|(name, _)| place(name).unwrap_or(LATENCIES.len()));
        latencies
    }
}

/// A rate, zero for an empty time.
pub fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 {
        count as f64 / seconds
    } else {
        0.0
    }
}
