//! Frames as they lie in a receive buffer, and the reading of them.

use std::hint::black_box;

use corecast::ws::{
    Decoder, Event, FrameHeader, Input, OpCode, Role, Rules, encode_frame, encode_masked_frame,
};

/// The key that masks to the same bytes: decoding in place may be repeated.
pub const NO_KEY: [u8; 4] = [0; 4];

/// How a server reads: frames are masked.
pub const AS_SERVER: Rules = rules(Role::Server);

/// How a client reads: frames are not masked.
pub const AS_CLIENT: Rules = rules(Role::Client);

/// Bytes that a shard takes from a socket at once.
const RECEIVE_BUFFER_BYTES: usize = 64 << 10;

const fn rules(role: Role) -> Rules {
    Rules {
        role,
        max_frame_bytes: 16 << 20,
        max_message_bytes: 16 << 20,
    }
}

/// One message in one frame, as a client sends it.
pub fn masked(opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    encode_masked_frame(&mut frame, opcode, payload, NO_KEY);
    frame
}

/// One message in one frame, as a server sends it.
pub fn plain(opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    encode_frame(&mut frame, opcode, payload);
    frame
}

/// One text message in a frame for each piece, as a server would send it.
pub fn fragments(pieces: &[&[u8]]) -> Vec<u8> {
    let mut frames = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let header = FrameHeader {
            fin: index + 1 == pieces.len(),
            opcode: match index {
                0 => OpCode::Text,
                _ => OpCode::Continuation,
            },
            mask: None,
            payload_len: piece.len() as u64,
        };
        let (bytes, len) = header.encode();
        frames.extend_from_slice(&bytes[..len]);
        frames.extend_from_slice(piece);
    }
    frames
}

/// A receive buffer full of copies of one message, at least one, and their number.
pub fn full_buffer(message: &[u8]) -> (Vec<u8>, usize) {
    let count = (RECEIVE_BUFFER_BYTES / message.len()).max(1);
    (message.repeat(count), count)
}

/// Reads a whole input. Returns how many messages it held, and of how many bytes.
#[inline]
pub fn read(decoder: &mut Decoder, bytes: &mut [u8], rules: &Rules) -> (usize, usize) {
    let (mut messages, mut len) = (0, 0);
    let mut input = Input::new(bytes);
    while let Some(event) = decoder
        .next(&mut input, rules)
        .expect("the frames are right")
    {
        if let Event::Message(message) = black_box(event) {
            messages += 1;
            len += message.as_bytes().len();
        }
    }
    (messages, len)
}
