//! The examples of RFC 6455 §5.7, byte for byte, in both directions.

use super::*;

#[test]
fn a_single_frame_text_message() {
    let plain = b"\x81\x05\x48\x65\x6c\x6c\x6f";
    assert_eq!(events(&CLIENT, plain), [text("Hello")]);
    let mut out = Vec::new();
    encode_frame(&mut out, OpCode::Text, b"Hello");
    assert_eq!(out, plain);

    let masked = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    assert_eq!(events(&SERVER, masked), [text("Hello")]);
    let mut out = Vec::new();
    encode_masked_frame(&mut out, OpCode::Text, b"Hello", KEY);
    assert_eq!(out, masked);
}

#[test]
fn a_fragmented_text_message() {
    let stream = b"\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f";
    assert_eq!(events(&CLIENT, stream), [text("Hello")]);
}

#[test]
fn a_ping_and_its_pong() {
    let ping = b"\x89\x05\x48\x65\x6c\x6c\x6f";
    assert_eq!(events(&CLIENT, ping), [Owned::Ping(b"Hello".to_vec())]);
    let pong = b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    assert_eq!(events(&SERVER, pong), [Owned::Pong(b"Hello".to_vec())]);
}

#[test]
fn binary_messages_with_longer_lengths() {
    for (len, header) in [
        (256, &b"\x82\x7e\x01\x00"[..]),
        (65_536, &b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"[..]),
    ] {
        let payload = vec![7; len];
        let stream = [header, &payload].concat();
        let mut out = Vec::new();
        encode_frame(&mut out, OpCode::Binary, &payload);
        assert!(out == stream);
        assert!(events(&CLIENT, &stream) == [Owned::Binary(payload)]);
    }
}

#[test]
fn a_ping_amid_a_fragmented_message_comes_first() {
    let stream = [
        frame(&SERVER, false, OpCode::Text, b"Hel"),
        frame(&SERVER, true, OpCode::Ping, b"?"),
        frame(&SERVER, false, OpCode::Continuation, b""),
        frame(&SERVER, true, OpCode::Pong, b"!"),
        frame(&SERVER, true, OpCode::Continuation, b"lo"),
        frame(&SERVER, true, OpCode::Binary, b"next"),
    ];
    assert_eq!(
        events(&SERVER, &stream.concat()),
        [
            Owned::Ping(b"?".to_vec()),
            Owned::Pong(b"!".to_vec()),
            text("Hello"),
            Owned::Binary(b"next".to_vec()),
        ]
    );
}

#[test]
fn close_frames_with_and_without_a_code() {
    let mut out = Vec::new();
    encode_masked_close(&mut out, CloseCode::NORMAL_CLOSURE, "bye", KEY);
    let said = Owned::Close(Some((1000, "bye".to_owned())));
    assert_eq!(events(&SERVER, &out), [said]);
    assert_eq!(events(&CLIENT, b"\x88\x00"), [Owned::Close(None)]);
}

#[test]
fn what_follows_a_close_frame_stays_in_the_input() {
    let mut received = *b"\x88\x02\x03\xe8\xff\xff";
    let mut input = Input::new(&mut received);
    let mut decoder = Decoder::new();
    let event = decoder.next(&mut input, &CLIENT);
    let close = Close {
        code: CloseCode::NORMAL_CLOSURE,
        reason: "",
    };
    assert_eq!(event, Ok(Some(Event::Close(Some(close)))));
    assert_eq!(input.remaining(), b"\xff\xff");
}

/// The fast path: the message is a slice of the input, and the decoder stays idle.
#[test]
fn a_whole_message_is_yielded_where_it_lies() {
    for opcode in [OpCode::Text, OpCode::Binary] {
        let mut received = frame(&SERVER, true, opcode, &[b'x'; 300]);
        let payload_at = received.as_ptr().wrapping_add(8);
        let mut input = Input::new(&mut received);
        let mut decoder = Decoder::new();
        let Ok(Some(Event::Message(message))) = decoder.next(&mut input, &SERVER) else {
            panic!("there is a message");
        };
        assert_eq!(message.as_bytes(), [b'x'; 300]);
        assert_eq!(message.as_bytes().as_ptr(), payload_at);
        assert_eq!(message.opcode(), opcode);
        assert!(decoder.is_idle());
    }
}
