//! The options as typed: every one may be missing.
//!
//! # Invariants worth naming
//!
//! - [`Options`] is the one list of options. Flags, variables and the file are
//!   all read into it, and [`Options::over`] and [`Options::resolve`] name
//!   every field, so the compiler finds an option that was forgotten.
//! - A setting that was not typed never contradicts one that was: where two
//!   are related, the default gives way.

use std::collections::BTreeMap;

use clap::Args;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use super::ServeOptions;
use super::routes::{Served, is_same_path};
use super::text::{from_text, list_from_text, one_or_list_from_text};
use super::value::{
    Address, AddressOrOff, Count, Cpus, Level, Microseconds, Network, Origin, Route, Size, Switch,
    Time,
};
use crate::config::{
    ClientAddress, Config, ConfigError, Driver, Endpoint, OverRatePolicy, SlowConsumerPolicy,
    Steer, UnreadTable,
};
use crate::log::LogFormat;

const LISTENING: &str = "Listening";
const SHARDS: &str = "Shards";
const LIMITS: &str = "Limits";
const DEFENCE: &str = "Defence";
const TIMEOUTS: &str = "Timeouts";
const FAN_OUT: &str = "Fan-out";
const LOGGING: &str = "Logging";

/// What was typed. Each doc comment is the option's help.
#[derive(Debug, Default, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Options {
    /// Where WebSocket connections are accepted; port 0 lets the kernel choose; repeatable
    #[arg(long, value_name = "ADDR", value_delimiter = ',', help_heading = LISTENING)]
    #[serde(deserialize_with = "one_or_list_from_text")]
    pub listen: Option<Vec<Address>>,

    /// Where metrics, health and statistics are served over HTTP, or off
    #[arg(long, value_name = "ADDR", help_heading = LISTENING)]
    #[serde(deserialize_with = "from_text")]
    pub admin: Option<AddressOrOff>,

    /// Connections that may wait to be accepted, on each shard; net.core.somaxconn caps it
    #[arg(long, value_name = "N", help_heading = LISTENING)]
    #[serde(deserialize_with = "from_text")]
    pub backlog: Option<Count>,

    /// An origin whose pages may connect, as in https://example.com, or * for any; repeatable
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',', help_heading = LISTENING)]
    #[serde(deserialize_with = "list_from_text")]
    pub origin: Option<Vec<Origin>>,

    /// A path and what answers it: echo, broadcast, chat, phoenix, or off for a path that another
    /// source or --demo serves; repeatable. Policies may follow, as in
    /// /news=broadcast:drop:publish=nobody
    #[arg(id = "routes", long = "route", value_name = "PATH=HANDLER", value_delimiter = ',', help_heading = LISTENING)]
    pub routes: Option<Vec<Route>>,

    /// Serve routes to try it with, and a page on /, which anybody may use: /echo, /broadcast, /ws,
    /// /ws/{user_id} and /socket/websocket
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true", help_heading = LISTENING)]
    #[serde(deserialize_with = "from_text")]
    pub demo: Option<Switch>,

    /// The tables of handlers' settings, which are in the file only, and are kept as
    /// they are for the handlers.
    #[arg(skip)]
    #[serde(deserialize_with = "unread")]
    pub handlers: Option<BTreeMap<String, UnreadTable>>,

    /// As the table of one handler was called at first.
    #[arg(skip)]
    #[serde(deserialize_with = "unread")]
    pub phoenix: Option<BTreeMap<String, UnreadTable>>,

    /// Shards: threads that each serve their own connections
    #[arg(long, value_name = "N", help_heading = SHARDS)]
    #[serde(deserialize_with = "from_text")]
    pub shards: Option<Count>,

    /// Cores the shards are pinned to, in turn, as in 0-3,8
    #[arg(long, value_name = "LIST", help_heading = SHARDS)]
    #[serde(deserialize_with = "from_text")]
    pub cpus: Option<Cpus>,

    /// Which shard gets a connection: any, by the kernel's hash of its addresses (hash), or one on
    /// the core that received it (cpu; a shard whose core receives nothing stays empty)
    #[arg(long, value_name = "HOW", help_heading = SHARDS)]
    #[serde(deserialize_with = "from_text")]
    pub steer: Option<Steer>,

    /// The kernel interface: uring, epoll, or auto for uring where the host allows it
    #[arg(long, value_name = "DRIVER", help_heading = SHARDS)]
    #[serde(deserialize_with = "from_text")]
    pub driver: Option<Driver>,

    /// How long a shard looks for work before it sleeps, in microseconds:
    /// lower latency for a busy core
    #[arg(long, value_name = "US", help_heading = SHARDS)]
    #[serde(deserialize_with = "from_text")]
    pub busy_poll: Option<Microseconds>,

    /// Sessions in the whole process
    #[arg(long, value_name = "N", help_heading = LIMITS)]
    #[serde(deserialize_with = "from_text")]
    pub max_sessions: Option<Count>,

    /// Sessions on one shard
    #[arg(long, value_name = "N", help_heading = LIMITS)]
    #[serde(deserialize_with = "from_text")]
    pub max_sessions_per_shard: Option<Count>,

    /// Opening handshakes in flight on one shard; over it the shard stops accepting
    #[arg(long, value_name = "N", help_heading = LIMITS)]
    #[serde(deserialize_with = "from_text")]
    pub max_handshakes: Option<Count>,

    /// Size of a request's header block
    #[arg(long, value_name = "SIZE", help_heading = LIMITS)]
    #[serde(deserialize_with = "from_text")]
    pub max_header_bytes: Option<Size>,

    /// Bytes taken from a socket in one read; one buffer of this size serves a whole shard
    #[arg(long, value_name = "SIZE", help_heading = LIMITS)]
    #[serde(deserialize_with = "from_text")]
    pub max_read_bytes: Option<Size>,

    /// Payload of one frame; follows --max-message-bytes when that is less
    #[arg(long, value_name = "SIZE", help_heading = LIMITS)]
    #[serde(deserialize_with = "from_text")]
    pub max_frame_bytes: Option<Size>,

    /// Payload of one message, all its frames together
    #[arg(long, value_name = "SIZE", help_heading = LIMITS)]
    #[serde(deserialize_with = "from_text")]
    pub max_message_bytes: Option<Size>,

    /// Outgoing bytes above which a session is not read; follows --max-pending-bytes
    /// when that is less
    #[arg(long, value_name = "SIZE", help_heading = LIMITS)]
    #[serde(deserialize_with = "from_text")]
    pub high_water_mark: Option<Size>,

    /// Outgoing bytes above which a session is a slow consumer
    #[arg(long, value_name = "SIZE", help_heading = LIMITS)]
    #[serde(deserialize_with = "from_text")]
    pub max_pending_bytes: Option<Size>,

    /// What is done about a slow consumer: close it (1013), or drop the publication and count it
    #[arg(long, value_name = "POLICY", help_heading = LIMITS)]
    #[serde(deserialize_with = "from_text")]
    pub slow_consumer: Option<SlowConsumerPolicy>,

    /// Where a client's address is taken from: peer, forwarded-for (the header
    /// X-Forwarded-For of a trusted proxy) or proxy-protocol (its PROXY header, version 1 or 2;
    /// others may not connect)
    #[arg(long, value_name = "HOW", help_heading = DEFENCE)]
    #[serde(deserialize_with = "from_text")]
    pub client_address: Option<ClientAddress>,

    /// A proxy's address or network, as in 10.0.0.0/8, whose word is taken for where its
    /// connections come from; repeatable
    #[arg(long, value_name = "NETWORK", value_delimiter = ',', help_heading = DEFENCE)]
    #[serde(deserialize_with = "list_from_text")]
    pub trusted_proxy: Option<Vec<Network>>,

    /// Connections of one source address at one time; over it they are refused (429)
    #[arg(long, value_name = "N", help_heading = DEFENCE)]
    #[serde(deserialize_with = "from_text")]
    pub max_connections_per_source: Option<Count>,

    /// Opening handshakes of one source address per second; over it they are refused (429)
    #[arg(long, value_name = "N", help_heading = DEFENCE)]
    #[serde(deserialize_with = "from_text")]
    pub max_handshake_rate_per_source: Option<Count>,

    /// Leading bits of an IPv6 address that make a source, because one customer has many addresses
    #[arg(long, value_name = "BITS", help_heading = DEFENCE)]
    #[serde(deserialize_with = "from_text")]
    pub source_prefix_ipv6: Option<Count>,

    /// Messages and pings of one session per second
    #[arg(long, value_name = "N", help_heading = DEFENCE)]
    #[serde(deserialize_with = "from_text")]
    pub max_message_rate: Option<Count>,

    /// Bytes of one session per second
    #[arg(long, value_name = "SIZE", help_heading = DEFENCE)]
    #[serde(deserialize_with = "from_text")]
    pub max_byte_rate: Option<Size>,

    /// Time's worth of a rate that may be used at once
    #[arg(long, value_name = "TIME", help_heading = DEFENCE)]
    #[serde(deserialize_with = "from_text")]
    pub rate_burst: Option<Time>,

    /// What is done about a session over its rate: pause (it is not read for a while) or
    /// close (1008)
    #[arg(long, value_name = "POLICY", help_heading = DEFENCE)]
    #[serde(deserialize_with = "from_text")]
    pub over_rate: Option<OverRatePolicy>,

    /// Time a client has for its opening handshake
    #[arg(long, value_name = "TIME", help_heading = TIMEOUTS)]
    #[serde(deserialize_with = "from_text")]
    pub handshake_timeout: Option<Time>,

    /// Silence after which a session is closed; 0 for never
    #[arg(long, value_name = "TIME", help_heading = TIMEOUTS)]
    #[serde(deserialize_with = "from_text")]
    pub idle_timeout: Option<Time>,

    /// Silence after which the server sends a ping; 0 for none; half of --idle-timeout
    /// when that is less
    #[arg(long, value_name = "TIME", help_heading = TIMEOUTS)]
    #[serde(deserialize_with = "from_text")]
    pub ping_interval: Option<Time>,

    /// Time a session's outgoing bytes may stand still before it is closed
    #[arg(long, value_name = "TIME", help_heading = TIMEOUTS)]
    #[serde(deserialize_with = "from_text")]
    pub write_stall_timeout: Option<Time>,

    /// Time a client has to answer a close frame
    #[arg(long, value_name = "TIME", help_heading = TIMEOUTS)]
    #[serde(deserialize_with = "from_text")]
    pub close_timeout: Option<Time>,

    /// Time over which a stopping server spreads its close frames
    #[arg(long, value_name = "TIME", help_heading = TIMEOUTS)]
    #[serde(deserialize_with = "from_text")]
    pub drain_timeout: Option<Time>,

    /// Messages each ring between two shards holds
    #[arg(long, value_name = "N", help_heading = FAN_OUT)]
    #[serde(deserialize_with = "from_text")]
    pub ring_capacity: Option<Count>,

    /// Deliveries a shard makes before it looks after its other sockets again
    #[arg(long, value_name = "N", help_heading = FAN_OUT)]
    #[serde(deserialize_with = "from_text")]
    pub fan_out_slice: Option<Count>,

    /// The log's form: human (coloured lines), json (an object a line), or auto
    /// (lines, coloured on a terminal)
    #[arg(long, value_name = "FORMAT", help_heading = LOGGING)]
    #[serde(deserialize_with = "from_text")]
    pub log: Option<LogFormat>,

    /// The least that is logged: off, error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", help_heading = LOGGING)]
    #[serde(deserialize_with = "from_text")]
    pub log_level: Option<Level>,
}

