//! Why a request is not answered with what it asked for.

use std::time::Duration;

use crate::metrics::RefusalReason;

/// One fault of a request, or one state of the server that prevents an answer.
///
/// Each variant fixes the status, a sentence for the response's body that says
/// what was wrong and what to do, and the reason under which it is counted.
/// `parse` finds the faults that lie in the bytes; the variants
/// it never returns (marked *by the server*) are for its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", self.status(), self.message())]
pub enum HttpError {
    /// 400: the request line is not `method SP target SP HTTP-version` (RFC 9112 §3).
    RequestLine,
    /// 400: a carriage return without its line feed where a line begins or
    /// ends (RFC 9112 §2.2).
    LineEnding,
    /// 400: a header line without a colon right after its name, with a bad name, or
    /// folded over two lines (RFC 9112 §5.1, §5.2).
    HeaderLine,
    /// 400: a control character, such as NUL or a carriage return that ends no
    /// line, in a header's value (RFC 9110 §5.5).
    HeaderValue,
    /// 400: a request target that is neither a path nor an absolute http(s) or
    /// ws(s) URI with a sane authority (RFC 9112 §3.2).
    Target,
    /// 400: a path whose percent-encoding is broken, does not decode to UTF-8,
    /// or hides a control character (RFC 3986 §2.1).
    PathEncoding,
    /// 400: no `Host` header (RFC 9112 §3.2).
    HostMissing,
    /// 400: more than one `Host` header (RFC 9112 §3.2).
    HostDuplicate,
    /// 400: a `Host` that is empty or not `host[:port]` (RFC 9112 §3.2).
    HostInvalid,
    /// 400: `Content-Length` above zero or any `Transfer-Encoding` on a GET or HEAD.
    /// The bytes after a request are frames, so a body has no place.
    Body,
    /// 400, *by the server*: a connection that should begin with a PROXY header
    /// and does not.
    ProxyHeader,
    /// 400: `Upgrade: websocket` without `Connection: upgrade` (RFC 6455 §4.2.1).
    ConnectionMissing,
    /// 400: no `Sec-WebSocket-Key` (RFC 6455 §4.2.1).
    KeyMissing,
    /// 400: more than one `Sec-WebSocket-Key` (RFC 6455 §11.3.1).
    KeyDuplicate,
    /// 400: a `Sec-WebSocket-Key` that is not 16 bytes in base64 (RFC 6455 §4.2.1).
    KeyInvalid,
    /// 403, *by the server*: the [`OriginPolicy`](super::OriginPolicy) said no (RFC 6455 §10.2).
    OriginRefused,
    /// 403, *by the server*: all connections must come through a proxy, and this one does not.
    NotThroughProxy,
    /// 404, *by the server*: no route has this path.
    NotFound,
    /// 405 with `Allow`: another method, or one that is not GET with `Upgrade: websocket`.
    MethodNotAllowed,
    /// 408, *by the server*: the request was not complete in time.
    Timeout,
    /// 414: the request line alone is larger than the header block may be.
    UriTooLong,
    /// 426 with `Sec-WebSocket-Version: 13`: another version of the protocol,
    /// none, or several (RFC 6455 §4.4).
    WebSocketVersion,
    /// 426, *by the server*: a plain request for a path that speaks WebSocket only.
    UpgradeRequired,
    /// 429 with `Retry-After`, *by the server*: the source has as many
    /// connections as it may have.
    SourceFull {
        /// When to come back. Whole seconds are sent, rounded up.
        retry_after: Duration,
    },
    /// 429 with `Retry-After`, *by the server*: the source connects more often
    /// than it may.
    SourceTooFast {
        /// When to come back. Whole seconds are sent, rounded up.
        retry_after: Duration,
    },
    /// 431: the header block is larger than allowed (RFC 6585 §5).
    HeadersTooLarge,
    /// 431: more than [`MAX_HEADERS`](super::MAX_HEADERS) header lines.
    TooManyHeaders,
    /// 503 with `Retry-After`, *by the server*: as many handshakes as allowed are in
    /// flight, and this one was silent for longest.
    CrowdedOut {
        /// When to come back. Whole seconds are sent, rounded up.
        retry_after: Duration,
    },
    /// 503 with `Retry-After`, *by the server*: as many sessions as allowed are open.
    Full {
        /// When to come back. Whole seconds are sent, rounded up.
        retry_after: Duration,
    },
    /// 503 with `Retry-After`, *by the server*: it is draining.
    Draining {
        /// When to come back. Whole seconds are sent, rounded up.
        retry_after: Duration,
    },
    /// 505: a version of HTTP that is neither 1.0 nor 1.1.
    HttpVersion,
    /// 505: `Upgrade: websocket` in HTTP/1.0, which has no such header (RFC 9110
    /// §7.8, RFC 6455 §4.2.1).
    UpgradeVersion,
}

impl HttpError {
    /// The status code of the response.
    pub fn status(self) -> u16 {
        use HttpError::*;
        match self {
            RequestLine | LineEnding | HeaderLine | HeaderValue | Target | PathEncoding
            | HostMissing | HostDuplicate | HostInvalid | Body | ProxyHeader
            | ConnectionMissing | KeyMissing | KeyDuplicate | KeyInvalid => 400,
            OriginRefused | NotThroughProxy => 403,
            NotFound => 404,
            MethodNotAllowed => 405,
            Timeout => 408,
            UriTooLong => 414,
            WebSocketVersion | UpgradeRequired => 426,
            SourceFull { .. } | SourceTooFast { .. } => 429,
            HeadersTooLarge | TooManyHeaders => 431,
            CrowdedOut { .. } | Full { .. } | Draining { .. } => 503,
            HttpVersion | UpgradeVersion => 505,
        }
    }

