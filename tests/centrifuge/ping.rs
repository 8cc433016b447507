//! The server's pings, and the end of a session that never connects.
//!
//! How: a server that promises a ping after each second of silence, on each driver.

use serde_json::json;

use crate::support::centrifuge::{ROUTE, ask, config, expect_ping, hear, open, say};
use crate::support::{Server, on_each_driver};

fn on_each_driver_with_pings(test: impl Fn(&Server)) {
    let file = config("[handlers.centrifuge]\nping_interval_seconds = 1\n");
    let path = file.path().to_str().unwrap();
    let options = ["--shards", "1", "--route", ROUTE, "--config", path];
    on_each_driver(&[&options[..], &["--idle-timeout", "2s"]].concat(), test);
}

#[test]
fn a_silent_client_is_pinged_as_promised_and_ends_without_a_pong() {
    on_each_driver_with_pings(|server| {
        let client = &mut open(server.address);
        let reply = ask(client, json!({"id": 1, "connect": {}}));
        assert_eq!(reply["connect"]["ping"], 1);
        for _ in 0..3 {
            assert_eq!(hear(client), json!({}));
            say(client, json!({}));
        }
        expect_ping(client);
        assert_eq!(hear(client), json!({}));
        assert_eq!(client.frame().close_code(), 1001);
        server.wait_for("ended.idle", 1);
    });
}

#[test]
fn a_client_that_never_connects_is_stale() {
    on_each_driver_with_pings(|server| {
        let mut client = open(server.address);
        assert_eq!(client.frame().close_code(), 3502);
    });
}
