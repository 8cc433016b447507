//! The Phoenix clients of the load generator, and the lobby of the load test the
//! project began with, against a corecast server: everybody joins, everybody
//! receives every message, nothing is lost.
//!
//! How: a server in this process with two shards; each run takes a few seconds.

use std::fs;

use crate::support::run::{expect_connections, load};
use crate::support::{Corecast, drivers};

#[test]
fn channels_are_joined_pushed_to_and_kept_alive() {
    for driver in drivers() {
        let server = Corecast::start();
        let url = server.url("/socket/websocket?vsn=2.0.0");
        let outcome = load(&format!(
            "phoenix {url} --channels 3 --users 8 --rate 20 --heartbeat 200ms -d 1s \
             --driver {driver}"
        ))
        .passed();
        expect_connections(&outcome, 24);
        assert_eq!(outcome.latencies["join"].count(), 24);
        assert!(outcome.latencies["heartbeat"].count() >= 24);
        assert!(outcome.latencies["reply"].count() > 0);
        let deliveries = outcome.deliveries.expect("pushes are delivered");
        assert!(deliveries.publications > 100, "{deliveries:?}");
        // The last pushes may still be under way when the run ends.
        assert!(deliveries.received >= (deliveries.publications - 24) * 8);
        server.expect_empty();
    }
}

/// The file as it is shipped, with fewer users and less patience; and with the
/// step that its comment proposes, so that each join must be answered.
#[test]
fn the_lobby_of_the_seed_is_joined() {
    let server = Corecast::start();
    let shipped = include_str!("../../scenarios/seed-phoenix-lobby.toml");
    let mut script = shipped.to_owned();
    for (theirs, ours) in [
        ("127.0.0.1:8080", server.address().to_string().as_str()),
        ("duration = \"10m\"", "duration = \"3s\""),
        ("duration = \"100s\"", "duration = \"1s\""),
        ("arrival_rate = 1000", "arrival_rate = 300"),
        ("max_users = 100_000", "max_users = 250"),
        ("arrival = \"exponential\"", "arrival = \"even\""),
        ("#   [[session.step]]", "[[session.step]]"),
        ("#   receive = ", "receive = "),
    ] {
        assert!(script.contains(theirs), "{theirs}");
        script = script.replace(theirs, ours);
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), script).unwrap();
    let outcome = load(&format!("run {}", file.path().display())).passed();
    assert_eq!(outcome.connections.opened, 250);
    assert_eq!(outcome.messages.sent, 250);
    assert_eq!(outcome.messages.received, 250, "each join is answered");
    server.expect_empty();
}
