//! Opening handshakes that are wrong, or only look wrong, each get the status
//! that the parser documents, and nothing else comes of them.
//!
//! How: a table of named requests, each sent whole, cut at random and byte by byte,
//! with the common check after every round. The same table goes to a server that reads
//! a byte at a time. The verdicts are written here by hand; the parser's own tests are
//! in `src/upgrade/tests.rs`.

use crate::support::aftermath::withstand;
use crate::support::hostile::{Case, Handshake, Random, Verdict};

use Verdict::{Opens, OpensThenFails, Status};

/// The handshake with another header line in front.
fn extra(name: &str, line: &str, verdict: Verdict) -> Case {
    Case::new(name, Handshake::good().first(line), verdict)
}

/// The handshake with one of its lines replaced.
fn instead(name: &str, of: &str, lines: &[&str], verdict: Verdict) -> Case {
    Case::new(name, Handshake::good().instead(of, lines), verdict)
}

fn hosts() -> Vec<Case> {
    let host = |name, lines: &[&str], verdict| instead(name, "Host", lines, verdict);
    vec![
        host("no Host", &[], Status(400)),
        host("two Hosts", &["Host: a", "Host: b"], Status(400)),
        host("the same Host twice", &["Host: a", "hOST: a"], Status(400)),
        host("an empty Host", &["Host:"], Status(400)),
        host("Host with a space", &["Host: a b"], Status(400)),
        host("Host with a slash", &["Host: a/b"], Status(400)),
        host("Host with a comma", &["Host: a, b"], Status(400)),
        host("Host with a user", &["Host: u@a"], Status(400)),
        host("Host with a scheme", &["Host: http://a"], Status(400)),
        host("Host with a quote", &["Host: a\"b"], Status(400)),
        host("Host with angle brackets", &["Host: <a>"], Status(400)),
        host("Host with a backslash", &["Host: a\\b"], Status(400)),
        host("Host that is not ASCII", &["Host: h\u{f4}te"], Status(400)),
        host("Host with a large port", &["Host: a:65536"], Status(400)),
        host("Host with a port in words", &["Host: a:http"], Status(400)),
        host("Host with half an address", &["Host: [::1"], Status(400)),
        host("Host with an address", &["Host: [::1]:80"], Opens),
        host("Host obfuscated by a space", &["Host : a"], Status(400)),
        host("Host folded", &["Host:", " a"], Status(400)),
        host("Host behind an underscore", &["Ho_st: a"], Status(400)),
    ]
}

fn websocket_headers() -> Vec<Case> {
    let version = |name, lines: &[&str], v| instead(name, "Sec-WebSocket-Version", lines, v);
    let key = |name, lines: &[&str], v| instead(name, "Sec-WebSocket-Key", lines, v);
    let good_key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    vec![
        version("version 8", &["Sec-WebSocket-Version: 8"], Status(426)),
        version("version 013", &["Sec-WebSocket-Version: 013"], Status(426)),
        version(
            "versions 13, 8",
            &["Sec-WebSocket-Version: 13, 8"],
            Status(426),
        ),
        version(
            "versions 13, 13",
            &["Sec-WebSocket-Version: 13, 13"],
            Status(426),
        ),
        version(
            "version of nothing",
            &["Sec-WebSocket-Version:"],
            Status(426),
        ),
        version("no version", &[], Status(426)),
        version("version +13", &["Sec-WebSocket-Version: +13"], Status(426)),
        version(
            "version 13.0",
            &["Sec-WebSocket-Version: 13.0"],
            Status(426),
        ),
        version(
            "version 0x0d",
            &["Sec-WebSocket-Version: 0x0d"],
            Status(426),
        ),
        version("version 13;", &["Sec-WebSocket-Version: 13;"], Status(426)),
        version("version 269", &["Sec-WebSocket-Version: 269"], Status(426)),
        version(
            "version 13 with spaces around",
            &["Sec-WebSocket-Version: \t 13 \t"],
            Opens,
        ),
        version(
            "version 13 twice",
            &["Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13"],
            Status(426),
        ),
        key("no key", &[], Status(400)),
        key("an empty key", &["Sec-WebSocket-Key:"], Status(400)),
        key(
            "a short key",
            &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ="],
            Status(400),
        ),
        key(
            "a long key",
            &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSE=="],
            Status(400),
        ),
        key(
            "a key of 17 bytes",
            &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWE="],
            Status(400),
        ),
        key(
            "not base64",
            &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j!Q=="],
            Status(400),
        ),
        key(
            "base64 for URLs",
            &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j_Q=="],
            Status(400),
        ),
        key(
            "a padding amid the key",
            &["Sec-WebSocket-Key: dGhlIHNh=XBsZSBub25jZQ=="],
            Status(400),
        ),
        key(
            "a space amid the key",
            &["Sec-WebSocket-Key: dGhlIHNhbXBsZSB ub25jZQ=="],
            Status(400),
        ),
        key(
            "a key that is not ASCII",
            &["Sec-WebSocket-Key: \u{e9}GhlIHNhbXBsZSBub25jQ=="],
            Status(400),
        ),
        key("the key twice", &[good_key, good_key], Status(400)),
        instead("no Connection", "Connection", &[], Status(400)),
        instead(
            "Connection: close",
            "Connection",
            &["Connection: close"],
            Status(400),
        ),
        instead(
            "Connection: upgraded",
            "Connection",
            &["Connection: upgraded"],
            Status(400),
        ),
        instead(
            "Connection in quotes",
            "Connection",
            &["Connection: \"upgrade\""],
            Status(400),
        ),
        instead(
            "Connection in a list with empty elements",
            "Connection",
            &["Connection: ,,keep-alive,, UPGRADE,"],
            Opens,
        ),
        instead(
            "Connection over two lines",
            "Connection",
            &["Connection: keep-alive", "connection: upgrade"],
            Opens,
        ),
        instead("no Upgrade", "Upgrade", &[], Status(426)),
        instead("Upgrade to h2c", "Upgrade", &["Upgrade: h2c"], Status(426)),
        instead(
            "Upgrade: websockets",
            "Upgrade",
            &["Upgrade: websockets"],
            Status(426),
        ),
        instead(
            "Upgrade: web socket",
            "Upgrade",
            &["Upgrade: web socket"],
            Status(426),
        ),
        instead(
            "Upgrade among others",
            "Upgrade",
            &["Upgrade: h2c, WebSocket"],
            Opens,
        ),
        instead(
            "Upgrade folded",
            "Upgrade",
            &["Upgrade:", "\twebsocket"],
            Status(400),
        ),
    ]
}

