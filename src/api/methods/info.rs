//! `info`: the one node there is.

use std::hash::{BuildHasher, RandomState};

use serde::Serialize;

use super::{Call, Method};
use crate::api::error::{Problem, to_json};
use crate::metrics::ShardMetrics;

pub(super) const METHOD: Method = Method {
    name: "info",
    run: |call, _| Box::pin(run(call)),
};

#[derive(Serialize)]
struct Info<'a> {
    nodes: [Node<'a>; 1],
}

#[derive(Serialize)]
struct Node<'a> {
    uid: &'a str,
    name: &'static str,
    version: &'a str,
    num_clients: u64,
    /// Not known here.
    num_users: u64,
    num_subs: u64,
    /// Those of the shard that has the most. There may be more, since each shard has
    /// channels of its own.
    num_channels: u64,
    uptime: u64,
}

async fn run(call: &Call<'_>) -> Result<String, Problem> {
    call.key.may_read()?;
    let view = &call.api.view;
    let sum = |read: fn(&ShardMetrics) -> u64| view.shards.iter().map(|shard| read(shard)).sum();
    let topics = view.shards.iter().map(|shard| shard.topics.value());
    let node = Node {
        uid: &call.api.node,
        name: "corecast",
        version: view.info.version,
        num_clients: sum(|shard| shard.sessions.value()),
        num_users: 0,
        num_subs: sum(|shard| shard.subscriptions.value()),
        num_channels: topics.max().unwrap_or(0),
        uptime: view.info.started.elapsed().as_secs(),
    };
    Ok(to_json(&Info { nodes: [node] }))
}

/// A name for this process that no other has.
pub(in crate::api) fn node_name() -> String {
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}
