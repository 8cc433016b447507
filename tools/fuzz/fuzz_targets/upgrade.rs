//! The server's side of the opening handshake on any bytes.
//!
//! - The verdict is the same however the request is split.
//! - An accepted request is as it seems to a reader that only looks for lines: one
//!   `Host`, no body, no line break or NUL in a value, and for a WebSocket the
//!   version and the key. The answer's accept key is the one that other crates make
//!   of it.
//! - An accepted request is accepted again when it is written anew from its parts.
//! - A refused request gets a valid response, the same for every request with
//!   that fault: none of the request's bytes are in it.
//! - Nothing a handler can ask of a request panics; no param is empty or has a
//!   control character; only listed origins pass the policy.

#![no_main]

use std::cell::RefCell;
use std::collections::HashMap;

use corecast::router::Router;
use corecast::source::client_of;
use corecast::upgrade::client::parse_response_to_offer;
use corecast::upgrade::{
    self, HttpError, Kind, MAX_HEADERS, Method, OriginPolicy, Parsed, Request, Response,
};
use corecast_fuzz::{accept_key, peer, verdict_of_any_split};
use libfuzzer_sys::fuzz_target;

// The first byte says how fine the splits are, the second how long a request may be;
// the request follows.
fuzz_target!(|bytes: &[u8]| {
    let [step, limit, bytes @ ..] = bytes else {
        return;
    };
    let limit = if *limit == b'0' {
        8192
    } else {
        usize::from(*limit) * 8
    };
    let verdict = verdict_of_any_split(
        bytes,
        usize::from(*step % 16),
        |bytes| match upgrade::parse(bytes, limit, peer()) {
            Ok(None) => None,
            Ok(Some(parsed)) => {
                assert!(parsed.consumed <= bytes.len().min(limit));
                Some(Ok((parsed.consumed, parsed.kind, parts(&parsed.request))))
            }
            Err(error) => Some(Err(error)),
        },
    );
    match verdict {
        None => assert!(bytes.len() < limit, "as long as allowed, and no verdict"),
        Some(Err(error)) => refused(error),
        Some(Ok(_)) => {
            let parsed = upgrade::parse(bytes, limit, peer()).unwrap().unwrap();
            seems_what_it_is(&bytes[..parsed.consumed], &parsed);
            written_anew(&parsed);
            answered(&parsed);
            asked(&parsed.request);
        }
    }
    let _ = upgrade::is_head(bytes);
});

/// A request's parts: method, path, query, host, and headers in their order.
type Parts = (
    Method,
    String,
    Option<String>,
    String,
    Vec<(String, Vec<u8>)>,
);

fn parts(request: &Request) -> Parts {
    let headers = request
        .headers()
        .map(|(name, value)| (name.to_owned(), value.to_vec()));
    (
        request.method(),
        request.path().to_owned(),
        request.query().map(str::to_owned),
        request.host().to_owned(),
        headers.collect(),
    )
}

