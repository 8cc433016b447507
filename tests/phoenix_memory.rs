//! The cost of a session in a topic: at most 64 bytes of memory beyond the topic
//! itself, in the hub and the Phoenix handler together.
//!
//! How: this process is the server, with an allocator that counts. Sessions
//! that are open already join many topics, each time one more session each
//! topic; what the allocator was asked for in between, divided by the joins, is
//! the cost of one. The first session of each topic also pays for the topic.

#[path = "support/counting_allocator.rs"]
mod counting_allocator;
mod support;

use std::sync::atomic::Ordering;

use corecast::config::{Config, Driver, RouteSetting};
use corecast::server::{RunningServer, Server};
use counting_allocator::{IN_USE, IS_CLIENT};
use serde_json::json;
use support::client::Client;
use support::phoenix::{connect, hear, say};

const TOPICS: usize = 10_000;
/// Topics of one session.
const EACH: usize = 100;
/// Sessions in each topic at the end.
const DEPTH: usize = 8;

fn server() -> RunningServer {
    let config = Config::new()
        .listen(["127.0.0.1:0".parse().unwrap()])
        .shards(1)
        .driver(Driver::Epoll)
        .routes(RouteSetting::demo());
    Server::new(config).unwrap().start().unwrap()
}

/// Joins each of the topics with one more session.
fn join_all(clients: &mut [Client]) {
    for (number, client) in clients.iter_mut().enumerate() {
        for topic in number * EACH..(number + 1) * EACH {
            say(
                client,
                json!(["1", "1", format!("room:{topic}"), "phx_join", {}]),
            );
        }
        for _ in 0..EACH {
            assert_eq!(hear(client)[4]["status"], "ok");
        }
    }
}

#[test]
fn a_session_in_a_topic_costs_at_most_64_bytes() {
    IS_CLIENT.set(true);
    let server = server();
    let address = server.local_addr();
    let mut clients: Vec<Vec<Client>> = (0..DEPTH)
        .map(|_| (0..TOPICS / EACH).map(|_| connect(address)).collect())
        .collect();
    // The server's own buffers have their size once they were used.
    for client in clients.iter_mut().flatten() {
        for _ in 0..EACH {
            say(client, json!([null, "1", "phoenix", "heartbeat", {}]));
        }
        (0..EACH).for_each(|_| drop(hear(client)));
    }
    let mut costs = Vec::new();
    for clients in &mut clients {
        let before = IN_USE.load(Ordering::Relaxed);
        join_all(clients);
        costs.push((IN_USE.load(Ordering::Relaxed) - before) as f64 / TOPICS as f64);
    }
    // Tables double, so a single step may cost nothing or twice.
    let beyond_topics = costs[1..].iter().sum::<f64>() / (DEPTH - 1) as f64;
    println!("bytes a join, by the number of sessions in the topic: {costs:.1?}");
    println!("bytes a join beyond the topic: {beyond_topics:.1}");
    assert!(
        beyond_topics <= 64.0,
        "{beyond_topics:.1} bytes: {costs:.1?}"
    );
    drop(clients);
    server.handle().hurry();
}
