//! The load that the host is asked for.

use std::str::FromStr;

use serde::Serialize;

use crate::budget::{Driver, PerConnection};

/// Which ends of the connections are on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The server's.
    Server,
    /// The clients', as the load generator opens them.
    Client,
    /// Both, as in a test on one machine.
    Both,
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "server" => Ok(Role::Server),
            "client" => Ok(Role::Client),
            "both" => Ok(Role::Both),
            _ => Err(format!("'{text}' is no role; use server, client or both")),
        }
    }
}

impl Role {
    /// Whether the server is here.
    pub fn serves(self) -> bool {
        self != Role::Client
    }

    /// Whether the clients are here.
    pub fn connects(self) -> bool {
        self != Role::Server
    }

    /// How many ends of each connection are on this host.
    pub fn ends(self) -> u64 {
        match self {
            Role::Server | Role::Client => 1,
            Role::Both => 2,
        }
    }
}

/// The load that the host is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// Connections that are open together.
    pub connections: u64,
    /// Addresses the connections come from.
    pub sources: u64,
    /// Addresses and ports of servers the connections go to.
    pub targets: u64,
    /// Which ends are here.
    pub role: Role,
    /// Shards of the server.
    pub shards: u64,
    /// Connections the server has already.
    pub open: u64,
}

impl Asked {
    /// Connections there will be besides those that are open already.
    pub fn further(&self) -> u64 {
        self.connections.saturating_sub(self.open)
    }

    /// Memory of one connection at the ends that are here, at its most: on
    /// io_uring and with a subscription.
    pub fn per_connection(&self) -> PerConnection {
        let server = PerConnection::of_server(Driver::Uring, true);
        let client = PerConnection::of_generator(Driver::Uring);
        match self.role {
            Role::Server => server,
            Role::Client => client,
            Role::Both => server.and(client),
        }
    }
}