fn seems_what_it_is(head: &[u8], parsed: &Parsed) {
    let lines: Vec<&[u8]> = head
        .split(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .skip_while(|line| line.is_empty())
        .collect();
    let is_old = lines[0].ends_with(b"HTTP/1.0");
    assert!(is_old || lines[0].ends_with(b"HTTP/1.1"));
    let fields = &lines[1..];
    let end = fields
        .iter()
        .position(|line| line.is_empty())
        .expect("an empty line ends it");
    assert_eq!(
        fields.len(),
        end + 2,
        "bytes behind the empty line were taken"
    );
    assert!(end <= MAX_HEADERS);

    let values = |wanted: &str| -> Vec<Vec<u8>> {
        let named = parsed
            .request
            .headers()
            .filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        named.map(|(_, value)| value.to_vec()).collect()
    };
    assert_eq!(parsed.request.headers().count(), end);
    for ((name, value), line) in parsed.request.headers().zip(fields) {
        let colon = line
            .iter()
            .position(|&byte| byte == b':')
            .expect("a header has a colon");
        assert_eq!(
            (name.as_bytes(), value),
            (&line[..colon], line[colon + 1..].trim_ascii())
        );
        assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()));
        let is_text = |&byte: &u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
        assert!(
            value.iter().all(is_text),
            "a control character in {value:?}"
        );
    }
    // Before HTTP/1.1 there was no such header.
    let hosts = values("host").len();
    assert!(hosts == 1 || is_old && hosts == 0);
    assert!(values("transfer-encoding").is_empty());
    for length in values("content-length") {
        assert!(!length.is_empty() && length.iter().all(|&digit| digit == b'0'));
    }
    if let Kind::WebSocket { accept } = parsed.kind {
        assert!(!is_old);
        assert_eq!(parsed.request.method(), Method::Get);
        assert_eq!(values("sec-websocket-version"), [b"13"]);
        let keys = values("sec-websocket-key");
        assert!(keys.len() == 1 && keys[0].len() == 24);
        assert_eq!(accept.to_vec(), accept_key(&keys[0]));
    }
}

fn has_host(request: &Request) -> bool {
    let mut headers = request.headers();
    headers.any(|(name, _)| name.eq_ignore_ascii_case("host"))
}

fn written_anew(parsed: &Parsed) {
    let request = &parsed.request;
    let mut anew = match request.method() {
        Method::Get => b"GET ".to_vec(),
        Method::Head => b"HEAD ".to_vec(),
    };
    for byte in request.path().bytes() {
        match byte {
            b'/' => anew.push(b'/'),
            _ => anew.extend(format!("%{byte:02x}").bytes()),
        }
    }
    if let Some(query) = request.query() {
        anew.extend(b"?");
        anew.extend(query.bytes());
    }
    let has_host = has_host(request);
    anew.extend(if has_host {
        b" HTTP/1.1\r\n"
    } else {
        b" HTTP/1.0\r\n"
    });
    for (name, value) in request.headers() {
        // The authority of an absolute target overrules the header.
        let value = if name.eq_ignore_ascii_case("host") {
            request.host().as_bytes()
        } else {
            value
        };
        anew.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    anew.extend(b"\r\n");
    let again = upgrade::parse(&anew, usize::MAX, peer())
        .unwrap()
        .expect("complete");
    assert_eq!(again.consumed, anew.len());
    assert_eq!(again.kind, parsed.kind);
    let ((method, path, query, host, mut headers), mut expected) =
        (parts(&again.request), parts(request));
    if !has_host {
        // The authority of an absolute target has no header to stand in.
        expected.3.clear();
    }
    for (name, value) in headers.iter_mut().chain(&mut expected.4) {
        if name.eq_ignore_ascii_case("host") {
            value.clear();
        }
    }
    assert_eq!((method, path, query, host, headers), expected);
}

/// A client that offered what the request offers understands the answer.
fn answered(parsed: &Parsed) {
    let Kind::WebSocket { accept } = parsed.kind else {
        return;
    };
    let offered: Vec<&str> = parsed.request.subprotocols().collect();
    let joined = offered.join(",");
    for subprotocol in offered.iter().map(|name| Some(*name)).chain([None]) {
        let mut answer = Vec::new();
        Response::SwitchingProtocols {
            accept: &accept,
            subprotocol,
        }
        .encode(&mut answer);
        let offer = subprotocol.map(|_| &joined[..]);
        assert_eq!(
            parse_response_to_offer(&answer, &accept, offer),
            Ok(Some(answer.len()))
        );
    }
}

thread_local! {
    /// The response to each fault so far.
    static RESPONSES: RefCell<HashMap<String, Vec<u8>>> = RefCell::default();
}

fn refused(error: HttpError) {
    let mut out = Vec::new();
    Response::from(error).encode(&mut out);
    RESPONSES.with_borrow_mut(|responses| {
        let earlier = responses
            .entry(format!("{error:?}"))
            .or_insert_with(|| out.clone());
        assert_eq!(
            *earlier, out,
            "two requests with one fault are answered differently"
        );
    });
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut response = httparse::Response::new(&mut headers);
    let head = response.parse(&out).expect("valid").unwrap();
    assert_eq!(response.code, Some(error.status()));
    let value = |name: &str| {
        let header = response
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name));
        header.map(|header| std::str::from_utf8(header.value).unwrap())
    };
    assert_eq!(
        value("content-length"),
        Some(&*(out.len() - head).to_string())
    );
    assert!(value("connection").unwrap().starts_with("close"));
    assert_eq!(
        value("sec-websocket-version").is_some(),
        error.status() == 426
    );
    assert_eq!(value("allow").is_some(), error.status() == 405);
    assert!(out.is_ascii());

    let mut without_body = Vec::new();
    Response::from(error).encode_head(&mut without_body);
    assert_eq!(without_body, out[..head]);
}

