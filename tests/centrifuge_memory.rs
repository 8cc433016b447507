//! The cost of a Centrifuge session with one subscription: at most 96 bytes of memory in
//! the hub and the handler together, beside its entry of at most 64 bytes in the table of
//! sessions, which is allocated ahead.
//!
//! How: this process is the server, with an allocator that counts. Sessions connect and
//! subscribe until there are twice as many as before, both times a power of two, so that
//! tables that double have grown by just as many places; the memory in use in between,
//! divided by the sessions, is the cost of one. The topic is there before.

#[path = "support/counting_allocator.rs"]
mod counting_allocator;
mod support;

use std::sync::atomic::Ordering;

use corecast::config::{Config, Driver, RouteSetting};
use corecast::server::{RunningServer, Server};
use counting_allocator::{IN_USE, IS_CLIENT};
use serde_json::json;
use support::centrifuge::{PATH, ask, connect, subscribe};
use support::client::Client;

/// Sessions before those that are measured, and as many that are.
const SESSIONS: usize = 512;

fn server() -> RunningServer {
    let config = Config::new()
        .listen(["127.0.0.1:0".parse().unwrap()])
        .shards(1)
        .driver(Driver::Epoll)
        .routes([RouteSetting::new(PATH, "centrifuge")]);
    Server::new(config).unwrap().start().unwrap()
}

#[test]
fn a_session_with_a_subscription_costs_at_most_96_bytes_beside_its_entry() {
    IS_CLIENT.set(true);
    let server = server();
    let address = server.local_addr();
    let mut clients: Vec<Client> = Vec::new();
    let mut in_use = Vec::new();
    for _ in 0..2 {
        for _ in 0..SESSIONS {
            let (mut client, _) = connect(address);
            subscribe(&mut client, "news");
            clients.push(client);
        }
        // All have been served when the last is.
        let ping = json!({"id": 9, "ping": {}});
        ask(clients.last_mut().unwrap(), ping);
        in_use.push(IN_USE.load(Ordering::Relaxed));
    }
    let each = (in_use[1] - in_use[0]) as f64 / SESSIONS as f64;
    println!("bytes a session with a subscription: {each:.1}");
    assert!((48.0..=96.0).contains(&each), "{each:.1} bytes");
    drop(clients);
    server.handle().hurry();
}
