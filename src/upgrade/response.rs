//! The server's responses, as bytes.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use super::headers::Headers;
use super::{Acceptance, HttpError, Page, Refusal, Reply, is_token};

/// The methods that something answers.
const ALLOW: &str = "Allow: GET, HEAD, OPTIONS\r\n";

/// An answer to a request.
#[derive(Debug, Clone, Copy)]
pub enum Response<'a> {
    /// 101: the connection speaks WebSocket from here on (RFC 6455 §4.2.2).
    SwitchingProtocols {
        /// From [`Kind::WebSocket`](super::Kind::WebSocket).
        accept: &'a [u8; 28],
        /// One of those the client offered. Left out of the response if it is
        /// not a token, because such a header would be malformed.
        subprotocol: Option<&'a str>,
    },
    /// 101, as a handler wants it.
    Accepted {
        /// As above.
        accept: &'a [u8; 28],
        /// The handler's consent.
        acceptance: &'a Acceptance,
    },
    /// 200.
    Page(Page<'a>),
    /// A handler's answer to a plain request.
    Reply(&'a Reply),
    /// 200 without a body: the methods there are (RFC 9110 §9.3.7).
    Options,
    /// 503 at the path of the health page: the server is about to drain, or does.
    Unready,
    /// The status of the fault, with a body that says what to do.
    Error(HttpError),
    /// A handler's refusal.
    Refused(&'a Refusal),
}

impl Response<'_> {
    /// The status code.
    pub fn status(&self) -> u16 {
        match self {
            Response::SwitchingProtocols { .. } | Response::Accepted { .. } => 101,
            Response::Page(_) | Response::Options => 200,
            Response::Unready => 503,
            Response::Reply(reply) => reply.sent_status(),
            Response::Error(error) => error.status(),
            Response::Refused(refusal) => refusal.sent_status(),
        }
    }

    /// Appends the response to `out`. All but 101 say `Connection: close`:
    /// the caller closes once `out` is sent.
    ///
    /// It says HTTP/1.1 to a client of HTTP/1.0 too: the version is the
    /// server's own (RFC 9110 §6.2), and the form is one that both understand.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Response::SwitchingProtocols {
                accept,
                subprotocol,
            } => encode_switching_protocols(accept, *subprotocol, "", out),
            Response::Accepted { accept, acceptance } => {
                let subprotocol = acceptance.subprotocol.as_deref();
                let headers = acceptance.headers.as_str();
                encode_switching_protocols(accept, subprotocol, headers, out);
            }
            _ => self.encode_plain(true, out),
        }
    }

    /// Appends the response without its body, for a request with HEAD; see
    /// [`is_head`](super::is_head).
    pub fn encode_head(&self, out: &mut Vec<u8>) {
        match self {
            Response::SwitchingProtocols { .. } | Response::Accepted { .. } => self.encode(out),
            _ => self.encode_plain(false, out),
        }
    }

    /// Everything but 101: rare, so written for clarity.
    #[inline(never)]
    fn encode_plain(&self, with_body: bool, out: &mut Vec<u8>) {
        let status = self.status();
        let mut page = Page::text("");
        let mut connection = "close";
        let mut extra = String::new();
        let none = Headers::default();
        let mut own = &none;
        let body = match self {
            Response::Page(shown) => {
                page = *shown;
                Cow::Borrowed(shown.body)
            }
            Response::Options => {
                extra.push_str(ALLOW);
                Cow::Borrowed("")
            }
            Response::Unready => Cow::Borrowed("draining\n"),
            Response::Refused(refusal) => {
                own = &refusal.headers;
                Cow::Owned(format!("{}\n", refusal.reason))
            }
            Response::Reply(reply) => {
                own = &reply.headers;
                page.content_type = &reply.content_type;
                Cow::Borrowed(reply.body.as_str())
            }
            Response::Error(error) => {
                match status {
                    405 => extra.push_str(ALLOW),
                    426 => {
                        // A response with Upgrade lists it in Connection too (RFC 9110
                        // §7.8).
                        connection = "close, Upgrade";
                        extra.push_str("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
                    }
                    _ => {}
                }
                if let Some(retry_after) = error.retry_after() {
                    let _ = write!(extra, "Retry-After: {}\r\n", whole_seconds(retry_after));
                }
                Cow::Owned(format!(
                    "{status} {}: {}\n",
                    phrase(status),
                    error.message()
                ))
            }
            Response::SwitchingProtocols { .. } | Response::Accepted { .. } => {
                unreachable!("101 is encoded apart")
            }
        };
        let body_len = body.len();
        let mut head = format!(
            "HTTP/1.1 {status} {}\r\n\
             Connection: {connection}\r\n\
             {extra}{}\
             Content-Length: {body_len}\r\n",
            phrase(status),
            own.as_str(),
        );
        for (name, value) in [
            ("Content-Type", page.content_type),
            ("Content-Security-Policy", page.security_policy),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cache-Control", "no-store"),
        ] {
            if !own.has(name) {
                let _ = write!(head, "{name}: {value}\r\n");
            }
        }
        head.push_str("\r\n");
        out.extend_from_slice(head.as_bytes());
        if with_body {
            out.extend_from_slice(body.as_bytes());
        }
    }
}

