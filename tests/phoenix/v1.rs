//! Phoenix Channels in version 1 of the protocol, which old clients speak:
//! objects with exactly four keys, and sessions of both versions in one topic.
//!
//! How: raw clients on each driver compare whole messages.

use crate::support::client::{BINARY, Client, FIN, encode};
use crate::support::phoenix::{
    binary_broadcast, binary_push, connect, expect_heartbeat, hear, hear_all, join, ok, say, sorted,
};
use crate::support::{Server, on_each_driver};
use serde_json::{Value, json};

fn connect_v1(server: &Server) -> Client {
    Client::connect(server.address, "/socket/websocket")
}

fn reply(topic: &str, reference: impl Into<Value>, payload: Value) -> Value {
    json!({"topic": topic, "event": "phx_reply", "payload": payload, "ref": reference.into()})
}

fn ok_v1(topic: &str, reference: impl Into<Value>) -> Value {
    reply(topic, reference, json!({"status": "ok", "response": {}}))
}

#[track_caller]
fn join_v1(client: &mut Client, topic: &str) {
    say(
        client,
        json!({"topic": topic, "event": "phx_join", "payload": {}, "ref": "1"}),
    );
    assert_eq!(hear(client), ok_v1(topic, "1"));
}

#[test]
fn no_version_is_the_first() {
    on_each_driver(&["--shards", "1"], |server| {
        for path in ["/socket/websocket", "/socket/websocket?vsn=1.0.0&a=b"] {
            let client = &mut Client::connect(server.address, path);
            client.send_text(r#"{"topic":"phoenix","event":"heartbeat","payload":{},"ref":7}"#);
            assert_eq!(
                client.read_text(),
                r#"{"topic":"phoenix","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":7}"#
            );
        }
    });
}

#[test]
fn a_channel_lives_from_join_to_close() {
    on_each_driver(&["--shards", "1"], |server| {
        let client = &mut connect_v1(server);
        join_v1(client, "t");
        say(
            client,
            json!({"topic": "t", "event": "e", "payload": {"a": 1}, "ref": "2"}),
        );
        let broadcast = json!({"topic": "t", "event": "e", "payload": {"a": 1}, "ref": null});
        assert_eq!(
            hear_all(client, 2),
            sorted(vec![broadcast, ok_v1("t", "2")])
        );

        // A join without a join_ref has none that anything could be stale to.
        say(
            client,
            json!({"topic": "t", "event": "phx_join", "payload": {}, "ref": "3"}),
        );
        assert_eq!(hear(client), ok_v1("t", "3"));
        let close = json!({"topic": "t", "event": "phx_close", "payload": {}, "ref": null});
        assert_eq!(hear(client), close);

        say(
            client,
            json!({"topic": "t", "event": "phx_leave", "payload": {}, "ref": "4"}),
        );
        assert_eq!(hear(client), ok_v1("t", "4"));
        assert_eq!(hear(client), close);

        say(
            client,
            json!({"topic": "t", "event": "e", "payload": {}, "ref": "5"}),
        );
        let error = json!({"status": "error", "response": {"reason": "unmatched topic"}});
        assert_eq!(hear(client), reply("t", "5", error));
    });
}

#[test]
fn a_join_ref_counts_where_a_client_sends_one() {
    on_each_driver(&["--shards", "1"], |server| {
        let client = &mut connect_v1(server);
        let join =
            json!({"topic": "t", "event": "phx_join", "payload": {}, "ref": "1", "join_ref": "1"});
        say(client, join);
        assert_eq!(hear(client), ok_v1("t", "1"));
        for (join_ref, heard) in [("0", 0), ("1", 1)] {
            let push = json!({"topic": "t", "event": "e", "payload": {}, "ref": "2", "join_ref": join_ref});
            say(client, push);
            if heard == 1 {
                hear_all(client, 2);
            }
        }
        say(
            client,
            json!({"topic": "t", "event": "phx_leave", "payload": {}, "ref": "3"}),
        );
        assert_eq!(hear(client), ok_v1("t", "3"));
        let close = json!({"topic": "t", "event": "phx_close", "payload": {}, "ref": "1"});
        assert_eq!(hear(client), close);
        server.wait_for("deliveries", 1);
    });
}

#[test]
fn both_versions_hear_each_other() {
    on_each_driver(&["--shards", "1"], |server| {
        let (old, new) = (&mut connect_v1(server), &mut connect(server.address));
        join_v1(old, "t");
        join(new, "t");
        let in_v1 = json!({"topic": "t", "event": "e", "payload": {"é": [1]}, "ref": null});
        let in_v2 = json!([null, null, "t", "e", {"é": [1]}]);

        say(
            old,
            json!({"topic": "t", "event": "e", "payload": {"é": [1]}, "ref": "8"}),
        );
        assert_eq!(
            hear_all(old, 2),
            sorted(vec![in_v1.clone(), ok_v1("t", "8")])
        );
        assert_eq!(hear(new), in_v2);

        say(new, json!(["j", "9", "t", "e", {"é": [1]}]));
        assert_eq!(hear_all(new, 2), sorted(vec![in_v2, ok("j", "9", "t")]));
        assert_eq!(hear(old), in_v1);

        // Bytes cannot be said in version 1.
        new.send(&binary_push("j", "10", "t", "e", &[0xFF, 0]));
        let mut frames = [new.frame(), new.frame()];
        frames.sort_by_key(|frame| frame.opcode);
        assert_eq!(frames[1], binary_broadcast("t", "e", &[0xFF, 0]));
        say(
            old,
            json!({"topic": "phoenix", "event": "heartbeat", "payload": {}, "ref": "11"}),
        );
        assert_eq!(hear(old), ok_v1("phoenix", "11"));
    });
}

#[test]
fn a_binary_push_ends_a_session_of_version_1() {
    on_each_driver(&["--shards", "1"], |server| {
        let (old, new) = (&mut connect_v1(server), &mut connect(server.address));
        old.send(&encode(FIN | BINARY, true, &[0, 0, 0, 0, 0]));
        assert_eq!(old.frame().close_code(), 1011);
        expect_heartbeat(new);
    });
}
