//! Shows that each fault of a handshake is found and named, that a request
//! may arrive in any pieces, and what a request gives its handler. Each test
//! feeds bytes to `parse` and looks at the value that comes back.

use std::net::SocketAddr;

use super::*;

const LIMIT: usize = 8 * 1024;

/// A handshake without fault, taken apart for tests that change one line.
const LINES: [&str; 5] = [
    "Host: example.com",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

fn peer() -> SocketAddr {
    "192.0.2.1:4000".parse().unwrap()
}

fn read(bytes: impl AsRef<[u8]>) -> Result<Option<Parsed>, HttpError> {
    parse(bytes.as_ref(), LIMIT, peer())
}

fn complete(bytes: impl AsRef<[u8]>) -> Parsed {
    read(bytes).expect("no fault").expect("complete")
}

fn fault(bytes: impl AsRef<[u8]>) -> HttpError {
    read(bytes).expect_err("a fault")
}

/// A request of these lines after `GET / HTTP/1.1`.
fn get(lines: &[&str]) -> String {
    format!("GET / HTTP/1.1\r\n{}\r\n\r\n", lines.join("\r\n"))
}

/// The good handshake with the line that starts with `name` replaced.
fn with(name: &str, replacement: &[&str]) -> String {
    let mut lines = Vec::new();
    for line in LINES {
        if line.starts_with(name) {
            lines.extend_from_slice(replacement);
        } else {
            lines.push(line);
        }
    }
    get(&lines)
}

fn handshake() -> String {
    get(&LINES)
}

/// Asserts the fault, its status and that its message names the culprit.
#[track_caller]
fn assert_fault(bytes: impl AsRef<[u8]>, expected: HttpError, status: u16, named: &str) {
    let error = fault(bytes);
    assert_eq!(error, expected);
    assert_eq!(error.status(), status);
    assert!(error.message().contains(named), "{error}");
}

#[test]
fn the_example_of_the_rfc() {
    let expected = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    assert_eq!(&accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="), expected);
    assert_eq!(
        complete(handshake()).kind,
        Kind::WebSocket { accept: *expected }
    );
}

#[test]
fn a_request_may_arrive_in_any_two_pieces() {
    let text = handshake();
    for end in 0..text.len() {
        assert!(read(&text[..end]).unwrap().is_none(), "{end}");
    }
    assert_eq!(complete(&text).consumed, text.len());
}

#[test]
fn bytes_behind_the_request_are_left_to_the_caller() {
    let mut bytes = handshake().into_bytes();
    let consumed = bytes.len();
    bytes.extend_from_slice(b"\x81\x85....\xff\r\n\r\n");
    assert_eq!(complete(&bytes).consumed, consumed);
    // Not even a megabyte of frames makes the request too large.
    bytes.resize(1 << 20, 0);
    assert_eq!(complete(&bytes).consumed, consumed);
}

#[test]
fn a_get_without_upgrade_is_plain() {
    for lines in [
        &["Host: h"][..],
        &[
            "Host: h",
            "Connection: Upgrade, HTTP2-Settings",
            "Upgrade: h2c",
        ],
        &["Host: h", "Connection: upgrade"],
        &["Host: h", "Content-Length: 0"],
        &["Host: h", "Upgrade: websockets"],
        &["Host: h", "Sec-WebSocket-Version: 8"],
    ] {
        assert_eq!(complete(get(lines)).kind, Kind::Plain, "{lines:?}");
    }
    let head = complete("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(head.kind, Kind::Plain);
    assert_eq!(head.request.method(), Method::Head);
}

#[test]
fn header_case_whitespace_and_lists_do_not_matter() {
    for text in [
        with("Upgrade", &["UPGRADE:WebSocket"]),
        with("Upgrade", &["upgrade: \t websocket \t "]),
        with("Upgrade", &["upgrade: h2c, websocket"]),
        with("Upgrade", &["upgrade: h2c", "upgrade: websocket"]),
        with("Connection", &["connection: keep-alive,,\tUPGRADE ,"]),
        with(
            "Connection",
            &["Connection: keep-alive", "Connection: upgrade"],
        ),
        with("Sec-WebSocket-Version", &["sec-websocket-VERSION:  13 "]),
        handshake().replace("\r\n", "\n"),
        format!("\r\n\n{}", handshake()),
    ] {
        let parsed = complete(&text);
        assert!(matches!(parsed.kind, Kind::WebSocket { .. }), "{text}");
        assert_eq!(parsed.consumed, text.len());
    }
}

#[test]
fn malformed_request_lines() {
    for line in [
        "GET  / HTTP/1.1",
        " GET / HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET /",
        "G\0T / HTTP/1.1",
        "GET /\0 HTTP/1.1",
        "GET /\x7f HTTP/1.1",
        "GET / http/1.1",
        "\x16\x03\x01\x02",
    ] {
        let text = format!("{line}\r\nHost: h\r\n\r\n");
        assert_fault(text, HttpError::RequestLine, 400, "request line");
    }
    assert_eq!(fault(b"GET /\xff HTTP/1.1\r\n"), HttpError::RequestLine);
}

#[test]
fn a_bare_carriage_return_is_refused_wherever_it_stands() {
    let line_ending = HttpError::LineEnding;
    assert_fault(
        "GET / HTTP/1.1\rHost: h\r\n\r\n",
        line_ending,
        400,
        "carriage return",
    );
    assert_fault(
        "GET / HTTP/1.1\r\n\rHost: h\r\n\r\n",
        line_ending,
        400,
        "carriage return",
    );
    assert_fault(
        get(&["Host: h\rX: y"]),
        HttpError::HeaderValue,
        400,
        "control character",
    );
    assert_fault(
        get(&["Host\r: h"]),
        HttpError::HeaderLine,
        400,
        "header line",
    );
}

#[test]
fn malformed_header_lines() {
    for line in [
        "Host : h",
        "Host",
        ": h",
        "Ho st: h",
        "Host: h\r\n folded",
        "Host: h\r\n\tfolded",
        " Host: h",
        "H\0st: h",
        "Hôst: h",
    ] {
        assert_fault(get(&[line]), HttpError::HeaderLine, 400, "header line");
    }
    for value in ["a\0b", "a\x01", "a\x7f"] {
        let line = format!("Host: {value}");
        assert_fault(
            get(&[&line]),
            HttpError::HeaderValue,
            400,
            "control character",
        );
    }
}

#[test]
fn http_versions() {
    for version in ["HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/11.1"] {
        let text = format!("GET / {version}\r\nHost: h\r\n\r\n");
        assert_fault(text, HttpError::HttpVersion, 505, "HTTP/1.1");
    }
    // The preface of an HTTP/2 client.
    assert_eq!(
        fault("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        HttpError::HttpVersion
    );
}

#[test]
fn a_page_may_be_asked_for_in_http_1_0() {
    for (text, host) in [
        ("GET /healthz HTTP/1.0\r\n\r\n", ""),
        ("GET /healthz HTTP/1.0\r\nHost: h:80\r\n\r\n", "h:80"),
        (
            "HEAD /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            "",
        ),
        ("GET http://h/healthz HTTP/1.0\r\n\r\n", "h"),
        ("GET /healthz HTTP/1.0\r\nUpgrade: h2c\r\n\r\n", ""),
    ] {
        let parsed = complete(text);
        assert_eq!(parsed.kind, Kind::Plain, "{text}");
        assert_eq!(parsed.request.host(), host, "{text}");
        assert_eq!(parsed.request.path(), "/healthz");
    }
    // It may leave Host out; what it sends must still be one.
    for (lines, expected) in [
        ("Host: a b\r\n", HttpError::HostInvalid),
        ("Host: a\r\nHost: b\r\n", HttpError::HostDuplicate),
        ("Content-Length: 1\r\n", HttpError::Body),
    ] {
        let text = format!("GET / HTTP/1.0\r\n{lines}\r\n");
        assert_eq!(fault(text), expected, "{lines}");
    }
    let upgrade = handshake().replacen("HTTP/1.1", "HTTP/1.0", 1);
    assert_fault(upgrade, HttpError::UpgradeVersion, 505, "HTTP/1.1");
}

#[test]
fn methods() {
    for method in ["POST", "PUT", "OPTIONS", "CONNECT", "get", "BREW"] {
        let text = handshake().replacen("GET", method, 1);
        assert_fault(text, HttpError::MethodNotAllowed, 405, "GET");
    }
    // RFC 6455 §4.1: the method of a handshake is GET.
    let head = handshake().replacen("GET", "HEAD", 1);
    assert_eq!(fault(head), HttpError::MethodNotAllowed);
    // About the server only OPTIONS can ask (RFC 9112 §3.2.4).
    let asked = complete("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(
        (asked.kind, asked.request.method()),
        (Kind::Plain, Method::Options)
    );
    assert_eq!(asked.request.path(), "*");
    assert_eq!(complete("OPTIONS / HTTP/1.0\r\n\r\n").request.path(), "/");
    for text in [
        "GET * HTTP/1.1\r\nHost: h\r\n\r\n",
        "OPTIONS *a HTTP/1.1\r\nHost: h\r\n\r\n",
    ] {
        assert_eq!(fault(text), HttpError::Target, "{text}");
    }
}

#[test]
fn targets() {
    for target in [
        "*",
        "a",
        "h:80",
        "ftp://h/",
        "http://u@h/",
        "/#a",
        "http:///",
    ] {
        let text = handshake().replacen("/", target, 1);
        assert_fault(text, HttpError::Target, 400, "target");
    }
    for target in ["/%", "/%f", "/%gg", "/%ff", "/a%00", "/%0d%0a"] {
        let text = handshake().replacen("/", target, 1);
        assert_fault(text, HttpError::PathEncoding, 400, "percent-encoding");
    }
    // The query is the handler's and is not decoded here.
    let text = handshake().replacen("/", "/?%ff", 1);
    assert_eq!(complete(text).request.query(), Some("%ff"));
}

#[test]
fn an_absolute_target_overrules_host() {
    for (target, host, path) in [
        ("http://h.example:81/ws/a?b", "h.example:81", "/ws/a"),
        ("WS://h.example", "h.example", "/"),
        ("https://[::1]/x", "[::1]", "/x"),
    ] {
        let request = complete(handshake().replacen("/", target, 1)).request;
        assert_eq!(request.host(), host);
        assert_eq!(request.path(), path);
        assert_eq!(request.header("host"), Some("example.com"));
    }
}

#[test]
fn host() {
    assert_fault(with("Host", &[]), HttpError::HostMissing, 400, "Host");
    let twice = ["Host: a", "host: a"];
    assert_fault(with("Host", &twice), HttpError::HostDuplicate, 400, "Host");
    for line in [
        "Host:",
        "Host: \t",
        "Host: a b",
        "Host: a, b",
        "Host: http://a",
        "Host: a/b",
        "Host: u@a",
        "Host: a:b",
        "Host: a:99999",
        "Host: :80",
        "Host: [::1",
        "Host: é",
    ] {
        assert_fault(with("Host", &[line]), HttpError::HostInvalid, 400, "Host");
    }
    // A plain request needs one as well.
    assert_eq!(fault("GET / HTTP/1.1\r\n\r\n"), HttpError::HostMissing);
}

#[test]
fn announced_bodies() {
    for line in [
        "Content-Length: 1",
        "content-length: 00010",
        "Content-Length: -0",
        "Content-Length: 0, 0",
        "Content-Length:",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: identity",
        "transfer-encoding:",
    ] {
        assert_fault(get(&["Host: h", line]), HttpError::Body, 400, "body");
        assert_eq!(fault(get(&[&LINES[..], &[line]].concat())), HttpError::Body);
    }
}

#[test]
fn upgrade_needs_connection() {
    for lines in [
        &[][..],
        &["Connection: keep-alive"],
        &["Connection: upgraded"],
        &["Connection: keep-alive upgrade"],
        &["Connection:"],
    ] {
        let text = with("Connection", lines);
        assert_fault(
            text,
            HttpError::ConnectionMissing,
            400,
            "Connection: Upgrade",
        );
    }
}

#[test]
fn websocket_versions() {
    for lines in [
        &[][..],
        &["Sec-WebSocket-Version: 8"],
        &["Sec-WebSocket-Version: 013"],
        &["Sec-WebSocket-Version: 13, 8"],
        &["Sec-WebSocket-Version: +13"],
        &["Sec-WebSocket-Version:"],
        &["Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13"],
    ] {
        let text = with("Sec-WebSocket-Version", lines);
        assert_fault(
            text,
            HttpError::WebSocketVersion,
            426,
            "Sec-WebSocket-Version",
        );
    }
    // A client of another version may have other keys, so the version is named first.
    let text =
        with("Sec-WebSocket-Version", &[]).replace("Sec-WebSocket-Key", "Sec-WebSocket-Key1");
    assert_eq!(fault(text), HttpError::WebSocketVersion);
}

#[test]
fn keys() {
    let name = "Sec-WebSocket-Key";
    assert_fault(with(name, &[]), HttpError::KeyMissing, 400, name);
    let twice = [LINES[4], LINES[4]];
    assert_fault(with(name, &twice), HttpError::KeyDuplicate, 400, name);
    for key in [
        "",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ===",
        "dGhlIHNhbXBsZSBub25jZWE=",
        "dGhlIHNhbXBsZSBub25j_Q==",
        "dGhlIHNhbXBsZSBub25j Q==",
        "dGhlIHNhbXBsZSBub25jZQ==, a",
        "====================IQ==",
    ] {
        let line = format!("{name}: {key}");
        assert_fault(with(name, &[&line]), HttpError::KeyInvalid, 400, name);
    }
}

#[test]
fn sizes_are_judged_as_soon_as_the_limit_is_reached() {
    let text = handshake();
    assert!(
        parse(text.as_bytes(), text.len(), peer())
            .unwrap()
            .is_some()
    );
    let short = parse(text.as_bytes(), text.len() - 1, peer());
    assert_eq!(short.unwrap_err(), HttpError::HeadersTooLarge);

    let mut long = b"GET /".to_vec();
    long.resize(LIMIT - 1, b'a');
    assert!(read(&long).unwrap().is_none());
    long.push(b'a');
    assert_fault(&long, HttpError::UriTooLong, 414, "request line");

    let mut long = b"GET / HTTP/1.1\r\nHost: h\r\nCookie: ".to_vec();
    long.resize(LIMIT - 1, b'a');
    assert!(read(&long).unwrap().is_none());
    long.push(b'a');
    assert_fault(&long, HttpError::HeadersTooLarge, 431, "header block");

    // Empty lines are skipped, but not without end.
    assert_eq!(fault("\r\n".repeat(LIMIT)), HttpError::UriTooLong);
}

#[test]
fn at_most_64_header_lines() {
    let lines = |n: usize| {
        let mut lines = LINES.to_vec();
        lines.resize(n, "X: y");
        get(&lines)
    };
    assert!(read(lines(MAX_HEADERS)).unwrap().is_some());
    let text = lines(MAX_HEADERS + 1);
    assert_fault(text, HttpError::TooManyHeaders, 431, "64 header lines");
}

#[test]
fn of_several_faults_the_first_in_the_documented_order_is_named() {
    let text = "POST * HTTP/1.0\r\nHost: a b\r\nUpgrade: websocket\r\n\r\n";
    let faults = [
        (text.to_owned(), HttpError::UpgradeVersion),
        (text.replace("1.0", "1.1"), HttpError::MethodNotAllowed),
        ("GET * HTTP/1.1\r\n\r\n".into(), HttpError::Target),
        ("GET /%ff HTTP/1.1\r\n\r\n".into(), HttpError::PathEncoding),
        (get(&["Content-Length: 1"]), HttpError::HostMissing),
        (
            get(&["Host: h", "Upgrade: websocket", "Content-Length: 1"]),
            HttpError::Body,
        ),
        (
            get(&["Host: h", "Upgrade: websocket"]),
            HttpError::ConnectionMissing,
        ),
        (
            get(&["Host: h", "Upgrade: websocket", "Connection: upgrade"]),
            HttpError::WebSocketVersion,
        ),
    ];
    for (text, expected) in faults {
        assert_eq!(fault(&text), expected, "{text}");
    }
}

#[test]
fn a_request_shows_what_was_sent() {
    let text = "GET /ws/J%C3%BCrgen?a=1&b=x+y%26z&a=2&flag&bad=%ff HTTP/1.1\r\n\
        Host: example.com:8080\r\n\
        X-Twice: one \r\n\
        x-twice:two\r\n\
        X-Empty:\r\n\
        X-Bytes: \u{e9}\r\n\
        Origin: https://example.com\r\n\
        Sec-WebSocket-Protocol: v1, v2 ,,b d\r\n\
        sec-websocket-protocol: v3\r\n\r\n";
    let request = complete(text).request;
    assert_eq!(request.method(), Method::Get);
    assert_eq!(request.path(), "/ws/Jürgen");
    assert_eq!(request.query(), Some("a=1&b=x+y%26z&a=2&flag&bad=%ff"));
    assert_eq!(request.query_param("a").as_deref(), Some("1"));
    assert_eq!(request.query_param("b").as_deref(), Some("x y&z"));
    assert_eq!(request.query_param("flag").as_deref(), Some(""));
    assert_eq!(request.query_param("bad"), None);
    assert_eq!(request.query_param("c"), None);
    assert_eq!(request.last_query_param("a").as_deref(), Some("2"));
    assert_eq!(request.last_query_param("c"), None);
    assert_eq!(request.host(), "example.com:8080");
    assert_eq!(request.header("X-TWICE"), Some("one"));
    assert_eq!(request.header("x-empty"), Some(""));
    assert_eq!(request.header("x-bytes"), Some("é"));
    assert_eq!(request.header("x-none"), None);
    assert_eq!(request.headers().count(), 8);
    assert_eq!(
        request.headers().next(),
        Some(("Host", &b"example.com:8080"[..]))
    );
    assert_eq!(request.origin(), Some("https://example.com"));
    let subprotocols: Vec<_> = request.subprotocols().collect();
    assert_eq!(subprotocols, ["v1", "v2", "v3"]);
    assert_eq!(request.peer(), peer());
    assert_eq!(request.param("user_id"), None);
    assert!(!format!("{request:?}").contains("Origin"));
}

#[test]
fn a_header_that_is_not_utf8_is_only_seen_as_bytes() {
    let request = complete(b"GET / HTTP/1.1\r\nHost: h\r\nX: \xff\r\n\r\n").request;
    assert_eq!(request.header("x"), None);
    assert_eq!(request.headers().last(), Some(("X", &b"\xff"[..])));
}

#[test]
fn no_query_is_not_an_empty_query() {
    assert_eq!(complete(handshake()).request.query(), None);
    let text = handshake().replacen("/", "/?", 1);
    assert_eq!(complete(text).request.query(), Some(""));
}

#[test]
fn head_is_recognized_before_it_is_parsed() {
    assert!(is_head(b"HEAD /"));
    assert!(is_head(b"\r\nHEAD / HTTP/1.0\r\n"));
    assert!(!is_head(b"GET /HEAD "));
    assert!(!is_head(b""));
}