impl From<HttpError> for Response<'_> {
    fn from(error: HttpError) -> Self {
        Response::Error(error)
    }
}

impl<'a> From<&'a Refusal> for Response<'a> {
    fn from(refusal: &'a Refusal) -> Self {
        Response::Refused(refusal)
    }
}

/// The response every session begins with: one reservation, three copies.
#[inline]
fn encode_switching_protocols(
    accept: &[u8; 28],
    subprotocol: Option<&str>,
    headers: &str,
    out: &mut Vec<u8>,
) {
    const BEFORE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\
        Upgrade: websocket\r\n\
        Connection: Upgrade\r\n\
        Sec-WebSocket-Accept: ";
    const PROTOCOL: &[u8] = b"\r\nSec-WebSocket-Protocol: ";
    const END: &[u8] = b"\r\n\r\n";

    let subprotocol = subprotocol.filter(|name| is_token(name.as_bytes()));
    let protocol_len = subprotocol.map_or(0, |name| PROTOCOL.len() + name.len());
    out.reserve(BEFORE.len() + accept.len() + protocol_len + headers.len() + END.len());
    out.extend_from_slice(BEFORE);
    out.extend_from_slice(accept);
    if let Some(name) = subprotocol {
        out.extend_from_slice(PROTOCOL);
        out.extend_from_slice(name.as_bytes());
    }
    if !headers.is_empty() {
        out.extend_from_slice(b"\r\n");
        // Each of its lines has its end; that of the last is the next two bytes.
        out.extend_from_slice(headers.trim_end().as_bytes());
    }
    out.extend_from_slice(END);
}

/// Rounded up: a client told to come back in 0.4 s must not come back at once.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs()
        .saturating_add(u64::from(time.subsec_nanos() > 0))
}

