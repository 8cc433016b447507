//! The opening handshake: HTTP/1.1 bytes in, a [`Request`] out, a
//! [`Response`] back (RFC 6455 §4.2, RFC 9110, RFC 9112).
//!
//! Sans-IO: the caller owns the socket, the buffer and the clock. It appends
//! what it read and calls `parse`; `Ok(None)` means *read more*. From a
//! [`Parsed`] request it finds the route ([`crate::router`]), asks the
//! [`OriginPolicy`] and the handler, and encodes one [`Response`].
//!
//! ```
//! use corecast::upgrade::{self, Kind, Response};
//!
//! let buffer = b"GET /ws/ann HTTP/1.1\r\nHost: example.com\r\n\
//!     Connection: Upgrade\r\nUpgrade: websocket\r\n\
//!     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\
//!     \x81\x00";
//! let peer = "127.0.0.1:4000".parse().unwrap();
//! let parsed = upgrade::parse(buffer, 8192, peer).unwrap().expect("complete");
//! assert_eq!(parsed.request.path(), "/ws/ann");
//! assert_eq!(&buffer[parsed.consumed..], b"\x81\x00");
//!
//! let Kind::WebSocket { accept } = parsed.kind else { panic!() };
//! let mut out = Vec::new();
//! Response::SwitchingProtocols { accept: &accept, subprotocol: None }.encode(&mut out);
//! assert!(out.starts_with(b"HTTP/1.1 101 "));
//! ```
//!
//! # Invariants worth naming
//!
//! - **The verdict does not depend on how the bytes were split.** Only the first
//!   `max_header_bytes` are ever looked at, and a request is refused for the same fault
//!   however many reads it took to arrive.
//! - **Every fault has one variant.** [`HttpError`] is what the peer sees
//!   (status, sentence, headers) and what the metrics count. When a request
//!   has several faults, `parse` names the first in its documented order.
//! - **Bytes after [`Parsed::consumed`] are frames already.** A client may send them
//!   right after its request; the caller keeps them for the decoder.
//! - **Every plain answer ends the connection** (`Connection: close`). A
//!   connection carries one request; there is nothing to smuggle a second in.
//! - **No byte of a request comes back in a response**, except what the handler puts
//!   there: a subprotocol, which must be a token, headers, which cannot leave their
//!   line, and the body of a refusal or reply.

mod acceptance;
pub mod client;
mod error;
mod headers;
mod origin;
mod page;
mod parse;
#[cfg(test)]
mod properties;
mod refusal;
mod reply;
mod request;
mod response;
mod target;
#[cfg(test)]
mod tests;

pub use acceptance::Acceptance;
pub use error::HttpError;
pub use headers::HeaderError;
pub use origin::{OriginError, OriginPolicy};
pub use page::{ListedRoute, Page, Pages, home_page};
pub(crate) use parse::may_be_plain;
pub use parse::{Kind, MAX_HEADERS, Parsed, is_head, parse};
pub use refusal::Refusal;
pub use reply::Reply;
pub use request::{Method, Params, Request};
pub use response::Response;
#[cfg(feature = "api")]
pub(crate) use target::{decode_component, decode_path};
pub(crate) use target::{decode_segment, routing_pattern};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// The text that a server appends to the key before it hashes it (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The `Sec-WebSocket-Accept` that proves to a client that its `key` was read
/// by a WebSocket server (RFC 6455 §4.2.2, step 5.4).
///
/// `key` is the header's value as sent, not decoded. Servers answer with it,
/// clients compare it with the answer.
pub fn accept_key(key: &[u8]) -> [u8; 28] {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    let mut accept = [0; 28];
    STANDARD
        .encode_slice(digest, &mut accept)
        .expect("20 bytes are 28 in base64");
    accept
}

/// Whether `text` is a token, the form of header names, methods and subprotocols (RFC
/// 9110 §5.6.2).
fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// The elements of a comma-separated header value (RFC 9110 §5.6.1); empty
/// elements are skipped, as that section asks of recipients.
fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}
