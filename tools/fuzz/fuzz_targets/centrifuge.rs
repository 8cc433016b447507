//! A Centrifuge client that has connected and says anything, in either encoding.
//!
//! Every command is answered once, in order and under its own number, with an error or
//! one result, until the first that ends the session; a session that is not ended has
//! answered all. A message in one encoding is never answered in the other, and no line
//! of JSON has a second one in it.

#![no_main]

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use corecast::handler::fuzzing::Served;
use corecast::handler::{Centrifuge, CentrifugeConfig, CentrifugeHandler};
use corecast::upgrade;
use corecast::ws::{Message, Role, Rules};
use corecast_fuzz::codec::{Owned, decode};
use corecast_fuzz::peer;
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use serde_json::{Deserializer, Value};

#[derive(Debug, Arbitrary)]
enum Case<'a> {
    Json(Vec<Said<'a>>),
    Protobuf(Vec<&'a [u8]>),
}

#[derive(Debug, Arbitrary)]
enum Said<'a> {
    Text(&'a str),
    /// A command with this name and number, about this channel, with any JSON or not.
    Command {
        name: u8,
        id: u32,
        channel: &'a str,
        data: &'a str,
    },
}

const RULES: Rules = Rules {
    role: Role::Client,
    max_frame_bytes: usize::MAX,
    max_message_bytes: usize::MAX,
};

/// All commands. A `send` has no reply; it ends the session.
const COMMANDS: [&str; 12] = [
    "connect",
    "ping",
    "subscribe",
    "unsubscribe",
    "publish",
    "presence",
    "presence_stats",
    "history",
    "rpc",
    "send",
    "refresh",
    "sub_refresh",
];

fuzz_target!(|case: Case<'_>| {
    match case {
        Case::Json(said) => {
            let mut served = connect("/c", Message::Text(r#"{"id":1,"connect":{}}"#));
            for said in said {
                let text = match said {
                    Said::Text(text) => text.to_owned(),
                    Said::Command {
                        name,
                        id,
                        channel,
                        data,
                    } => {
                        let name = COMMANDS[usize::from(name) % COMMANDS.len()];
                        let channel = Value::from(channel);
                        let fields = format!(r#"{{"channel":{channel},"data":{data}}}"#);
                        format!(r#"{{"id":{id},"{name}":{fields}}}"#)
                    }
                };
                let sent = served.message(Message::Text(&text));
                let answered = json_replies(&sent);
                if !check(&ids_in_json(&text), &answered, &served) {
                    return;
                }
            }
        }
        Case::Protobuf(said) => {
            let mut served = connect(
                "/c?format=protobuf",
                Message::Binary(b"\x04\x08\x01\x22\x00"),
            );
            for bytes in said {
                let sent = served.message(Message::Binary(bytes));
                let answered = protobuf_replies(&sent);
                if !check(&ids_in_protobuf(bytes), &answered, &served) {
                    return;
                }
            }
        }
    }
});

fn connect(path: &str, message: Message<'_>) -> Served<CentrifugeHandler> {
    let text = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
    let parsed = upgrade::parse(text.as_bytes(), usize::MAX, peer());
    let request = parsed.unwrap().unwrap().request;
    let handler = Centrifuge::new(&CentrifugeConfig::default())
        .unwrap()
        .handler();
    let (mut served, sent) = Served::open(handler, &request);
    assert!(sent.is_empty());
    assert!(!served.message(message).is_empty());
    assert_eq!(served.close_code(), None);
    served
}

/// Whether the session goes on; panics where an answer is not what it must be.
fn check(asked: &[u64], answered: &[u64], served: &Served<CentrifugeHandler>) -> bool {
    match served.close_code() {
        None => {
            assert_eq!(asked, answered);
            true
        }
        Some(code) => {
            assert!(asked.starts_with(answered), "{answered:?} to {asked:?}");
            assert!([3013, 3501, 3508].contains(&code.as_u16()), "{code:?}");
            false
        }
    }
}

/// The numbers of the commands in a text that want an answer, as far as it is JSON.
fn ids_in_json(text: &str) -> Vec<u64> {
    let values = Deserializer::from_str(text).into_iter::<&RawValue>();
    let mut ids = Vec::new();
    for value in values.map_while(Result::ok) {
        let Ok(fields) = serde_json::from_str::<BTreeMap<String, &RawValue>>(value.get()) else {
            break;
        };
        let is_there = |name: &&str| fields.get(*name).is_some_and(|it| it.get() != "null");
        if COMMANDS.iter().any(is_there) {
            let id = fields.get("id").and_then(|id| id.get().parse().ok());
            ids.push(id.unwrap_or(0));
        }
    }
    ids
}

/// The numbers of the replies, each of which is one line of JSON; pushes have none.
fn json_replies(sent: &[u8]) -> Vec<u64> {
    let events = decode(&RULES, sent).events;
    let replies = events.iter().filter_map(|event| {
        let Owned::Text(text) = event else {
            panic!("not text: {event:?}");
        };
        assert!(!text.contains(['\n', '\r']));
        let reply: BTreeMap<String, &RawValue> = serde_json::from_str(text).expect("JSON");
        if reply.contains_key("push") {
            assert_eq!(reply.len(), 1);
            return None;
        }
        assert_eq!(reply.len(), 2, "{text}");
        Some(reply["id"].get().parse().expect("a number"))
    });
    replies.collect()
}

/// The first field of a message and what follows it.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for place in 0..10 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 127).checked_shl(7 * place)?;
        if byte & 128 == 0 {
            return Some(value);
        }
    }
    None
}

/// The number of a message, and its other fields.
fn fields(mut bytes: &[u8]) -> Option<(u64, Vec<u64>)> {
    let (mut id, mut others) = (0, Vec::new());
    // Groups are read over; one that does not end right is a fault that ends the session.
    let mut depth = 0usize;
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        match (key >> 3, key & 7) {
            (1, 0) if depth == 0 => id = u64::from(varint(&mut bytes)? as u32),
            (_, 0) => drop(varint(&mut bytes)?),
            (_, 1) => bytes = bytes.get(8..)?,
            (field, 2) => {
                let len = usize::try_from(varint(&mut bytes)?).ok()?;
                bytes = bytes.get(len..)?;
                if depth == 0 {
                    others.push(field);
                }
            }
            (_, 5) => bytes = bytes.get(4..)?,
            (_, 3) => depth += 1,
            (_, 4) => depth = depth.checked_sub(1)?,
            _ => return None,
        }
    }
    Some((id, others))
}

fn split_off<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(varint(bytes)?).ok()?;
    let (first, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(first)
}

fn ids_in_protobuf(mut bytes: &[u8]) -> Vec<u64> {
    let mut ids = Vec::new();
    while !bytes.is_empty() {
        let Some((id, others)) = split_off(&mut bytes).and_then(fields) else {
            break;
        };
        if others.iter().any(|field| (4..=15).contains(field)) {
            ids.push(id);
        }
    }
    ids
}

fn protobuf_replies(sent: &[u8]) -> Vec<u64> {
    let events = decode(&RULES, sent).events;
    let replies = events.iter().filter_map(|event| {
        let Owned::Binary(bytes) = event else {
            panic!("not binary: {event:?}");
        };
        let mut rest = &bytes[..];
        let reply = split_off(&mut rest).expect("a whole reply");
        assert!(rest.is_empty());
        let (id, others) = fields(reply).expect("fields");
        assert_eq!(others.len(), 1, "an error, a result or a push");
        (others != [4]).then_some(id)
    });
    replies.collect()
}
