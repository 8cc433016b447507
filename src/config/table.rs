//! The table of settings: a row for each, and [`Config`] made from the rows.
//!
//! A row is
//!
//! ```text
//! /// The help, as one paragraph. Further paragraphs are for the documentation only.
//! field: Type = default;
//!     Kind(range), Live or Restart, key "file-key", default "in words", relation check;
//! ```
//!
//! of which the last three are left out where the key is the field's name, where
//! the default value speaks for itself, and where no other setting matters.
//! [`Kind`](super::setting::Kind) says which kinds there are. To add a setting, add
//! a row here and use its field; `make options` writes `docs/options.md` again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::range::{DAY, GIB, HOUR, KIB, MIB, MS, from, off_or};
use super::setting::settings;
use super::validate;
use super::{
    ClientAddress, Driver, Endpoint, OverRatePolicy, RouteSetting, SlowConsumerPolicy, Steer,
    UnreadTable,
};

settings! {
    /// A server's settings. Every field has a documented default; see
    /// [`Config::default`]. Ranges and relations between settings are checked by
    /// [`Config::validate`].
    pub struct Config, SETTINGS;

    "Listening" {
        /// Where WebSocket connections are accepted; port 0 lets the kernel choose; repeatable.
        ///
        /// At most 32 addresses, none of them twice.
        listen: Vec<Endpoint> = vec![Endpoint::plain(SocketAddr::from(([127, 0, 0, 1], 8080)))];
            Addresses, Restart, relation validate::listeners;

        /// Where metrics, health and statistics are served over HTTP, or off.
        ///
        /// Do not expose it: it asks for no password. Not the address of --listen.
        admin: Option<SocketAddr> =
            cfg!(feature = "control").then(|| SocketAddr::from(([127, 0, 0, 1], 9090)));
            AddressOrOff, Restart, relation validate::admin_is_no_listener;

        /// Start although another server listens on the same address, which then gets a part of the
        /// connections; refused otherwise.
        ///
        /// A process that takes over from another with SIGUSR2 needs no permission.
        share_port: bool = false;
            Switch, Restart;

        /// Connections that may wait to be accepted, on each shard; net.core.somaxconn caps it.
        backlog: u32 = 65_535;
            Count(from(1, 1 << 24)), Restart;

        /// An origin whose pages may connect, as in `https://example.com`, or * for any; repeatable.
        ///
        /// In the library, an empty list is any. A request without an `Origin` header is not a
        /// browser's and is let through. Sessions that are open stay open when it changes.
        allowed_origins: Vec<String> = Vec::new();
            Origins, Live, key "origin", relation validate::origins;
    }

    "Shards" {
        /// Shards: threads that each serve their own connections.
        ///
        /// More shards than cores are allowed: each has its own table of file descriptors.
        shards: usize = std::thread::available_parallelism().map_or(1, |cores| cores.get());
            Count(from(1, 1024)), Restart, default "one per core of --cpus";

        /// Cores the shards are pinned to, in turn, as in 0-3,8.
        ///
        /// Only cores that this process may use. In the library, an empty list is all of them.
        cpus: Vec<usize> = Vec::new();
            Cpus, Restart, relation validate::cpus_are_usable;

        /// Which shard gets a connection: any, by the kernel's hash of its addresses (hash), or one
        /// on the core that received it (cpu; a shard whose core receives nothing stays empty).
        steer: Steer = Steer::Hash;
            Choice(Steer::WORDS), Restart;

        /// The kernel interface: uring, epoll, or auto for uring where the host allows it.
        driver: Driver = Driver::Auto;
            Choice(Driver::WORDS), Restart;

        /// How long a shard looks for work before it sleeps, in microseconds: lower latency for a
        /// busy core.
        busy_poll: Duration = Duration::ZERO;
            Microseconds(from(0, 100 * MS)), Restart;
    }

    "Limits" {
        /// Sessions in the whole process.
        max_sessions: usize = 4_000_000;
            Count(from(1, 1_000_000_000)), Restart;

        /// Sessions on one shard.
        max_sessions_per_shard: usize = 1_000_000;
            Count(from(1, 1 << 24)), Restart;

        /// Opening handshakes in flight on one shard; over it the one that was silent for longest
        /// gives way.
        ///
        /// If none was silent for a second, the shard stops accepting.
        max_handshakes_per_shard: usize = 4_096;
            Count(from(1, 1 << 20)), Restart, key "max_handshakes";

        /// Size of a request's header block.
        max_header_bytes: usize = 8 * 1024;
            Size(from(512, MIB)), Restart;

        /// Bytes taken from a socket in one read; one buffer of this size serves a whole shard.
        ///
        /// The buffer should fit in the cache of the shard's core. Down to one byte is allowed,
        /// because this is how tests see every split of the input.
        max_read_bytes: usize = 64 * 1024;
            Size(from(1, MIB)), Restart;

        /// Payload of one frame; follows --max-message-bytes when that is less.
        ///
        /// At most --max-message-bytes. A control frame may carry 125 bytes, so less would forbid
        /// what RFC 6455 grants.
        max_frame_bytes: usize = 16 * 1024 * 1024;
            Size(from(125, GIB)), Restart, relation validate::frame_fits_in_message;

        /// Payload of one message, all its frames together.
        max_message_bytes: usize = 16 * 1024 * 1024;
            Size(from(125, GIB)), Restart;

        /// Outgoing bytes above which a session is not read; follows --max-pending-bytes when that
        /// is less.
        ///
        /// At most --max-pending-bytes.
        high_water_mark_bytes: usize = 64 * 1024;
            Size(from(KIB, GIB)), Restart,
            key "high_water_mark", relation validate::high_water_mark_is_reached;

        /// Outgoing bytes above which a session is a slow consumer.
        max_pending_bytes: usize = 1024 * 1024;
            Size(from(KIB, GIB)), Restart;

        /// Policy for a slow consumer: close it (1013), drop the publication and count it, or keep
        /// the latest of each topic for it.
        ///
        /// With latest, what waits for a session is one publication for each topic, or for each key
        /// where publications have one, as soon as its socket does not take everything.
        slow_consumer: SlowConsumerPolicy = SlowConsumerPolicy::Close;
            Choice(SlowConsumerPolicy::WORDS), Restart;
    }

    "Defence" {
        /// Where a client's address is taken from: peer, forwarded-for (the header
        /// X-Forwarded-For of a trusted proxy) or proxy-protocol (its PROXY header, version 1 or
        /// 2; others may not connect).
        ///
        /// Other than peer needs --trusted-proxy.
        client_address: ClientAddress = ClientAddress::Peer;
            Choice(ClientAddress::WORDS), Restart, relation validate::proxies_are_named;

        /// A proxy's address or network, as in 10.0.0.0/8, whose word is taken for where its
        /// connections come from; repeatable.
        ///
        /// Needs --client-address forwarded-for or proxy-protocol.
        trusted_proxies: Vec<IpNet> = Vec::new();
            Networks, Restart, key "trusted_proxy", relation validate::proxies_are_asked;

        /// Connections of one source address at one time; over it they are refused (429).
        ///
        /// Handshakes in flight count, and all shards count together. Connections that are open stay open when the limit falls.
        max_connections_per_source: usize = 0;
            Count(off_or(1, 1 << 24)), Live;

        /// Opening handshakes of one source address per second; over it they are refused (429).
        ///
        /// The answer has `Retry-After`.
        max_handshake_rate_per_source: usize = 0;
            Count(off_or(1, 1 << 20)), Live;

        /// Leading bits of an IPv6 address that make a source, because one customer has many
        /// addresses.
        ///
        /// Of an IPv4 address all bits do.
        source_prefix_ipv6: u8 = 64;
            Count(from(16, 128)), Restart;

        /// Messages and pings of one session per second.
        max_message_rate: usize = 0;
            Count(off_or(1, 1 << 30)), Live;

        /// Bytes of one session per second.
        ///
        /// Under less than 1KiB a second, one read of --max-read-bytes would pause a session for
        /// minutes.
        max_byte_rate: usize = 0;
            Size(off_or(KIB, GIB)), Live;

        /// Time's worth of a rate that may be used at once.
        rate_burst: Duration = Duration::from_secs(1);
            Time(from(10 * MS, HOUR)), Live;

        /// Policy for a session over its rate: pause (it is not read for a while) or close (1008).
        ///
        /// While a session is paused, TCP holds its sender back, and nothing is lost.
        over_rate: OverRatePolicy = OverRatePolicy::Pause;
            Choice(OverRatePolicy::WORDS), Live;
    }

    "Timeouts" {
        /// Time a client has for its opening handshake.
        handshake_timeout: Duration = Duration::from_secs(10);
            Time(from(10 * MS, HOUR)), Restart;

        /// Silence after which a session is closed; 0 for never.
        ///
        /// Any received byte ends the silence.
        idle_timeout: Duration = Duration::from_secs(60);
            Time(off_or(10 * MS, 7 * DAY)), Restart;

        /// Silence after which the server sends a ping; 0 for none; half of --idle-timeout when
        /// that is less.
        ///
        /// Less than --idle-timeout.
        ping_interval: Duration = Duration::from_secs(30);
            Time(off_or(10 * MS, 7 * DAY)), Restart, relation validate::ping_comes_in_time;

        /// Time a session's outgoing bytes may stand still before it is closed.
        write_stall_timeout: Duration = Duration::from_secs(30);
            Time(from(10 * MS, HOUR)), Restart;

        /// Time a client has to answer a close frame.
        close_timeout: Duration = Duration::from_secs(5);
            Time(from(10 * MS, HOUR)), Restart;

        /// Time over which a stopping server spreads its close frames.
        drain_timeout: Duration = Duration::from_secs(30);
            Time(from(0, HOUR)), Restart;
    }

    "Fan-out" {
        /// Messages each ring between two shards holds.
        ///
        /// With one place a ring would alternate between full and empty.
        ring_capacity: usize = 1_024;
            Count(from(2, 1 << 20)), Restart;

        /// Deliveries a shard makes before it looks after its other sockets again.
        ///
        /// After a turn in which more sessions were ready, as many as those.
        fan_out_slice: usize = 256;
            Count(from(1, 1 << 20)), Restart;
    }

    also {
        /// The paths that built-in handlers serve; no two are alike. None by default:
        /// what can be reached is what was asked for.
        routes: Vec<RouteSetting> = Vec::new();

        /// Whether a GET of `/` is answered with a page that lists the routes and, where
        /// there is a chat, has a client for it. Off by default.
        home_page: bool = false;

        /// Whether a GET of `/healthz` is answered with 200, for load balancers.
        health_page: bool = true;

        /// The rights of clients on topics: the tables `[token]` and `[[topics]]`. It is made
        /// from an [`AccessSettings`](crate::access::AccessSettings).
        access: UnreadTable = UnreadTable::default();

        /// The settings of built-in handlers, by their names: the tables `[handlers.NAME]`,
        /// which each handler reads itself.
        handlers: BTreeMap<String, UnreadTable> = BTreeMap::new();
    }
}