/// The reason phrase (RFC 9110 §15). No client reads it, people do.
fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        414 => "URI Too Long",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        ..400 => "Answered",
        _ => "Refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCEPT: &[u8; 28] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn encoded(response: Response<'_>) -> String {
        let mut out = Vec::new();
        response.encode(&mut out);
        String::from_utf8(out).unwrap()
    }

    /// Head and body, the announced length checked against the body.
    fn parts(response: Response<'_>) -> (String, String) {
        let text = encoded(response);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())));
        assert!(head.contains("\r\nConnection: close"));
        assert!(head.contains("\r\nX-Content-Type-Options: nosniff"));
        (head.to_owned(), body.to_owned())
    }

    fn errors() -> [HttpError; 27] {
        use HttpError::*;
        let retry_after = Duration::from_millis(1_200);
        [
            RequestLine,
            LineEnding,
            HeaderLine,
            HeaderValue,
            Target,
            PathEncoding,
            HostMissing,
            HostDuplicate,
            HostInvalid,
            Body,
            ConnectionMissing,
            KeyMissing,
            KeyDuplicate,
            KeyInvalid,
            OriginRefused,
            NotFound,
            MethodNotAllowed,
            Timeout,
            UriTooLong,
            WebSocketVersion,
            UpgradeRequired,
            HeadersTooLarge,
            TooManyHeaders,
            Full { retry_after },
            Draining { retry_after },
            HttpVersion,
            UpgradeVersion,
        ]
    }

    #[test]
    fn switching_protocols_to_the_byte() {
        let accept = ACCEPT;
        let without = encoded(Response::SwitchingProtocols {
            accept,
            subprotocol: None,
        });
        assert_eq!(
            without,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        );
        let with = encoded(Response::SwitchingProtocols {
            accept,
            subprotocol: Some("chat.v2"),
        });
        assert!(with.ends_with("xOo=\r\nSec-WebSocket-Protocol: chat.v2\r\n\r\n"));
    }

    #[test]
    fn a_subprotocol_cannot_smuggle_a_header() {
        for subprotocol in ["a\r\nSet-Cookie: b", "", "a b", "a,b"] {
            let response = encoded(Response::SwitchingProtocols {
                accept: ACCEPT,
                subprotocol: Some(subprotocol),
            });
            assert!(!response.contains("Sec-WebSocket-Protocol"), "{response}");
        }
    }

    #[test]
    fn every_error_says_what_was_wrong_and_what_to_do() {
        for error in errors() {
            let (head, body) = parts(error.into());
            assert!(head.starts_with(&format!("HTTP/1.1 {} ", error.status())));
            assert!(body.contains(error.message()), "{error:?}");
            assert!(error.message().contains(". "), "two sentences: {error:?}");
            assert!(head.contains("text/plain"));
            assert_ne!(phrase(error.status()), "Refused", "{error:?}");
        }
    }

    #[test]
    fn statuses_carry_their_headers() {
        let (head, _) = parts(HttpError::MethodNotAllowed.into());
        assert!(head.contains("\r\nAllow: GET, HEAD, OPTIONS\r\n"));
        for error in [HttpError::WebSocketVersion, HttpError::UpgradeRequired] {
            let (head, _) = parts(error.into());
            assert!(head.contains("\r\nSec-WebSocket-Version: 13\r\n"));
            assert!(head.contains("\r\nUpgrade: websocket\r\n"));
            assert!(head.contains("\r\nConnection: close, Upgrade\r\n"));
        }
        let retry_after = Duration::from_millis(1_200);
        let (head, _) = parts(HttpError::Full { retry_after }.into());
        assert!(head.contains("\r\nRetry-After: 2\r\n"));
    }

    const HOME: Page<'static> = Page::home("<!doctype html>\n");

    #[test]
    fn head_has_the_same_head_and_no_body() {
        let response = Response::Page(HOME);
        let mut head = Vec::new();
        response.encode_head(&mut head);
        let whole = encoded(response);
        assert!(whole.as_bytes().starts_with(&head));
        assert!(head.ends_with(b"\r\n\r\n"));
        assert_eq!(whole.len() - head.len(), HOME.body.len());
    }

    #[test]
    fn the_home_page_may_only_connect() {
        let (head, body) = parts(Response::Page(HOME));
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(head.contains("Content-Security-Policy: default-src 'none'"));
        assert!(head.contains("connect-src 'self' ws: wss:"));
        assert_eq!(body, HOME.body);
    }

    #[test]
    fn a_refusal_keeps_its_status_and_reason() {
        let refusal = Refusal::new(429, "Slow down.");
        let (head, body) = parts((&refusal).into());
        assert!(head.starts_with("HTTP/1.1 429 Too Many Requests\r\n"));
        assert_eq!(body, "Slow down.\n");
        let refusal = Refusal::new(200, "no");
        assert!(parts((&refusal).into()).0.starts_with("HTTP/1.1 403 "));
        let refusal = Refusal::new(418, "no");
        assert!(
            parts((&refusal).into())
                .0
                .starts_with("HTTP/1.1 418 Refused")
        );
    }
}