fn header_blocks() -> Vec<Case> {
    let long = |len: usize| format!("X-Long: {}", "x".repeat(len));
    let many = |count: usize| {
        // Six lines are those of the handshake.
        (0..count - 6).fold(Handshake::good(), |request, number| {
            request.first(format!("X-{number}: y"))
        })
    };
    let good: Vec<u8> = Handshake::good().into();
    let lines_at_the_front =
        |count: usize| ["\r\n".repeat(count).into_bytes(), good.clone()].concat();
    vec![
        extra("a folded header", "X-Fold: a\r\n b", Status(400)),
        extra(
            "a folded header with a tab",
            "X-Fold: a\r\n\tb",
            Status(400),
        ),
        extra("a fold behind the request line", " X-Fold: a", Status(400)),
        extra("a header without a colon", "X-Nothing", Status(400)),
        extra("a header without a name", ": x", Status(400)),
        extra("a space before the colon", "X-Space : x", Status(400)),
        extra("a tab before the colon", "X-Tab\t: x", Status(400)),
        extra("a space in a name", "X Space: x", Status(400)),
        extra("a bare CR in a value", "X-Cr: a\rb", Status(400)),
        extra(
            "a bare CR and a header in a value",
            "X-Cr: a\rHost: b",
            Status(400),
        ),
        extra("a bare CR as a line", "\r", Status(400)),
        extra("CR CR LF", "X-Cr: a\r", Status(400)),
        extra("a NUL in a value", "X-Nul: a\0b", Status(400)),
        extra("a NUL in a name", "X-N\0l: a", Status(400)),
        extra("an escape in a value", "X-Esc: \x1b[31m", Status(400)),
        extra("an empty value", "X-Empty:", Opens),
        extra("a bare LF amid two headers", "X-A: a\nX-B: b", Opens),
        Case::new(
            "bare LF everywhere",
            Handshake::good().end_of_line(b"\n"),
            Opens,
        ),
        Case::new(
            "bare CR everywhere",
            Handshake::good().end_of_line(b"\r"),
            Status(400),
        ),
        Case::new(
            "LF CR everywhere",
            Handshake::good().end_of_line(b"\n\r"),
            Status(400),
        ),
        Case::new("three empty lines in front", lines_at_the_front(3), Opens),
        Case::new(
            "5,000 empty lines in front",
            lines_at_the_front(5_000),
            Status(414),
        ),
        Case::new("64 headers", many(64), Opens),
        Case::new("65 headers", many(65), Status(431)),
        Case::new("1,000 headers", many(1_000), Status(431)),
        extra("a header of 7 KiB", &long(7 << 10), Opens),
        extra("a header of 9 KiB", &long(9 << 10), Status(431)),
        extra("a header of 900 KiB", &long(900 << 10), Status(431)),
        extra(
            "a name of 9 KiB",
            &format!("{}: x", "X".repeat(9 << 10)),
            Status(431),
        ),
        Case::new(
            "a header block that never ends",
            [
                &b"GET /echo HTTP/1.1\r\n"[..],
                &b"X: c4nary\r\n".repeat(60),
                &[b'a'; 9 << 10],
            ]
            .concat(),
            Status(431),
        ),
        Case::new(
            "bytes behind the request",
            [&good[..], b"c4nary c4nary"].concat(),
            OpensThenFails,
        ),
        Case::new(
            "NUL behind the request",
            [&good[..], &[0; 64]].concat(),
            OpensThenFails,
        ),
    ]
}

fn check(kind: &str, options: &[&str], cases: &[Case]) {
    withstand(kind, options, |server| {
        let mut random = Random::new(5);
        let sent = cases
            .iter()
            .map(|case| case.check_in_pieces(server.address, &mut random));
        sent.sum()
    });
}

fn all() -> Vec<Case> {
    [hosts(), websocket_headers(), header_blocks()].concat()
}

#[test]
fn each_gets_its_verdict() {
    check("malformed handshakes", &[], &all());
}

/// Every split there is, at the server's end. Long requests take it too long:
/// each byte is a look at all before it.
#[test]
fn read_byte_by_byte_they_get_the_same() {
    let mut cases = all();
    cases.retain(|case| case.bytes.len() < 2_000);
    let options = ["--max-read-bytes", "1"];
    check("malformed handshakes, read byte by byte", &options, &cases);
}
