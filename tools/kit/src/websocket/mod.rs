//! The client's side of WebSocket, as far as a load needs it: the key's answer and
//! whole frames.
//!
//! Written apart from the server's codec on purpose: a checker that shares the
//! code it checks shares its mistakes.

pub mod frame;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

pub use frame::Opcode;

/// `Sec-WebSocket-Accept` for a key (RFC 6455, section 4.2.2).
pub fn accept_for(key: &str) -> String {
    let mut sha1 = Sha1::new();
    sha1.update(key.as_bytes());
    sha1.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(sha1.finalize())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_example_of_the_rfc_is_answered() {
        let accept = super::accept_for("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
