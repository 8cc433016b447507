//! Request lines of every wrong kind, other protocols on this port among them,
//! are answered with their status and nothing else comes of them.
//!
//! How: a table of named request lines with the headers of a good handshake after them,
//! each sent whole, cut at random and byte by byte.

use crate::support::aftermath::withstand;
use crate::support::hostile::{Case, Handshake, Random, Verdict};

use Verdict::{Opens, Status};

fn methods() -> Vec<Case> {
    let words = [
        "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE", "get", "Get", "GETT",
        "GE", "BREW", "M-SEARCH", "PRI", "HEAD",
    ];
    let mut cases: Vec<Case> = words
        .iter()
        .map(|word| Case::new(word, Handshake::good().method(word), Status(405)))
        .collect();
    let line = |name: &str, line: &str, status| {
        Case::new(name, Handshake::good().request_line(line), Status(status))
    };
    cases.extend([
        line(
            "a method of 2,000 letters",
            &format!("{} /echo HTTP/1.1", "G".repeat(2_000)),
            405,
        ),
        line(
            "a method longer than everything",
            &format!("{} /echo HTTP/1.1", "G".repeat(9_000)),
            414,
        ),
        line("a method with a NUL", "G\0T /echo HTTP/1.1", 400),
        line("a method in parentheses", "(GET) /echo HTTP/1.1", 400),
        line("no method", " /echo HTTP/1.1", 400),
        line(
            "CONNECT to an authority",
            "CONNECT localhost:80 HTTP/1.1",
            405,
        ),
        line("a handshake about the server", "OPTIONS * HTTP/1.1", 405),
    ]);
    cases
}

fn versions() -> Vec<Case> {
    let version = |version: &str, status| {
        let line = format!("GET /echo?c4nary{version}");
        let name = format!("version{version:?}");
        Case::new(&name, Handshake::good().request_line(line), Status(status))
    };
    vec![
        version(" HTTP/1.0", 505),
        version(" HTTP/0.9", 505),
        version(" HTTP/1.2", 505),
        version(" HTTP/1.10", 400),
        version(" HTTP/2", 505),
        version(" HTTP/2.0", 505),
        version(" HTTP/3", 505),
        version(" HTTP/11", 505),
        version(" HTTP/01.1", 505),
        version(" http/1.1", 400),
        version(" HTTP/1.1 ", 400),
        version(" HTTP/1.1\t", 400),
        version("  HTTP/1.1", 400),
        version("\tHTTP/1.1", 400),
        version(" ICE/1.1", 400),
        version(" HTTPS/1.1", 400),
        version(" HTTP /1.1", 400),
        version(" HTTP/1,1", 505),
        version("", 400),
        version(" ", 400),
    ]
}

