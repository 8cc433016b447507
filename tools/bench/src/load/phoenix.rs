//! The words of a Phoenix Channels client (V2, JSON) in one topic, and the
//! bytes with which a server answers them.
//!
//! A server may write the keys of a reply in either order, and may put it before
//! or after the publication it answers. Both are learned from a first visit,
//! which reads the answers as JSON; from then on bytes are compared.

use std::os::fd::AsFd;

use corecast_kit::sys;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Deadline, Exchange, Fleet, Hello, NAP, Opcode, Peer, frame, payload};
use crate::During;
use crate::{Error, Result};

/// The path on which a Phoenix server speaks V2.
const PATH: &str = "/socket/websocket?vsn=2.0.0";

/// The topic of all clients.
const TOPIC: &str = "rooms:lobby";

/// The event of a publication.
const EVENT: &str = "new_msg";

/// The opening handshake of a client.
pub fn hello(peer: &Peer) -> Hello {
    Hello::upgrade(peer.address, &format!("{}{PATH}", peer.path_prefix), 0)
}

/// The frame that publishes `payload`.
pub fn push(payload: &str) -> Vec<u8> {
    said(r#""1""#, "3", EVENT, payload)
}

/// The frame in which everybody gets `payload`.
pub fn delivery(payload: &str) -> Vec<u8> {
    let text = format!(r#"[null,null,"{TOPIC}","{EVENT}",{payload}]"#);
    frame::server(Opcode::Text, text.as_bytes())
}

/// The payload of a publication with `bytes` of text in it, which differs from
/// that of any other `seed`.
pub fn body(bytes: usize, seed: usize) -> String {
    let text = String::from_utf8(payload(bytes, seed)).expect("payloads are ASCII");
    format!(r#"{{"body":"{}"}}"#, text.replace('\\', "_"))
}

/// How this server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manner {
    /// The payload of a reply that says yes.
    ok: String,
    /// A publication is answered before it is delivered to its own sender.
    replies_first: bool,
}

impl Manner {
    /// Joins on one connection, publishes to itself, and remembers the answer.
    /// The connection stays a member.
    pub fn learn(fleet: &Fleet, index: usize, deadline: Deadline) -> Result<Manner> {
        let yes = json!({"status": "ok", "response": {}});
        let due = json!(["1", "1", TOPIC, "phx_reply", yes]);
        let heard = texts(fleet, index, &join(), 1, deadline)?;
        expect(&heard[0], &due)?;
        let (.., ok): (Value, Value, Value, Value, &RawValue) =
            serde_json::from_str(&heard[0]).map_err(|error| Error::Wrong(error.to_string()))?;

        let payload = body(20, 1);
        let content: Value = serde_json::from_str(&payload).expect("a payload is JSON");
        let reply = json!(["1", "3", TOPIC, "phx_reply", yes]);
        let delivery = json!([null, null, TOPIC, EVENT, content]);
        let heard = texts(fleet, index, &push(&payload), 2, deadline)?;
        let replies_first = heard[0].contains("phx_reply");
        let due = match replies_first {
            true => [reply, delivery],
            false => [delivery, reply],
        };
        for (heard, due) in heard.iter().zip(&due) {
            expect(heard, due)?;
        }
        Ok(Manner {
            ok: ok.get().to_owned(),
            replies_first,
        })
    }

    /// A join, and its answer.
    pub fn join(&self) -> Exchange {
        Exchange {
            request: join(),
            response: self.reply("1"),
        }
    }

    /// Leaving and joining again, and the answers.
    pub fn rejoin(&self) -> Exchange {
        let closed = format!(r#"["1","1","{TOPIC}","phx_close",{{}}]"#);
        let closed = frame::server(Opcode::Text, closed.as_bytes());
        Exchange {
            request: [said(r#""1""#, "2", "phx_leave", "{}"), join()].concat(),
            response: [self.reply("2"), closed, self.reply("1")].concat(),
        }
    }

    /// A publication, and what its sender gets: its own copy and the reply.
    pub fn publish(&self, payload: &str) -> Exchange {
        let mut answers = [delivery(payload), self.reply("3")];
        if self.replies_first {
            answers.reverse();
        }
        Exchange {
            request: push(payload),
            response: answers.concat(),
        }
    }

    fn reply(&self, reference: &str) -> Vec<u8> {
        let text = format!(r#"["1","{reference}","{TOPIC}","phx_reply",{}]"#, self.ok);
        frame::server(Opcode::Text, text.as_bytes())
    }
}

fn join() -> Vec<u8> {
    said(r#""1""#, "1", "phx_join", "{}")
}

fn said(join_ref: &str, reference: &str, event: &str, payload: &str) -> Vec<u8> {
    let text = format!(r#"[{join_ref},"{reference}","{TOPIC}","{event}",{payload}]"#);
    // A mask of zeroes would let a server that never unmasks pass.
    frame::client(Opcode::Text, [0x9c, 0x3a, 0xf1, 0x57], text.as_bytes())
}

fn expect(heard: &str, due: &Value) -> Result<()> {
    match serde_json::from_str::<Value>(heard) {
        Ok(value) if value == *due => Ok(()),
        _ => Err(Error::Wrong(format!("received '{heard}', due was '{due}'"))),
    }
}

/// Sends `request` and reads the texts of the next `count` frames.
fn texts(
    fleet: &Fleet,
    index: usize,
    request: &[u8],
    count: usize,
    deadline: Deadline,
) -> Result<Vec<String>> {
    let socket = fleet.sockets[index].as_fd();
    // Nothing else is under way on this connection, so there is room.
    if sys::send(socket, request).during("sending to a channel")? != Some(request.len()) {
        return Err(Error::Stalled("no room for a first message".into()));
    }
    let mut heard = Vec::new();
    let mut scratch = vec![0; 4096];
    loop {
        if let Some(texts) = split(&heard, count)? {
            return Ok(texts);
        }
        match sys::receive(socket, &mut scratch).during("receiving from a channel")? {
            Some(0) => return Err(Error::Wrong("the server closed a channel's socket".into())),
            Some(count) => heard.extend_from_slice(&scratch[..count]),
            None => {
                let left = deadline.left(|| "no answer on a channel".into())?;
                sys::wait_for(&socket, false, left.min(NAP)).during("waiting for a channel")?;
            }
        }
    }
}

/// The texts of `count` whole text frames, or `None` while bytes are missing.
fn split(mut bytes: &[u8], count: usize) -> Result<Option<Vec<String>>> {
    let mut texts = Vec::new();
    while texts.len() < count {
        let (header, length) = match *bytes {
            [] | [_] => return Ok(None),
            [0x81, length @ 0..=125, ..] => (2, usize::from(length)),
            [0x81, 126, high, low, ..] => (4, usize::from(u16::from_be_bytes([high, low]))),
            [0x81, 126, ..] => return Ok(None),
            _ => {
                let shown = bytes[..bytes.len().min(40)].escape_ascii();
                return Err(Error::Wrong(format!("not a text of a channel: {shown}")));
            }
        };
        let Some(text) = bytes.get(header..header + length) else {
            return Ok(None);
        };
        texts.push(String::from_utf8_lossy(text).into_owned());
        bytes = &bytes[header + length..];
    }
    match bytes {
        [] => Ok(Some(texts)),
        more => Err(Error::Wrong(format!(
            "more than was due: {}",
            more.escape_ascii()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_split_at_every_byte() {
        let long = "x".repeat(200);
        let bytes = ["a", &long, "c"]
            .map(|text| frame::server(Opcode::Text, text.as_bytes()))
            .concat();
        for length in 0..bytes.len() {
            assert_eq!(split(&bytes[..length], 3).unwrap(), None, "{length}");
        }
        assert_eq!(split(&bytes, 3).unwrap().unwrap(), ["a", &long, "c"]);
        assert!(split(&bytes, 2).is_err());
        assert!(split(&frame::server(Opcode::Binary, b"a"), 1).is_err());
    }

    #[test]
    fn a_body_is_json_of_its_own_size() {
        for seed in 0..100 {
            let body: Value = serde_json::from_str(&body(50, seed)).unwrap();
            assert_eq!(body["body"].as_str().unwrap().len(), 50);
        }
    }

    #[test]
    fn a_reply_stands_where_it_was_seen() {
        let mut manner = Manner {
            ok: "{}".into(),
            replies_first: true,
        };
        let first = manner.publish("{}").response;
        manner.replies_first = false;
        let last = manner.publish("{}").response;
        assert_ne!(first, last);
        assert_eq!(first.len(), last.len());
        assert!(first.ends_with(&delivery("{}")) && last.starts_with(&delivery("{}")));
    }
}
