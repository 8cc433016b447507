//! Every limit, default and unit of a server, in one place.
//!
//! [`Config`] is what was *resolved*: plain values with the relations between
//! them checked once by [`Config::validate`]. What a person *typed* (flags,
//! environment, a TOML file) is the concern of `cli` and becomes a
//! `Config` before any thread starts.

mod choice;
mod endpoint;
mod phoenix;
mod range;
mod time;
mod topic_pattern;
mod validate;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

pub use choice::{
    ClientAddress, Driver, JoinPolicy, OverRatePolicy, SlowConsumerPolicy, Steer, TokenAlgorithm,
};
pub use endpoint::{Endpoint, EndpointKind, MAX_ENDPOINTS};
use ipnet::IpNet;

pub use phoenix::{PhoenixConfig, TokenKey, TokenSetting, TopicRule};
#[cfg(feature = "cli")]
pub(crate) use range::Range;
pub(crate) use range::show_bytes;
pub(crate) use time::show_time;
pub use topic_pattern::TopicPattern;

/// The handlers a route may name.
pub const HANDLERS: &[&str] = &["echo", "broadcast", "chat", "phoenix"];

/// Which handler answers a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSetting {
    /// The path; a segment in braces, as in `/ws/{user_id}`, matches any one segment.
    pub path: String,
    /// One of [`HANDLERS`].
    pub handler: String,
    /// This route's policy, or `None` for [`Config::slow_consumer`].
    pub slow_consumer: Option<SlowConsumerPolicy>,
}

impl RouteSetting {
    /// A route with the server's own slow-consumer policy.
    pub fn new(path: &str, handler: &str) -> Self {
        RouteSetting {
            path: path.to_owned(),
            handler: handler.to_owned(),
            slow_consumer: None,
        }
    }
}