impl Options {
    /// These options, and those of `below` where these are silent. Routes of
    /// both layers count, because each is about its own path.
    pub(super) fn over(self, below: Options) -> Options {
        /// Writes the struct out; a field that is missing does not compile.
        macro_rules! either {
            ($($field:ident),+ $(,)?) => {
                Options {
                    routes: match (below.routes, self.routes) {
                        (Some(below), Some(above)) => Some([below, above].concat()),
                        (below, above) => above.or(below),
                    },
                    $($field: self.$field.or(below.$field),)+
                }
            };
        }
        either!(
            listen,
            admin,
            backlog,
            origin,
            demo,
            handlers,
            phoenix,
            shards,
            cpus,
            steer,
            driver,
            busy_poll,
            max_sessions,
            max_sessions_per_shard,
            max_handshakes,
            max_header_bytes,
            max_read_bytes,
            max_frame_bytes,
            max_message_bytes,
            high_water_mark,
            max_pending_bytes,
            slow_consumer,
            client_address,
            trusted_proxy,
            max_connections_per_source,
            max_handshake_rate_per_source,
            source_prefix_ipv6,
            max_message_rate,
            max_byte_rate,
            rate_burst,
            over_rate,
            handshake_timeout,
            idle_timeout,
            ping_interval,
            write_stall_timeout,
            close_timeout,
            drain_timeout,
            ring_capacity,
            fan_out_slice,
            log,
            log_level,
        )
    }

