//! Bytes to [`Request`], with every fault named.

use std::mem::MaybeUninit;
use std::net::SocketAddr;

use httparse::Status;

use super::target::{Target, decode_path, is_authority, routing_path, split};
use super::{HttpError, Method, Request, accept_key, list};

/// Header lines a request may have. More are refused with 431.
pub const MAX_HEADERS: usize = 64;

/// A complete request and how many bytes it took.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The request, owning its bytes.
    pub request: Request,
    /// The kind of request.
    pub kind: Kind,
    /// Its length. Bytes of the buffer after it are the first WebSocket frames; the
    /// caller keeps them.
    pub consumed: usize,
}

/// The kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A WebSocket connection, by a handshake without fault.
    WebSocket {
        /// The value for the response's `Sec-WebSocket-Accept`.
        accept: [u8; 28],
    },
    /// A page: a GET, HEAD or OPTIONS that does not ask for `websocket`. An `Upgrade`
    /// to another protocol is ignored, as RFC 9110 §7.8 allows.
    Plain,
}

/// Parses what has been received of a request so far. `Ok(None)` means that it
/// is not complete yet; call again with more.
///
/// A request may be no longer than `max_header_bytes`, its request line and
/// final empty line included. Lines end with CRLF; a lone LF is understood as
/// RFC 9112 §2.2 allows, and empty lines before the request are skipped.
///
/// # Errors
///
/// The first fault in this order:
///
/// 1. what breaks the syntax or the limit, whichever comes first in the bytes:
///    request line, header lines, number of lines (400, 414, 431), and an HTTP
///    version that is not 1.x (505);
/// 2. HTTP/1.0 with `Upgrade: websocket` (505); pages answer it, for health
///    checks and proxies that still speak it;
/// 3. a method other than GET, HEAD and OPTIONS (405);
/// 4. the target and its percent-encoding (400);
/// 5. `Host` (400), which HTTP/1.0 may leave out, then an announced body (400);
/// 6. and with `Upgrade: websocket`: another method than GET (405), `Connection` (400), the
///    version (426), the key (400) (RFC 6455 §4.2.1).
pub fn parse(
    buffer: &[u8],
    max_header_bytes: usize,
    peer: SocketAddr,
) -> Result<Option<Parsed>, HttpError> {
    // Looking no further than the limit makes the verdict independent of how
    // much happened to arrive with one read.
    let window = &buffer[..buffer.len().min(max_header_bytes)];
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut []);
    let consumed = match head.parse_with_uninit_headers(window, &mut headers) {
        Ok(Status::Complete(consumed)) => consumed,
        Ok(Status::Partial) if window.len() < max_header_bytes => return Ok(None),
        Ok(Status::Partial) => return Err(oversize(window)),
        Err(error) => return Err(syntax(error, window)),
    };

    let fields = Fields::collect(head.headers);
    // The parser knows the versions 1.0 and 1.1 only.
    let is_old = head.version == Some(0);
    if is_old && fields.upgrades_to_websocket {
        return Err(HttpError::UpgradeVersion);
    }
    let method = match head.method {
        Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        Some("OPTIONS") => Method::Options,
        _ => return Err(HttpError::MethodNotAllowed),
    };
    let target = match (method, head.path.unwrap_or_default()) {
        (Method::Options, "*") => Target::SERVER,
        (_, target) => split(target)?,
    };
    let path = decode_path(target.path)?;

    let host = match fields.host() {
        // Before HTTP/1.1 there was no such header.
        Err(HttpError::HostMissing) if is_old => "",
        host => host?,
    };
    if fields.announces_body {
        return Err(HttpError::Body);
    }
    let kind = fields.kind(method)?;

    let request = Request::new(
        method,
        peer,
        header_lines(&window[..consumed]),
        &path,
        target.query,
        target.authority.unwrap_or(host),
        routing_path(target.path),
    );
    Ok(Some(Parsed {
        request,
        kind,
        consumed,
    }))
}

/// Whether a buffer holds a HEAD request, parsed or not: its answer, an error
/// included, has no body (RFC 9110 §9.3.2).
pub fn is_head(buffer: &[u8]) -> bool {
    skip_empty_lines(buffer).starts_with(b"HEAD ")
}

/// Whether these may be the first bytes of a plain request.
pub(crate) fn may_be_plain(buffer: &[u8]) -> bool {
    let buffer = skip_empty_lines(buffer);
    let methods: [&[u8]; 3] = [b"GET ", b"HEAD ", b"OPTIONS "];
    methods
        .iter()
        .any(|method| buffer.starts_with(method) || method.starts_with(buffer))
}

/// The headers that decide, gathered in one pass.
#[derive(Default)]
struct Fields<'a> {
    host: Field<'a>,
    key: Field<'a>,
    version: Field<'a>,
    upgrades_to_websocket: bool,
    connection_upgrade: bool,
    announces_body: bool,
}