    /// The fault and the remedy, for the response's body.
    pub fn message(self) -> &'static str {
        use HttpError::*;
        match self {
            RequestLine => {
                "The request line is malformed. Send 'GET /path HTTP/1.1', with single spaces."
            }
            LineEnding => {
                "A carriage return is not followed by a line feed. End each line with CRLF."
            }
            HeaderLine => {
                "A header line is malformed. Write each header on one line as 'Name: value', \
                 with no space before the colon and no folded lines."
            }
            HeaderValue => {
                "A header value contains a control character such as NUL or a bare carriage \
                 return. Remove it, and end lines with CRLF."
            }
            Target => {
                "The request target is not acceptable. Send a path that starts with '/', or an \
                 absolute http, https, ws or wss URI with a valid host, and no fragment."
            }
            PathEncoding => {
                "The path's percent-encoding is broken, is not UTF-8, or contains a control \
                 character. Encode the path's UTF-8 bytes as %XX."
            }
            HostMissing => "The Host header is missing. Send one, for example 'Host: example.com'.",
            HostDuplicate => "The Host header was sent more than once. Send exactly one.",
            HostInvalid => {
                "The Host header is empty or malformed. Send the server's name as 'host' or \
                 'host:port'."
            }
            Body => {
                "A request body was announced by Content-Length or Transfer-Encoding. Send \
                 none: a GET here has no body, and messages follow as WebSocket frames."
            }
            ProxyHeader => {
                "The connection does not begin with a PROXY protocol header, version 1 or 2, \
                 which this server expects of its proxy. Let the proxy send one."
            }
            ConnectionMissing => {
                "The request has 'Upgrade: websocket' but no 'Connection: Upgrade'. Send both; \
                 if a proxy stands in front, let it forward them."
            }
            KeyMissing => {
                "The Sec-WebSocket-Key header is missing. Send 16 random bytes in base64."
            }
            KeyDuplicate => {
                "The Sec-WebSocket-Key header was sent more than once. Send exactly one."
            }
            KeyInvalid => {
                "The Sec-WebSocket-Key header is not 16 bytes in base64. Send 24 characters \
                 that encode 16 random bytes."
            }
            OriginRefused => {
                "Pages of this origin may not connect to this server. Its operator can add the \
                 origin to the list of allowed origins."
            }
            NotThroughProxy => {
                "This server takes connections through its proxy only. Connect to that, or let \
                 its operator add this address to the trusted proxies."
            }
            NotFound => "There is nothing at this path. Check its spelling and trailing slash.",
            MethodNotAllowed => {
                "The method is not allowed. WebSocket connections are opened with GET; plain \
                 pages also answer HEAD and OPTIONS."
            }
            Timeout => {
                "The request was not complete in time. Connect again and send it without delay."
            }
            UriTooLong => {
                "The request line is larger than this server's limit for a whole header block. \
                 Shorten the path and query."
            }
            WebSocketVersion => {
                "The Sec-WebSocket-Version header is missing or names another version. Send \
                 exactly 'Sec-WebSocket-Version: 13'."
            }
            UpgradeRequired => {
                "This path speaks WebSocket only. Connect with a WebSocket client; if you did, \
                 a proxy in front removed the Upgrade header: let it forward that in HTTP/1.1."
            }
            SourceFull { .. } => {
                "This address has as many connections here as one address may have. Close one, \
                 or try again after the time in Retry-After."
            }
            SourceTooFast { .. } => {
                "This address connects more often than it may. Try again after the time in \
                 Retry-After."
            }
            HeadersTooLarge => {
                "The header block is larger than this server's limit. Send fewer or smaller \
                 headers, cookies for instance."
            }
            TooManyHeaders => "There are more than 64 header lines. Send fewer.",
            CrowdedOut { .. } => {
                "The request was not complete when its place was needed for another one. Send \
                 it at once after connecting, after the time in Retry-After."
            }
            Full { .. } => {
                "The server has as many connections as it may hold. Try again after the time \
                 in Retry-After."
            }
            Draining { .. } => {
                "The server is shutting down. Connect again after the time in Retry-After."
            }
            HttpVersion => {
                "The HTTP version is not supported. Use HTTP/1.1, which the WebSocket handshake \
                 requires."
            }
            UpgradeVersion => {
                "The WebSocket handshake was sent in HTTP/1.0, which cannot upgrade. Send it in \
                 HTTP/1.1; if a proxy stands in front, let it do so, as nginx does with \
                 'proxy_http_version 1.1'."
            }
        }
    }

    /// The reason under which the refusal is counted.
    pub fn reason(self) -> RefusalReason {
        use HttpError::*;
        match self {
            UriTooLong | HeadersTooLarge | TooManyHeaders => RefusalReason::TooLarge,
            Timeout => RefusalReason::Timeout,
            NotFound => RefusalReason::NotFound,
            OriginRefused | NotThroughProxy => RefusalReason::Forbidden,
            SourceFull { .. } => RefusalReason::SourceFull,
            SourceTooFast { .. } => RefusalReason::SourceTooFast,
            CrowdedOut { .. } => RefusalReason::CrowdedOut,
            Full { .. } => RefusalReason::Full,
            Draining { .. } => RefusalReason::Draining,
            _ => RefusalReason::BadRequest,
        }
    }

    /// The time to come back after, where there is one.
    pub fn retry_after(self) -> Option<Duration> {
        match self {
            HttpError::SourceFull { retry_after }
            | HttpError::SourceTooFast { retry_after }
            | HttpError::CrowdedOut { retry_after }
            | HttpError::Full { retry_after }
            | HttpError::Draining { retry_after } => Some(retry_after),
            _ => None,
        }
    }
}
