//! The headers that a handler adds to a response.
//!
//! # Invariants worth naming
//!
//! - What stands here is well-formed and ends its lines: no value can begin a header of
//!   its own or end the head of the response.
//! - None of them decides where the response ends or which protocol follows; those are
//!   the server's.

use super::{Refusal, is_token};

/// Bytes of all headers that a handler may add to one response.
const MAX_BYTES: usize = 8 * 1024;

/// Headers that the server writes itself, beside all that begin with `sec-websocket-`.
const RESERVED: [&str; 7] = [
    "connection",
    "content-length",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Header lines as they are sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Headers(String);

/// A header that cannot be added to a response. As an answer to a handshake (`?` in
/// [`Handler::accept`](crate::Handler::accept)) it is a 500.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The name is no token (RFC 9110 §5.1).
    #[error("'{}' cannot be a header's name; use letters, digits and dashes", .0.escape_debug())]
    Name(String),
    /// The value has a control character, which could end the line.
    #[error("the value of '{0}' has a control character, such as a line end; encode or remove it")]
    Value(String),
    /// The server decides on this header.
    #[error("'{0}' is written by the server itself; leave it out")]
    Reserved(String),
    /// There is no room for so many.
    #[error("with '{0}' the headers of a handler are more than {MAX_BYTES} bytes; send fewer")]
    TooLarge(String),
}

impl From<HeaderError> for Refusal {
    fn from(error: HeaderError) -> Self {
        tracing::error!("a handler's response has a header that cannot be sent: {error}");
        Refusal::new(500, "The server could not answer this request.")
    }
}

impl Headers {
    /// Adds one.
    ///
    /// # Errors
    /// When it cannot stand in a response.
    pub(super) fn add(&mut self, name: &str, value: &str) -> Result<(), HeaderError> {
        if !is_token(name.as_bytes()) {
            return Err(HeaderError::Name(name.to_owned()));
        }
        let lower = name.to_ascii_lowercase();
        if RESERVED.contains(&&*lower) || lower.starts_with("sec-websocket-") {
            return Err(HeaderError::Reserved(name.to_owned()));
        }
        let is_control = |byte: u8| byte.is_ascii_control() && byte != b'\t';
        if value.bytes().any(is_control) {
            return Err(HeaderError::Value(name.to_owned()));
        }
        if self.0.len() + name.len() + value.len() + 4 > MAX_BYTES {
            return Err(HeaderError::TooLarge(name.to_owned()));
        }
        for part in [name, ": ", value.trim_ascii(), "\r\n"] {
            self.0.push_str(part);
        }
        Ok(())
    }

    /// Whether there is one of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        let names = self.0.lines().filter_map(|line| line.split_once(':'));
        names
            .into_iter()
            .any(|(key, _)| key.eq_ignore_ascii_case(name))
    }

    /// All of them, each line with its end.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_line_of_its_own() {
        let mut headers = Headers::default();
        headers.add("Set-Cookie", "a=1").unwrap();
        headers.add("Set-Cookie", " b=\tü ").unwrap();
        assert_eq!(headers.as_str(), "Set-Cookie: a=1\r\nSet-Cookie: b=\tü\r\n");
        assert!(headers.has("set-cookie"));
        assert!(!headers.has("a=1"));
    }

    #[test]
    fn a_value_cannot_begin_another_header() {
        for value in ["a\r\nX: 1", "a\nX: 1", "a\rX", "\0", "a\u{7f}"] {
            let error = Headers::default().add("X-A", value).unwrap_err();
            assert_eq!(error, HeaderError::Value("X-A".to_owned()), "{value:?}");
        }
        for name in ["", "X A", "X:", "X\r\nY", "Ü"] {
            let error = Headers::default().add(name, "1").unwrap_err();
            assert_eq!(error, HeaderError::Name(name.to_owned()));
        }
    }

    #[test]
    fn the_servers_own_headers_stay_its_own() {
        for name in [
            "Connection",
            "upgrade",
            "CONTENT-LENGTH",
            "Sec-WebSocket-Accept",
        ] {
            let error = Headers::default().add(name, "1").unwrap_err();
            assert_eq!(error, HeaderError::Reserved(name.to_owned()));
        }
    }

    #[test]
    fn there_is_a_bound() {
        let mut headers = Headers::default();
        headers.add("X-A", &"a".repeat(MAX_BYTES - 7)).unwrap();
        assert_eq!(headers.as_str().len(), MAX_BYTES);
        let error = headers.add("X-B", "").unwrap_err();
        assert_eq!(error, HeaderError::TooLarge("X-B".to_owned()));
    }
}
