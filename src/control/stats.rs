//! `/stats`: the numbers as JSON, for scripts and people.
//!
//! ```json
//! {
//!   "version": "0.1.0", "driver": "uring", "steer": "hash", "listen": "127.0.0.1:8080",
//!   "endpoints": ["127.0.0.1:8080", "[::1]:8080"], "phase": "running", "uptime_seconds": 12.5,
//!   "drain": null, "predecessors": { "processes": 0, "sessions": 0 },
//!   "balance": { "fullest_sessions": 2, "emptiest_sessions": 0, "fullest_to_mean": 2.0,
//!                "accepted_on_own_core": 0.4, "busy": [0.01, 0.0] },
//!   "process": { "cpu_seconds": 1.5, "resident_memory_bytes": 9000000, … },
//!   "total": { "sessions": 2, "opened": 5, "ended": { "peer_closed": 3, … }, … },
//!   "shards": [ { "shard": 0, "sessions": 2, … }, … ]
//! }
//! ```
//!
//! While the server drains, `drain` has `seconds`, its time so far, and
//! `initial_sessions`. After a hand-over `predecessors` says how many processes before
//! this one still drain and the sessions they have left, which are in no total.
//!
//! `total` and each element of `shards` have the same keys, those of the table
//! in `fields.rs`: numbers, and objects of numbers for `refused`, `ended` and
//! `dropped` (by reason) and `peer_close` (by close code). All shards are read
//! one after the other while they run, so a total may be a few messages askew. Where
//! there is an HTTP API, `api` has its counters.

use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::ServerView;
use super::balance::Balance;
use super::fields::{FIELDS, Read};
use super::process::Process;
use crate::metrics::ShardMetrics;

/// The whole answer.
#[derive(serde::Serialize)]
pub(super) struct Stats<'v> {
    version: &'static str,
    driver: &'v str,
    steer: &'static str,
    /// The first endpoint.
    listen: std::net::SocketAddr,
    endpoints: &'v [std::net::SocketAddr],
    phase: &'static str,
    uptime_seconds: f64,
    /// While the server drains.
    drain: Option<Drain>,
    predecessors: Predecessors,
    balance: Balance,
    process: Process,
    /// The counters of the HTTP API, if there is one.
    #[cfg(feature = "api")]
    #[serde(skip_serializing_if = "Option::is_none")]
    api: Option<ApiNumbers<'v>>,
    total: Numbers<'v>,
    shards: Vec<Numbers<'v>>,
}

impl<'v> Stats<'v> {
    pub(super) fn of(view: &'v ServerView) -> Self {
        let shards = view.shards.chunks(1).enumerate();
        let uptime = view.info.started.elapsed();
        Stats {
            version: view.info.version,
            driver: &view.info.driver,
            steer: view.info.steer.as_str(),
            listen: view.info.endpoints[0],
            endpoints: &view.info.endpoints,
            phase: view.lifecycle.phase().label(),
            uptime_seconds: uptime.as_secs_f64(),
            drain: view.lifecycle.drain_start().map(|start| Drain {
                seconds: start.at.elapsed().as_secs_f64(),
                initial_sessions: start.sessions,
            }),
            predecessors: Predecessors {
                processes: view.lifecycle.predecessors().processes(),
                sessions: view.lifecycle.predecessors().sessions(),
            },
            balance: Balance::of(&view.shards, uptime),
            process: Process::now(),
            #[cfg(feature = "api")]
            api: view.api.as_deref().map(ApiNumbers),
            total: Numbers {
                shard: None,
                of: &view.shards,
            },
            shards: shards
                .map(|(shard, of)| Numbers {
                    shard: Some(shard),
                    of,
                })
                .collect(),
        }
    }
}

/// How far a drain has come; the sessions that are left are in the totals.
#[derive(serde::Serialize)]
struct Drain {
    seconds: f64,
    initial_sessions: u64,
}

/// The processes that have handed over to this one and still drain.
#[derive(serde::Serialize)]
struct Predecessors {
    processes: u64,
    sessions: u64,
}

/// The sums over some shards.
struct Numbers<'v> {
    /// Which shard it is, if it is one.
    shard: Option<usize>,
    of: &'v [Arc<ShardMetrics>],
}

impl Serialize for Numbers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(shard) = self.shard {
            map.serialize_entry("shard", &shard)?;
        }
        for field in FIELDS {
            match field.read {
                Read::One(read) => {
                    let sum: u64 = self.of.iter().map(|shard| read(shard)).sum();
                    map.serialize_entry(field.key, &sum)?;
                }
                Read::PerLabel(_, labels, read) => {
                    let sum = |index: usize| -> u64 {
                        self.of.iter().map(|shard| read(shard)[index].value()).sum()
                    };
                    map.serialize_entry(field.key, &PerLabel { labels, sum })?;
                }
            }
        }
        map.end()
    }
}

/// The counters of the HTTP API.
#[cfg(feature = "api")]
struct ApiNumbers<'v>(&'v crate::api::ApiMetrics);

#[cfg(feature = "api")]
impl Serialize for ApiNumbers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use crate::api::{FIELDS, ReadMetric};
        let mut map = serializer.serialize_map(None)?;
        for (key, _, read) in FIELDS {
            match read {
                ReadMetric::One(read) => map.serialize_entry(key, &read(self.0))?,
                ReadMetric::PerReason(labels, read) => {
                    let sum = |index: usize| read(self.0)[index].value();
                    map.serialize_entry(key, &PerLabel { labels, sum })?;
                }
            }
        }
        map.end()
    }
}

/// An object with a number per label.
struct PerLabel<F> {
    labels: &'static [&'static str],
    sum: F,
}

impl<F: Fn(usize) -> u64> Serialize for PerLabel<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entries = self.labels.iter().enumerate();
        serializer.collect_map(entries.map(|(index, label)| (label, (self.sum)(index))))
    }
}
