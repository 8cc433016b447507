//! How sessions of Phoenix clients begin and end: versions, subprotocols, the
//! drain, the idle limit, another path, and topics that are one name space.
//!
//! How: raw clients on each driver, with whole handshakes and close frames.

use std::time::Duration;

use crate::support::client::{Client, PING, request, request_with};
use crate::support::on_each_driver;
use crate::support::phoenix::{connect, error, expect_heartbeat, hear, hear_all, join, say};
use serde_json::{Value, json};

#[test]
fn a_version_that_is_not_spoken_is_refused() {
    on_each_driver(&["--shards", "1"], |server| {
        for (vsn, status) in [
            ("1.0.0", 101),
            ("2.0.0", 101),
            ("2.0.9", 101),
            ("3.0.0", 403),
            ("2.1.0", 403),
            ("2", 403),
            ("", 403),
            ("x", 403),
        ] {
            let mut client = Client::open(server.address);
            client.send(request(&format!("/socket/websocket?vsn={vsn}")).as_bytes());
            let head = client.response_head();
            assert!(
                head.starts_with(&format!("HTTP/1.1 {status} ")),
                "{vsn}: {head}"
            );
        }
    });
}

#[test]
fn only_the_protocol_is_answered_and_never_the_token_beside_it() {
    on_each_driver(&["--shards", "1"], |server| {
        for (offered, answered) in [
            ("phoenix, base64url.bearer.phx.c2VjcmV0", Some("phoenix")),
            ("base64url.bearer.phx.c2VjcmV0, phoenix", Some("phoenix")),
            ("phoenix", Some("phoenix")),
            ("base64url.bearer.phx.c2VjcmV0", None),
            ("other", None),
        ] {
            let mut client = Client::open(server.address);
            let line = format!("Sec-WebSocket-Protocol: {offered}\r\n");
            client.send(request_with("/socket/websocket?vsn=2.0.0", &line).as_bytes());
            let head = client.response_head();
            assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
            let answer = head
                .lines()
                .find_map(|line| line.strip_prefix("Sec-WebSocket-Protocol: "));
            assert_eq!(answer, answered, "{offered}");
            expect_heartbeat(&mut client);
        }
    });
}

#[test]
fn a_drain_says_that_the_service_restarts() {
    on_each_driver(&["--shards", "2", "--drain-timeout", "100ms"], |server| {
        let mut clients: Vec<Client> = (0..20).map(|_| connect(server.address)).collect();
        for client in &mut clients {
            join(client, "t");
        }
        server.signal(libc::SIGTERM);
        for mut client in clients {
            assert_eq!(client.frame().close_code(), 1012);
            client.send_close(1012);
            client.expect_end();
        }
        assert_eq!(server.exit_status().code(), Some(0));
    });
}

#[test]
fn silence_ends_a_session_unless_heartbeats_break_it() {
    let options = [
        "--shards",
        "1",
        "--idle-timeout",
        "2s",
        "--ping-interval",
        "300ms",
    ];
    on_each_driver(&options, |server| {
        let (silent, alive) = (&mut connect(server.address), &mut connect(server.address));
        let closed = std::thread::scope(|scope| {
            let closed = scope.spawn(|| {
                let frame = silent.frame();
                assert_ne!(
                    frame.opcode, PING,
                    "clients send heartbeats, the server does not ask"
                );
                frame.close_code()
            });
            while !closed.is_finished() {
                expect_heartbeat(alive);
                std::thread::sleep(Duration::from_millis(20));
            }
            closed.join().unwrap()
        });
        assert_eq!(closed, 1001);
        expect_heartbeat(alive);
    });
}

/// Topics are one name space: a push on one route reaches those that have joined the
/// topic on another.
#[test]
fn a_topic_is_the_same_on_all_routes() {
    let options = ["--shards", "1", "--route", "/live/{name}=phoenix"];
    on_each_driver(&options, |server| {
        let path = |name: &str| format!("/live/{name}?vsn=2.0.0");
        let mut here: Vec<Client> = ["a", "b"]
            .map(|name| Client::connect(server.address, &path(name)))
            .into();
        let there = &mut connect(server.address);
        for client in here.iter_mut().chain([&mut *there]) {
            join(client, "t");
        }
        say(&mut here[0], json!(["j", "1", "t", "e", {}]));
        hear_all(&mut here[0], 2);
        hear_all(&mut here[1], 1);
        hear_all(there, 1);
    });
}

/// The audience of a path belongs to its handler: it cannot be joined by name.
#[test]
fn a_topic_of_another_handler_cannot_be_joined() {
    on_each_driver(&["--shards", "1"], |server| {
        let client = &mut connect(server.address);
        let topic = "corecast:broadcast:/broadcast";
        say(client, json!(["j", "1", topic, "phx_join", {}]));
        let answer = error(Value::Null, "1", topic, "unmatched topic");
        assert_eq!(hear(client), answer);
    });
}
