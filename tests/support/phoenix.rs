//! The messages of a Phoenix client, on the raw client.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::client::{BINARY, Client, FIN, Frame, encode};

/// A session on the default path in version 2.
#[track_caller]
pub fn connect(address: SocketAddr) -> Client {
    Client::connect(address, "/socket/websocket?vsn=2.0.0")
}

/// Says something in version 2.
#[track_caller]
pub fn say(client: &mut Client, message: Value) {
    client.send_text(&message.to_string());
}

/// The next message, which must be text.
#[track_caller]
pub fn hear(client: &mut Client) -> Value {
    serde_json::from_str(&client.read_text()).expect("JSON")
}

/// Joins a topic, whose name is also the reference.
#[track_caller]
pub fn join(client: &mut Client, topic: &str) {
    say(client, json!(["j", "r", topic, "phx_join", {}]));
    assert_eq!(hear(client), ok("j", "r", topic));
}

/// An `ok` reply in version 2.
pub fn ok(join_ref: impl Into<Value>, reference: impl Into<Value>, topic: &str) -> Value {
    let (join_ref, reference) = (join_ref.into(), reference.into());
    json!([join_ref, reference, topic, "phx_reply", {"status": "ok", "response": {}}])
}

/// An `error` reply in version 2.
pub fn error(
    join_ref: impl Into<Value>,
    reference: impl Into<Value>,
    topic: &str,
    reason: &str,
) -> Value {
    let (join_ref, reference) = (join_ref.into(), reference.into());
    let payload = json!({"status": "error", "response": {"reason": reason}});
    json!([join_ref, reference, topic, "phx_reply", payload])
}

/// A heartbeat is answered, so the session lives, and all before it was served.
#[track_caller]
pub fn expect_heartbeat(client: &mut Client) {
    say(client, json!([null, "hb", "phoenix", "heartbeat", {}]));
    assert_eq!(hear(client), ok(Value::Null, "hb", "phoenix"));
}

/// Reads so many messages and returns them sorted: what a session is answered
/// and what it hears come in either order.
#[track_caller]
pub fn hear_all(client: &mut Client, count: usize) -> Vec<Value> {
    let mut heard: Vec<Value> = (0..count).map(|_| hear(client)).collect();
    heard.sort_by_key(Value::to_string);
    heard
}

/// The same order as that of [`hear_all`].
pub fn sorted(mut messages: Vec<Value>) -> Vec<Value> {
    messages.sort_by_key(Value::to_string);
    messages
}

/// A client's binary push.
pub fn binary_push(
    join_ref: &str,
    reference: &str,
    topic: &str,
    event: &str,
    data: &[u8],
) -> Vec<u8> {
    let texts = [join_ref, reference, topic, event];
    let mut bytes = vec![0];
    bytes.extend(texts.iter().map(|text| u8::try_from(text.len()).unwrap()));
    texts
        .iter()
        .for_each(|text| bytes.extend_from_slice(text.as_bytes()));
    bytes.extend_from_slice(data);
    encode(FIN | BINARY, true, &bytes)
}

/// The binary broadcast that comes of it.
pub fn binary_broadcast(topic: &str, event: &str, data: &[u8]) -> Frame {
    let (topic_len, event_len) = (topic.len() as u8, event.len() as u8);
    Frame {
        fin: true,
        opcode: BINARY,
        payload: [
            &[2, topic_len, event_len],
            topic.as_bytes(),
            event.as_bytes(),
            data,
        ]
        .concat(),
    }
}

/// Sessions until each shard has at least so many, all after the same greeting.
#[track_caller]
pub fn on_all_shards(server: &super::Server, each: u64, open: impl Fn() -> Client) -> Vec<Client> {
    let mut clients = Vec::new();
    while clients.is_empty() || server.per_shard("sessions").iter().any(|n| *n < each) {
        clients.push(open());
        assert!(clients.len() < 200, "the kernel puts all on one shard");
    }
    clients
}
