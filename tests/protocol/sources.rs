//! One source address cannot take all connections, nor all handshakes:
//! `--max-connections-per-source` and `--max-handshake-rate-per-source`.
//!
//! How: clients on different addresses of the loopback network. Connections of
//! one source are dealt out to all shards, and counted together.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::support::client::{Client, request};
use crate::support::http::Response;
use crate::support::{Server, http, on_each_driver, poll_until};

const GREEDY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const MODEST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

fn connect(server: &Server, source: Ipv4Addr) -> Client {
    let mut client = Client::open_from(source, server.address, None).unwrap();
    client.handshake("/echo");
    client
}

/// The answer to a connection that is over a limit. It may come before the
/// request was sent.
fn refusal(server: &Server, source: Ipv4Addr) -> Response {
    let mut client = Client::open_from(source, server.address, None).unwrap();
    http::finish(&mut client.stream, true)
}

#[test]
fn connections_at_one_time() {
    let options = ["--shards", "3", "--max-connections-per-source", "5"];
    on_each_driver(&options, |server| {
        let mut clients: Vec<Client> = (0..5).map(|_| connect(server, GREEDY)).collect();
        for refused in 1..=10 {
            let response = refusal(server, GREEDY);
            assert_eq!(response.status, 429);
            assert!(
                response.text().contains("as many connections"),
                "{response:?}"
            );
            assert_eq!(response.header("retry-after"), Some("5"));
            assert_eq!(server.total("refused.source_full"), refused);
        }
        connect(server, MODEST).expect_echo("others come in");
        for client in &mut clients {
            client.expect_echo("unhindered");
        }

        // Room is free again however its holder left.
        clients.pop().unwrap().close();
        clients.pop().unwrap().reset();
        drop(clients.pop());
        server.wait_for("sessions", 2);
        for _ in 0..3 {
            clients.push(connect(server, GREEDY));
        }
        assert_eq!(refusal(server, GREEDY).status, 429);
        for client in &mut clients {
            client.expect_echo("in");
        }
        assert_eq!(
            server.total("handshakes"),
            0,
            "nobody waits for who was refused"
        );
    });
}

/// Half-open handshakes count, so that they cannot take every place there is
/// for handshakes; refused requests and pages give theirs back.
#[test]
fn handshakes_in_flight_are_connections() {
    let options = [
        "--shards",
        "2",
        "--max-connections-per-source",
        "3",
        "--handshake-timeout",
        "2s",
    ];
    on_each_driver(&options, |server| {
        let dawdlers: Vec<Client> = (0..3)
            .map(|_| Client::open_from(GREEDY, server.address, None).unwrap())
            .collect();
        server.wait_for("handshakes", 3);
        assert_eq!(refusal(server, GREEDY).status, 429);
        for _ in 0..10 {
            let mut page = Client::open_from(MODEST, server.address, None).unwrap();
            page.send(b"GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n");
            assert_eq!(http::finish(&mut page.stream, true).status, 404);
        }
        connect(server, MODEST).close();
        drop(dawdlers);
        server.wait_for("handshakes", 0);
        connect(server, GREEDY).expect_echo("back");
    });
}

/// Two a second: two at once are let in, the third half a second later.
#[test]
fn handshakes_in_a_second() {
    let options = ["--shards", "2", "--max-handshake-rate-per-source", "2"];
    on_each_driver(&options, |server| {
        let began = Instant::now();
        let (mut let_in, mut others) = (0, 0u16);
        let enough = poll_until(Duration::from_secs(20), || {
            let mut client = Client::open_from(GREEDY, server.address, None).unwrap();
            client.send(request("/echo").as_bytes());
            if client.response_head().starts_with("HTTP/1.1 101 ") {
                let_in += 1;
            }
            // Each on an address of its own, others are not slowed down.
            others += 1;
            let [high, low] = others.to_be_bytes();
            connect(server, Ipv4Addr::new(127, 1, high, low)).close();
            let_in == 6
        });
        assert!(enough);
        // Two at once, then four, half a second apart.
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(1_990), "{took:?}");
        assert!(server.total("refused.source_too_fast") > 0);
    });
}
