//! A connection stays open and takes requests one after the other, also those that were
//! sent before the answers to earlier ones were read.
//!
//! How: a hundred requests in one write, and one that arrives byte by byte.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::backend::{ALL, WithApi, request};
use crate::support::DEADLINE;
use crate::support::client::Client;
use crate::support::http::finish;

const TARGET: &str = "/topics/corecast:broadcast:/broadcast";

fn connect(it: &WithApi) -> TcpStream {
    let stream = TcpStream::connect(it.api).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

#[test]
fn requests_that_came_together_are_answered_in_order() {
    let it = WithApi::start(&["--shards", "2"]);
    let mut client = Client::connect(it.server.address, "/broadcast");
    client.expect_echo("subscribed");
    let mut stream = connect(&it);
    let headers = [("X-API-Key", ALL)];
    let mut bytes: Vec<u8> = Vec::new();
    for number in 0..100 {
        let body = number.to_string();
        bytes.extend(request("POST", TARGET, &headers, body.as_bytes(), false));
        if number == 50 {
            // One that fails does not end the connection.
            bytes.extend(request("GET", "/nowhere", &headers, b"", false));
        }
    }
    bytes.extend(request("GET", "/topics", &headers, b"", true));
    stream.write_all(&bytes).unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    let statuses: Vec<&str> = answers
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| &answer[..3])
        .collect();
    let expected = [vec!["202"; 51], vec!["404"], vec!["202"; 49], vec!["200"]].concat();
    assert_eq!(statuses, expected);
    for number in 0..100 {
        assert_eq!(client.read_text(), number.to_string());
    }
}

#[test]
fn a_request_may_come_byte_by_byte_and_wait_between_two() {
    let it = WithApi::start(&["--shards", "1"]);
    let mut client = Client::connect(it.server.address, "/broadcast");
    client.expect_echo("subscribed");
    let mut stream = connect(&it);
    stream.set_nodelay(true).unwrap();
    for (text, is_last) in [("first", false), ("second", true)] {
        for byte in request(
            "POST",
            TARGET,
            &[("X-API-Key", ALL)],
            text.as_bytes(),
            is_last,
        ) {
            stream.write_all(&[byte]).unwrap();
        }
        assert_eq!(client.read_text(), text);
    }
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    let text = String::from_utf8(rest).unwrap();
    assert_eq!(text.matches("HTTP/1.1 202").count(), 2, "{text}");
    // A client that goes away in the middle costs nothing.
    for end in [1, 30, 120] {
        let bytes = request("POST", TARGET, &[("X-API-Key", ALL)], &[b'x'; 100], true);
        connect(&it).write_all(&bytes[..end]).unwrap();
    }
    let mut stream = connect(&it);
    let last = request("POST", TARGET, &[("X-API-Key", ALL)], b"third", true);
    stream.write_all(&last).unwrap();
    assert_eq!(finish(&mut stream, true).status, 202);
    assert_eq!(client.read_text(), "third");
}
