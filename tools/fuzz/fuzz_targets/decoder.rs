//! The decoder on any bytes, in any pieces, for both ends and any limits.
//!
//! After each piece it has said exactly what an independent decoder has said that
//! takes one byte at a time: the same events, and the same fault with the piece that
//! brings it. It never holds more memory than what was received, or than the limits
//! allow, and none at all between two messages.

#![no_main]

use arbitrary::Arbitrary;
use corecast::ws::{Decoder, Input, Role, Rules};
use corecast_fuzz::codec::Session;
use corecast_fuzz::heap;
use corecast_fuzz::oracle::Oracle;
use corecast_fuzz::pieces;
use libfuzzer_sys::fuzz_target;

/// The memory that a decoder may hold beside the message: one frame's header
/// and control payload.
const BESIDE_THE_MESSAGE: usize = 320;
/// The least room that is made for a message.
const LEAST_ROOM: usize = 64;

#[derive(Debug, Arbitrary)]
struct Case<'a> {
    is_client: bool,
    frame_limit: Limit,
    message_limit: Limit,
    lengths: [u8; 4],
    releases: bool,
    stream: &'a [u8],
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Limit {
    Small(u8),
    Medium(u16),
    None,
}

impl Limit {
    fn bytes(self) -> usize {
        match self {
            Limit::Small(bytes) => usize::from(bytes),
            Limit::Medium(bytes) => usize::from(bytes),
            Limit::None => usize::MAX,
        }
    }
}

fuzz_target!(|case: Case<'_>| {
    let rules = Rules {
        role: if case.is_client {
            Role::Client
        } else {
            Role::Server
        },
        max_frame_bytes: case.frame_limit.bytes(),
        max_message_bytes: case.message_limit.bytes(),
    };
    let small = pieces(case.stream, &case.lengths);
    says_what_the_oracle_says(&rules, &[case.stream], case.releases);
    says_what_the_oracle_says(&rules, &small, case.releases);
    holds_no_more_than_it_may(&rules, &small);
});

fn says_what_the_oracle_says(rules: &Rules, pieces: &[&[u8]], releases: bool) {
    let mut oracle = Oracle::new(*rules);
    let mut expected = Vec::new();
    let mut session = Session::default();
    for piece in pieces {
        session.read(rules, piece);
        let mut fault = None;
        for &byte in *piece {
            match oracle.push(byte) {
                Ok(event) => expected.extend(event),
                Err(found) => fault = Some(found),
            }
            if fault.is_some()
                || matches!(expected.last(), Some(corecast_fuzz::codec::Owned::Close(_)))
            {
                break;
            }
        }
        assert_eq!(session.events, expected);
        assert_eq!(session.fault, fault);
        if session.is_over() {
            return;
        }
        assert_eq!(session.decoder.is_idle(), oracle.is_idle());
        if releases {
            session.decoder.release();
            assert_eq!(session.decoder.is_idle(), oracle.is_idle());
        }
    }
}

fn holds_no_more_than_it_may(rules: &Rules, pieces: &[&[u8]]) {
    let mut received = 0;
    let mut stream = pieces.concat();
    let mut rest = &mut stream[..];
    let before = heap::live();
    let mut decoder = Decoder::new();
    for piece in pieces {
        let (piece, behind) = rest.split_at_mut(piece.len());
        rest = behind;
        received += piece.len();
        let mut input = Input::new(piece);
        loop {
            match decoder.next(&mut input, rules) {
                Ok(Some(corecast::ws::Event::Close(_))) | Err(_) => return,
                Ok(Some(_)) => {}
                Ok(None) => break,
            }
        }
        let held = (heap::live() - before) as usize;
        let most = rules.max_message_bytes.min((2 * received).max(LEAST_ROOM));
        assert!(
            held <= most + BESIDE_THE_MESSAGE,
            "{held} bytes held of {received} received"
        );
        assert!(
            !decoder.is_idle() || held == 0,
            "an idle decoder holds {held} bytes"
        );
    }
}
