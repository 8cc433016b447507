//! The codec as a whole. The tests of one part stand beside that part.

mod examples;
mod limits;
mod malformed;
mod oracle;
mod properties;
mod splits;

use super::*;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const SERVER: Rules = Rules {
    role: Role::Server,
    max_frame_bytes: 1 << 20,
    max_message_bytes: 1 << 20,
};

const CLIENT: Rules = Rules {
    role: Role::Client,
    ..SERVER
};

/// An [`Event`] that outlives its input.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Owned {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

impl From<Event<'_>> for Owned {
    fn from(event: Event<'_>) -> Owned {
        match event {
            Event::Message(Message::Text(text)) => Owned::Text(text.to_owned()),
            Event::Message(Message::Binary(bytes)) => Owned::Binary(bytes.to_vec()),
            Event::Ping(payload) => Owned::Ping(payload.to_vec()),
            Event::Pong(payload) => Owned::Pong(payload.to_vec()),
            Event::Close(close) => {
                Owned::Close(close.map(|close| (close.code.as_u16(), close.reason.to_owned())))
            }
        }
    }
}

/// The outcome of a stream.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    events: Vec<Owned>,
    error: Option<ProtocolError>,
    /// Whether the stream stopped within a frame or message.
    is_pending: bool,
}

/// Decodes a stream that arrives in `pieces`, as a session does: until the end, an
/// error or a close frame.
fn decode<'a>(rules: &Rules, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut decoder = Decoder::new();
    let mut outcome = Outcome {
        events: Vec::new(),
        error: None,
        is_pending: false,
    };
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut input = Input::new(&mut piece);
        loop {
            match decoder.next(&mut input, rules) {
                Ok(Some(event)) => {
                    outcome.events.push(event.into());
                    if let Some(Owned::Close(_)) = outcome.events.last() {
                        return outcome;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    outcome.error = Some(error);
                    return outcome;
                }
            }
        }
        assert!(input.is_empty());
    }
    outcome.is_pending = !decoder.is_idle();
    outcome
}

/// Decodes a stream that arrives at once, and gives its events; it must be right.
fn events(rules: &Rules, stream: &[u8]) -> Vec<Owned> {
    let outcome = decode(rules, [stream]);
    assert_eq!((outcome.error, outcome.is_pending), (None, false));
    outcome.events
}

/// A frame as `rules` want it: masked for a server, plain for a client.
fn frame(rules: &Rules, fin: bool, opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader {
        fin,
        opcode,
        mask: (rules.role == Role::Server).then_some(KEY),
        payload_len: payload.len() as u64,
    };
    let (bytes, len) = header.encode();
    let mut frame = [&bytes[..len], payload].concat();
    if let Some(key) = header.mask {
        apply_mask(&mut frame[len..], key, 0);
    }
    frame
}

fn text(text: &str) -> Owned {
    Owned::Text(text.to_owned())
}

#[test]
fn an_idle_decoder_is_one_pointer() {
    assert_eq!(size_of::<Decoder>(), 8);
    assert!(Decoder::new().is_idle());
}
