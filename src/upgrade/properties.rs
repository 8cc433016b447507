//! Shows that no bytes make the parsers panic, and that what `parse` says does
//! not depend on how the bytes arrived. Each property is tried on arbitrary
//! bytes and on good handshakes with a few bytes changed, which reach further.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::client::{self, parse_response};
use super::*;

/// Miri is some hundred times slower, and needs few cases to see a bad access.
const CASES: u32 = if cfg!(miri) { 8 } else { 512 };

const LIMIT: usize = 512;

fn peer() -> SocketAddr {
    "127.0.0.1:1".parse().unwrap()
}

fn valid() -> Vec<u8> {
    let mut out = Vec::new();
    let extra = [
        ("Origin", "https://example.com"),
        ("Sec-WebSocket-Protocol", "a, b"),
        ("Cookie", "c=d"),
    ];
    let key = b"dGhlIHNhbXBsZSBub25jZQ==";
    client::request(
        "example.com",
        "/ws/a%2Fb%20c?vsn=2.0.0",
        key,
        &extra,
        &mut out,
    );
    out.extend_from_slice(b"\x81\x85....");
    out
}

/// Bytes that mean something to HTTP, more often than chance would have them.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        proptest::sample::select(&b"\r\n :\t,%/?#\0\x7f\xff0"[..]),
        any::<u8>()
    ]
}

/// A good handshake in which a few runs of bytes were replaced, removed or added.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let edit = (
        any::<proptest::sample::Index>(),
        0..4_usize,
        prop::collection::vec(byte(), 0..4),
    );
    prop::collection::vec(edit, 0..5).prop_map(|edits| {
        let mut bytes = valid();
        for (at, removed, added) in edits {
            let start = at.index(bytes.len() + 1);
            let end = (start + removed).min(bytes.len());
            bytes.splice(start..end, added);
            bytes.push(b'.');
        }
        bytes
    })
}

fn input() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        1 => prop::collection::vec(byte(), 0..LIMIT + 50),
        4 => mutated(),
    ]
}

/// A verdict in a form that can be compared.
fn verdict(bytes: &[u8]) -> Option<Result<(usize, Kind, String), HttpError>> {
    match parse(bytes, LIMIT, peer()) {
        Ok(None) => None,
        Ok(Some(parsed)) => Some(Ok((
            parsed.consumed,
            parsed.kind,
            format!("{:?}", parsed.request),
        ))),
        Err(error) => Some(Err(error)),
    }
}

/// Walks everything a handler may ask of a request.
fn use_all(request: &Request) {
    assert!(request.path().starts_with('/'));
    for (name, value) in request.headers() {
        assert!(!name.is_empty());
        assert!(!value.contains(&b'\n') && !value.contains(&b'\r'));
        let _ = request.header(name);
    }
    let _ = request.query_param("vsn");
    assert!(request.subprotocols().all(|name| is_token(name.as_bytes())));
    let _ = request.host();
    let policy = OriginPolicy::new(["https://example.com"]).unwrap();
    let _ = policy.allows(request);
    let mut router = crate::router::Router::new();
    router.insert("/ws/{user_id}", ()).unwrap();
    let mut request = request.clone();
    if router.route(&mut request).is_some() {
        assert!(!request.param("user_id").unwrap().is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: CASES,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_request_makes_the_parser_panic(bytes in input()) {
        if let Ok(Some(parsed)) = parse(&bytes, LIMIT, peer()) {
            prop_assert!(parsed.consumed <= bytes.len().min(LIMIT));
            use_all(&parsed.request);
        }
    }

    /// Once there is a verdict on a prefix, more bytes do not change it.
    #[test]
    fn the_verdict_does_not_depend_on_the_split(bytes in input()) {
        let whole = verdict(&bytes);
        for end in 0..bytes.len() {
            if let Some(early) = verdict(&bytes[..end]) {
                prop_assert_eq!(Some(early), whole);
                return Ok(());
            }
        }
    }

    /// The lines walked by `Request::headers` are those the parser saw.
    #[test]
    fn headers_are_the_parsers_headers(bytes in mutated()) {
        if let Ok(Some(parsed)) = parse(&bytes, LIMIT, peer()) {
            let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
            let mut head = httparse::Request::new(&mut headers);
            head.parse(&bytes).unwrap();
            let expected: Vec<_> = head.headers.iter().map(|h| (h.name, h.value)).collect();
            let found: Vec<_> = parsed.request.headers().collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn no_response_makes_the_client_panic(bytes in input(), at in any::<prop::sample::Index>()) {
        let accept = accept_key(b"dGhlIHNhbXBsZSBub25jZQ==");
        let _ = parse_response(&bytes, &accept);
        let mut answer = Vec::new();
        Response::SwitchingProtocols { accept: &accept, subprotocol: None }.encode(&mut answer);
        let at = at.index(answer.len());
        answer.splice(at..at + 1, bytes.into_iter().take(8));
        let _ = parse_response(&answer, &accept).map_err(|error| error.to_string());
    }

    /// The percent-encoding of any path segment brings it back.
    #[test]
    fn params_survive_encoding(user_id in "[^\\x00-\\x1f\\x7f]{1,20}") {
        let encoded: String = user_id.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let text = format!("GET /ws/{encoded} HTTP/1.1\r\nHost: h\r\n\r\n");
        let mut request = parse(text.as_bytes(), LIMIT, peer()).unwrap().unwrap().request;
        let mut router = crate::router::Router::new();
        router.insert("/ws/{user_id}", ()).unwrap();
        prop_assert!(router.route(&mut request).is_some());
        prop_assert_eq!(request.param("user_id"), Some(user_id.as_str()));
    }
}
