//! Phoenix Channels in version 2 of the protocol: topics are joined, left and
//! joined again, and every answer is exactly what a Phoenix server says.
//!
//! How: raw clients on each driver compare whole messages as JSON.

use crate::support::on_each_driver;
use crate::support::phoenix::{
    connect, error, expect_heartbeat, hear, hear_all, join, ok, on_all_shards, say, sorted,
};
use serde_json::{Value, json};

#[test]
fn a_join_is_answered_and_a_push_goes_to_all_shards() {
    on_each_driver(&["--shards", "2"], |server| {
        let mut clients = on_all_shards(server, 2, || connect(server.address));
        for client in &mut clients {
            join(client, "room:a");
        }
        let stranger = &mut connect(server.address);
        join(stranger, "room:b");
        for speaker in 0..clients.len() {
            let payload = json!({"body": format!("from {speaker} \u{20ac} \"q\"")});
            say(
                &mut clients[speaker],
                json!(["j", "9", "room:a", "new_msg", payload]),
            );
            let broadcast = json!([null, null, "room:a", "new_msg", payload]);
            for (listener, client) in clients.iter_mut().enumerate() {
                if listener == speaker {
                    let expected = sorted(vec![broadcast.clone(), ok("j", "9", "room:a")]);
                    assert_eq!(hear_all(client, 2), expected);
                } else {
                    assert_eq!(hear(client), broadcast);
                }
            }
        }
        expect_heartbeat(stranger);
        // One version is spoken, so each push is one publication.
        assert_eq!(server.total("publications"), clients.len() as u64);
    });
}

#[test]
fn references_go_back_as_they_came() {
    on_each_driver(&["--shards", "1"], |server| {
        for (join_ref, reference) in [
            (json!("1"), json!("2")),
            (json!(0), json!(0)),
            (json!(7), json!("8")),
            (json!("a\"b"), json!("\u{e9}")),
            (json!("007"), json!(1.5)),
        ] {
            let client = &mut connect(server.address);
            say(client, json!([join_ref, reference, "t", "phx_join", {}]));
            assert_eq!(hear(client), ok(join_ref.clone(), reference.clone(), "t"));
            // A push may leave out the join it belongs to.
            for said in [join_ref.clone(), Value::Null] {
                say(client, json!([said, reference, "t", "e", {}]));
                let broadcast = json!([null, null, "t", "e", {}]);
                let answer = ok(join_ref.clone(), reference.clone(), "t");
                assert_eq!(hear_all(client, 2), sorted(vec![broadcast, answer]));
            }
            say(client, json!([join_ref, reference, "t", "phx_leave", {}]));
            assert_eq!(hear(client), ok(join_ref.clone(), reference.clone(), "t"));
            let close = json!([join_ref, join_ref, "t", "phx_close", {}]);
            assert_eq!(hear(client), close);
        }
    });
}

