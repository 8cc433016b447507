//! Opening handshakes as bytes that need not be right, the verdict on each, and
//! sending them in pieces.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use super::DEADLINE;
use super::client::{Client, FIN, TEXT, encode};
use super::http::Response;

/// Words in every request that no response may repeat.
const CANARY: &str = "c4nary";
/// The headers a refusal may have; anything else came from the request.
const KNOWN: &[&str] = &[
    "allow",
    "cache-control",
    "connection",
    "content-length",
    "content-security-policy",
    "content-type",
    "referrer-policy",
    "retry-after",
    "sec-websocket-version",
    "upgrade",
    "x-content-type-options",
];

/// The required outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Answered with this status and closed.
    Status(u16),
    /// A session without fault.
    Opens,
    /// A session, which the bytes after the request end with 1002: they are frames,
    /// never a second request.
    OpensThenFails,
}

/// A request and its required outcome.
#[derive(Debug, Clone)]
pub struct Case {
    pub name: String,
    pub bytes: Vec<u8>,
    pub verdict: Verdict,
}

impl Case {
    pub fn new(name: &str, request: impl Into<Vec<u8>>, verdict: Verdict) -> Case {
        Case {
            name: name.to_owned(),
            bytes: request.into(),
            verdict,
        }
    }

    /// Sends the request in these pieces and checks what comes of it.
    pub fn check(&self, address: SocketAddr, pieces: &[&[u8]], pause: Duration) {
        let how = format!("{} in {} pieces", self.name, pieces.len());
        let mut client = Client::open(address);
        for (number, piece) in pieces.iter().enumerate() {
            if number > 0 && !pause.is_zero() {
                thread::sleep(pause);
            }
            // The verdict may have been given already, and the socket closed.
            if client.stream.write_all(piece).is_err() {
                break;
            }
        }
        match self.verdict {
            Verdict::Status(status) => {
                let is_head = self.bytes.starts_with(b"HEAD ");
                let response = refusal(&mut client.stream, !is_head, &how);
                assert_eq!(response.status, status, "{how}: {}", response.head);
            }
            Verdict::Opens => {
                expect_opened(&mut client, &how);
                client.send(&encode(FIN | TEXT, true, b"hello"));
                assert_eq!(client.frame().text(), "hello", "{how}");
                client.close();
            }
            Verdict::OpensThenFails => {
                expect_opened(&mut client, &how);
                assert_eq!(client.frame().close_code(), 1002, "{how}");
                client.expect_end();
            }
        }
    }

    /// The same request whole, in three pieces cut at random, and byte by byte.
    /// Returns how often it was sent.
    pub fn check_in_pieces(&self, address: SocketAddr, random: &mut Random) -> usize {
        let bytes = &self.bytes[..];
        self.check(address, &[bytes], Duration::ZERO);
        for _ in 0..2 {
            let (a, b) = (random.below(bytes.len()), random.below(bytes.len()));
            let (left, rest) = bytes.split_at(a.min(b));
            let (middle, right) = rest.split_at(a.max(b) - a.min(b));
            self.check(address, &[left, middle, right], Duration::from_millis(1));
        }
        if bytes.len() > 600 {
            return 3;
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        self.check(address, &single, Duration::ZERO);
        4
    }
}

fn expect_opened(client: &mut Client, how: &str) {
    let head = client.response_head();
    assert!(head.starts_with("HTTP/1.1 101 "), "{how}: {head}");
    assert!(!head.contains(CANARY), "{how}: {head}");
}

/// Reads a refusal to the end of the stream: one response, nothing of the
/// request in it, no header that we do not send, and the close announced.
pub fn refusal(stream: &mut TcpStream, has_body: bool, how: &str) -> Response {
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut received = Vec::new();
    if let Err(error) = stream.read_to_end(&mut received) {
        panic!("{how}: the response is not whole: {error}");
    }
    let text = String::from_utf8_lossy(&received);
    assert!(!text.contains(CANARY), "{how} is repeated: {text}");
    assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{how}: {text}");
    let response = Response::parse(&received, has_body);
    for line in response.head.lines().skip(1) {
        let name = line.split(':').next().unwrap().to_ascii_lowercase();
        assert!(KNOWN.contains(&&*name), "{how}: {line}");
    }
    let connection = response.header("connection").unwrap_or_default();
    assert!(connection.starts_with("close"), "{how}: {connection}");
    match response.status {
        405 => assert_eq!(
            response.header("allow"),
            Some("GET, HEAD, OPTIONS"),
            "{how}"
        ),
        426 => assert_eq!(
            response.header("sec-websocket-version"),
            Some("13"),
            "{how}"
        ),
        503 => assert!(response.header("retry-after").is_some(), "{how}"),
        _ => {}
    }
    response
}

/// An opening handshake, to be spoiled.
#[derive(Debug, Clone)]
pub struct Handshake {
    request_line: Vec<u8>,
    lines: Vec<Vec<u8>>,
    end_of_line: &'static [u8],
}

impl Handshake {
    /// One without fault.
    pub fn good() -> Handshake {
        let lines = [
            "Host: localhost",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "X-Canary: c4nary",
        ];
        Handshake {
            request_line: b"GET /echo?c4nary HTTP/1.1".to_vec(),
            lines: lines.map(|line| line.as_bytes().to_vec()).to_vec(),
            end_of_line: b"\r\n",
        }
    }

    pub fn request_line(mut self, line: impl AsRef<[u8]>) -> Handshake {
        self.request_line = line.as_ref().to_vec();
        self
    }

    pub fn method(self, method: &str) -> Handshake {
        self.request_line(format!("{method} /echo?c4nary HTTP/1.1"))
    }

    pub fn target(self, target: &str) -> Handshake {
        self.request_line(format!("GET {target} HTTP/1.1"))
    }

    /// Puts a line before all others.
    pub fn first(mut self, line: impl AsRef<[u8]>) -> Handshake {
        self.lines.insert(0, line.as_ref().to_vec());
        self
    }

    /// Puts a line after all others.
    pub fn last(mut self, line: impl AsRef<[u8]>) -> Handshake {
        self.lines.push(line.as_ref().to_vec());
        self
    }

    /// Puts other lines in the place of the one with this name.
    pub fn instead(mut self, name: &str, lines: &[&str]) -> Handshake {
        let prefix = format!("{name}:");
        let place = self
            .lines
            .iter()
            .position(|line| line.starts_with(prefix.as_bytes()))
            .expect("a handshake has this line");
        let lines = lines.iter().map(|line| line.as_bytes().to_vec());
        self.lines.splice(place..=place, lines);
        self
    }

    pub fn end_of_line(mut self, end: &'static [u8]) -> Handshake {
        self.end_of_line = end;
        self
    }
}

impl From<Handshake> for Vec<u8> {
    fn from(handshake: Handshake) -> Vec<u8> {
        let mut bytes = handshake.request_line;
        for line in handshake.lines {
            bytes.extend_from_slice(handshake.end_of_line);
            bytes.extend(line);
        }
        bytes.extend_from_slice(handshake.end_of_line);
        bytes.extend_from_slice(handshake.end_of_line);
        bytes
    }
}

/// The same numbers in every run (xorshift).
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}