    /// Fills in the defaults. The result is not yet validated.
    ///
    /// # Errors
    ///
    /// When a path is to be served no longer that never was.
    pub(super) fn resolve(self) -> Result<ServeOptions, ConfigError> {
        let default = ServeOptions::default();
        let base = default.config;

        let cpus = self.cpus.map_or(base.cpus, |Cpus(cpus)| cpus);
        // Whoever names cores wants a shard on each.
        let default_shards = if cpus.is_empty() {
            base.shards
        } else {
            cpus.len()
        };

        let size = |typed: Option<Size>, default| typed.map_or(default, |Size(bytes)| bytes);
        let max_message_bytes = size(
            self.max_message_bytes,
            // A larger frame was asked for, so a message must be able to hold it.
            base.max_message_bytes.max(size(self.max_frame_bytes, 0)),
        );
        let max_pending_bytes = size(
            self.max_pending_bytes,
            base.max_pending_bytes.max(size(self.high_water_mark, 0)),
        );

        let time = |typed: Option<Time>, default| typed.map_or(default, |Time(time)| time);
        let idle_timeout = time(self.idle_timeout, base.idle_timeout);
        let default_ping = match idle_timeout {
            never if never.is_zero() => base.ping_interval,
            idle => base.ping_interval.min(idle / 2),
        };

        let listen = self.listen.map_or(base.listen, |addresses| {
            let endpoint = |Address(address)| Endpoint::plain(address);
            addresses.into_iter().map(endpoint).collect()
        });
        let demo = self.demo.map(|Switch(on)| on);
        let served = Served::resolve(demo, self.routes.unwrap_or_default(), &listen)?;

        let count = |typed: Option<Count>, default| typed.map_or(default, |Count(n)| n);
        let config = Config {
            listen,
            admin: self
                .admin
                .map_or(base.admin, |AddressOrOff(address)| address),
            shards: count(self.shards, default_shards),
            cpus,
            steer: self.steer.unwrap_or(base.steer),
            driver: self.driver.unwrap_or(base.driver),
            busy_poll: self
                .busy_poll
                .map_or(base.busy_poll, |Microseconds(time)| time),
            // What does not fit is out of range and will be refused as such.
            backlog: count(self.backlog, base.backlog as usize)
                .try_into()
                .unwrap_or(u32::MAX),
            allowed_origins: self.origin.map_or(base.allowed_origins, resolve_origins),
            max_sessions: count(self.max_sessions, base.max_sessions),
            max_sessions_per_shard: count(self.max_sessions_per_shard, base.max_sessions_per_shard),
            max_handshakes_per_shard: count(self.max_handshakes, base.max_handshakes_per_shard),
            max_header_bytes: size(self.max_header_bytes, base.max_header_bytes),
            max_read_bytes: size(self.max_read_bytes, base.max_read_bytes),
            max_frame_bytes: size(
                self.max_frame_bytes,
                base.max_frame_bytes.min(max_message_bytes),
            ),
            max_message_bytes,
            high_water_mark_bytes: size(
                self.high_water_mark,
                base.high_water_mark_bytes.min(max_pending_bytes),
            ),
            max_pending_bytes,
            slow_consumer: self.slow_consumer.unwrap_or(base.slow_consumer),
            client_address: self.client_address.unwrap_or(base.client_address),
            trusted_proxies: self.trusted_proxy.map_or(base.trusted_proxies, |networks| {
                networks
                    .into_iter()
                    .map(|Network(network)| network)
                    .collect()
            }),
            max_connections_per_source: count(
                self.max_connections_per_source,
                base.max_connections_per_source,
            ),
            max_handshake_rate_per_source: count(
                self.max_handshake_rate_per_source,
                base.max_handshake_rate_per_source,
            ),
            // What does not fit is out of range and will be refused as such.
            source_prefix_ipv6: count(self.source_prefix_ipv6, base.source_prefix_ipv6.into())
                .try_into()
                .unwrap_or(u8::MAX),
            max_message_rate: count(self.max_message_rate, base.max_message_rate),
            max_byte_rate: size(self.max_byte_rate, base.max_byte_rate),
            rate_burst: time(self.rate_burst, base.rate_burst),
            over_rate: self.over_rate.unwrap_or(base.over_rate),
            handshake_timeout: time(self.handshake_timeout, base.handshake_timeout),
            idle_timeout,
            ping_interval: time(self.ping_interval, default_ping),
            write_stall_timeout: time(self.write_stall_timeout, base.write_stall_timeout),
            close_timeout: time(self.close_timeout, base.close_timeout),
            drain_timeout: time(self.drain_timeout, base.drain_timeout),
            ring_capacity: count(self.ring_capacity, base.ring_capacity),
            fan_out_slice: count(self.fan_out_slice, base.fan_out_slice),
            routes: served.routes,
            home_page: served.home_page,
            health_page: served.health_page,
            handlers: self.handlers.unwrap_or(base.handlers),
        };
        Ok(ServeOptions {
            config,
            demo: served.demo,
            notes: default.notes,
            log: self.log.unwrap_or(default.log),
            log_level: self
                .log_level
                .map_or(default.log_level, |Level(level)| level),
        })
    }
}

/// Passes over a table that others read.
fn unread<'de, T, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| None)
}

/// The origins by name, or none, meaning any, if one of them is `*`.
fn resolve_origins(typed: Vec<Origin>) -> Vec<String> {
    if typed.iter().any(|Origin(origin)| origin == "*") {
        return Vec::new();
    }
    typed.into_iter().map(|Origin(origin)| origin).collect()
}

impl Options {
    /// The place of the first route of one source whose path it has named
    /// before, and what is wrong with that.
    pub(super) fn repeated_route(&self) -> Option<(usize, String)> {
        let routes = self.routes.as_deref().unwrap_or_default();
        routes.iter().enumerate().find_map(|(place, route)| {
            let mut before = routes[..place].iter();
            let twin = before.find(|before| is_same_path(&before.path, &route.path))?;
            let problem = format!(
                "the path '{}' is there twice, with {} and {}; keep one of them",
                route.path, twin.handler, route.handler
            );
            Some((place, problem))
        })
    }
}
