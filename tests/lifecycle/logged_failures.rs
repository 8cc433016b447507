//! The log says which clients are refused and which sessions end by a fault, with
//! address, path, origin and reason; it does so once for each reason however many
//! there are, and it shows no query and no control characters.
//!
//! How: a server is given clients of each kind, and its log is read.

use crate::support::client::{Client, encode, request, request_with};
use crate::support::{Server, wait_until};

/// The lines of the log with this word.
fn lines(server: &Server, word: &str) -> Vec<String> {
    let log = server.log();
    let lines = log.lines().filter(|line| line.contains(word));
    lines.map(str::to_owned).collect()
}

/// Waits for a line with all these words.
#[track_caller]
fn wait_for_line(server: &Server, words: &[&str]) {
    wait_until(&format!("a line with {words:?}"), || {
        let log = server.log();
        let mut lines = log.lines();
        lines.any(|line| words.iter().all(|word| line.contains(word)))
    });
}

#[test]
fn a_refused_client_is_named_once_for_each_reason() {
    let options = ["--shards", "2", "--origin", "https://good.example"];
    let server = Server::start(&options);
    for number in 0..20 {
        let mut lost = Client::open(server.address);
        let address = lost.stream.local_addr().unwrap().to_string();
        lost.send(request("/nowhere?token=secret").as_bytes());
        assert!(lost.response_head().starts_with("HTTP/1.1 404 "));
        if number == 0 {
            let words = [
                "reason=\"not_found\"",
                "status=404",
                "path=\"/nowhere\"",
                &address,
            ];
            wait_for_line(&server, &words);
        }
    }
    let mut foreign = Client::open(server.address);
    foreign.send(request_with("/echo", "Origin: https://bad.example\r\n").as_bytes());
    assert!(foreign.response_head().starts_with("HTTP/1.1 403 "));
    let words = [
        "reason=\"forbidden\"",
        "path=\"/echo\"",
        "origin=\"https://bad.example\"",
    ];
    wait_for_line(&server, &words);

    assert_eq!(server.total("refused.not_found"), 20);
    assert_eq!(lines(&server, "not_found").len(), 1, "{}", server.log());
    assert!(!server.log().contains("secret"), "{}", server.log());
}

#[test]
fn what_a_client_sends_cannot_forge_a_line() {
    let server = Server::start(&["--shards", "1"]);
    let mut client = Client::open(server.address);
    client.send(b"GET /\x1b[31m\"forged HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(client.response_head().starts_with("HTTP/1.1 400 "));
    wait_for_line(&server, &["reason=\"bad_request\""]);
    assert!(!server.log().contains('\x1b'), "{}", server.log());
}

#[test]
fn a_session_that_ends_by_a_fault_is_named() {
    let server = Server::start(&["--shards", "1", "--max-message-bytes", "1000"]);
    let faults: [(&str, Vec<u8>); 3] = [
        // Not masked, which a client's frame must be.
        ("protocol_error", encode(0x81, false, b"plain")),
        ("invalid_payload", encode(0x81, true, b"\xff\xff")),
        ("too_big", encode(0x81, true, &[b'a'; 2_000])),
    ];
    for (reason, frame) in faults {
        let mut client = Client::connect(server.address, "/echo");
        let address = client.stream.local_addr().unwrap().to_string();
        client.send(&frame);
        while client.frame().opcode != 8 {}
        let reason = format!("reason=\"{reason}\"");
        wait_for_line(&server, &["a session was ended", &reason, &address]);
    }
    let mut well_behaved = Client::connect(server.address, "/echo");
    well_behaved.expect_echo("hello");
    well_behaved.close();
    server.wait_for("ended.peer_closed", 1);
    assert_eq!(lines(&server, "a session was ended").len(), 3);
}

#[test]
fn a_full_server_warns() {
    let server = Server::start(&["--shards", "1", "--max-sessions", "1"]);
    let mut first = Client::connect(server.address, "/echo");
    first.expect_echo("in");
    let mut second = Client::open(server.address);
    second.send(request("/echo").as_bytes());
    assert!(second.response_head().starts_with("HTTP/1.1 503 "));
    wait_for_line(&server, &["WARN", "reason=\"full\"", "status=503"]);
}