/// A header that may be sent once.
#[derive(Default)]
enum Field<'a> {
    #[default]
    Missing,
    Once(&'a [u8]),
    Repeated,
}

impl<'a> Field<'a> {
    fn add(&mut self, value: &'a [u8]) {
        *self = match self {
            Field::Missing => Field::Once(value),
            _ => Field::Repeated,
        };
    }
}

impl<'a> Fields<'a> {
    fn collect(headers: &[httparse::Header<'a>]) -> Self {
        let mut fields = Fields::default();
        for &httparse::Header { name, value } in headers {
            let named = |known: &str| name.eq_ignore_ascii_case(known);
            // The length picks the few names worth comparing.
            match name.len() {
                4 if named("host") => fields.host.add(value),
                7 if named("upgrade") => {
                    fields.upgrades_to_websocket |= has_element(value, b"websocket");
                }
                10 if named("connection") => {
                    fields.connection_upgrade |= has_element(value, b"upgrade");
                }
                14 if named("content-length") => {
                    fields.announces_body |= value.is_empty() || value.iter().any(|&b| b != b'0');
                }
                17 if named("sec-websocket-key") => fields.key.add(value),
                17 if named("transfer-encoding") => fields.announces_body = true,
                21 if named("sec-websocket-version") => fields.version.add(value),
                _ => {}
            }
        }
        fields
    }

    fn host(&self) -> Result<&'a str, HttpError> {
        match self.host {
            Field::Missing => Err(HttpError::HostMissing),
            Field::Repeated => Err(HttpError::HostDuplicate),
            Field::Once(host) if is_authority(host) => {
                std::str::from_utf8(host).map_err(|_| HttpError::HostInvalid)
            }
            Field::Once(_) => Err(HttpError::HostInvalid),
        }
    }

    fn kind(&self, method: Method) -> Result<Kind, HttpError> {
        if !self.upgrades_to_websocket {
            return Ok(Kind::Plain);
        }
        if method != Method::Get {
            return Err(HttpError::MethodNotAllowed);
        }
        if !self.connection_upgrade {
            return Err(HttpError::ConnectionMissing);
        }
        // The version comes before the key: another version may have other keys.
        if !matches!(self.version, Field::Once(b"13")) {
            return Err(HttpError::WebSocketVersion);
        }
        match self.key {
            Field::Missing => Err(HttpError::KeyMissing),
            Field::Repeated => Err(HttpError::KeyDuplicate),
            Field::Once(key) if is_key(key) => Ok(Kind::WebSocket {
                accept: accept_key(key),
            }),
            Field::Once(_) => Err(HttpError::KeyInvalid),
        }
    }
}

/// Whether this is 16 bytes in base64. The bits after the last byte are not looked at:
/// RFC 6455 §4.2.1 does not ask the server to decode the key, and some clients draw 22
/// random characters rather than 16 random bytes.
fn is_key(key: &[u8]) -> bool {
    key.len() == 24
        && key.ends_with(b"==")
        && key[..22]
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(byte))
}

fn has_element(value: &[u8], wanted: &[u8]) -> bool {
    list(value).any(|element| element.eq_ignore_ascii_case(wanted))
}

/// The fault of a request that fills the window and is not complete.
fn oversize(window: &[u8]) -> HttpError {
    if skip_empty_lines(window).contains(&b'\n') {
        HttpError::HeadersTooLarge
    } else {
        HttpError::UriTooLong
    }
}

/// The fault that a parser's error stands for.
fn syntax(error: httparse::Error, window: &[u8]) -> HttpError {
    match error {
        httparse::Error::HeaderName => HttpError::HeaderLine,
        httparse::Error::HeaderValue => HttpError::HeaderValue,
        httparse::Error::TooManyHeaders => HttpError::TooManyHeaders,
        // A third word that is no version at all is a malformed line, most
        // often a path with an unencoded space, and not a version too new.
        httparse::Error::Version => {
            let third = skip_empty_lines(window)
                .splitn(3, |&byte| byte == b' ')
                .nth(2);
            match third {
                Some(version) if version.starts_with(b"HTTP/") => HttpError::HttpVersion,
                _ => HttpError::RequestLine,
            }
        }
        httparse::Error::NewLine => HttpError::LineEnding,
        _ => HttpError::RequestLine,
    }
}

fn skip_empty_lines(buffer: &[u8]) -> &[u8] {
    let start = buffer.iter().position(|byte| !b"\r\n".contains(byte));
    &buffer[start.unwrap_or(buffer.len())..]
}

/// The header lines of a complete request, which follow its request line.
fn header_lines(head: &[u8]) -> &[u8] {
    let head = skip_empty_lines(head);
    let end = head.iter().position(|&byte| byte == b'\n');
    &head[end.map_or(head.len(), |end| end + 1)..]
}
