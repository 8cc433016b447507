//! The client's side of the handshake, for load tools and tests (RFC 6455 §4.1).
//!
//! Sans-IO like the server's: write what [`request`] appended, read, and call
//! [`parse_response`] until it is no longer `Ok(None)`.

use std::mem::MaybeUninit;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use httparse::Status;

use super::{MAX_HEADERS, list};

/// Size of a response's header block; more is [`ClientError::TooLarge`].
pub const MAX_RESPONSE_BYTES: usize = 16 * 1024;

/// How much of a refusal's body is kept for the error.
const MAX_BODY_BYTES: usize = 512;

/// The key that stands for these bytes, which RFC 6455 §4.1 wants random and
/// new for each connection. Hash it with [`accept_key`](super::accept_key) to
/// know the answer.
pub fn key(random: [u8; 16]) -> [u8; 24] {
    let mut key = [0; 24];
    STANDARD
        .encode_slice(random, &mut key)
        .expect("16 bytes are 24 in base64");
    key
}

/// Appends an opening handshake to `out`.
///
/// `path` is sent as it is: percent-encoded by the caller, query included. So
/// are the names and values of `extra_headers`, none of which may contain a
/// line break.
pub fn request(
    host: &str,
    path: &str,
    key: &[u8],
    extra_headers: &[(&str, &str)],
    out: &mut Vec<u8>,
) {
    let parts: [&[u8]; 7] = [
        b"GET ",
        path.as_bytes(),
        b" HTTP/1.1\r\nHost: ",
        host.as_bytes(),
        b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ",
        key,
        b"\r\n",
    ];
    for part in parts {
        out.extend_from_slice(part);
    }
    for (name, value) in extra_headers {
        for part in [name, ": ", value, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Checks what has been received of the response so far. `Ok(None)` means that it is
/// not complete yet; `Ok(Some(consumed))` that the connection is open and that the
/// bytes after `consumed` are frames.
///
/// `expected_accept` is [`accept_key`](super::accept_key) of the key sent.
/// Whether a subprotocol in the response was offered is the caller's to check,
/// unless [`parse_response_to_offer`] is called instead. An extension never was:
/// [`request`] offers none, and the codec speaks none.
///
/// # Errors
///
/// Why the connection is not open, in the order of [`ClientError`]'s variants.
pub fn parse_response(
    buffer: &[u8],
    expected_accept: &[u8; 28],
) -> Result<Option<usize>, ClientError> {
    let opened = parse_opened(buffer, expected_accept)?;
    Ok(opened.map(|opened| opened.consumed))
}

/// As [`parse_response`], for a request whose `Sec-WebSocket-Protocol` was
/// `offered`, one name or several with commas between; `None` for a request
/// without it.
///
/// RFC 6455 §4.1 lets a server select nothing. Like a browser, this counts it as a
/// failure: a client that offers a subprotocol speaks nothing else.
///
/// # Errors
///
/// As [`parse_response`], and [`ClientError::Subprotocol`].
pub fn parse_response_to_offer(
    buffer: &[u8],
    expected_accept: &[u8; 28],
    offered: Option<&str>,
) -> Result<Option<usize>, ClientError> {
    let Some(opened) = parse_opened(buffer, expected_accept)? else {
        return Ok(None);
    };
    let is_offered = |name| {
        let mut names = offered.iter().flat_map(|names| list(names.as_bytes()));
        names.any(|offered| offered == name)
    };
    let [selected, another] = opened.subprotocols;
    match (selected, another) {
        (None, _) if offered.is_none() => Ok(Some(opened.consumed)),
        (Some(name), None) if is_offered(name) => Ok(Some(opened.consumed)),
        _ => Err(ClientError::Subprotocol {
            received: selected.map(|name| String::from_utf8_lossy(name).into_owned()),
        }),
    }
}

/// A response that opens a connection.
struct Opened<'b> {
    consumed: usize,
    /// The values of `Sec-WebSocket-Protocol`. One is all there may be; the
    /// second is proof of more.
    subprotocols: [Option<&'b [u8]>; 2],
}

fn parse_opened<'b>(
    buffer: &'b [u8],
    expected_accept: &[u8; 28],
) -> Result<Option<Opened<'b>>, ClientError> {
    let window = &buffer[..buffer.len().min(MAX_RESPONSE_BYTES)];
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut head,
        window,
        &mut headers,
    );
    let consumed = match parsed {
        Ok(Status::Complete(consumed)) => consumed,
        Ok(Status::Partial) if window.len() < MAX_RESPONSE_BYTES => return Ok(None),
        Ok(Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Err(ClientError::TooLarge);
        }
        Err(_) => return Err(ClientError::Malformed),
    };
    let status = head.code.unwrap_or_default();
    if status != 101 {
        let body = &buffer[consumed..buffer.len().min(consumed + MAX_BODY_BYTES)];
        return Err(ClientError::Status {
            status,
            body: String::from_utf8_lossy(body).trim().to_owned(),
        });
    }

    let has_element = |name: &str, wanted: &[u8]| {
        head.headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case(name))
            .flat_map(|header| list(header.value))
            .any(|element| element.eq_ignore_ascii_case(wanted))
    };
    if !has_element("upgrade", b"websocket") {
        return Err(ClientError::Upgrade);
    }
    if !has_element("connection", b"upgrade") {
        return Err(ClientError::Connection);
    }
    let mut extensions = head
        .headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case("sec-websocket-extensions"))
        .flat_map(|header| list(header.value));
    if let Some(extension) = extensions.next() {
        return Err(ClientError::Extension {
            received: String::from_utf8_lossy(extension).into_owned(),
        });
    }
    let first_two = |name: &str| {
        let mut values = head
            .headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case(name))
            .map(|header| header.value);
        [values.next(), values.next()]
    };
    match first_two("sec-websocket-accept") {
        [Some(accept), None] if accept == expected_accept => Ok(Some(Opened {
            consumed,
            subprotocols: first_two("sec-websocket-protocol"),
        })),
        [accept, _] => Err(ClientError::Accept {
            received: accept.map(|value| String::from_utf8_lossy(value).into_owned()),
        }),
    }
}

