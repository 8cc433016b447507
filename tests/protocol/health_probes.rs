//! A health check is answered whatever the limits say of clients: with
//! `--client-address proxy-protocol` although it does not come through the proxy, from a
//! source that is over its limits, and asked with OPTIONS. It counts in no limit, and
//! nothing but the health is told to it.
//!
//! How: requests byte for byte from addresses of the loopback network, and a real
//! HAProxy whose checks send no PROXY header.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::support::client::{Client, request};
use crate::support::haproxy::Haproxy;
use crate::support::http::Response;
use crate::support::{Server, http, on_each_driver, wait_until};

const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n";
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 10);
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 20);
const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n";

fn ask(server: &Server, source: Ipv4Addr, bytes: &[u8]) -> Response {
    let mut client = Client::open_from(source, server.address, None).unwrap();
    // The answer may come before all of it was sent.
    let _ = std::io::Write::write_all(&mut client.stream, bytes);
    http::finish(&mut client.stream, true)
}

const BEHIND_PROXY: [&str; 6] = [
    "--shards",
    "2",
    "--client-address",
    "proxy-protocol",
    "--trusted-proxy",
    "127.0.0.10",
];

#[test]
fn a_probe_need_not_come_through_the_proxy() {
    on_each_driver(&BEHIND_PROXY, |server| {
        let with_header = [V1, HEALTH].concat();
        let old = b"OPTIONS / HTTP/1.0\r\n\r\n";
        for (source, bytes) in [
            (STRANGER, HEALTH),
            (STRANGER, old),
            (PROXY, HEALTH),
            (PROXY, old),
            (PROXY, &with_header),
        ] {
            assert_eq!(ask(server, source, bytes).status, 200, "{source}");
        }
        assert_eq!(server.total("http_requests"), 5);

        // It may come in pieces.
        for source in [STRANGER, PROXY] {
            let mut probe = Client::open_from(source, server.address, None).unwrap();
            for byte in HEALTH {
                probe.send(&[*byte]);
            }
            assert_eq!(http::finish(&mut probe.stream, true).status, 200);
        }
    });
}

#[test]
fn others_are_told_nothing_but_the_health() {
    on_each_driver(&BEHIND_PROXY, |server| {
        let session = request("/echo");
        for bytes in [
            session.as_bytes(),
            b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET /healthz/ HTTP/1.1\r\nHost: h\r\n\r\n",
            b"OPTIONS /echo HTTP/1.1\r\nHost: h\r\n\r\n",
            b"POST /healthz HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\n\r\n",
        ] {
            let text = String::from_utf8_lossy(bytes);
            assert_eq!(ask(server, STRANGER, bytes).status, 403, "{text}");
            assert_eq!(ask(server, PROXY, bytes).status, 400, "{text}");
        }
        // A handshake at the path of the health page is none for a page.
        let upgrade = request("/healthz");
        assert_eq!(ask(server, STRANGER, upgrade.as_bytes()).status, 403);
        assert_eq!(server.total("opened"), 0);

        // One that asks nothing is not waited for as a client is.
        let began = Instant::now();
        let mut silent = Client::open_from(STRANGER, server.address, None).unwrap();
        assert_eq!(http::finish(&mut silent.stream, true).status, 403);
        assert!(began.elapsed() < Duration::from_secs(5));
    });
}

#[test]
fn a_probe_counts_in_no_limit_of_its_source() {
    let options = [
        "--shards",
        "3",
        "--max-connections-per-source",
        "2",
        "--max-handshake-rate-per-source",
        "2",
    ];
    on_each_driver(&options, |server| {
        for _ in 0..20 {
            assert_eq!(ask(server, STRANGER, HEALTH).status, 200);
        }
        let mut sessions: Vec<_> = (0..2)
            .map(|_| {
                let mut client = Client::open_from(STRANGER, server.address, None).unwrap();
                client.handshake("/echo");
                client
            })
            .collect();
        let session = request("/echo");
        assert_eq!(ask(server, STRANGER, session.as_bytes()).status, 429);
        for _ in 0..20 {
            assert_eq!(ask(server, STRANGER, HEALTH).status, 200);
        }
        assert_eq!(ask(server, STRANGER, session.as_bytes()).status, 429);

        // One that says nothing has the spare place for a moment only.
        let mut silent = Client::open_from(STRANGER, server.address, None).unwrap();
        assert_eq!(http::finish(&mut silent.stream, true).status, 429);
        wait_until("a probe has the place", || {
            ask(server, STRANGER, HEALTH).status == 200
        });
        for session in &mut sessions {
            session.expect_echo("unhindered");
        }
    });
}

#[test]
fn options_is_answered() {
    on_each_driver(&["--shards", "1"], |server| {
        for line in [
            "OPTIONS * HTTP/1.1\r\nHost: h",
            "OPTIONS / HTTP/1.1\r\nHost: h",
            "OPTIONS / HTTP/1.0",
            "OPTIONS * HTTP/1.0",
            "OPTIONS /healthz HTTP/1.1\r\nHost: h",
            "OPTIONS /echo HTTP/1.1\r\nHost: h",
        ] {
            let request = format!("{line}\r\n\r\n");
            let response = http::exchange(server.address, request.as_bytes());
            assert_eq!(response.status, 200, "{line}");
            assert_eq!(response.header("allow"), Some("GET, HEAD, OPTIONS"));
            assert!(response.body.is_empty());
        }
        let unknown = b"OPTIONS /nowhere HTTP/1.1\r\nHost: h\r\n\r\n";
        assert_eq!(http::exchange(server.address, unknown).status, 404);
        let upgrade = request("/echo").replacen("GET", "OPTIONS", 1);
        let refused = http::exchange(server.address, upgrade.as_bytes());
        assert_eq!(refused.status, 405);
    });
}

#[test]
fn haproxy_checks_without_a_header_and_without_a_method() {
    if !Haproxy::is_there("haproxy_checks_without_a_header_and_without_a_method") {
        return;
    }
    for (options, check) in [
        (&["--shards", "1"][..], "option httpchk"),
        (
            &[
                "--shards",
                "1",
                "--client-address",
                "proxy-protocol",
                "--trusted-proxy",
                "127.0.0.1",
            ],
            "option httpchk GET /healthz",
        ),
    ] {
        let server = Server::start(options);
        // The port makes HAProxy's check one of its own, without the header.
        let proxy = Haproxy::start(&format!(
            "mode http\n stats enable\n stats uri /stats\n {check}\n \
             server s {} send-proxy-v2 check port {} inter 100ms fall 1",
            server.address,
            server.address.port()
        ));
        let mut seen = String::new();
        wait_until("the check is over", || {
            let table = http::get(proxy.address, "/stats;csv").text();
            let row = table.lines().find(|line| line.starts_with("websocket,s,"));
            seen = row.expect("a row of the server").to_owned();
            seen.contains(",L7")
        });
        assert!(seen.contains(",L7OK,200,"), "{check}: {seen}");
    }
}