/// Everything a handler and the server may ask of a request.
fn asked(request: &Request) {
    let has_control = |text: &str| text.bytes().any(|byte| byte.is_ascii_control());
    assert!(request.path().starts_with('/') && !has_control(request.path()));
    assert!(!request.host().is_empty() || !has_host(request));
    assert!(
        request
            .subprotocols()
            .all(|name| !name.is_empty() && !name.contains([' ', ',']))
    );
    assert_eq!(request.peer(), peer());
    let _ = format!("{request:?}");
    for pair in request.query().unwrap_or_default().split('&') {
        let _ = request.query_param(pair.split('=').next().unwrap_or_default());
    }
    for (name, _) in request.headers() {
        let _ = request.header(name);
    }
    let forwarded = || {
        let named = request
            .headers()
            .filter(|(name, _)| name.eq_ignore_ascii_case("x-forwarded-for"));
        named.map(|(_, value)| value)
    };
    let client = client_of(forwarded(), |address| address.is_loopback());
    assert!(client.is_none() || forwarded().next().is_some());

    routed(request);
    origin(request);
}

fn routed(request: &Request) {
    let mut router = Router::new();
    for pattern in [
        "/",
        "/ws",
        "/ws/{user}",
        "/f/{*rest}",
        "/a/{x}/b/{y}",
        "/v{version}",
    ] {
        router.insert(pattern, pattern).expect("a good pattern");
    }
    // A path is a fine source of patterns, too.
    if router.insert(request.path(), "of the request").is_err() {
        router.find(request.path());
    }
    let mut request = request.clone();
    let Some(&pattern) = router.route(&mut request) else {
        return;
    };
    let mut path = pattern.to_owned();
    for (name, value) in request.params().iter() {
        assert!(!value.is_empty() && !value.bytes().any(|byte| byte.is_ascii_control()));
        assert!(request.param(name).is_some());
        let star = if pattern.contains("{*") { "*" } else { "" };
        path = path.replace(&format!("{{{star}{name}}}"), value);
    }
    // With two params the first one's text may look like the second's place.
    if pattern != "of the request" && !pattern.contains("{y}") {
        assert_eq!(path, request.path());
    }
}

fn origin(request: &Request) {
    let policy = OriginPolicy::new(["https://example.com"]).expect("an origin");
    let origins: Vec<&[u8]> = request
        .headers()
        .filter(|(name, _)| name.eq_ignore_ascii_case("origin"))
        .map(|(_, value)| value)
        .collect();
    let allowed = match origins[..] {
        [] => true,
        [origin] => ["", ":", ":443"].iter().any(|port| {
            origin.eq_ignore_ascii_case(format!("https://example.com{port}").as_bytes())
        }),
        _ => false,
    };
    assert_eq!(policy.allows(request), allowed, "{origins:?}");
    // A policy that lists this very origin lets it in.
    if let [origin] = origins[..]
        && let Ok(origin) = std::str::from_utf8(origin)
        && let Ok(policy) = OriginPolicy::new([origin])
    {
        assert!(policy.allows(request), "{origin} does not match itself");
    }
}
