//! Data that is not a message of the protocol ends its session with 1011, and no other
//! session notices.
//!
//! How: one session for each malformed message, beside one that is in the same
//! topic all the time and whose channel works at the end.

use crate::support::client::{BINARY, Client, FIN, encode, text};
use crate::support::on_each_driver;
use crate::support::phoenix::{connect, expect_heartbeat, hear_all, join, say};
use serde_json::json;

const NOT_V2: &[&str] = &[
    "",
    " ",
    "hello",
    "{}",
    "[]",
    "null",
    "7",
    "\"text\"",
    "[null,null,\"t\",\"e\"]",
    "[null,null,\"t\",\"e\",{}",
    "[null,null,\"t\",\"e\",{}]]",
    "[null,null,\"t\",\"e\",{}] x",
    "[null,null,\"t\",\"e\",]",
    "[null,null,7,\"e\",{}]",
    "[null,null,\"t\",null,{}]",
    "[null,null,\"t\",\"e\",{\"a\":}]",
    "[null,null,\"t\",\"e\",NaN]",
    "[null,null,\"\\ud800\",\"e\",{}]",
    r#"{"topic":"t","event":"e","payload":{},"ref":"1"}"#,
];

const NOT_V1: &[&str] = &[
    "",
    "[]",
    "{}",
    "[null,\"1\",\"t\",\"e\",{}]",
    r#"{"topic":"t","event":"e","payload":{}}"#,
    r#"{"topic":"t","event":"e","ref":"1"}"#,
    r#"{"topic":"t","payload":{},"ref":"1"}"#,
    r#"{"event":"e","payload":{},"ref":"1"}"#,
    r#"{"topic":1,"event":"e","payload":{},"ref":"1"}"#,
    r#"{"topic":"t","event":"e","payload":{},"ref":"1""#,
];

const NOT_BINARY: &[&[u8]] = &[
    &[],
    &[0],
    &[0, 0, 0, 0],
    &[0, 1, 0, 0, 0],
    &[0, 0, 0, 0, 200, b'a'],
    &[1, 0, 0, 0, 0],
    &[2, 1, 1, b't', b'e'],
    &[3, 0, 0, 0, 0],
    &[0, 0, 0, 1, 0, 0xFF],
    &[0, 1, 0, 0, 0, 0xC3],
];

#[test]
fn a_malformed_message_ends_its_session_and_no_other() {
    let long_reference = format!("[\"{}\",null,\"t\",\"e\",{{}}]", "x".repeat(300));
    on_each_driver(&["--shards", "1"], |server| {
        let bystander = &mut connect(server.address);
        join(bystander, "t");
        let (v1, v2) = ("/socket/websocket", "/socket/websocket?vsn=2.0.0");
        let texts = NOT_V2.iter().copied().chain([&*long_reference]);
        let messages = texts
            .map(|message| (v2, text(message)))
            .chain(NOT_V1.iter().map(|message| (v1, text(message))))
            .chain(
                NOT_BINARY
                    .iter()
                    .map(|bytes| (v2, encode(FIN | BINARY, true, bytes))),
            );
        let mut count = 0;
        for (path, message) in messages {
            let mut client = Client::connect(server.address, path);
            client.send(&message);
            let frame = client.frame();
            assert_eq!(
                frame.close_code(),
                1011,
                "{:?}",
                String::from_utf8_lossy(&message)
            );
            client.send_close(1011);
            client.expect_end();
            count += 1;
        }
        server.wait_for("ended.handler_closed", count);
        say(bystander, json!(["j", "1", "t", "e", {}]));
        hear_all(bystander, 2);
        expect_heartbeat(bystander);
    });
}

#[test]
fn what_came_before_it_was_done() {
    on_each_driver(&["--shards", "1"], |server| {
        let listener = &mut connect(server.address);
        join(listener, "t");
        let client = &mut connect(server.address);
        join(client, "t");
        let push = text(r#"["j","1","t","e",{}]"#);
        client.send(&[push.clone(), text("oops"), push].concat());
        hear_all(listener, 1);
        assert!(client.read_text().contains("phx_reply"));
        assert_eq!(client.frame().close_code(), 1011);
        expect_heartbeat(listener);
        assert_eq!(server.total("publications"), 1);
    });
}
