//! Every malformed frame there is, cut in every place, is answered with its
//! close code, and every close code that may be sent is answered with itself.
//!
//! How: a table that counts through opcodes, reserved bits, lengths and close codes.
//! Each case goes to the server whole and in two pieces, cut after each of its first
//! bytes, and to a server that reads a byte at a time. `malformed_frames.rs` shows that
//! nothing malformed is delivered and that the limits on sizes hold.

use std::time::Duration;

use crate::support::aftermath::withstand;
use crate::support::client::{
    BINARY, CLOSE, CONTINUATION, Client, FIN, PING, PONG, TEXT, encode, text,
};

/// Cuts are made after each of so many bytes; frames are cut apart there, bytes after
/// that are payload.
const CUTS: usize = 15;

/// The bytes sent after a good handshake, and the code of the close frame that comes
/// back.
struct Case {
    name: String,
    bytes: Vec<u8>,
    code: u16,
}

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    encode(first, true, payload)
}

/// A frame with a length written as it is, and no payload.
fn announced(first: u8, length: &[u8]) -> Vec<u8> {
    [&[first], length, &[0; 4]].concat()
}

fn headers() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut fails = |name: String, bytes: Vec<u8>| {
        let code = 1002;
        cases.push(Case { name, bytes, code });
    };
    // Every first byte that is no frame: reserved bits and opcodes. A length after it
    // makes no difference.
    for first in 0..=255u8 {
        let (reserved, opcode) = (first & 0x70, first & 0x0F);
        let known = [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG].contains(&opcode);
        if reserved != 0 || !known {
            fails(format!("first byte {first:#04x}"), masked(first, b"x"));
        }
    }
    for opcode in [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] {
        let name = |what: &str| format!("opcode {opcode}: {what}");
        let first = FIN | opcode;
        fails(name("not masked"), encode(first, false, b"x"));
        fails(name("not masked and empty"), encode(first, false, b""));
        fails(
            name("not masked, 16 bits of length"),
            encode(first, false, &[b'x'; 300]),
        );
        fails(name("0 in 16 bits"), announced(first, &[0x80 | 126, 0, 0]));
        fails(
            name("125 in 16 bits"),
            announced(first, &[0x80 | 126, 0, 125]),
        );
        fails(
            name("0 in 64 bits"),
            announced(first, &[0xFF, 0, 0, 0, 0, 0, 0, 0, 0]),
        );
        fails(
            name("125 in 64 bits"),
            announced(first, &[0xFF, 0, 0, 0, 0, 0, 0, 0, 125]),
        );
        fails(
            name("65,535 in 64 bits"),
            announced(first, &[0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]),
        );
        fails(
            name("a length of 2^63"),
            announced(first, &[0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        );
        fails(name("a length of 2^64 - 1"), announced(first, &[0xFF; 9]));
    }
    for opcode in [CLOSE, PING, PONG] {
        let name = |what: &str| format!("control frame {opcode} {what}");
        fails(name("in fragments"), masked(opcode, b""));
        fails(name("of 126 bytes"), masked(FIN | opcode, &[b'x'; 126]));
        fails(
            name("of 65,536 bytes"),
            masked(FIN | opcode, &[b'x'; 65_536])[..14].to_vec(),
        );
        fails(
            format!("control frame {opcode} in fragments amid a message"),
            [masked(TEXT, b"a"), masked(opcode, b"")].concat(),
        );
    }
    cases
}

fn messages() -> Vec<Case> {
    let case = |name: &str, frames: &[Vec<u8>], code| Case {
        name: name.to_owned(),
        bytes: frames.concat(),
        code,
    };
    let bad_text = |bytes: &[u8]| masked(FIN | TEXT, bytes);
    vec![
        case(
            "a continuation of nothing",
            &[masked(FIN | CONTINUATION, b"x")],
            1002,
        ),
        case(
            "a first continuation of nothing",
            &[masked(CONTINUATION, b"")],
            1002,
        ),
        case(
            "a continuation behind a whole message",
            &[masked(FIN | BINARY, b""), masked(CONTINUATION, b"x")],
            1002,
        ),
        case(
            "a continuation behind a message in fragments",
            &[
                masked(BINARY, b"a"),
                masked(FIN | CONTINUATION, b"b"),
                masked(FIN | CONTINUATION, b"c"),
            ],
            1002,
        ),
        case(
            "text amid text",
            &[masked(TEXT, b"a"), masked(TEXT, b"b")],
            1002,
        ),
        case(
            "binary amid text",
            &[masked(TEXT, b""), masked(FIN | BINARY, b"b")],
            1002,
        ),
        case(
            "text amid binary behind a ping",
            &[
                masked(BINARY, b""),
                masked(FIN | PING, b""),
                masked(FIN | TEXT, b"b"),
            ],
            1002,
        ),
        case("overlong UTF-8", &[bad_text(b"\xc0\xaf")], 1007),
        case(
            "overlong UTF-8 of three bytes",
            &[bad_text(b"\xe0\x80\x80")],
            1007,
        ),
        case(
            "half of a surrogate pair",
            &[bad_text(b"\xed\xa0\x80")],
            1007,
        ),
        case(
            "a whole surrogate pair",
            &[bad_text(b"\xed\xa0\xbd\xed\xb8\x80")],
            1007,
        ),
        case("beyond Unicode", &[bad_text(b"\xf4\x90\x80\x80")], 1007),
        case(
            "UTF-8 of five bytes",
            &[bad_text(b"\xf8\x88\x80\x80\x80")],
            1007,
        ),
        case("a stray continuation byte", &[bad_text(b"ok\x80")], 1007),
        case("0xfe and 0xff", &[bad_text(b"\xfe\xff")], 1007),
        case("a character cut off", &[bad_text(b"\xf0\x9f\x98")], 1007),
        case(
            "a character cut off by the last fragment",
            &[
                masked(TEXT, b"\xf0\x9f"),
                masked(FIN | CONTINUATION, b"\x98"),
            ],
            1007,
        ),
        case(
            "a bad second half of a character",
            &[masked(TEXT, b"\xf0\x9f"), masked(FIN | CONTINUATION, b"ab")],
            1007,
        ),
        case(
            "a character cut off, empty at the end",
            &[masked(TEXT, b"\xe2\x82"), masked(FIN | CONTINUATION, b"")],
            1007,
        ),
    ]
}

fn closes() -> Vec<Case> {
    let mut cases = Vec::new();
    let close =
        |code: u16, reason: &[u8]| masked(FIN | CLOSE, &[&code.to_be_bytes(), reason].concat());
    let refused = [
        0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 32_768, 65_535,
    ];
    for code in refused {
        let name = format!("close code {code}");
        cases.push(Case {
            name,
            bytes: close(code, b""),
            code: 1002,
        });
        let name = format!("close code {code} with a reason");
        cases.push(Case {
            name,
            bytes: close(code, b"so it is"),
            code: 1002,
        });
    }
    let allowed = (1000..=1003)
        .chain(1007..=1014)
        .chain([3000, 3999, 4000, 4999]);
    for code in allowed {
        let name = format!("close code {code}");
        cases.push(Case {
            name,
            bytes: close(code, "so ist es \u{2014} ja".as_bytes()),
            code,
        });
        let name = format!("close code {code}, and a message and junk behind it");
        let behind = [close(code, b""), text("too late"), vec![0xFF; 40]].concat();
        cases.push(Case {
            name,
            bytes: behind,
            code,
        });
    }
    let mut case = |name: &str, bytes: Vec<u8>, code| {
        let name = name.to_owned();
        cases.push(Case { name, bytes, code });
    };
    case("half a close code", masked(FIN | CLOSE, &[3]), 1002);
    case(
        "a close reason that is not UTF-8",
        close(1000, b"\xff"),
        1007,
    );
    case(
        "a close reason cut inside a character",
        close(1000, b"\xe2\x82"),
        1007,
    );
    case(
        "a close reason of 123 bytes",
        close(1000, &[b'r'; 123]),
        1000,
    );
    case(
        "a close reason of 124 bytes",
        close(1000, &[b'r'; 124]),
        1002,
    );
    case(
        "two close frames",
        [close(1001, b""), close(1000, b"")].concat(),
        1001,
    );
    case(
        "a close amid a message",
        [masked(TEXT, b"a"), close(1000, b"")].concat(),
        1000,
    );
    case(
        "a close behind a fault",
        [masked(FIN | 3, b""), close(1000, b"")].concat(),
        1002,
    );
    cases
}

/// Sends the pieces and reads the close frame; whole messages and pings before
/// the fault are answered first.
fn check(client: &mut Client, case: &Case, pieces: &[&[u8]]) {
    for (number, piece) in pieces.iter().enumerate() {
        if number > 0 {
            std::thread::sleep(Duration::from_micros(200));
        }
        // The fault may stand before the cut, and the connection be gone.
        if std::io::Write::write_all(&mut client.stream, piece).is_err() {
            break;
        }
    }
    let how = || format!("{} in {} pieces", case.name, pieces.len());
    loop {
        let frame = client.try_frame();
        match frame {
            Ok(Some(frame)) if frame.opcode != CLOSE => {}
            Ok(Some(frame)) => {
                assert_eq!(frame.close_code(), case.code, "{}", how());
                break;
            }
            other => panic!("{}: {other:?}", how()),
        }
    }
    assert!(matches!(client.try_frame(), Ok(None) | Err(_)), "{}", how());
}

fn all() -> Vec<Case> {
    [headers(), messages(), closes()]
        .into_iter()
        .flatten()
        .collect()
}

#[test]
fn cut_in_every_place() {
    let cases = all();
    withstand("malformed frames, cut in every place", &[], |server| {
        let mut sent = 0;
        for case in &cases {
            // An unknown opcode is known by its first byte, so that its cuts are few.
            let bytes = &case.bytes[..];
            let cuts = if case.name.starts_with("first byte") {
                2
            } else {
                CUTS
            };
            for cut in 0..cuts.min(bytes.len()) {
                let (left, right) = bytes.split_at(cut);
                let pieces: &[&[u8]] = if cut == 0 { &[right] } else { &[left, right] };
                let mut client = Client::connect(server.address, "/echo");
                check(&mut client, case, pieces);
                sent += 1;
            }
        }
        sent
    });
}

#[test]
fn read_byte_by_byte() {
    let cases = all();
    let options = ["--max-read-bytes", "1"];
    withstand("malformed frames, read byte by byte", &options, |server| {
        for case in &cases {
            let mut client = Client::connect(server.address, "/echo");
            check(&mut client, case, &[&case.bytes]);
        }
        cases.len()
    });
}
