//! Version 1 of Phoenix's protocol is JSON whatever the kind of frame: tsung
//! sends its messages in binary frames where its file names no kind, as that of
//! the load test the project began with does not. Answers are text.
//!
//! How: raw clients that say the same in binary frames and in text.

use crate::support::client::{BINARY, Client, FIN, encode};
use crate::support::on_each_driver;
use crate::support::phoenix::hear;
use serde_json::{Value, json};

/// Says something in version 1 in a binary frame.
fn say_in_binary(client: &mut Client, message: &Value) {
    client.send(&encode(FIN | BINARY, true, message.to_string().as_bytes()));
}

fn reply(topic: &str, reference: &str) -> Value {
    let payload = json!({"status": "ok", "response": {}});
    json!({"topic": topic, "event": "phx_reply", "ref": reference, "payload": payload})
}

fn message(topic: &str, event: &str, reference: &str) -> Value {
    json!({"topic": topic, "event": event, "ref": reference, "payload": {"user": "7"}})
}

#[test]
fn json_in_a_binary_frame_is_read_like_text() {
    on_each_driver(&["--shards", "1"], |server| {
        let client = &mut Client::connect(server.address, "/socket/websocket");
        say_in_binary(client, &message("rooms:lobby", "phx_join", "1"));
        assert_eq!(hear(client), reply("rooms:lobby", "1"));
        say_in_binary(client, &message("phoenix", "heartbeat", "2"));
        assert_eq!(hear(client), reply("phoenix", "2"));

        let listener = &mut Client::connect(server.address, "/socket/websocket?vsn=1.0.0");
        listener.send_text(&message("rooms:lobby", "phx_join", "1").to_string());
        assert_eq!(hear(listener), reply("rooms:lobby", "1"));
        say_in_binary(client, &message("rooms:lobby", "new_msg", "3"));
        let payload = json!({"user": "7"});
        assert_eq!(
            hear(listener),
            json!({"topic": "rooms:lobby", "event": "new_msg", "ref": null, "payload": payload})
        );
    });
}

#[test]
fn bytes_that_are_no_json_end_the_session() {
    on_each_driver(&["--shards", "1"], |server| {
        for bytes in [&b"\xff{}"[..], b"{\"topic\":", b"\x00\x01\x01", b""] {
            let client = &mut Client::connect(server.address, "/socket/websocket");
            client.send(&encode(FIN | BINARY, true, bytes));
            assert_eq!(client.frame().close_code(), 1011, "{bytes:?}");
        }
    });
}