/// Why a response opened no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// It is not an HTTP/1 response.
    #[error("the response is not HTTP/1")]
    Malformed,
    /// Its header block exceeds [`MAX_RESPONSE_BYTES`] or [`MAX_HEADERS`].
    #[error("the response's header block is too large")]
    TooLarge,
    /// The server refused.
    #[error("the server answered {status} instead of 101{}{body}", if body.is_empty() { "" } else { ": " })]
    Status {
        /// The status code.
        status: u16,
        /// The part of the body that had arrived, at most 512 bytes of it.
        body: String,
    },
    /// 101 without `Upgrade: websocket`.
    #[error("the response has no 'Upgrade: websocket'")]
    Upgrade,
    /// 101 without `Connection: upgrade`.
    #[error("the response has no 'Connection: Upgrade'")]
    Connection,
    /// 101 with an extension in `Sec-WebSocket-Extensions`; none was offered.
    #[error("the response's Sec-WebSocket-Extensions has '{received}', which was not offered")]
    Extension {
        /// The first one received.
        received: String,
    },
    /// 101 with a missing, repeated or wrong `Sec-WebSocket-Accept`.
    #[error("{}", accept_fault(received.as_deref()))]
    Accept {
        /// The first one received.
        received: Option<String>,
    },
    /// 101 with a repeated `Sec-WebSocket-Protocol` or one that was not offered,
    /// or without one although something was.
    #[error("{}", subprotocol_fault(received.as_deref()))]
    Subprotocol {
        /// The first one received.
        received: Option<String>,
    },
}

fn accept_fault(received: Option<&str>) -> String {
    match received {
        None => "the response has no Sec-WebSocket-Accept".to_owned(),
        Some(accept) => format!(
            "the response's Sec-WebSocket-Accept '{accept}' is repeated or does not belong to the key"
        ),
    }
}