#[test]
fn a_payload_is_passed_on_as_it_was_written() {
    on_each_driver(&["--shards", "1"], |server| {
        let client = &mut connect(server.address);
        join(client, "t");
        let payload = r#"{ "b":1.0,"a" : [1e2,"\u00e9", null],"b":2}"#;
        client.send_text(&format!(
            r#" [ "j" , null , "t" , "e" , {payload} , "more" ] "#
        ));
        let mut heard = [client.read_text(), client.read_text()];
        heard.sort();
        let reply = r#"["j",null,"t","phx_reply",{"status":"ok","response":{}}]"#;
        assert_eq!(
            heard,
            [
                reply.to_owned(),
                format!(r#"[null,null,"t","e",{payload}]"#)
            ]
        );
    });
}

#[test]
fn who_has_left_hears_nothing_more() {
    on_each_driver(&["--shards", "1"], |server| {
        let (speaker, leaver) = (&mut connect(server.address), &mut connect(server.address));
        join(speaker, "t");
        join(leaver, "t");
        say(leaver, json!(["j", "5", "t", "phx_leave", {}]));
        assert_eq!(hear(leaver), ok("j", "5", "t"));
        assert_eq!(hear(leaver), json!(["j", "j", "t", "phx_close", {}]));
        say(speaker, json!(["j", "6", "t", "e", {}]));
        hear_all(speaker, 2);
        expect_heartbeat(leaver);
        // Pushing and leaving again is answered as where one never was.
        say(leaver, json!(["j", "7", "t", "e", {}]));
        assert_eq!(
            hear(leaver),
            error(Value::Null, "7", "t", "unmatched topic")
        );
        say(leaver, json!(["j", "8", "t", "phx_leave", {}]));
        assert_eq!(hear(leaver), ok("j", "8", "t"));
        server.wait_for("subscriptions", 1);
    });
}

#[test]
fn joining_again_closes_the_old_join() {
    on_each_driver(&["--shards", "1"], |server| {
        let client = &mut connect(server.address);
        say(client, json!(["1", "1", "t", "phx_join", {}]));
        assert_eq!(hear(client), ok("1", "1", "t"));
        say(client, json!(["2", "2", "t", "phx_join", {}]));
        assert_eq!(hear(client), ok("2", "2", "t"));
        assert_eq!(hear(client), json!(["1", "1", "t", "phx_close", {}]));

        // Messages of the old join are not answered.
        say(client, json!(["1", "3", "t", "e", {}]));
        say(client, json!(["1", "4", "t", "phx_leave", {}]));
        expect_heartbeat(client);
        server.wait_for("subscriptions", 1);
        assert_eq!(server.total("publications"), 0);

        say(client, json!(["2", "5", "t", "e", {}]));
        let broadcast = json!([null, null, "t", "e", {}]);
        assert_eq!(
            hear_all(client, 2),
            sorted(vec![broadcast, ok("2", "5", "t")])
        );
    });
}

#[test]
fn only_the_server_says_what_is_reserved() {
    on_each_driver(&["--shards", "1"], |server| {
        let client = &mut connect(server.address);
        join(client, "t");
        for event in [
            "phx_close",
            "phx_error",
            "phx_reply",
            "phx_anything",
            "chan_reply_1",
            "presence_state",
            "presence_diff",
        ] {
            say(client, json!(["j", "1", "t", event, {}]));
            assert_eq!(hear(client), error("j", "1", "t", "reserved event"));
        }
        assert_eq!(server.total("publications"), 0);
    });
}

#[test]
fn the_system_topic_is_for_heartbeats_only() {
    on_each_driver(&["--shards", "1"], |server| {
        let client = &mut connect(server.address);
        expect_heartbeat(client);
        for event in ["phx_join", "new_msg"] {
            say(client, json!([null, "1", "phoenix", event, {}]));
            let answer = error(Value::Null, "1", "phoenix", "unmatched topic");
            assert_eq!(hear(client), answer);
        }
    });
}

#[test]
fn a_session_joins_a_hundred_topics_and_no_more() {
    on_each_driver(&["--shards", "1"], |server| {
        let client = &mut connect(server.address);
        for number in 0..100 {
            join(client, &format!("room:{number}"));
        }
        say(client, json!(["a", "b", "one too many", "phx_join", {}]));
        let reason = "too many channels joined";
        assert_eq!(hear(client), error("a", "b", "one too many", reason));
        // It may join again a topic that it is in already.
        say(client, json!(["new", "r", "room:7", "phx_join", {}]));
        assert_eq!(hear(client), ok("new", "r", "room:7"));
        assert_eq!(hear(client), json!(["j", "j", "room:7", "phx_close", {}]));
        // And a session that leaves a topic makes room.
        say(client, json!(["j", "r", "room:50", "phx_leave", {}]));
        hear_all(client, 2);
        join(client, "another");
        server.wait_for("subscriptions", 100);

        let long = "x".repeat(1_025);
        say(client, json!(["j", "r", "room:1", "phx_leave", {}]));
        hear_all(client, 2);
        say(client, json!(["a", "b", long, "phx_join", {}]));
        assert_eq!(hear(client), error("a", "b", &long, "topic too long"));
        join(client, &long[1..]);
    });
}
