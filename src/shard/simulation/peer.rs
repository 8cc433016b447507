//! A client of the simulation: what it sends, and what it makes of what it gets.

use std::collections::VecDeque;

use super::Say;
use super::oracle::Oracle;
use super::random::Random;
use crate::link::scripted;
use crate::metrics::EndReason;
use crate::ws::{
    CloseCode, Decoder, Event, Input, OpCode, Role, Rules, encode_masked_close, encode_masked_frame,
};

const RULES: Rules = Rules {
    role: Role::Client,
    max_frame_bytes: 1 << 24,
    max_message_bytes: 1 << 24,
};

pub(super) struct Client {
    pub(super) id: u64,
    pub(super) shard: usize,
    pub(super) wire: scripted::Peer,
    /// The bytes on their way to the server, piece by piece.
    pub(super) outbox: VecDeque<Vec<u8>>,
    /// Bytes of the response to the handshake, until it is whole; then nothing.
    response: Option<Vec<u8>>,
    decoder: Decoder,
    /// The server has sent a close frame.
    pub(super) got_close: bool,
    /// This end has sent one.
    pub(super) sent_close: bool,
    pub(super) has_ended: bool,
    /// It has broken the protocol or the connection.
    pub(super) is_bad: bool,
    sent_garbage: bool,
    asked_for_close: bool,
    asked_for_panic: bool,
    echoes: usize,
}

impl Client {
    pub(super) fn new(id: u64, shard: usize, wire: scripted::Peer) -> Self {
        Client {
            id,
            shard,
            wire,
            outbox: VecDeque::new(),
            response: Some(Vec::new()),
            decoder: Decoder::new(),
            got_close: false,
            sent_close: false,
            has_ended: false,
            is_bad: false,
            sent_garbage: false,
            asked_for_close: false,
            asked_for_panic: false,
            echoes: 0,
        }
    }

    pub(super) fn request(&self) -> Vec<u8> {
        format!(
            "GET /simulation/{} HTTP/1.1\r\nHost: simulation\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.id
        )
        .into_bytes()
    }

    /// The bytes of what it says.
    pub(super) fn frames(&mut self, say: &[Say], random: &mut Random) -> Vec<u8> {
        let mut bytes = Vec::new();
        for say in say {
            let text = match say {
                Say::Echo { bytes } => {
                    self.echoes += 1;
                    format!("echo {} {}", self.echoes, "y".repeat(*bytes))
                }
                Say::Join { topic } => format!("join {topic}"),
                Say::Leave { topic } => format!("leave {topic}"),
                Say::Publish {
                    topic,
                    bytes,
                    to_self,
                } => {
                    let to = if *to_self { "all" } else { "others" };
                    format!("publish {topic} {bytes} {to}")
                }
                Say::Tell { topic } => format!("tell {topic}"),
                Say::CloseMe => {
                    self.asked_for_close = true;
                    "close".to_owned()
                }
                Say::Panic => {
                    self.asked_for_panic = true;
                    "panic".to_owned()
                }
                Say::Ping => {
                    encode_masked_frame(&mut bytes, OpCode::Ping, b"?", mask(random));
                    continue;
                }
                Say::Garbage => {
                    self.sent_garbage = true;
                    self.is_bad = true;
                    bytes.extend_from_slice(&[0xff; 7]);
                    continue;
                }
            };
            encode_masked_frame(&mut bytes, OpCode::Text, text.as_bytes(), mask(random));
        }
        bytes
    }

    pub(super) fn close(&mut self, random: &mut Random) {
        if !std::mem::replace(&mut self.sent_close, true) && !self.is_bad {
            let mut bytes = Vec::new();
            encode_masked_close(&mut bytes, CloseCode::NORMAL_CLOSURE, "", mask(random));
            self.outbox.push_back(bytes);
        }
    }

    /// Whether its session may end for this reason, after all that it has done.
    pub(super) fn may_end_for(&self, reason: EndReason, is_draining: bool) -> bool {
        match reason {
            EndReason::ProtocolError | EndReason::InvalidPayload | EndReason::TooBig => {
                self.sent_garbage
            }
            EndReason::HandlerClosed => self.asked_for_close,
            EndReason::HandlerPanicked => self.asked_for_panic,
            EndReason::PeerClosed => self.sent_close,
            EndReason::Vanished => self.has_ended,
            EndReason::Drained => is_draining,
            EndReason::OverRate | EndReason::TokenExpired => false,
            EndReason::Idle
            | EndReason::WriteStalled
            | EndReason::SlowConsumer
            | EndReason::OverBudget => true,
        }
    }

    /// Whether it may go on talking.
    pub(super) fn may_send(&self) -> bool {
        !self.sent_close && !self.has_ended && !self.is_bad
    }

    /// Reads everything that has left the server.
    pub(super) fn read(&mut self, oracle: &mut Oracle, random: &mut Random) {
        let mut bytes = self.wire.take_sent();
        if let Some(response) = &mut self.response {
            response.extend_from_slice(&bytes);
            let Some(end) = response.windows(4).position(|four| four == b"\r\n\r\n") else {
                return;
            };
            if !response.starts_with(b"HTTP/1.1 101 ") {
                // A refusal; the bytes after it are its page.
                self.is_bad = true;
                return;
            }
            bytes = response.split_off(end + 4);
            self.response = None;
        }
        let mut input = Input::new(&mut bytes);
        loop {
            match self.decoder.next(&mut input, &RULES) {
                Ok(Some(_)) if self.got_close => panic!("{} got a frame after a close", self.id),
                Ok(Some(Event::Message(message))) => {
                    let text = std::str::from_utf8(message.as_bytes()).unwrap();
                    oracle.received(self.id, text);
                }
                Ok(Some(Event::Ping(payload))) => {
                    if !self.sent_close && !self.has_ended && !self.is_bad {
                        let mut pong = Vec::new();
                        encode_masked_frame(&mut pong, OpCode::Pong, payload, mask(random));
                        self.outbox.push_back(pong);
                    }
                }
                Ok(Some(Event::Pong(_))) => {}
                Ok(Some(Event::Close(_))) => self.got_close = true,
                Ok(None) => break,
                Err(fault) => panic!("{} got {fault}", self.id),
            }
        }
        assert!(
            !self.got_close || input.is_empty(),
            "{} got bytes after a close frame",
            self.id
        );
    }
}

fn mask(random: &mut Random) -> [u8; 4] {
    (random.next() as u32).to_be_bytes()
}
