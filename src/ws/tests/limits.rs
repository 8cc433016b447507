//! Limits on bytes: exactly the limit is allowed, one more is not, and a frame is
//! refused by its header. Room is made for bytes received only.

use super::*;

const TEN: Rules = Rules {
    role: Role::Server,
    max_frame_bytes: 10,
    max_message_bytes: 10,
};

/// The error of a stream, whole and byte by byte.
fn error(rules: &Rules, stream: &[u8]) -> Option<ProtocolError> {
    let error = decode(rules, [stream]).error;
    assert_eq!(error, decode(rules, stream.chunks(1)).error);
    error
}

#[test]
fn a_frame_at_the_limit_is_allowed_and_one_over_it_is_not() {
    for opcode in [OpCode::Text, OpCode::Binary] {
        assert_eq!(error(&TEN, &frame(&TEN, true, opcode, &[b'x'; 10])), None);
        let over = &frame(&TEN, true, opcode, &[b'x'; 11])[..6];
        assert_eq!(error(&TEN, over), Some(ProtocolError::FrameTooBig));
    }
    assert_eq!(
        ProtocolError::FrameTooBig.close_code(),
        CloseCode::MESSAGE_TOO_BIG
    );
}

#[test]
fn a_message_at_the_limit_is_allowed_and_one_over_it_is_not() {
    let rules = Rules {
        max_frame_bytes: 100,
        ..TEN
    };
    let started = frame(&rules, false, OpCode::Text, b"123456");
    for (rest, expected) in [
        (&b"7890"[..], None),
        (b"78901", Some(ProtocolError::MessageTooBig)),
    ] {
        let rest = frame(&rules, true, OpCode::Continuation, rest);
        let rest = if expected.is_some() {
            &rest[..6]
        } else {
            &rest
        };
        assert_eq!(error(&rules, &[&started, rest].concat()), expected);
    }
    let alone = &frame(&rules, true, OpCode::Binary, &[0; 11])[..6];
    assert_eq!(error(&rules, alone), Some(ProtocolError::MessageTooBig));
    assert_eq!(
        ProtocolError::MessageTooBig.close_code(),
        CloseCode::MESSAGE_TOO_BIG
    );
}

#[test]
fn a_cut_off_character_counts_against_the_limit() {
    let started = frame(&TEN, false, OpCode::Text, b"12345678\xe2\x82");
    let whole = [started, frame(&TEN, true, OpCode::Continuation, b"\xac")];
    assert_eq!(
        error(&TEN, &whole.concat()),
        Some(ProtocolError::MessageTooBig)
    );
}

#[test]
fn control_frames_are_not_measured_by_the_limits() {
    let nothing = Rules {
        max_frame_bytes: 0,
        max_message_bytes: 0,
        ..TEN
    };
    let ping = frame(&nothing, true, OpCode::Ping, &[7; 125]);
    assert_eq!(events(&nothing, &ping), [Owned::Ping(vec![7; 125])]);
    assert_eq!(
        events(&nothing, &frame(&nothing, true, OpCode::Text, b"")),
        [text("")]
    );
}

#[test]
fn the_longest_length_is_refused_without_overflow() {
    let unlimited = Rules {
        max_frame_bytes: usize::MAX,
        ..TEN
    };
    let stream = b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04";
    assert_eq!(
        error(&unlimited, stream),
        Some(ProtocolError::MessageTooBig)
    );
    let fragment = frame(&unlimited, false, OpCode::Binary, b"x");
    let stream = b"\x80\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04";
    let both = [&fragment[..], stream].concat();
    assert_eq!(error(&unlimited, &both), Some(ProtocolError::MessageTooBig));
}

#[test]
fn an_announced_length_makes_no_room() {
    let limit = 16 << 20;
    let rules = Rules {
        role: Role::Server,
        max_frame_bytes: limit,
        max_message_bytes: limit,
    };
    for opcode in [OpCode::Text, OpCode::Binary] {
        let header = FrameHeader {
            fin: true,
            opcode,
            mask: Some([0; 4]),
            payload_len: limit as u64,
        };
        let (mut bytes, len) = header.encode();
        let mut decoder = Decoder::new();
        let mut receive = |bytes: &mut [u8]| {
            assert_eq!(decoder.next(&mut Input::new(bytes), &rules), Ok(None));
            decoder.message_capacity()
        };
        assert_eq!(receive(&mut bytes[..len]), 0);
        assert_eq!(receive(&mut [b'x'; 1]), 64);
        assert_eq!(receive(&mut [b'x'; 63]), 64);
        assert_eq!(receive(&mut [b'x'; 1]), 128);
        assert_eq!(receive(&mut [b'x'; 1000]), 1065);
    }
}

#[test]
fn room_never_exceeds_what_the_message_may_become() {
    // The last frame tells the length: there is no room beyond it.
    let stream = frame(&SERVER, true, OpCode::Binary, &[1; 300]);
    let mut decoder = Decoder::new();
    for byte in stream[..stream.len() - 1].chunks(1) {
        let _ = decoder.next(&mut Input::new(&mut byte.to_vec()), &SERVER);
        assert!(decoder.message_capacity() <= 300);
    }
    assert_eq!(decoder.message_capacity(), 300);

    // Another may follow: there is no room beyond the limit.
    let mut decoder = Decoder::new();
    let mut first = frame(&TEN, false, OpCode::Text, b"1234567");
    let _ = decoder.next(&mut Input::new(&mut first), &TEN);
    assert_eq!(decoder.message_capacity(), 10);
}

/// Empty fragments cost nothing to keep, however many come.
#[test]
fn a_flood_of_empty_fragments_takes_no_room() {
    let count = if cfg!(miri) { 20 } else { 100_000 };
    let mut flood = frame(&TEN, false, OpCode::Text, b"");
    let empty = frame(&TEN, false, OpCode::Continuation, b"");
    flood.extend(empty.iter().cycle().take(count * empty.len()));
    let mut decoder = Decoder::new();
    assert_eq!(decoder.next(&mut Input::new(&mut flood), &TEN), Ok(None));
    assert_eq!(decoder.message_capacity(), 0);

    let mut last = frame(&TEN, true, OpCode::Continuation, b"end");
    let mut input = Input::new(&mut last);
    let event = decoder.next(&mut input, &TEN).unwrap();
    assert_eq!(event, Some(Event::Message(Message::Text("end"))));
}
