//! The settings of a server by which a host is judged and a load is planned.

use std::time::Duration;

/// Settings that bound connections, take memory for them, or stand against a limit
/// of the host. The server's own code fills this in: this crate knows no defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Connections that may wait on each shard's listener.
    pub backlog: u64,
    /// Ports it listens on.
    pub ports: Vec<u16>,
    /// Sessions in the process.
    pub max_sessions: u64,
    /// Sessions on one shard.
    pub max_sessions_per_shard: u64,
    /// Connections of one source; 0 is no limit.
    pub max_connections_per_source: u64,
    /// Bytes of a message.
    pub max_message_bytes: u64,
    /// Bytes that may wait for one client.
    pub max_pending_bytes: u64,
    /// Silence after which a session gets a ping.
    pub ping_interval: Duration,
}

#[cfg(test)]
impl Settings {
    /// A server for a million sessions on each shard.
    pub(crate) fn for_tests() -> Settings {
        Settings {
            backlog: 65_535,
            ports: vec![8080, 9090],
            max_sessions: 4_000_000,
            max_sessions_per_shard: 1_000_000,
            max_connections_per_source: 0,
            max_message_bytes: 16 << 20,
            max_pending_bytes: 1 << 20,
            ping_interval: Duration::from_secs(30),
        }
    }
}
