//! Plain HTTP on the WebSocket port: health, statistics in the shape that the
//! load generator reads, and a fitting status for everything else.
//!
//! How: requests byte for byte; each response must arrive whole.

mod support;

use serde_json::Value;
use support::{Client, Server, exchange, get};

#[test]
fn each_request_has_its_status() {
    let server = Server::start();
    let status = |request: &str| {
        let response = exchange(server.address, request);
        response
            .get(9..12)
            .unwrap_or_else(|| panic!("no status: {response}"))
            .to_owned()
    };
    let headers = "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    assert_eq!(
        get(server.address, "/healthz"),
        ("HTTP/1.1 200 OK".into(), "ok\n".into())
    );
    assert_eq!(status("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"), "404");
    assert_eq!(
        status(&format!("GET /nowhere HTTP/1.1\r\n{headers}")),
        "404"
    );
    assert_eq!(status("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"), "426");
    assert_eq!(
        status("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"),
        "405"
    );
    assert_eq!(status("nonsense\r\n\r\n"), "400");
    assert_eq!(
        status(&format!("GET /echo HTTP/1.1\r\nX: {}", "x".repeat(20_000))),
        "431"
    );
    assert_eq!(server.total("refused"), 6);
    assert_eq!(server.total("opened"), 0);
}

#[tokio::test]
async fn the_statistics_have_the_fields_of_corecast() {
    let server = Server::start();
    let _sessions = [
        Client::connect(server.address, "/echo").await,
        Client::connect(server.address, "/ws").await,
    ];
    server.wait_until("sessions", 2);
    let stats: Value = serde_json::from_str(&get(server.address, "/stats").1).expect("JSON");
    assert_eq!(stats["listen"], server.address.to_string());
    assert!(stats["uptime_seconds"].as_f64().unwrap() >= 0.0);
    assert!(stats["process"]["cpu_seconds"].as_f64().unwrap() >= 0.0);
    assert!(stats["process"]["resident_memory_bytes"].as_u64().unwrap() > 100_000);
    for key in [
        "opened",
        "messages_in",
        "messages_out",
        "deliveries",
        "accept_pauses",
    ] {
        assert!(stats["total"][key].is_u64(), "{key}: {stats}");
    }
    assert_eq!(stats["total"]["opened"], 2);
}