fn targets() -> Vec<Case> {
    let target =
        |target: &str, verdict| Case::new(target, Handshake::good().target(target), verdict);
    let long = |name: &str, path: String, verdict| {
        Case::new(name, Handshake::good().target(&path), verdict)
    };
    vec![
        target("*", Status(400)),
        target("echo", Status(400)),
        target("localhost:80", Status(400)),
        target("//echo", Status(404)),
        target("/echo/", Status(404)),
        target("/ECHO", Status(404)),
        target("/echo#c4nary", Status(400)),
        target("#", Status(400)),
        target("http://localhost/echo", Opens),
        target("WSS://[::1]:443/echo", Opens),
        target("http://localhost", Status(404)),
        target("http://localhost/nowhere", Status(404)),
        target("http://user:word@localhost/echo", Status(400)),
        target("http:///echo", Status(400)),
        target("http://a,b/echo", Status(400)),
        target("http://a:99999/echo", Status(400)),
        target("http:/echo", Status(400)),
        target("file:///echo", Status(400)),
        target("javascript://localhost/echo", Status(400)),
        target("/echo?a=%zz", Opens),
        target("/%65cho", Opens),
        target("/%", Status(400)),
        target("/echo%", Status(400)),
        target("/echo%4", Status(400)),
        target("/echo%zz", Status(400)),
        target("/echo%%65", Status(400)),
        target("/echo%u0065", Status(400)),
        target("/%ff", Status(400)),
        target("/%c0%af", Status(400)),
        target("/%ed%a0%80", Status(400)),
        target("/%f4%90%80%80", Status(400)),
        target("/echo%00", Status(400)),
        target("/%00echo", Status(400)),
        target("/echo%0d%0aX-Split:%20c4nary", Status(400)),
        target("/echo%7f", Status(400)),
        target("/echo%1b%5b31m", Status(400)),
        target("/..%2f", Status(404)),
        target("/..%2fecho", Status(404)),
        target("/%2e%2e/echo", Status(404)),
        target("/x/../echo", Status(404)),
        target("/./echo", Status(404)),
        target("/%2fecho", Status(404)),
        target("/%252fecho", Status(404)),
        target("/echo%2f", Status(404)),
        target("/echo%20", Status(404)),
        target("/echo;c4nary", Status(404)),
        target("/echo\\", Status(404)),
        target("/echo c4nary", Status(400)),
        target("/<script>c4nary</script>", Status(404)),
        // Not encoded as it should be, but no riddle either.
        target("/echo\u{e9}", Status(404)),
        target("/echo\0", Status(400)),
        target("/echo\x7f", Status(400)),
        long(
            "a path of 7 KiB",
            format!("/{}", "c4nary".repeat(1_150)),
            Status(404),
        ),
        long(
            "a query of 7 KiB",
            format!("/echo?{}", "c4nary".repeat(1_150)),
            Opens,
        ),
        long(
            "a path of 9 KiB",
            format!("/{}", "c4nary".repeat(1_500)),
            Status(414),
        ),
        long(
            "a query of 900 KiB",
            format!("/echo?{}", "c4nary".repeat(150_000)),
            Status(414),
        ),
        long("7,000 slashes", "/".repeat(7_000), Status(404)),
        long(
            "2,000 encoded dots",
            format!("/{}", "%2e".repeat(2_000)),
            Status(404),
        ),
    ]
}

fn other_protocols() -> Vec<Case> {
    let case = |name: &str, bytes: &[u8], status| Case::new(name, bytes, Status(status));
    let hello = [
        &b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03"[..],
        &[0x5a; 32],
        b"\x00\x00\x02\x13\x01\x01\x00\x00\x99\x00\x00\x00\x0e\x00\x0c\x00\x00\x09localhost",
    ]
    .concat();
    vec![
        case("a TLS client hello", &hello, 400),
        case("an SSLv2 client hello", b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10", 400),
        case("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", 505),
        case("HTTP/0.9", b"GET /echo\r\n", 400),
        case("HTTP/0.9 with a bare LF", b"GET /echo\n", 400),
        case("a PROXY header nobody asked for", b"PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n", 400),
        case("a binary PROXY header", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01\x1f\x90\0\x50", 400),
        case("SSH", b"SSH-2.0-OpenSSH_9.6\r\n", 400),
        case("SMTP", b"EHLO c4nary\r\n", 400),
        case("RTSP", b"OPTIONS rtsp://localhost/ RTSP/1.0\r\nCSeq: 1\r\n\r\n", 400),
        case("SIP", b"INVITE sip:c4nary@localhost SIP/2.0\r\n\r\n", 400),
        case("redis", b"*1\r\n$4\r\nPING\r\n", 400),
        case("memcached", b"\x80\x0b\0\0\0\0\0\0\0\0\0\0", 400),
        case("DNS over TCP", b"\x00\x1d\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", 400),
        case("SMB", b"\0\0\0\x2f\xffSMBr\0\0\0\0", 400),
        case("remote desktop", b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0", 400),
        case("a frame and no handshake", b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 400),
        case("a hixie handshake", b"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key1: 4 @1 46546xW%0l 1 5\r\nSec-WebSocket-Key2: 12998 5 Y3 1 .P00\r\n\r\n^n:ds[4U", 426),
        case("a status line", b"HTTP/1.1 200 OK\r\n\r\n", 400),
    ]
}

#[test]
fn each_gets_its_status() {
    let cases = [methods(), versions(), targets(), other_protocols()].concat();
    withstand("request lines and other protocols", &[], |server| {
        let mut random = Random::new(7);
        let sent = cases
            .iter()
            .map(|case| case.check_in_pieces(server.address, &mut random));
        sent.sum()
    });
}
