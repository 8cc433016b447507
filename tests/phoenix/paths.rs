//! How clients of Phoenix begin and end a session beside the usual way: paths
//! with empty segments, a version given twice, a close frame without a code.
//!
//! How: handshakes byte for byte, and a heartbeat that shows which version of
//! the protocol is spoken.

use crate::support::client::{CLOSE, Client, FIN, encode, request};
use crate::support::{Server, http, on_each_driver};

/// phoenix.js asks for the second where its endpoint ends in a slash.
#[test]
fn empty_segments_do_not_count() {
    let server = Server::start(&[
        "--shards",
        "1",
        "--route",
        "/live/{tenant}/websocket=phoenix",
    ]);
    for path in [
        "/socket/websocket",
        "/socket//websocket",
        "//socket/websocket",
        "/socket/websocket/",
        "/live/a//websocket",
    ] {
        Client::connect(server.address, &format!("{path}?vsn=2.0.0")).close();
        let page = http::get(server.address, path);
        assert_eq!(page.status, 426, "{path}");
    }
    // Elsewhere a path is taken as it is written.
    for path in [
        "//echo",
        "/echo/",
        "/ws//ann",
        "/ws/ann/",
        "/live//websocket",
    ] {
        let refused = http::exchange(server.address, request(path).as_bytes());
        assert_eq!(refused.status, 404, "{path}");
    }
}

const HEARTBEAT_V1: &str = r#"{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"1"}"#;
const HEARTBEAT_V2: &str = r#"[null,"1","phoenix","heartbeat",{}]"#;

#[test]
fn of_two_versions_the_last_counts() {
    let server = Server::start(&["--shards", "1"]);
    for (query, heartbeat) in [
        ("vsn=1.0.0&vsn=2.0.0", HEARTBEAT_V2),
        ("vsn=2.0.0&vsn=1.0.0", HEARTBEAT_V1),
        ("vsn=9.9.9&a=b&vsn=2.0.0", HEARTBEAT_V2),
    ] {
        let path = format!("/socket/websocket?{query}");
        let mut client = Client::connect(server.address, &path);
        client.send_text(heartbeat);
        let answer = client.read_text();
        assert!(answer.contains(r#""status":"ok""#), "{query}: {answer}");
        assert_eq!(answer.starts_with('['), heartbeat.starts_with('['));
    }
    let path = "/socket/websocket?vsn=2.0.0&vsn=9.9.9";
    let refused = http::exchange(server.address, request(path).as_bytes());
    assert_eq!(refused.status, 403);
}

/// `disconnect()` of phoenix.js sends a close frame without a code.
#[test]
fn a_close_without_a_code_is_answered_as_a_normal_end() {
    on_each_driver(&["--shards", "1"], |server| {
        for path in ["/socket/websocket?vsn=2.0.0", "/echo"] {
            let mut client = Client::connect(server.address, path);
            client.send(&encode(FIN | CLOSE, true, b""));
            assert_eq!(client.frame().close_code(), 1000, "{path}");
            client.expect_end();
        }
    });
}
