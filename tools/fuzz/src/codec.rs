//! Frames written and read by the codec under test.

use corecast::ws::{
    Decoder, Event, FrameHeader, Input, Message, OpCode, ProtocolError, Role, Rules, apply_mask,
};

/// An event that outlives its input.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the events")]
pub enum Owned {
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

/// A decoder, and its results so far.
#[derive(Default)]
pub struct Session {
    /// The decoder.
    pub decoder: Decoder,
    /// The events it found.
    pub events: Vec<Owned>,
    /// The fault that ended it, if there was one.
    pub fault: Option<ProtocolError>,
}

impl Session {
    /// Whether nothing more may be read: after a fault, or a close frame.
    pub fn is_over(&self) -> bool {
        self.fault.is_some() || matches!(self.events.last(), Some(Owned::Close(_)))
    }

    /// Reads a piece as a session does: until its end, a fault or a close frame.
    pub fn read(&mut self, rules: &Rules, piece: &[u8]) {
        let mut piece = piece.to_vec();
        let mut input = Input::new(&mut piece);
        while !self.is_over() {
            match self.decoder.next(&mut input, rules) {
                Ok(Some(event)) => self.events.push(event.into()),
                Ok(None) => {
                    assert!(input.is_empty(), "the decoder stopped amid its input");
                    return;
                }
                Err(fault) => self.fault = Some(fault),
            }
        }
    }
}

/// All that a stream is, read at once.
pub fn decode(rules: &Rules, stream: &[u8]) -> Session {
    let mut session = Session::default();
    session.read(rules, stream);
    session
}

/// Appends a frame as the receiver with these rules wants it: masked for a server.
pub fn push_frame(
    stream: &mut Vec<u8>,
    rules: &Rules,
    fin: bool,
    opcode: OpCode,
    payload: &[u8],
    key: [u8; 4],
) {
    let mask = (rules.role == Role::Server).then_some(key);
    let header = FrameHeader {
        fin,
        opcode,
        mask,
        payload_len: payload.len() as u64,
    };
    let (bytes, len) = header.encode();
    stream.extend_from_slice(&bytes[..len]);
    let start = stream.len();
    stream.extend_from_slice(payload);
    if let Some(key) = mask {
        apply_mask(&mut stream[start..], key, 0);
    }
}
