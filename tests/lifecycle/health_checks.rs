//! Health checks find a living server alive, in HTTP/1.0 too: HAProxy's
//! `option httpchk`, `curl -0`, keepalived, and what a proxy such as nginx makes
//! of a request by default.
//!
//! How: requests byte for byte over raw sockets to both ports, and a real
//! HAProxy, which is asked what it thinks of the server.

use crate::support::client::request;
use crate::support::haproxy::Haproxy;
use crate::support::{Server, http, on_each_driver, wait_until};

#[test]
fn pages_answer_http_1_0() {
    on_each_driver(&["--shards", "1"], |server| {
        for (request, body) in [
            ("GET /healthz HTTP/1.0\r\n\r\n", "ok\n"),
            ("GET /healthz HTTP/1.0\r\nHost: h\r\n\r\n", "ok\n"),
            (
                "GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
                "ok\n",
            ),
            ("GET http://h/healthz HTTP/1.0\r\n\r\n", "ok\n"),
            ("HEAD /healthz HTTP/1.0\r\n\r\n", ""),
        ] {
            // Read to the end of the stream: the server closes, whatever was asked.
            let response = http::exchange(server.address, request.as_bytes());
            assert_eq!(response.status, 200, "{request}");
            assert_eq!(response.text(), body, "{request}");
            assert_eq!(response.header("connection"), Some("close"));
            assert_eq!(response.header("content-length"), Some("3"));
        }
        let page = http::exchange(server.address, b"GET / HTTP/1.0\r\n\r\n");
        assert!(page.text().contains("WebSocket"));
        let lost = http::exchange(server.address, b"GET /nowhere HTTP/1.0\r\n\r\n");
        assert_eq!(lost.status, 404);
        for path in ["/healthz", "/readyz", "/metrics"] {
            let request = format!("GET {path} HTTP/1.0\r\n\r\n");
            let mut stream = std::net::TcpStream::connect(server.admin).unwrap();
            std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
            let mut answer = String::new();
            std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
            assert_eq!(answer.get(8..13), Some(" 200 "), "{path}: {answer}");
        }
    });
}

/// The handshake of a proxy that speaks HTTP/1.0 to its backends is refused, and the
/// response says what to change there.
#[test]
fn a_session_needs_http_1_1() {
    let server = Server::start(&["--shards", "1"]);
    let upgrade = request("/echo").replacen("HTTP/1.1", "HTTP/1.0", 1);
    let refused = http::exchange(server.address, upgrade.as_bytes());
    assert_eq!(refused.status, 505);
    assert!(refused.text().contains("HTTP/1.1"), "{}", refused.text());
    // nginx by default: neither Upgrade nor the version comes through.
    let stripped = b"GET /echo HTTP/1.0\r\nHost: h\r\nConnection: close\r\n\r\n";
    let refused = http::exchange(server.address, stripped);
    assert_eq!(refused.status, 426);
    assert!(refused.text().contains("HTTP/1.1"), "{}", refused.text());
    assert_eq!(server.total("opened"), 0);
}

#[test]
fn haproxy_finds_the_server_alive() {
    if !Haproxy::is_there("haproxy_finds_the_server_alive") {
        return;
    }
    let server = Server::start(&["--shards", "1"]);
    for check in [
        "option httpchk GET /healthz",
        "option httpchk HEAD /",
        "option httpchk\n http-check send meth GET uri /healthz ver HTTP/1.1 hdr Host h",
    ] {
        let proxy = Haproxy::start(&format!(
            "mode http\n stats enable\n stats uri /stats\n {check}\n \
             server s {} check inter 100ms fall 1",
            server.address
        ));
        let mut seen = String::new();
        wait_until("the check is over", || {
            let table = http::get(proxy.address, "/stats;csv").text();
            let row = table.lines().find(|line| line.starts_with("websocket,s,"));
            seen = row.expect("a row of the server").to_owned();
            // 'L7' and the outcome; '* L7' while the check is under way.
            seen.contains(",L7")
        });
        assert!(seen.contains(",L7OK,200,"), "{check}: {seen}");
    }
}
