//! Each fault is told apart, has its close code, comes with the byte that brings
//! it, however the input is cut, and nothing of the faulty message is delivered.

use super::*;

/// `stream` fails with `error` after `before` events; with its last byte, not before.
#[track_caller]
fn fails(rules: &Rules, stream: &[u8], before: usize, error: ProtocolError, code: CloseCode) {
    assert_eq!(error.close_code(), code);
    assert!(!error.to_string().is_empty());
    for pieces in [vec![stream], stream.chunks(1).collect()] {
        let outcome = decode(rules, pieces);
        assert_eq!(outcome.error, Some(error));
        assert_eq!(outcome.events.len(), before);
    }
    let shorter = &stream[..stream.len() - 1];
    assert_eq!(decode(rules, [shorter]).error, None);
}

#[test]
fn headers() {
    use ProtocolError::*;
    let cases: [(&[u8], ProtocolError); 13] = [
        (b"\xc1", ReservedBits),
        (b"\xa2", ReservedBits),
        (b"\x99", ReservedBits),
        (b"\x83", UnknownOpCode(3)),
        (b"\x87", UnknownOpCode(7)),
        (b"\x8b", UnknownOpCode(11)),
        (b"\x09", FragmentedControl),
        (b"\x88\xfe", ControlTooLong),
        (b"\x8a\xff", ControlTooLong),
        (b"\x81\xfe\x00\x7d", NonMinimalLength),
        (
            b"\x81\xff\x00\x00\x00\x00\x00\x00\xff\xff",
            NonMinimalLength,
        ),
        (b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff", LengthTopBit),
        (b"\x81\x00", UnmaskedFrame),
    ];
    for (stream, error) in cases {
        fails(&SERVER, stream, 0, error, CloseCode::PROTOCOL_ERROR);
    }
    let masked = b"\x81\x80\x01\x02\x03\x04";
    fails(&CLIENT, masked, 0, MaskedFrame, CloseCode::PROTOCOL_ERROR);
}

#[test]
fn a_fault_after_a_whole_message_takes_nothing_from_it() {
    let stream = [&frame(&SERVER, true, OpCode::Text, b"fine")[..], b"\xff"].concat();
    let error = ProtocolError::ReservedBits;
    fails(&SERVER, &stream, 1, error, CloseCode::PROTOCOL_ERROR);
}

#[test]
fn fragments_out_of_order() {
    use ProtocolError::*;
    for (stream, error) in [
        (&b"\x80\x00"[..], UnexpectedContinuation),
        (b"\x00\x00", UnexpectedContinuation),
        (b"\x01\x01a\x01\x00", ExpectedContinuation),
        (b"\x02\x00\x82\x00", ExpectedContinuation),
    ] {
        fails(&CLIENT, stream, 0, error, CloseCode::PROTOCOL_ERROR);
    }
    // A message that has ended is not continued, nor does a ping between help.
    let stream = b"\x01\x01a\x80\x01b\x89\x00\x80\x00";
    fails(
        &CLIENT,
        stream,
        2,
        UnexpectedContinuation,
        CloseCode::PROTOCOL_ERROR,
    );
}

#[test]
fn close_frames() {
    use ProtocolError::*;
    let half = frame(&SERVER, true, OpCode::Close, b"\x03");
    fails(
        &SERVER,
        &half,
        0,
        TruncatedCloseCode,
        CloseCode::PROTOCOL_ERROR,
    );
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535_u16] {
        let close = frame(&SERVER, true, OpCode::Close, &code.to_be_bytes());
        let error = InvalidCloseCode(code);
        fails(&SERVER, &close, 0, error, CloseCode::PROTOCOL_ERROR);
    }
    let reason = frame(&SERVER, true, OpCode::Close, b"\x03\xe8ok\xed\xa0\x80");
    fails(
        &SERVER,
        &reason,
        0,
        InvalidCloseReason,
        CloseCode::INVALID_FRAME_PAYLOAD_DATA,
    );
}

#[test]
fn text_that_is_not_utf_8() {
    let error = ProtocolError::InvalidText;
    let code = CloseCode::INVALID_FRAME_PAYLOAD_DATA;
    // The last byte is the wrong one.
    for payload in [
        &b"abc\xff"[..],
        b"\xc3\xa9\xed\xa0",
        b"\xf4\x90",
        b"\xe2\x82",
    ] {
        let whole = frame(&SERVER, true, OpCode::Text, payload);
        fails(&SERVER, &whole, 0, error, code);
    }
    // Amid the frame, which is never whole (Autobahn 6.4).
    let mut started = frame(
        &SERVER,
        true,
        OpCode::Text,
        b"\xce\xba\xe1\xbd\xb9\xf4\x90aaaa",
    );
    started.truncate(started.len() - 4);
    fails(&SERVER, &started, 0, error, code);
    // In the second fragment, with the first half of the character in the first one.
    let fragments = [
        frame(&SERVER, false, OpCode::Text, b"\xf4"),
        frame(&SERVER, true, OpCode::Ping, b""),
        frame(&SERVER, false, OpCode::Continuation, b"\x90"),
    ];
    fails(&SERVER, &fragments.concat(), 1, error, code);
    // At the end of the last fragment, where a character is missing its end.
    let fragments = [
        frame(&SERVER, false, OpCode::Text, b"a"),
        frame(&SERVER, true, OpCode::Continuation, b"\xe2"),
    ];
    fails(&SERVER, &fragments.concat(), 0, error, code);
}
