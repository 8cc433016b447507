//! Round trips of all valid messages, and agreement with the oracle on invalid streams.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 2_000 },
        // No file is written, so that the tests run where there is none.
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn rules() -> impl Strategy<Value = Rules> {
    select(vec![SERVER, CLIENT])
}

/// A message, the places where it is cut into fragments, and the control frames between
/// them.
#[derive(Debug, Clone)]
struct Saying {
    message: Owned,
    cuts: Vec<Index>,
    between: Vec<Owned>,
}

fn message() -> impl Strategy<Value = Owned> {
    prop_oneof![
        vec(any::<char>(), 0..60).prop_map(|text| Owned::Text(text.into_iter().collect())),
        vec(any::<u8>(), 0..300).prop_map(Owned::Binary),
    ]
}

fn control() -> impl Strategy<Value = Owned> {
    (any::<bool>(), vec(any::<u8>(), 0..=125)).prop_map(|(is_ping, payload)| match is_ping {
        true => Owned::Ping(payload),
        false => Owned::Pong(payload),
    })
}

fn sayings() -> impl Strategy<Value = Vec<Saying>> {
    let saying = (message(), vec(any::<Index>(), 0..5), vec(control(), 0..3));
    let saying = saying.prop_map(|(message, cuts, between)| Saying {
        message,
        cuts,
        between,
    });
    vec(saying, 0..5)
}

impl Saying {
    /// Appends its frames to the stream and its events to those expected.
    fn say(&self, rules: &Rules, stream: &mut Vec<u8>, expected: &mut Vec<Owned>) {
        let (mut opcode, mut payload) = match &self.message {
            Owned::Text(text) => (OpCode::Text, text.as_bytes()),
            Owned::Binary(bytes) => (OpCode::Binary, &bytes[..]),
            control => panic!("{control:?} is no message"),
        };
        let mut between = self.between.iter();
        for cut in &self.cuts {
            let (fragment, rest) = payload.split_at(cut.index(payload.len() + 1));
            stream.extend(frame(rules, false, opcode, fragment));
            (opcode, payload) = (OpCode::Continuation, rest);
            if let Some(control) = between.next() {
                stream.extend(match control {
                    Owned::Ping(payload) => frame(rules, true, OpCode::Ping, payload),
                    Owned::Pong(payload) => frame(rules, true, OpCode::Pong, payload),
                    other => panic!("{other:?} may not stand between fragments"),
                });
                expected.push(control.clone());
            }
        }
        stream.extend(frame(rules, true, opcode, payload));
        expected.push(self.message.clone());
    }
}

/// The stream in pieces of these lengths, over and over.
fn pieces<'a>(mut stream: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut lengths = lengths.iter().cycle();
    while !stream.is_empty() {
        let length = lengths.next().map_or(1, |length| *length);
        let (piece, rest) = stream.split_at(length.min(stream.len()));
        pieces.push(piece);
        stream = rest;
    }
    pieces
}

proptest! {
    #![proptest_config(config())]

    /// Everything sent is decoded as it was sent, by servers and by clients.
    #[test]
    fn what_is_said_is_heard(
        rules in rules(),
        sayings in sayings(),
        lengths in vec(1..200_usize, 1..8),
    ) {
        let (mut stream, mut expected) = (Vec::new(), Vec::new());
        for saying in &sayings {
            saying.say(&rules, &mut stream, &mut expected);
        }
        for pieces in [vec![&stream[..]], pieces(&stream, &lengths)] {
            let outcome = super::decode(&rules, pieces);
            prop_assert_eq!(&outcome.events, &expected);
            prop_assert_eq!((outcome.error, outcome.is_pending), (None, false));
        }
        prop_assert_eq!(oracle::decode(&rules, &stream).events, expected);
    }

    /// Right streams with some wrong bytes, some missing, some doubled.
    #[test]
    fn damaged_streams_agree_with_the_oracle(
        rules in rules(),
        sayings in sayings(),
        damages in vec((any::<Index>(), any::<u8>(), 0..4_u8), 1..6),
        lengths in vec(1..50_usize, 1..8),
        limit in 0..400_usize,
    ) {
        let (mut stream, mut expected) = (Vec::new(), Vec::new());
        for saying in &sayings {
            saying.say(&rules, &mut stream, &mut expected);
        }
        for (place, byte, kind) in damages {
            let place = place.index(stream.len() + 1);
            match kind {
                0 => stream.insert(place, byte),
                1 if place < stream.len() => drop(stream.remove(place)),
                2 if place < stream.len() => stream[place] = byte,
                _ if place < stream.len() => stream[place] ^= 1 << (byte % 8),
                _ => stream.truncate(place),
            }
        }
        let rules = Rules { max_frame_bytes: limit, max_message_bytes: 2 * limit, ..rules };
        let said = oracle::decode(&rules, &stream);
        prop_assert_eq!(&super::decode(&rules, [&stream[..]]), &said);
        prop_assert_eq!(&super::decode(&rules, pieces(&stream, &lengths)), &said);
        prop_assert_eq!(&super::decode(&rules, stream.chunks(1)), &said);
    }

    /// Streams of bytes that mean something in a header or a text.
    #[test]
    fn nonsense_agrees_with_the_oracle(
        rules in rules(),
        stream in vec(
            prop_oneof![
                3 => select(b"\x00\x01\x02\x80\x81\x82\x88\x89\x8a\x03\x04\xe8".to_vec()),
                1 => select(b"\x7e\x7f\xfe\xff\xc3\xa9\xe2\x82\xac\xf0\xed\xa0".to_vec()),
                1 => any::<u8>(),
            ],
            0..40,
        ),
        lengths in vec(1..6_usize, 1..8),
    ) {
        let rules = Rules { max_frame_bytes: 130, max_message_bytes: 131, ..rules };
        let said = oracle::decode(&rules, &stream);
        prop_assert_eq!(&super::decode(&rules, [&stream[..]]), &said);
        prop_assert_eq!(&super::decode(&rules, pieces(&stream, &lengths)), &said);
    }
}