/// A server's settings. Every field has a documented default; see
/// [`Config::default`]. The ranges are in `config/range.rs`, the relations in
/// [`Config::validate`].
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where the shards listen; at most [`MAX_ENDPOINTS`], no address twice.
    pub listen: Vec<Endpoint>,
    /// Address of the control plane, or `None` for a server without one.
    pub admin: Option<SocketAddr>,
    /// Number of shards. More shards than cores are allowed: each has its own
    /// table of file descriptors.
    pub shards: usize,
    /// Cores the shards are pinned to, in turn. Empty: all cores this process may use.
    pub cpus: Vec<usize>,
    /// Which shard a new connection is given to.
    pub steer: Steer,
    /// The kernel interface the shards wait on.
    pub driver: Driver,
    /// How long a shard polls for work before it sleeps. Zero: it sleeps at once.
    pub busy_poll: Duration,
    /// Length of each listener's accept queue; the kernel caps it at `net.core.somaxconn`.
    pub backlog: u32,
    /// Origins a browser may connect from. Empty: any. A request without an
    /// `Origin` header is not a browser's and is let through.
    pub allowed_origins: Vec<String>,

    /// Sessions in the whole process.
    pub max_sessions: usize,
    /// Sessions on one shard.
    pub max_sessions_per_shard: usize,
    /// Handshakes in flight on one shard; over it the shard stops accepting until one ends.
    pub max_handshakes_per_shard: usize,
    /// Size of a request's header block.
    pub max_header_bytes: usize,
    /// Bytes taken from a socket in one read. One buffer of this size serves a
    /// whole shard, and should fit in its core's cache.
    pub max_read_bytes: usize,
    /// Payload of one frame.
    pub max_frame_bytes: usize,
    /// Payload of one message, all fragments together.
    pub max_message_bytes: usize,
    /// Outgoing bytes above which a session is not read.
    pub high_water_mark_bytes: usize,
    /// Outgoing bytes above which the slow-consumer policy applies.
    pub max_pending_bytes: usize,
    /// What is done about a slow consumer.
    pub slow_consumer: SlowConsumerPolicy,

    /// Where a connection's client address is taken from.
    pub client_address: ClientAddress,
    /// The proxies whose word is taken for it. Empty where nobody is asked.
    pub trusted_proxies: Vec<IpNet>,
    /// Connections of one source at one time, sessions and handshakes in
    /// flight. Zero: no limit.
    pub max_connections_per_source: usize,
    /// Opening handshakes of one source per second. Zero: no limit.
    pub max_handshake_rate_per_source: usize,
    /// Leading bits of an IPv6 address that make a source; of an IPv4 address
    /// all do.
    pub source_prefix_ipv6: u8,
    /// Messages and pings of one session per second. Zero: no limit.
    pub max_message_rate: usize,
    /// Bytes of one session per second. Zero: no limit.
    pub max_byte_rate: usize,
    /// Time's worth of a rate that may be used at once after it was not used.
    pub rate_burst: Duration,
    /// What is done about a session over its rate.
    pub over_rate: OverRatePolicy,

    /// Time a client has for its opening handshake.
    pub handshake_timeout: Duration,
    /// Silence after which a session is closed; any received byte ends the silence.
    /// Zero: never.
    pub idle_timeout: Duration,
    /// Silence after which the server sends a ping. Zero: it sends none.
    pub ping_interval: Duration,
    /// Time a send queue may stand still before its session is closed.
    pub write_stall_timeout: Duration,
    /// Time a peer has to answer a close frame.
    pub close_timeout: Duration,
    /// Time over which a draining server spreads its close frames.
    pub drain_timeout: Duration,

    /// Messages each ring between two shards holds.
    pub ring_capacity: usize,
    /// Deliveries a shard makes before it looks after its other sockets again;
    /// after a turn in which more sessions were ready, as many as those.
    pub fan_out_slice: usize,

    /// The paths that are served; no two are alike.
    pub routes: Vec<RouteSetting>,
    /// What the clients of Phoenix Channels may do.
    pub phoenix: PhoenixConfig,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: vec![Endpoint::plain(SocketAddr::from(([127, 0, 0, 1], 8080)))],
            admin: cfg!(feature = "control").then(|| SocketAddr::from(([127, 0, 0, 1], 9090))),
            shards: std::thread::available_parallelism().map_or(1, |cores| cores.get()),
            cpus: Vec::new(),
            steer: Steer::Hash,
            driver: Driver::Auto,
            busy_poll: Duration::ZERO,
            backlog: 65_535,
            allowed_origins: Vec::new(),
            max_sessions: 4_000_000,
            max_sessions_per_shard: 1_000_000,
            max_handshakes_per_shard: 4_096,
            max_header_bytes: 8 * 1024,
            max_read_bytes: 64 * 1024,
            max_frame_bytes: 16 * 1024 * 1024,
            max_message_bytes: 16 * 1024 * 1024,
            high_water_mark_bytes: 64 * 1024,
            max_pending_bytes: 1024 * 1024,
            slow_consumer: SlowConsumerPolicy::Close,
            client_address: ClientAddress::Peer,
            trusted_proxies: Vec::new(),
            max_connections_per_source: 0,
            max_handshake_rate_per_source: 0,
            source_prefix_ipv6: 64,
            max_message_rate: 0,
            max_byte_rate: 0,
            rate_burst: Duration::from_secs(1),
            over_rate: OverRatePolicy::Pause,
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            ping_interval: Duration::from_secs(30),
            write_stall_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(30),
            ring_capacity: 1_024,
            fan_out_slice: 256,
            routes: vec![
                RouteSetting::new("/echo", "echo"),
                RouteSetting::new("/broadcast", "broadcast"),
                RouteSetting::new("/ws", "chat"),
                RouteSetting::new("/ws/{user_id}", "chat"),
                RouteSetting::new("/socket/websocket", "phoenix"),
            ],
            phoenix: PhoenixConfig::default(),
        }
    }
}

/// A setting that cannot stand: which one, what was wrong, what is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The option's name as written on the command line, without dashes, or the
    /// key with dots of what is only in the file.
    pub option: &'static str,
    /// What was wrong and what is allowed instead, as one sentence.
    pub problem: String,
}

impl ConfigError {
    /// An error about one option.
    pub fn new(option: &'static str, problem: impl Into<String>) -> Self {
        ConfigError {
            option,
            problem: problem.into(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is only in the file has no flag.
        let dashes = if self.option.contains('.') { "" } else { "--" };
        write!(f, "{dashes}{}: {}", self.option, self.problem)
    }
}

impl std::error::Error for ConfigError {}
