//! The places at which the input is cut make no difference: streams of every kind of
//! frame, in two pieces at every place, in three at every pair of places, byte by byte.

use super::*;

fn stream(rules: &Rules) -> Vec<u8> {
    [
        frame(rules, true, OpCode::Text, "κόσμε".as_bytes()),
        frame(rules, true, OpCode::Ping, b"ping"),
        frame(rules, true, OpCode::Text, b""),
        frame(rules, false, OpCode::Text, b"caf\xc3"),
        frame(rules, true, OpCode::Pong, b""),
        frame(rules, false, OpCode::Continuation, b""),
        frame(rules, true, OpCode::Ping, b"amid"),
        frame(rules, true, OpCode::Continuation, b"\xa9 \xf0\x9f\x8e\xb7"),
        frame(rules, false, OpCode::Binary, b""),
        frame(rules, true, OpCode::Continuation, b""),
        frame(rules, true, OpCode::Binary, b"\xff\xfe"),
        frame(rules, true, OpCode::Close, b"\x03\xe9bye"),
    ]
    .concat()
}

fn expected() -> Vec<Owned> {
    vec![
        text("κόσμε"),
        Owned::Ping(b"ping".to_vec()),
        text(""),
        Owned::Pong(vec![]),
        Owned::Ping(b"amid".to_vec()),
        text("café 🎷"),
        Owned::Binary(vec![]),
        Owned::Binary(vec![0xff, 0xfe]),
        Owned::Close(Some((1001, "bye".to_owned()))),
    ]
}

#[test]
fn every_cut_gives_the_same_events() {
    for rules in [SERVER, CLIENT] {
        let stream = stream(&rules);
        for cut in (0..=stream.len()).step_by(if cfg!(miri) { 3 } else { 1 }) {
            let (left, right) = stream.split_at(cut);
            let outcome = decode(&rules, [left, right]);
            assert_eq!(outcome.events, expected(), "cut at {cut}");
        }
    }
}

#[test]
fn every_pair_of_cuts_gives_the_same_events() {
    let stride = if cfg!(miri) { 29 } else { 1 };
    for rules in [SERVER, CLIENT] {
        let stream = stream(&rules);
        for first in (0..=stream.len()).step_by(stride) {
            for second in (first..=stream.len()).step_by(stride) {
                let (left, right) = stream.split_at(second);
                let (left, middle) = left.split_at(first);
                let outcome = decode(&rules, [left, middle, right]);
                assert_eq!(outcome.events, expected(), "cuts at {first}, {second}");
            }
        }
    }
}

#[test]
fn byte_by_byte_gives_the_same_events() {
    for rules in [SERVER, CLIENT] {
        let outcome = decode(&rules, stream(&rules).chunks(1));
        assert_eq!(outcome.events, expected());
    }
}

/// Both longer forms of length, cut at each place in and around their headers.
#[test]
fn long_frames_are_cut_too() {
    // Under Miri the longest ones take too long; the lengths' forms are the same.
    let lengths: &[usize] = match cfg!(miri) {
        true => &[126, 400],
        false => &[126, 65_535, 65_536],
    };
    for &len in lengths {
        for rules in [SERVER, CLIENT] {
            let payload: Vec<u8> = (0..len).map(|index| b'a' + (index % 23) as u8).collect();
            let stream = frame(&rules, true, OpCode::Text, &payload);
            let around_header = 0..20;
            let around_end = stream.len() - 3..=stream.len();
            let stride = if cfg!(miri) { 9 } else { 1 };
            for cut in around_header.chain(around_end).step_by(stride) {
                let (left, right) = stream.split_at(cut);
                let outcome = decode(&rules, [left, right]);
                let Some(Owned::Text(text)) = outcome.events.first() else {
                    panic!("{outcome:?}");
                };
                assert!(text.as_bytes() == payload && outcome.events.len() == 1);
            }
        }
    }
}

/// Once the last piece is read, nothing is held.
#[test]
fn a_decoder_is_idle_again_after_each_whole_message() {
    let mut decoder = Decoder::new();
    for _ in 0..3 {
        let stream = frame(&SERVER, true, OpCode::Text, b"in two pieces");
        let (left, right) = stream.split_at(9);
        let (mut left, mut right) = (left.to_vec(), right.to_vec());

        assert_eq!(decoder.next(&mut Input::new(&mut left), &SERVER), Ok(None));
        assert!(!decoder.is_idle());
        let mut input = Input::new(&mut right);
        let event = decoder.next(&mut input, &SERVER).unwrap();
        let message = Message::Text("in two pieces");
        assert_eq!(event, Some(Event::Message(message)));
        assert_eq!(decoder.next(&mut input, &SERVER), Ok(None));
        assert!(decoder.is_idle());
    }
}

/// A caller that stops reading need not keep the message it was given last, but one
/// that has begun stays.
#[test]
fn a_decoder_releases_only_what_was_yielded() {
    let mut decoder = Decoder::new();
    let stream = frame(&SERVER, true, OpCode::Text, b"in two pieces");
    let (left, right) = stream.split_at(9);
    let (mut left, mut right) = (left.to_vec(), right.to_vec());

    assert_eq!(decoder.next(&mut Input::new(&mut left), &SERVER), Ok(None));
    decoder.release();
    assert!(!decoder.is_idle());
    let mut input = Input::new(&mut right);
    assert!(matches!(decoder.next(&mut input, &SERVER), Ok(Some(_))));
    decoder.release();
    assert!(decoder.is_idle());
}
