//! The answers of the WebSocket port to plain and to faulty HTTP: the right status for
//! each fault, the response whole and not reset, the socket closed.
//!
//! How: requests byte for byte over raw sockets, on each driver. The table has a row
//! per fault; the exact bounds of each fault are tested beside the parser.

use std::time::{Duration, Instant};

use crate::support::client::{Client, request, request_with};
use crate::support::{http, on_each_driver};

const OPTIONS: &[&str] = &[
    "--shards",
    "1",
    "--max-header-bytes",
    "2KiB",
    "--origin",
    "https://good.example",
];

#[test]
fn each_fault_has_its_status() {
    let good = request("/echo");
    let long = "x".repeat(3000);
    let faults: Vec<(u16, String, &str)> = vec![
        (400, "nonsense\r\n\r\n".into(), "bad_request"),
        (400, good.replace("Host: localhost\r\n", ""), "bad_request"),
        (
            400,
            good.replace("Host:", "Host: a\r\nHost:"),
            "bad_request",
        ),
        (
            400,
            good.replace("Connection: Upgrade\r\n", ""),
            "bad_request",
        ),
        (400, good.replace("dGhl", "dG"), "bad_request"),
        (
            400,
            good.replace("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""),
            "bad_request",
        ),
        (
            400,
            good.replace("Host:", "Content-Length: 5\r\nHost:"),
            "bad_request",
        ),
        (
            400,
            good.replace("Upgrade: websocket", "Upgrade : websocket"),
            "bad_request",
        ),
        (
            403,
            request_with("/echo", "Origin: https://evil.example\r\n"),
            "forbidden",
        ),
        (404, request("/nowhere"), "not_found"),
        (
            404,
            "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n".into(),
            "not_found",
        ),
        (405, good.replace("GET", "POST"), "bad_request"),
        (
            405,
            "DELETE / HTTP/1.1\r\nHost: x\r\n\r\n".into(),
            "bad_request",
        ),
        (414, format!("GET /{long} HTTP/1.1\r\n"), "too_large"),
        (
            426,
            good.replace("Version: 13", "Version: 8"),
            "bad_request",
        ),
        (
            426,
            "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n".into(),
            "bad_request",
        ),
        (
            431,
            good.replace("Host:", &format!("X-Long: {long}\r\nHost:")),
            "too_large",
        ),
        (505, good.replace("HTTP/1.1", "HTTP/1.0"), "bad_request"),
        (505, good.replace("HTTP/1.1", "HTTP/2.0"), "bad_request"),
    ];
    on_each_driver(OPTIONS, |server| {
        for (status, request, reason) in &faults {
            let key = format!("refused.{reason}");
            let before = server.total(&key);
            let response = http::exchange(server.address, request.as_bytes());
            assert_eq!(response.status, *status, "{request}");
            assert!(!response.body.is_empty(), "no explanation for {request}");
            assert!(response.header("connection").unwrap().starts_with("close"));
            assert_eq!(server.total(&key), before + 1, "{key} after {request}");
            match status {
                405 => assert_eq!(response.header("allow"), Some("GET, HEAD, OPTIONS")),
                426 => assert_eq!(response.header("sec-websocket-version"), Some("13")),
                _ => {}
            }
        }
        assert_eq!(server.total("opened"), 0);
        server.wait_for("handshakes", 0);
        let origin = request_with("/echo", "Origin: https://good.example\r\n");
        let mut client = Client::open(server.address);
        client.send(origin.as_bytes());
        assert!(client.response_head().starts_with("HTTP/1.1 101 "));
    });
}

/// Bytes that the server never reads must not turn its response into a reset.
#[test]
fn a_response_survives_what_was_sent_too_much() {
    on_each_driver(OPTIONS, |server| {
        let mut request =
            b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n".to_vec();
        request.resize(request.len() + 100_000, b'x');
        assert_eq!(http::exchange(server.address, &request).status, 405);

        let mut request = b"GET /echo HTTP/1.1\r\n".to_vec();
        request.resize(200_000, b'x');
        assert_eq!(http::exchange(server.address, &request).status, 431);
    });
}

#[test]
fn pages_are_served_to_get_and_head() {
    on_each_driver(OPTIONS, |server| {
        let page = http::get(server.address, "/");
        assert_eq!(page.status, 200);
        assert!(
            page.header("content-type")
                .unwrap()
                .starts_with("text/html")
        );
        assert!(page.text().contains("WebSocket"), "{}", page.text());

        let health = http::get(server.address, "/healthz");
        assert_eq!(health.status, 200);

        let head = http::exchange(server.address, b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(head.status, 200);
        let announced = head.header("content-length").unwrap();
        assert_eq!(announced, page.body.len().to_string());
        let head = http::exchange(server.address, b"HEAD /nowhere HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(head.status, 404);
        assert_eq!(server.total("http_requests"), 3);
    });
}

/// A request that is not whole in time is answered with 408, in time; a connection
/// on which nothing came is closed without a word, since a browser that connects
/// ahead would take the words for the answer to its next request.
#[test]
fn a_slow_request_times_out() {
    on_each_driver(
        &["--shards", "1", "--handshake-timeout", "500ms"],
        |server| {
            for part in ["", "GET /echo HTTP/1.1\r\nHost: x\r\n"] {
                let began = Instant::now();
                let mut client = Client::open(server.address);
                client.send(part.as_bytes());
                let head = client.try_response_head();
                let took = began.elapsed();
                match part {
                    "" => assert_eq!(head, None),
                    _ => assert!(head.unwrap().starts_with("HTTP/1.1 408 ")),
                }
                assert!(
                    took > Duration::from_millis(450) && took < Duration::from_secs(3),
                    "{took:?}"
                );
            }
            assert_eq!(server.total("refused.timeout"), 2);
            server.wait_for("handshakes", 0);
        },
    );
}

/// A byte now and then does not buy more time.
#[test]
fn a_dribbled_request_times_out_too() {
    on_each_driver(
        &["--shards", "1", "--handshake-timeout", "500ms"],
        |server| {
            let mut client = Client::open(server.address);
            let began = Instant::now();
            for byte in request("/echo").into_bytes() {
                use std::io::Write;
                if client.stream.write_all(&[byte]).is_err() || began.elapsed().as_secs() > 2 {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            assert!(client.response_head().starts_with("HTTP/1.1 408 "));
            server.wait_for("refused.timeout", 1);
        },
    );
}

#[test]
fn who_leaves_during_the_handshake_is_counted() {
    on_each_driver(&["--shards", "1"], |server| {
        drop(Client::open(server.address));
        let mut client = Client::open(server.address);
        client.send(b"GET /echo HTTP/1.1\r\n");
        server.wait_for("handshakes", 1);
        client.reset();
        server.wait_for("refused.vanished", 2);
        server.wait_for("handshakes", 0);
    });
}
