//! A full server says so and recovers: `--max-sessions`, the same per shard,
//! and `--max-handshakes`.
//!
//! How: small limits, one client too many, then room again.

use std::time::Duration;

use crate::support::client::{Client, request};
use crate::support::{http, on_each_driver};

fn expect_full(server: &crate::support::Server, refused: u64) {
    let response = http::exchange(server.address, request("/echo").as_bytes());
    assert_eq!(response.status, 503);
    let after: u64 = response.header("retry-after").unwrap().parse().unwrap();
    assert!(after > 0);
    assert_eq!(server.total("refused.full"), refused);
}

#[test]
fn sessions_in_the_process() {
    on_each_driver(&["--shards", "2", "--max-sessions", "4"], |server| {
        let mut clients: Vec<_> = (0..4)
            .map(|_| Client::connect(server.address, "/echo"))
            .collect();
        for round in 0..3 {
            expect_full(server, 2 * round + 1);
            expect_full(server, 2 * round + 2);
            server.wait_for("sessions", 4);
            // Pages need no room.
            assert_eq!(http::get(server.address, "/healthz").status, 200);
            // Room is free again however its holder left.
            let leaving = clients.remove(0);
            match round {
                0 => leaving.close(),
                1 => leaving.reset(),
                _ => drop(leaving),
            }
            server.wait_for("sessions", 3);
            let mut client = Client::connect(server.address, "/echo");
            client.expect_echo("in");
            clients.push(client);
        }
        for client in &mut clients {
            client.expect_echo("still in");
        }
        assert_eq!(server.total("opened"), 7);
    });
}

#[test]
fn sessions_on_a_shard() {
    let options = ["--shards", "1", "--max-sessions-per-shard", "2"];
    on_each_driver(&options, |server| {
        let first = Client::connect(server.address, "/echo");
        let _second = Client::connect(server.address, "/echo");
        expect_full(server, 1);
        first.close();
        server.wait_for("sessions", 1);
        Client::connect(server.address, "/echo").close();
    });
}

/// Over the limit on handshakes in flight no client is refused: one that comes later
/// waits to be accepted. Sessions do not suffer.
#[test]
fn handshakes_in_flight() {
    let options = [
        "--shards",
        "1",
        "--max-handshakes",
        "2",
        "--handshake-timeout",
        "5s",
    ];
    on_each_driver(&options, |server| {
        let mut session = Client::connect(server.address, "/echo");
        let dawdlers = [Client::open(server.address), Client::open(server.address)];
        server.wait_for("handshakes", 2);
        let mut waiting = Client::open(server.address);
        waiting.send(request("/echo").as_bytes());
        waiting.expect_silence(Duration::from_millis(300));
        session.expect_echo("unhindered");
        assert_eq!(server.total("accepted"), 3);

        drop(dawdlers);
        assert!(waiting.response_head().starts_with("HTTP/1.1 101 "));
        waiting.expect_echo("in");
        server.wait_for("handshakes", 0);
        assert_eq!(server.total("refused.vanished"), 2);
    });
}

/// The limit holds when very many connections are taken from the queue at once.
#[test]
fn handshakes_that_come_together() {
    let options = ["--shards", "1", "--max-handshakes", "2"];
    on_each_driver(&options, |server| {
        server.signal(libc::SIGSTOP);
        let dawdlers: Vec<Client> = (0..20).map(|_| Client::open(server.address)).collect();
        server.signal(libc::SIGCONT);
        server.wait_for("handshakes", 2);
        assert_eq!(server.total("accepted"), 2);
        drop(dawdlers);
        server.wait_for("refused.vanished", 20);
    });
}
