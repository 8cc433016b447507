//! Frames as bytes, appended to what is to be sent.

use super::close::{Close, CloseCode};
use super::header::{FrameHeader, MAX_CONTROL_PAYLOAD_BYTES, OpCode};
use super::mask::apply_mask;

/// The bit that makes a frame the last of its message (RFC 6455 §5.2).
const FIN: u8 = 0x80;
/// Bytes of payload that are copied and masked at a time; a multiple of the key's.
const MASKED_PIECE: usize = 4_096;

/// Appends a server's frame: final, not masked (RFC 6455 §5.1).
///
/// # Panics
///
/// When a control frame is to have more than 125 bytes of payload (§5.5): the
/// other end would have to refuse it.
#[inline]
pub fn encode_frame(out: &mut Vec<u8>, opcode: OpCode, payload: &[u8]) {
    if payload.len() <= MAX_CONTROL_PAYLOAD_BYTES {
        // The fast path: the header is two bytes (§5.2), whatever the opcode.
        out.reserve(2 + payload.len());
        out.extend_from_slice(&[FIN | opcode as u8, payload.len() as u8]);
        out.extend_from_slice(payload);
        return;
    }
    append_header(out, opcode, payload, None);
    out.extend_from_slice(payload);
}

/// Appends a client's frame: final, masked with `key` (RFC 6455 §5.3). The key must be
/// unpredictable.
///
/// # Panics
///
/// As [`encode_frame`].
#[inline]
pub fn encode_masked_frame(out: &mut Vec<u8>, opcode: OpCode, payload: &[u8], key: [u8; 4]) {
    append_header(out, opcode, payload, Some(key));
    // Each piece is masked while it is still in the processor's nearest cache.
    for piece in payload.chunks(MASKED_PIECE) {
        let start = out.len();
        out.extend_from_slice(piece);
        apply_mask(&mut out[start..], key, 0);
    }
}

/// Appends a server's close frame (RFC 6455 §5.5.1). A reason of more than
/// [`Close::MAX_REASON_BYTES`] is cut at the end of a character.
pub fn encode_close(out: &mut Vec<u8>, code: CloseCode, reason: &str) {
    let (payload, len) = close_payload(code, reason);
    encode_frame(out, OpCode::Close, &payload[..len]);
}

/// Appends a client's close frame; as [`encode_close`], and masked with `key`.
pub fn encode_masked_close(out: &mut Vec<u8>, code: CloseCode, reason: &str, key: [u8; 4]) {
    let (payload, len) = close_payload(code, reason);
    encode_masked_frame(out, OpCode::Close, &payload[..len], key);
}

/// Appends a final frame's header, and reserves room for its payload.
#[inline]
fn append_header(out: &mut Vec<u8>, opcode: OpCode, payload: &[u8], mask: Option<[u8; 4]>) {
    assert!(
        !opcode.is_control() || payload.len() <= MAX_CONTROL_PAYLOAD_BYTES,
        "a control frame has at most {MAX_CONTROL_PAYLOAD_BYTES} bytes of payload"
    );
    let header = FrameHeader {
        fin: true,
        opcode,
        mask,
        payload_len: payload.len() as u64,
    };
    let (bytes, len) = header.encode();
    out.reserve(len + payload.len());
    out.extend_from_slice(&bytes[..len]);
}

fn close_payload(code: CloseCode, reason: &str) -> ([u8; MAX_CONTROL_PAYLOAD_BYTES], usize) {
    let mut end = reason.len().min(Close::MAX_REASON_BYTES);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let reason = &reason[..end];
    let mut payload = [0; MAX_CONTROL_PAYLOAD_BYTES];
    payload[..2].copy_from_slice(&code.as_u16().to_be_bytes());
    payload[2..2 + reason.len()].copy_from_slice(reason.as_bytes());
    (payload, 2 + reason.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_appended() {
        let mut out = vec![7];
        encode_frame(&mut out, OpCode::Text, b"Hello");
        encode_frame(&mut out, OpCode::Close, b"");
        assert_eq!(out, b"\x07\x81\x05Hello\x88\x00");
    }

    #[test]
    fn a_long_reason_is_cut_at_the_end_of_a_character() {
        let cases = [
            ("x".repeat(123), 123),
            ("x".repeat(124), 123),
            ("é".repeat(70), 122),
            ("€".repeat(70), 123),
            ("𐍈".repeat(70), 120),
        ];
        for (reason, kept) in cases {
            let mut out = Vec::new();
            encode_close(&mut out, CloseCode::GOING_AWAY, &reason);
            assert_eq!(out[1] as usize, 2 + kept);
            let close = Close::parse(&out[2..]).unwrap().unwrap();
            assert_eq!(close.code, CloseCode::GOING_AWAY);
            assert_eq!(close.reason, &reason[..kept]);
        }
    }

    #[test]
    #[should_panic(expected = "at most 125 bytes")]
    fn a_control_frame_that_would_be_refused_is_not_encoded() {
        encode_frame(&mut Vec::new(), OpCode::Ping, &[0; 126]);
    }
}
