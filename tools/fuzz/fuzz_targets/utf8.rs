//! Text in fragments and pieces, against the standard library's word on the whole.
//!
//! A text is refused with the very piece that holds the first byte after which no
//! text can come of it, and never before; a text that ends within a character is
//! refused at its end; any other comes out as it went in.

#![no_main]

use arbitrary::Arbitrary;
use corecast::ws::{OpCode, ProtocolError, Role, Rules};
use corecast_fuzz::codec::{Owned, Session, push_frame};
use corecast_fuzz::pieces;
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Case<'a> {
    /// Lengths of the fragments, and of the pieces they arrive in.
    fragments: [u8; 4],
    lengths: [u8; 4],
    key: [u8; 4],
    text: &'a [u8],
}

const RULES: Rules = Rules {
    role: Role::Server,
    max_frame_bytes: usize::MAX,
    max_message_bytes: usize::MAX,
};

fuzz_target!(|case: Case<'_>| {
    // The place after the first byte that spoils the text.
    let spoilt = match std::str::from_utf8(case.text) {
        Err(error) => error
            .error_len()
            .map(|len| error.valid_up_to() + len_to_fault(case.text, error.valid_up_to(), len)),
        Ok(_) => None,
    };

    let mut stream = Vec::new();
    // The position in the stream of each byte of the text.
    let mut places = Vec::new();
    let mut opcode = OpCode::Text;
    let mut push = |stream: &mut Vec<u8>, fin, fragment: &[u8]| {
        push_frame(stream, &RULES, fin, opcode, fragment, case.key);
        opcode = OpCode::Continuation;
        places.extend(stream.len() - fragment.len()..stream.len());
    };
    for fragment in pieces(case.text, &case.fragments) {
        push(&mut stream, false, fragment);
    }
    push(&mut stream, true, b"");
    let fault_at = spoilt.map(|end| places[end - 1]);

    let mut session = Session::default();
    let mut read = 0;
    for piece in pieces(&stream, &case.lengths) {
        session.read(&RULES, piece);
        read += piece.len();
        if fault_at.is_some_and(|at| at < read) {
            assert_eq!(
                session.fault,
                Some(ProtocolError::InvalidText),
                "fault late"
            );
            assert!(session.events.is_empty());
            return;
        }
        if read < stream.len() {
            assert_eq!(session.fault, None, "refused early");
            assert!(session.events.is_empty());
        }
    }
    match std::str::from_utf8(case.text) {
        Ok(text) => {
            assert_eq!(session.events, [Owned::Text(text.to_owned())]);
            assert_eq!(session.fault, None);
        }
        Err(_) => assert_eq!(session.fault, Some(ProtocolError::InvalidText)),
    }
});

/// How many bytes from `start` on it takes until no text can come of them. The
/// standard library says how many belong to the bad sequence, which leaves out the
/// byte that does not fit, so each is tried.
fn len_to_fault(text: &[u8], start: usize, bad: usize) -> usize {
    (1..=bad + 1)
        .find(|len| {
            let end = (start + len).min(text.len());
            std::str::from_utf8(&text[start..end]).is_err_and(|error| error.error_len().is_some())
        })
        .expect("the whole is not a text")
}
