//! The client's side of the opening handshake on any bytes a server may send.
//!
//! The verdict is the same however the response is split. A connection counts as
//! open only after a 101 with the accept value that was expected, once, and with a
//! subprotocol only if it was offered. Whatever is refused can be printed.

#![no_main]

use corecast::upgrade::accept_key;
use corecast::upgrade::client::{
    ClientError, MAX_RESPONSE_BYTES, parse_response, parse_response_to_offer,
};
use corecast_fuzz::verdict_of_any_split;
use libfuzzer_sys::fuzz_target;

const KEY: &[u8; 24] = b"dGhlIHNhbXBsZSBub25jZQ==";
const OFFERED: &str = "chat, v2.superchat";

// The first byte says how fine the splits are, the second how many header lines are
// put before the response's last byte but one; the response follows.
fuzz_target!(|bytes: &[u8]| {
    let [step, more, bytes @ ..] = bytes else {
        return;
    };
    let mut bytes = bytes.to_vec();
    if *more >= 128 {
        // A long response: most cannot be guessed byte by byte.
        let lines = b"X-Padding: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n";
        let place = bytes.len().saturating_sub(2);
        bytes.splice(place..place, lines.repeat(usize::from(*more - 128) * 3));
    }
    let step = usize::from(*step % 16).max(bytes.len() / 256);
    let accept = accept_key(KEY);

    let verdict = verdict_of_any_split(&bytes, step, |bytes| {
        match parse_response(bytes, &accept) {
            Ok(None) => None,
            Ok(Some(consumed)) => {
                assert!(consumed <= bytes.len().min(MAX_RESPONSE_BYTES));
                Some(Ok(consumed))
            }
            // More of the body may have arrived.
            Err(ClientError::Status { status, body }) => {
                assert!(status != 101 && body.chars().count() <= 512);
                Some(Err(ClientError::Status {
                    status,
                    body: String::new(),
                }))
            }
            Err(error) => Some(Err(error)),
        }
    });
    match &verdict {
        Some(Ok(consumed)) => {
            let head = String::from_utf8_lossy(&bytes[..*consumed]).to_ascii_lowercase();
            assert!(head.contains(" 101"));
            // The same words may stand in the reason after the status.
            let accepts = |line: &&str| line.starts_with("sec-websocket-accept:");
            assert_eq!(head.lines().filter(accepts).count(), 1);
            assert!(bytes.windows(accept.len()).any(|window| window == accept));
        }
        Some(Err(error)) => assert!(!error.to_string().is_empty()),
        None => assert!(bytes.len() < MAX_RESPONSE_BYTES),
    }

    // The offer narrows the verdict, and changes nothing else.
    for offered in [None, Some(OFFERED)] {
        let to_offer = parse_response_to_offer(&bytes, &accept, offered);
        match (&verdict, to_offer) {
            (None, to_offer) => assert_eq!(to_offer, Ok(None)),
            (Some(Ok(consumed)), Ok(found)) => assert_eq!(found, Some(*consumed)),
            (Some(Ok(_)), Err(error)) => {
                assert!(matches!(error, ClientError::Subprotocol { .. }));
                assert!(!error.to_string().is_empty());
            }
            (Some(Err(_)), to_offer) => {
                to_offer.expect_err("an offer does not make a response better");
            }
        }
    }
});
