//! The messages of a Centrifuge client, on the raw client.

use std::io::Write;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::client::Client;

/// The path of the route in these tests.
pub const PATH: &str = "/connection/websocket";
/// What a server is started with for that route.
pub const ROUTE: &str = "/connection/websocket=centrifuge";

/// A session that has not connected yet.
#[track_caller]
pub fn open(address: SocketAddr) -> Client {
    Client::connect(address, PATH)
}

/// A session that has connected without a token, and its client's number.
#[track_caller]
pub fn connect(address: SocketAddr) -> (Client, String) {
    let mut client = open(address);
    say(&mut client, json!({"id": 1, "connect": {}}));
    let reply = hear(&mut client);
    let number = reply["connect"]["client"].as_str().expect("a client");
    let number = number.to_owned();
    (client, number)
}

/// Says something.
#[track_caller]
pub fn say(client: &mut Client, message: Value) {
    client.send_text(&message.to_string());
}

/// The next message, which must be one line of JSON.
#[track_caller]
pub fn hear(client: &mut Client) -> Value {
    serde_json::from_str(&client.read_text()).expect("JSON")
}

/// The answer to a message.
#[track_caller]
pub fn ask(client: &mut Client, message: Value) -> Value {
    say(client, message);
    hear(client)
}

/// Subscribes to a topic.
#[track_caller]
pub fn subscribe(client: &mut Client, channel: &str) {
    let reply = ask(client, json!({"id": 2, "subscribe": {"channel": channel}}));
    assert_eq!(reply, json!({"id": 2, "subscribe": {}}));
}

/// A reply with an error.
pub fn error(id: u32, code: u32, message: &str) -> Value {
    json!({"id": id, "error": {"code": code, "message": message}})
}

/// A ping is answered, so the session lives, and all before it was served.
#[track_caller]
pub fn expect_ping(client: &mut Client) {
    let reply = ask(client, json!({"id": 99, "ping": {}}));
    assert_eq!(reply, json!({"id": 99, "ping": {}}));
}

/// A configuration file.
pub fn config(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("it is written");
    file
}