fn subprotocol_fault(received: Option<&str>) -> String {
    match received {
        None => "the server did not select the subprotocol that was offered".to_owned(),
        Some(name) => {
            format!("the response's Sec-WebSocket-Protocol '{name}' is repeated or was not offered")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{HttpError, Kind, Response, accept_key, parse};
    use super::*;

    const ACCEPT: &[u8; 28] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn response(headers: &str) -> Result<Option<usize>, ClientError> {
        let text = format!("HTTP/1.1 101 Switching Protocols\r\n{headers}\r\n");
        parse_response(text.as_bytes(), ACCEPT)
    }

    #[test]
    fn client_and_server_understand_each_other() {
        let key = key(*b"the sample nonce");
        assert_eq!(&key, b"dGhlIHNhbXBsZSBub25jZQ==");
        let mut sent = Vec::new();
        let extra = [("Origin", "https://example.com"), ("X-N", "1")];
        request("example.com:80", "/ws/a%20b?c=d", &key, &extra, &mut sent);
        let request_len = sent.len();
        sent.extend_from_slice(b"\x81\x80abcd");

        let peer = "127.0.0.1:1".parse().unwrap();
        let parsed = parse(&sent, 8192, peer).unwrap().unwrap();
        assert_eq!(parsed.consumed, request_len);
        assert_eq!(parsed.request.path(), "/ws/a b");
        assert_eq!(parsed.request.host(), "example.com:80");
        assert_eq!(parsed.request.header("x-n"), Some("1"));
        let Kind::WebSocket { accept } = parsed.kind else {
            panic!("{parsed:?}");
        };
        let mut answer = Vec::new();
        Response::SwitchingProtocols {
            accept: &accept,
            subprotocol: Some("chat"),
        }
        .encode(&mut answer);
        let answer_len = answer.len();
        answer.extend_from_slice(b"\x81\x00");

        let expected = accept_key(&key);
        for end in 0..answer_len {
            assert_eq!(parse_response(&answer[..end], &expected), Ok(None));
        }
        assert_eq!(parse_response(&answer, &expected), Ok(Some(answer_len)));
    }

    #[test]
    fn a_refusal_is_reported_with_status_and_body() {
        let mut answer = Vec::new();
        Response::Error(HttpError::NotFound).encode(&mut answer);
        let error = parse_response(&answer, ACCEPT).unwrap_err();
        let ClientError::Status { status: 404, body } = &error else {
            panic!("{error:?}");
        };
        assert!(body.contains("nothing at this path"));
        assert!(error.to_string().contains("404"));
    }

    #[test]
    fn each_missing_header_is_named() {
        let upgrade = "upgrade: WebSocket\r\n";
        let connection = "connection: keep-alive, upgrade\r\n";
        let accept = "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
        let all = [upgrade, connection, accept].concat();
        assert!(matches!(response(&all), Ok(Some(_))));
        assert_eq!(
            response(&[connection, accept].concat()),
            Err(ClientError::Upgrade)
        );
        assert_eq!(
            response(&[upgrade, accept].concat()),
            Err(ClientError::Connection)
        );
        assert_eq!(
            response(&[upgrade, connection].concat()),
            Err(ClientError::Accept { received: None })
        );
        assert!(matches!(
            response(&[&all, accept].concat()),
            Err(ClientError::Accept { received: Some(_) })
        ));
    }

    #[test]
    fn a_subprotocol_is_one_that_was_offered() {
        let opened = "Upgrade: websocket\r\nConnection: Upgrade\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
        for (selected, offered, agreed) in [
            (&[][..], None, true),
            (&["chat"], Some("chat"), true),
            (&["chat"], Some("soap, chat"), true),
            (&[], Some("chat"), false),
            (&["chat"], None, false),
            (&["Chat"], Some("chat"), false),
            (&["soap"], Some("chat"), false),
            (&["soap, chat"], Some("soap, chat"), false),
            (&["chat", "chat"], Some("chat"), false),
        ] {
            let lines: String = selected
                .iter()
                .map(|name| format!("sec-websocket-protocol: {name}\r\n"))
                .collect();
            let text = format!("HTTP/1.1 101 Switching Protocols\r\n{opened}{lines}\r\n");
            let expected = match agreed {
                true => Ok(Some(text.len())),
                false => Err(ClientError::Subprotocol {
                    received: selected.first().map(|name| (*name).to_owned()),
                }),
            };
            let parsed = parse_response_to_offer(text.as_bytes(), ACCEPT, offered);
            assert_eq!(parsed, expected, "{selected:?} for {offered:?}");
            let whole = Ok(Some(text.len()));
            assert_eq!(parse_response(text.as_bytes(), ACCEPT), whole);
        }
    }

    /// RFC 6455 §4.1 (5): the client fails the connection.
    #[test]
    fn an_extension_was_never_offered() {
        let opened = "Upgrade: websocket\r\nConnection: Upgrade\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
        for (value, received) in [
            ("permessage-deflate", "permessage-deflate"),
            ("foo; bar=1, baz", "foo; bar=1"),
            (" , x-webkit-deflate-frame", "x-webkit-deflate-frame"),
        ] {
            let text = format!("{opened}sec-websocket-extensions: {value}\r\n");
            let error = response(&text).unwrap_err();
            let received = received.to_owned();
            assert_eq!(error, ClientError::Extension { received });
            assert!(error.to_string().contains("was not offered"), "{error}");
        }
        // An empty list names none.
        assert!(response(&format!("{opened}Sec-WebSocket-Extensions: ,\r\n")).is_ok());
    }

    #[test]
    fn a_wrong_accept_is_shown() {
        let error = response(
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: nonsense\r\n",
        )
        .unwrap_err();
        assert!(error.to_string().contains("'nonsense'"));
    }

    #[test]
    fn garbage_and_endless_heads_end() {
        assert_eq!(
            parse_response(b"SSH-2.0-x\r\n", ACCEPT),
            Err(ClientError::Malformed)
        );
        let mut endless = b"HTTP/1.1 101 X\r\nA: ".to_vec();
        endless.resize(MAX_RESPONSE_BYTES, b'a');
        assert_eq!(parse_response(&endless, ACCEPT), Err(ClientError::TooLarge));
    }
}
