//! The load: one thread on edge-triggered epoll that does nothing a server
//! would have to wait for.
//!
//! Frames are encoded before the clock starts and responses are counted in
//! bytes, because their size is known. That is only fair after every kind of
//! answer has been compared in full, so each scenario begins with a check on
//! the very connections it will time.
//!
//! # Invariants worth naming
//!
//! - A connection that ends, errs, or brings a byte too many fails the scenario.
//! - After the window the load stops sending and waits for every byte that is
//!   still due: nothing may be lost either.

pub mod broadcast;
pub mod connect;
pub mod echo;
pub mod handshake;
pub mod idle;
pub mod lobby;
mod opening;
pub mod part_load;
pub mod phoenix;
mod stopwatch;

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

pub use connect::Fleet;
pub use corecast_kit::websocket::{Opcode, frame};
pub use opening::Hello;
pub use stopwatch::{Account, Stopwatch, Window};

use crate::{Error, Result};

/// Events the load takes from the kernel at a time.
const EVENT_BATCH: usize = 1024;

/// Bytes read at a time, which stay in the core's cache.
const SCRATCH_BYTES: usize = 64 * 1024;

/// How long the load sleeps at most before it looks at the clock.
const NAP: Duration = Duration::from_millis(100);

/// Time for all connections of a scenario to be established. Generous: it also
/// holds on a slow machine.
const OPEN_LIMIT: Duration = Duration::from_secs(90);

/// Time for the check of a scenario, more generous still: 16 publications to 10,000
/// subscribers from three publishers are half a million deliveries.
const CHECK_LIMIT: Duration = Duration::from_secs(180);

/// Without any progress for this long, an opening or a check has failed long
/// before its limit: a contestant that never answers must not cost minutes.
const PATIENCE: Duration = Duration::from_secs(20);

/// The protocol of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// RFC 6455: an opening handshake, then frames.
    WebSocket,
    /// A floor: the same masked bytes, and as many back.
    Raw,
}

/// The server that the load talks to.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The address it listens on.
    pub address: SocketAddrV4,
    /// Its protocol.
    pub protocol: Protocol,
    /// The prefix of the paths `/echo` and `/broadcast`.
    pub path_prefix: String,
    /// The kind of messages to send.
    pub opcode: Opcode,
}

impl Peer {
    /// A peer with no path prefix, spoken to in binary messages.
    pub fn new(address: SocketAddrV4, protocol: Protocol) -> Peer {
        Peer {
            address,
            protocol,
            path_prefix: String::new(),
            opcode: Opcode::Binary,
        }
    }

    /// The bytes that carry `payloads` to this peer and those it must answer with.
    pub fn exchange<P: AsRef<[u8]>>(&self, payloads: &[P]) -> Exchange {
        self.exchange_as(self.opcode, payloads)
    }

    fn exchange_as<P: AsRef<[u8]>>(&self, opcode: Opcode, payloads: &[P]) -> Exchange {
        let mut request = Vec::new();
        let mut response = Vec::new();
        for (index, payload) in payloads.iter().enumerate() {
            // A mask of zeroes would let a server that never unmasks pass.
            let mask = 0x9c3a_f157_u32.rotate_left(index as u32).to_be_bytes();
            request.extend(frame::client(opcode, mask, payload.as_ref()));
            response.extend(frame::server(opcode, payload.as_ref()));
        }
        if self.protocol == Protocol::Raw {
            response.clone_from(&request);
        }
        Exchange { request, response }
    }
}

/// A request and the answer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Sent in one write.
    pub request: Vec<u8>,
    /// Expected, to the byte.
    pub response: Vec<u8>,
}

/// A payload that is valid UTF-8 and differs from that of any other `seed`.
pub fn payload(bytes: usize, seed: usize) -> Vec<u8> {
    let mut text = format!("{seed:x}:").into_bytes();
    let mut state = seed as u32 ^ 0x2545_f491;
    while text.len() < bytes {
        // A xorshift: cheap, and no period that could hide a shifted byte.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        text.push(b'0' + (state >> 8) as u8 % 64);
    }
    text.truncate(bytes);
    text
}

/// The moment until which something must have happened.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// A deadline `limit` from now.
    pub fn after(limit: Duration) -> Deadline {
        Deadline(Instant::now() + limit)
    }

    /// The time left, or the error that names the event that did not happen.
    pub fn left(&self, waiting_for: impl FnOnce() -> String) -> Result<Duration> {
        match self.0.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Ok(left),
            _ => Err(Error::Stalled(waiting_for())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_differ_by_seed_and_are_ascii() {
        assert_eq!(payload(20, 1).len(), 20);
        assert_ne!(payload(20, 1), payload(20, 2));
        assert!(payload(70_000, 3).is_ascii());
        assert!(payload(0, 1).is_empty());
    }

    #[test]
    fn a_floor_answers_with_the_bytes_it_was_sent() {
        let peer = Peer::new(SocketAddrV4::new([127, 0, 0, 1].into(), 1), Protocol::Raw);
        let exchange = peer.exchange(&["abc", "defg"]);
        assert_eq!(exchange.request.len(), 2 * 6 + 7);
        assert_eq!(exchange.request, exchange.response);
    }

    #[test]
    fn a_server_answers_unmasked() {
        let address = SocketAddrV4::new([127, 0, 0, 1].into(), 1);
        let exchange = Peer::new(address, Protocol::WebSocket).exchange(&["abc"]);
        assert_eq!(exchange.response, b"\x82\x03abc");
        assert_eq!(exchange.request.len(), 9);
    }
}
