//! The good and bad requests that another server's authors collected for their
//! parser's tests: each is answered and closed in time, and none that is bad
//! becomes a session.
//!
//! How: the request files of the package `gunicorn`, which `make test-clients`
//! puts into `target/`. They are sent as they are, and once more with a good
//! handshake's headers mixed in, so that the fault in them is all that stands
//! between the sender and a session. Without the package the test is skipped.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::aftermath::withstand;
use crate::support::client::Client;
use crate::support::foreign::clients;
use crate::support::hostile::{Random, refusal};
use crate::support::skip;

/// Bad to its authors for a reason that is not in the protocol, or that the
/// mixture takes away; as a handshake each of them is a good one.
const NO_FAULT: &[(&str, &str)] = &[
    (
        "invalid/006",
        "a path longer than its limit, and the mixture has another",
    ),
    ("invalid/010", "a limit of ten bytes for a header"),
    (
        "invalid/011",
        "a limit of two headers; '=' may stand in a host",
    ),
    ("invalid/012", "a limit of 98 bytes for a header"),
    (
        "invalid/019",
        "headers of proxies that contradict each other",
    ),
];

/// A request of the collection.
struct Request {
    /// Folder and file, as in `invalid/001`.
    name: String,
    bytes: Vec<u8>,
}

/// Reads a folder of files that spell control characters out and break lines
/// as they like.
fn read(folder: &Path, kind: &str) -> Vec<Request> {
    let mut requests: Vec<Request> = fs::read_dir(folder.join(kind))
        .expect("the collection is installed")
        .map(|file| {
            let path = file.unwrap().path();
            let spelled = fs::read(&path).unwrap();
            let stem = path.file_stem().unwrap().to_string_lossy();
            Request {
                name: format!("{kind}/{stem}"),
                bytes: spelled_out(&spelled),
            }
        })
        .collect();
    requests.sort_by(|a, b| a.name.cmp(&b.name));
    requests
}

fn spelled_out(file: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = file;
    while let Some((&first, behind)) = rest.split_first() {
        let (byte, taken) = match (first, behind.first()) {
            (b'\n', _) => (None, 1),
            (b'\\', Some(b'r')) => (Some(b'\r'), 2),
            (b'\\', Some(b'n')) => (Some(b'\n'), 2),
            (b'\\', Some(b't')) => (Some(b'\t'), 2),
            (b'\\', Some(b'0')) => (Some(0), 2),
            _ => (Some(first), 1),
        };
        bytes.extend(byte);
        rest = &rest[taken..];
    }
    bytes
}

/// The request as a handshake: a method, path and version that would do, if those it
/// has are of the usual kind, and the headers after its first line.
fn as_handshake(request: &[u8]) -> Vec<u8> {
    let end = request.windows(2).position(|two| two == b"\r\n");
    let (line, rest) = request.split_at(end.unwrap_or(request.len()));
    let usual = [&b"GET"[..], b"POST", b"PUT"];
    let words: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    let mut bytes = match words[..] {
        [method, [b'/', ..], b"HTTP/1.0" | b"HTTP/1.1"] if usual.contains(&method) => {
            b"GET /echo HTTP/1.1".to_vec()
        }
        _ => line.to_vec(),
    };
    let named = |name: &str| {
        let text = String::from_utf8_lossy(request).to_ascii_lowercase();
        text.contains(&format!("\n{name}:"))
    };
    for header in [
        "Host: localhost",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ] {
        if !(header.starts_with("Host") && named("host")) {
            bytes.extend_from_slice(b"\r\n");
            bytes.extend_from_slice(header.as_bytes());
        }
    }
    bytes.extend_from_slice(rest);
    bytes
}

/// Sends a request in one or two pieces, and returns the status it gets.
fn status(server: &crate::support::Server, name: &str, pieces: &[&[u8]]) -> u16 {
    let mut client = Client::open(server.address);
    for piece in pieces {
        client.send(piece);
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut start = [0; 12];
    wait_for_bytes(&client, &mut start, name);
    if start.starts_with(b"HTTP/1.1 101") {
        client.reset();
        return 101;
    }
    refusal(&mut client.stream, true, name).status
}

/// Looks at the start of the response and leaves it there.
fn wait_for_bytes(client: &Client, start: &mut [u8], name: &str) {
    let found = crate::support::poll_until(crate::support::DEADLINE, || {
        client.stream.peek(start).expect("an answer, not a reset") == start.len()
    });
    assert!(found, "{name} is not answered");
}

#[test]
fn requests_of_others() {
    let folder = clients().join("requests");
    if !folder.join("installed").is_file() {
        skip(
            "hostile_corpus",
            "the requests of gunicorn are not installed; run: make test-clients",
        );
        return;
    }
    let valid = read(&folder, "valid");
    let invalid = read(&folder, "invalid");
    assert!(valid.len() > 30 && invalid.len() > 50, "an odd collection");
    let options = ["--handshake-timeout", "200ms"];
    withstand("requests collected by others", &options, |server| {
        let mut random = Random::new(3);
        let mut cases = 0;
        for request in valid.iter().chain(&invalid) {
            let name = &request.name;
            let bytes = &request.bytes[..];
            assert_ne!(status(server, name, &[bytes]), 101, "{name}");
            let handshake = as_handshake(bytes);
            let whole = status(server, name, &[&handshake]);
            let (left, right) = handshake.split_at(random.below(handshake.len()));
            let split = status(server, name, &[left, right]);
            assert_eq!(whole, split, "{name}, cut at {}", left.len());
            if name.starts_with("invalid/") {
                let excused = NO_FAULT.iter().any(|(known, _)| known == name);
                assert_eq!(whole == 101, excused, "{name} is answered {whole}");
            }
            cases += 3;
        }
        cases
    });
}
