//! Bodies have a limit, also where their length is not announced, and one of a client
//! without a key is not read at all.
//!
//! How: bodies at the limit and beyond it, in one piece and in chunks.

use std::io::Write;
use std::net::TcpStream;

use crate::backend::{ALL, WithApi, problem};
use crate::support::DEADLINE;
use crate::support::client::Client;
use crate::support::http::{exchange, finish};

#[test]
fn a_body_over_the_limit_is_refused() {
    let it = WithApi::start(&["--shards", "1", "--max-api-body", "2KiB"]);
    let mut client = Client::connect(it.server.address, "/broadcast");
    client.expect_echo("subscribed");
    let topic = "corecast:broadcast:/broadcast";
    let text = "x".repeat(2_048);
    assert_eq!(it.post(topic, "text/plain", text.as_bytes()).status, 202);
    assert_eq!(client.read_text(), text);

    // Announced: it is refused before a byte of it is there.
    for (target, length) in [("/topics/a", 2_049_u64), ("/api/publish", 1 << 40)] {
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: a\r\nX-API-Key: {ALL}\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n"
        );
        let response = exchange(it.api, head.as_bytes());
        assert_eq!(response.status, 413, "{}", response.text());
        let (code, message) = problem(&response);
        assert_eq!(code, 107);
        assert!(
            message.contains("2048 bytes of --max-api-body"),
            "{message}"
        );
    }

    // In chunks: it is refused when it has become too large.
    let mut stream = TcpStream::connect(it.api).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let head = format!(
        "POST /topics/{topic} HTTP/1.1\r\nHost: a\r\nX-API-Key: {ALL}\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    for _ in 0..2 {
        let chunk = format!("500\r\n{}\r\n", "y".repeat(0x500));
        stream.write_all(chunk.as_bytes()).unwrap();
    }
    assert_eq!(finish(&mut stream, true).status, 413);
    assert_eq!(it.counted("refused.too_large"), 3);
    it.post(topic, "text/plain", b"last");
    assert_eq!(client.read_text(), "last", "nothing of them was published");
}

#[test]
fn a_body_without_a_good_key_is_not_waited_for() {
    let it = WithApi::start(&["--shards", "1"]);
    let head = "POST /topics/a HTTP/1.1\r\nHost: a\r\nX-API-Key: wrong\r\nContent-Length: 1000\r\n\
                Connection: close\r\n\r\n";
    assert_eq!(exchange(it.api, head.as_bytes()).status, 401);
    // Nor is one for a topic that its key may not publish to.
    let head = head.replace("wrong", crate::backend::SHOP);
    assert_eq!(exchange(it.api, head.as_bytes()).status, 403);
}

/// A client that drips or hangs keeps its connection for ten seconds, not for ever.
#[test]
fn a_body_that_does_not_come_is_given_up() {
    let it = WithApi::start(&["--shards", "1"]);
    let mut stream = TcpStream::connect(it.api).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let head = format!(
        "POST /topics/a HTTP/1.1\r\nHost: a\r\nX-API-Key: {ALL}\r\nContent-Length: 9\r\n\r\nhalf"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let response = finish(&mut stream, true);
    assert_eq!(response.status, 408, "{}", response.text());
    assert!(problem(&response).1.contains("within 10 s"));
}
