//! `Sec-WebSocket-Accept` by other crates than the server's.

use data_encoding::BASE64;

/// The accept key that RFC 6455 §1.3 makes of a key.
pub fn accept_key(key: &[u8]) -> Vec<u8> {
    let mut hash = sha1_smol::Sha1::new();
    hash.update(key);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    BASE64.encode(&hash.digest().bytes()).into_bytes()
}
