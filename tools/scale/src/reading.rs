//! The results of one run.

use std::collections::BTreeSet;

use corecast_kit::outcome::Outcome;
use corecast_kit::spread::Spread;
use serde::{Deserialize, Serialize};

use crate::contestant::Contestant;
use crate::slabs::Cache;

/// The results of one contestant in a broadcast to so many connections.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The contestant.
    pub contestant: Contestant,
    /// Connections, all of which were open and had every publication.
    pub connections: u64,
    /// Opening handshakes per second, averaged over the whole climb.
    pub opened_per_second: f64,
    /// Publications that were timed.
    pub publications: u64,
    /// Processor time of the server per delivery, in microseconds.
    pub server_micros: f64,
    /// Processor time of the load generator per delivery, in microseconds.
    pub load_micros: f64,
    /// Time until the last subscriber had a publication, in seconds: the median
    /// of the publications.
    pub last_seconds: f64,
    /// Resident memory of the server per connection, in bytes.
    pub server_bytes: f64,
    /// Resident memory of the load generator per connection, in bytes.
    pub load_bytes: f64,
    /// Memory of the kernel per connection, both ends, in bytes.
    pub kernel_bytes: f64,
    /// Its parts by cache of objects, the largest first; empty where this
    /// process may not see them.
    pub kernel_caches: Vec<Cache>,
}

impl Reading {
    /// Reads the outcome of a broadcast; `None` if something of it is missing.
    pub fn of(
        contestant: Contestant,
        outcome: &Outcome,
        kernel_caches: Vec<Cache>,
    ) -> Option<Reading> {
        let resources = &outcome.resources;
        let server = resources.server.as_ref()?;
        let connections = outcome.connections.opened;
        let per_connection = |after: u64, before: u64| {
            after.saturating_sub(before) as f64 / connections.max(1) as f64
        };
        let per_delivery = |seconds: f64| seconds * 1e6 / outcome.messages.received.max(1) as f64;
        Some(Reading {
            contestant,
            connections,
            opened_per_second: outcome.connections.rate(),
            publications: outcome.deliveries.as_ref()?.publications,
            server_micros: per_delivery(server.cpu_seconds),
            load_micros: per_delivery(resources.client_cpu_seconds),
            last_seconds: outcome.latencies.get("last")?.percentiles().p50 as f64 / 1e6,
            server_bytes: per_connection(server.memory_bytes, server.memory_before_bytes),
            load_bytes: per_connection(
                resources.client_memory_bytes,
                resources.client_memory_before_bytes,
            ),
            kernel_bytes: per_connection(resources.kernel_memory_bytes?, 0),
            kernel_caches,
        })
    }
}

/// The medians of all rounds of one contestant at one size.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// How many rounds there were.
    pub rounds: usize,
    /// See [`Reading::opened_per_second`].
    pub opened_per_second: f64,
    /// See [`Reading::server_micros`].
    pub server_micros: f64,
    /// See [`Reading::last_seconds`].
    pub last_seconds: f64,
    /// See [`Reading::server_bytes`].
    pub server_bytes: f64,
    /// See [`Reading::load_bytes`].
    pub load_bytes: f64,
    /// See [`Reading::kernel_bytes`].
    pub kernel_bytes: f64,
}

impl Summary {
    /// Of those among the readings; `None` if there are none.
    pub fn of(readings: &[Reading], contestant: Contestant, connections: u64) -> Option<Summary> {
        let rounds: Vec<&Reading> = readings
            .iter()
            .filter(|reading| {
                reading.contestant == contestant && reading.connections == connections
            })
            .collect();
        let median = |figure: fn(&Reading) -> f64| {
            let spread = Spread::of(rounds.iter().map(|reading| figure(reading)));
            Some(spread?.median)
        };
        Some(Summary {
            rounds: rounds.len(),
            opened_per_second: median(|reading| reading.opened_per_second)?,
            server_micros: median(|reading| reading.server_micros)?,
            last_seconds: median(|reading| reading.last_seconds)?,
            server_bytes: median(|reading| reading.server_bytes)?,
            load_bytes: median(|reading| reading.load_bytes)?,
            kernel_bytes: median(|reading| reading.kernel_bytes)?,
        })
    }
}

/// The numbers of connections that were measured, from small to large.
pub fn sizes(readings: &[Reading]) -> BTreeSet<u64> {
    readings.iter().map(|reading| reading.connections).collect()
}
