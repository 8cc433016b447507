//! A request hides no second one: whatever its headers say about a body, there is one
//! response at most, and bytes after an upgrade are frames.
//!
//! How: requests with `Content-Length` and `Transfer-Encoding` in all the ways that
//! proxies have disagreed about, each with another request after it that would be
//! answered from the chat page. One response is all that may come.

use crate::support::aftermath::withstand;
use crate::support::hostile::{Case, Handshake, Random, Verdict};

use Verdict::{OpensThenFails, Status};

/// A request that must not be answered.
const HIDDEN: &[u8] = b"GET /healthz?c4nary HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Header lines, and the outcome of a handshake with them.
fn bodies() -> Vec<(&'static str, Verdict)> {
    vec![
        ("Content-Length: 54", Status(400)),
        ("Content-Length: 54\r\nContent-Length: 54", Status(400)),
        ("Content-Length: 54\r\nContent-Length: 0", Status(400)),
        ("Content-Length: 0\r\nContent-Length: 54", Status(400)),
        ("Content-Length: 54, 54", Status(400)),
        ("Content-Length: 0, 54", Status(400)),
        ("Content-Length: +0", Status(400)),
        ("Content-Length: -0", Status(400)),
        ("Content-Length: -1", Status(400)),
        ("Content-Length: +54", Status(400)),
        ("Content-Length: 0x36", Status(400)),
        ("Content-Length: 5_4", Status(400)),
        ("Content-Length: 5 4", Status(400)),
        ("Content-Length: 54.0", Status(400)),
        ("Content-Length: 18446744073709551616", Status(400)),
        ("Content-Length: 18446744073709551670", Status(400)),
        ("Content-Length: \u{664}", Status(400)),
        ("Content-Length: \"54\"", Status(400)),
        ("Content-Length:", Status(400)),
        ("Content-Length : 54", Status(400)),
        ("Content-Length\t: 54", Status(400)),
        (" Content-Length: 54", Status(400)),
        ("Content-Length:\r\n 54", Status(400)),
        ("Content-Length\0: 54", Status(400)),
        ("Content-Length: 54\0", Status(400)),
        ("Content-Length: 0\rContent-Length: 54", Status(400)),
        ("X: y\nContent-Length: 54", Status(400)),
        (
            "Content-Length: 54\r\nTransfer-Encoding: chunked",
            Status(400),
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 54",
            Status(400),
        ),
        (
            "Content-Length: 0\r\nTransfer-Encoding: chunked",
            Status(400),
        ),
        ("Transfer-Encoding: chunked", Status(400)),
        ("transfer-ENCODING: CHUNKED", Status(400)),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            Status(400),
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            Status(400),
        ),
        ("Transfer-Encoding: chunked, identity", Status(400)),
        ("Transfer-Encoding: gzip, chunked", Status(400)),
        ("Transfer-Encoding: identity", Status(400)),
        ("Transfer-Encoding:", Status(400)),
        ("Transfer-Encoding: xchunked", Status(400)),
        ("Transfer-Encoding: \"chunked\"", Status(400)),
        ("Transfer-Encoding: \x0bchunked", Status(400)),
        ("Transfer-Encoding: chunked;q=1", Status(400)),
        ("Transfer-Encoding:\tchunked", Status(400)),
        ("Transfer-Encoding:chunked", Status(400)),
        ("Transfer-Encoding : chunked", Status(400)),
        ("Transfer-Encoding\t: chunked", Status(400)),
        ("Transfer-Encoding:\r\n chunked", Status(400)),
        (" Transfer-Encoding: chunked", Status(400)),
        ("X: y\r\n Transfer-Encoding: chunked", Status(400)),
        ("X: y\rTransfer-Encoding: chunked", Status(400)),
        ("X: y\nTransfer-Encoding: chunked", Status(400)),
        ("Transfer\u{2010}Encoding: chunked", Status(400)),
        ("[Transfer-Encoding]: chunked", Status(400)),
        // Unknown names say nothing about a body: the bytes that follow are taken for
        // frames, and refused as such.
        ("Transfer_Encoding: chunked", OpensThenFails),
        ("Content_Length: 54", OpensThenFails),
        ("X-Transfer-Encoding: chunked", OpensThenFails),
        ("Transfer-Encodings: chunked", OpensThenFails),
        ("TE: chunked\r\nTrailer: Host", OpensThenFails),
        ("Expect: 100-continue", OpensThenFails),
        ("Content-Length: 0", OpensThenFails),
        ("Content-Length: 000", OpensThenFails),
        ("Keep-Alive: timeout=5", OpensThenFails),
        ("Connection: keep-alive", OpensThenFails),
        ("X-HTTP-Method-Override: POST", OpensThenFails),
    ]
}

/// Bytes between a request and the hidden one.
fn fillings() -> [&'static [u8]; 3] {
    [b"", b"0\r\n\r\n", b"36\r\n"]
}

/// Behind a handshake.
fn upgrades() -> Vec<Case> {
    let mut cases = Vec::new();
    for (line, verdict) in bodies() {
        for filling in fillings() {
            let request: Vec<u8> = Handshake::good().first(line).into();
            let bytes = [&request[..], filling, HIDDEN].concat();
            cases.push(Case::new(&format!("upgrade, {line:?}"), bytes, verdict));
        }
    }
    cases
}

/// After a request for a page, and after one that is refused anyway.
fn pages() -> Vec<Case> {
    let mut cases = Vec::new();
    for (line, verdict) in bodies() {
        for (first, status) in [
            ("GET /healthz", 200),
            ("POST /healthz", 405),
            ("GET /x", 404),
        ] {
            let request = format!("{first} HTTP/1.1\r\n{line}\r\nHost: localhost\r\n\r\n");
            let status = match verdict {
                // A fault in the syntax is found before the method is checked, a body
                // after it.
                Status(400) if status == 405 && !is_syntax(line) => 405,
                Status(400) => 400,
                _ => status,
            };
            let bytes = [request.as_bytes(), HIDDEN].concat();
            let name = format!("{first}, {line:?}");
            cases.push(Case::new(&name, bytes, Status(status)));
        }
    }
    cases
}

/// Whether a line is one that no parser should take for header lines at all:
/// a name that is no token, or a control character.
fn is_syntax(lines: &str) -> bool {
    lines.split("\r\n").any(|line| {
        line.split('\n').any(|line| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            !name.bytes().all(token) || value.bytes().any(|b| b.is_ascii_control() && b != b'\t')
        })
    })
}

#[test]
fn one_request_gets_one_response() {
    let cases = [upgrades(), pages()].concat();
    withstand("smuggled requests", &[], |server| {
        let mut random = Random::new(11);
        for case in &cases {
            let bytes = &case.bytes[..];
            let (head, tail) = bytes.split_at(random.below(bytes.len()));
            case.check(server.address, &[bytes], std::time::Duration::ZERO);
            let pause = std::time::Duration::from_millis(1);
            case.check(server.address, &[head, tail], pause);
        }
        2 * cases.len()
    });
}
