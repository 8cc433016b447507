//! Every message sent is received.
//!
//! Any messages, whole or in fragments with control frames between them, masked or
//! prepared for many, leave through the encoder and come back through the decoder in
//! any pieces as what they were: in order, each once, nothing left over.

#![no_main]

use arbitrary::Arbitrary;
use corecast::publication::Run;
use corecast::ws::{
    CloseCode, Message, OpCode, PreparedFrame, Role, Rules, encode_close, encode_frame,
    encode_masked_close, encode_masked_frame,
};
use corecast_fuzz::codec::{Owned, Session, decode, push_frame};
use corecast_fuzz::pieces;
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Case<'a> {
    is_client: bool,
    lengths: [u8; 4],
    key: [u8; 4],
    sayings: Vec<Saying<'a>>,
    close: Option<(u16, &'a str)>,
}

#[derive(Debug, Arbitrary)]
struct Saying<'a> {
    payload: Payload<'a>,
    /// The payload this many times more, to reach the longer forms of the length.
    repeated: u8,
    way: Way<'a>,
}

#[derive(Debug, Arbitrary)]
enum Payload<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
}

#[derive(Debug, Arbitrary)]
enum Way<'a> {
    /// One frame by the encoder.
    Whole,
    /// Prepared for many, so many of them joined. A client gets them from a server only.
    Prepared(u8),
    /// Cut at these places, with control frames in between.
    Fragments(Vec<(u16, Option<Control<'a>>)>),
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Control<'a> {
    Ping(&'a [u8]),
    Pong(&'a [u8]),
}

const MAX_MESSAGE_BYTES: usize = 100_000;

fuzz_target!(|case: Case<'_>| {
    let rules = Rules {
        // The role of the decoder: a client's gets the frames that a server
        // encodes.
        role: if case.is_client {
            Role::Client
        } else {
            Role::Server
        },
        max_frame_bytes: MAX_MESSAGE_BYTES,
        max_message_bytes: MAX_MESSAGE_BYTES,
    };
    let mut stream = Vec::new();
    let mut expected = Vec::new();
    for saying in &case.sayings {
        saying.say(&rules, case.key, &mut stream, &mut expected);
    }
    if let Some((code, reason)) = case.close
        && let Some(code) = CloseCode::new(code)
    {
        match rules.role {
            Role::Client => encode_close(&mut stream, code, reason),
            Role::Server => encode_masked_close(&mut stream, code, reason, case.key),
        }
        // A long reason is cut at the end of a character.
        let mut end = reason.len().min(123);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        expected.push(Owned::Close(Some((
            code.as_u16(),
            reason[..end].to_owned(),
        ))));
    }

    let mut in_pieces = Session::default();
    for piece in pieces(&stream, &case.lengths) {
        in_pieces.read(&rules, piece);
    }
    for session in [in_pieces, decode(&rules, &stream)] {
        assert_eq!(session.fault, None);
        assert_eq!(session.events, expected);
        assert!(session.decoder.is_idle() || session.is_over());
    }
});

impl Saying<'_> {
    /// Appends its frames to the stream and its events to those expected.
    fn say(&self, rules: &Rules, key: [u8; 4], stream: &mut Vec<u8>, expected: &mut Vec<Owned>) {
        let (opcode, unit, is_text) = match self.payload {
            Payload::Text(text) => (OpCode::Text, text.as_bytes(), true),
            Payload::Binary(bytes) => (OpCode::Binary, bytes, false),
        };
        let most = MAX_MESSAGE_BYTES / unit.len().max(1);
        let payload = unit.repeat(most.min(1 + usize::from(self.repeated)));
        let event = match is_text {
            true => Owned::Text(String::from_utf8(payload.clone()).expect("text repeated")),
            false => Owned::Binary(payload.clone()),
        };
        match &self.way {
            Way::Prepared(count) if rules.role == Role::Client => {
                let message = match &event {
                    Owned::Text(text) => Message::Text(text),
                    _ => Message::Binary(&payload),
                };
                let frame = PreparedFrame::new(message);
                let run = vec![frame; usize::from(count % 4)];
                let joined = Run::join(run.clone());
                assert_eq!(joined.messages() as usize, run.len());
                assert_eq!(joined.is_empty(), run.is_empty());
                assert!(joined.frames().eq(run.iter().cloned()));
                stream.extend_from_slice(joined.as_bytes());
                expected.extend(vec![event; run.len()]);
            }
            Way::Fragments(cuts) => {
                let (mut opcode, mut rest) = (opcode, &payload[..]);
                for (cut, control) in cuts {
                    let (fragment, behind) = rest.split_at(usize::from(*cut).min(rest.len()));
                    push_frame(stream, rules, false, opcode, fragment, key);
                    (opcode, rest) = (OpCode::Continuation, behind);
                    if let Some(control) = control {
                        control.say(rules, key, stream, expected);
                    }
                }
                push_frame(stream, rules, true, opcode, rest, key);
                expected.push(event);
            }
            Way::Whole | Way::Prepared(_) => {
                encode(rules, key, opcode, &payload, stream);
                expected.push(event);
            }
        }
    }
}

impl Control<'_> {
    fn say(self, rules: &Rules, key: [u8; 4], stream: &mut Vec<u8>, expected: &mut Vec<Owned>) {
        let cut = |payload: &[u8]| payload[..payload.len().min(125)].to_vec();
        let (opcode, payload, event) = match self {
            Control::Ping(payload) => (OpCode::Ping, cut(payload), Owned::Ping(cut(payload))),
            Control::Pong(payload) => (OpCode::Pong, cut(payload), Owned::Pong(cut(payload))),
        };
        encode(rules, key, opcode, &payload, stream);
        expected.push(event);
    }
}

/// One whole frame by the encoder of the other end.
fn encode(rules: &Rules, key: [u8; 4], opcode: OpCode, payload: &[u8], stream: &mut Vec<u8>) {
    match rules.role {
        Role::Client => encode_frame(stream, opcode, payload),
        Role::Server => encode_masked_frame(stream, opcode, payload, key),
    }
}
