//! Binary pushes of version 2: bytes of any kind reach all sessions that have joined.
//!
//! How: raw clients on each driver write the binary format byte by byte and
//! compare what comes.

use crate::support::on_each_driver;
use crate::support::phoenix::{
    binary_broadcast, binary_push, connect, error, expect_heartbeat, hear, hear_all, join, ok,
    on_all_shards, say,
};
use serde_json::{Value, json};

#[test]
fn bytes_reach_all_shards_and_are_answered() {
    on_each_driver(&["--shards", "2"], |server| {
        let mut clients = on_all_shards(server, 1, || connect(server.address));
        for client in &mut clients {
            join(client, "room:é");
        }
        let data: Vec<u8> = (0..=255).cycle().take(70_000).collect();
        for data in [&[][..], &[0xFF, 0x00, 0xFE], &data] {
            clients[0].send(&binary_push("j", "9", "room:é", "file", data));
            // The answer is text, the broadcast is not.
            let mut frames = [clients[0].frame(), clients[0].frame()];
            frames.sort_by_key(|frame| frame.opcode);
            let answer: Value = serde_json::from_str(frames[0].text()).unwrap();
            assert_eq!(answer, ok("j", "9", "room:é"));
            let broadcast = binary_broadcast("room:é", "file", data);
            assert_eq!(frames[1], broadcast);
            for client in &mut clients[1..] {
                assert_eq!(client.frame(), broadcast);
            }
        }
    });
}

#[test]
fn a_push_needs_a_join_and_its_join_ref() {
    on_each_driver(&["--shards", "1"], |server| {
        let client = &mut connect(server.address);
        client.send(&binary_push("1", "2", "t", "e", b"data"));
        assert_eq!(
            hear(client),
            error(Value::Null, "2", "t", "unmatched topic")
        );
        say(client, json!([7, "1", "t", "phx_join", {}]));
        assert_eq!(hear(client), ok(7, "1", "t"));
        client.send(&binary_push("6", "3", "t", "e", b"stale"));
        expect_heartbeat(client);
        // The format has no numbers, so a string of digits stands for one.
        for join_ref in ["7", ""] {
            client.send(&binary_push(join_ref, "4", "t", "e", b"data"));
            let mut frames = [client.frame(), client.frame()];
            frames.sort_by_key(|frame| frame.opcode);
            let answer: Value = serde_json::from_str(frames[0].text()).unwrap();
            assert_eq!(answer, ok(7, "4", "t"));
            assert_eq!(frames[1], binary_broadcast("t", "e", b"data"));
        }
    });
}

#[test]
fn joins_and_leaves_may_be_binary_too() {
    on_each_driver(&["--shards", "1"], |server| {
        let client = &mut connect(server.address);
        client.send(&binary_push("1", "1", "t", "phx_join", b""));
        assert_eq!(hear(client), ok("1", "1", "t"));
        client.send(&binary_push("1", "2", "t", "phx_leave", b""));
        let close = json!(["1", "1", "t", "phx_close", {}]);
        assert_eq!(hear_all(client, 2), [close, ok("1", "2", "t")]);
    });
}
