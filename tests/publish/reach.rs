//! A backend's publication reaches the clients of every protocol: a Phoenix client as an
//! event, a raw client as its data, on all shards.
//!
//! How: a publication of each kind by each way in, heard by real sessions.

use serde_json::{Value, json};

use crate::backend::{ALL, WithApi};
use crate::support::client::{BINARY, Client, TEXT};
use crate::support::phoenix::{binary_broadcast, connect, hear, join};
use crate::support::{drivers, phoenix};

fn on_each_driver(test: impl Fn(&WithApi)) {
    for driver in drivers() {
        test(&WithApi::start(&["--driver", driver, "--shards", "2"]));
    }
}

fn event(topic: &str, event: &str, payload: Value) -> Value {
    json!([null, null, topic, event, payload])
}

#[test]
fn a_phoenix_client_hears_an_event() {
    on_each_driver(|it| {
        let mut client = connect(it.server.address);
        join(&mut client, "room:1");

        let answer = it.call(
            "publish",
            json!({"channel": "room:1", "data": {"a": [1, "ü"]}}),
        );
        assert_eq!(answer, json!({"result": {}}));
        let payload = json!({"a": [1, "ü"]});
        assert_eq!(hear(&mut client), event("room:1", "publication", payload));

        let tags = json!({"event": "price", "unit": "EUR"});
        it.call(
            "publish",
            json!({"channel": "room:1", "data": {"a": 42}, "tags": tags}),
        );
        assert_eq!(
            hear(&mut client),
            event("room:1", "price", json!({"a": 42}))
        );

        let headers = [
            ("Authorization", &*format!("ApiKey {ALL}")),
            ("Content-Type", "application/json"),
            ("X-Event", "changed"),
        ];
        let response = it.send("POST", "/topics/room:1", &headers, br#"{"b": 1}"#);
        assert_eq!(response.status, 202, "{}", response.text());
        assert_eq!(response.text(), r#"{"topic":"room:1"}"#);
        assert_eq!(
            hear(&mut client),
            event("room:1", "changed", json!({"b": 1}))
        );

        it.post("room:1", "text/plain", b"hello");
        let heard = hear(&mut client);
        assert_eq!(heard[3], "publication");
        assert!(heard.to_string().contains("hello"), "{heard}");

        it.call("publish", json!({"channel": "room:1", "b64data": "AQID"}));
        let frame = client.frame();
        assert_eq!(frame, binary_broadcast("room:1", "publication", &[1, 2, 3]));
        phoenix::expect_heartbeat(&mut client);
    });
}

#[test]
fn a_raw_client_hears_the_data() {
    on_each_driver(|it| {
        let mut client = Client::connect(it.server.address, "/broadcast");
        client.expect_echo("subscribed");
        let channel = "corecast:broadcast:/broadcast";

        it.call("publish", json!({"channel": channel, "data": {"a": 1}}));
        assert_eq!(client.read_text(), r#"{"a":1}"#);
        // The slash may stand as it is, or encoded.
        for topic in [channel, "corecast:broadcast:%2Fbroadcast"] {
            assert_eq!(it.post(topic, "text/plain", b"hello").status, 202);
            let frame = client.frame();
            assert_eq!((frame.opcode, &*frame.payload), (TEXT, &b"hello"[..]));
        }
        it.post(channel, "image/png", &[0, 255, 1]);
        let frame = client.frame();
        assert_eq!((frame.opcode, &*frame.payload), (BINARY, &[0, 255, 1][..]));
    });
}

#[test]
fn a_broadcast_and_a_batch_reach_each_topic_in_order() {
    on_each_driver(|it| {
        let mut client = connect(it.server.address);
        for topic in ["a", "b"] {
            join(&mut client, topic);
        }
        let answer = it.call("broadcast", json!({"channels": ["a", "b"], "data": 1}));
        let taken = json!({"result": {}});
        assert_eq!(answer, json!({"result": {"responses": [taken, taken]}}));
        for topic in ["a", "b"] {
            assert_eq!(hear(&mut client), event(topic, "publication", json!(1)));
        }

        let publish = |data: u32| json!({"publish": {"channel": "a", "data": data}});
        let commands = json!([publish(1), {"nothing": {}}, publish(2), {"info": {}}, publish(3)]);
        let answer = it.call("batch", json!({"commands": commands, "parallel": true}));
        let replies = answer["replies"].as_array().unwrap();
        assert_eq!(replies.len(), 5);
        assert_eq!(replies[0], json!({"publish": {}}));
        assert_eq!(replies[1]["error"]["code"], 104);
        assert_eq!(replies[3]["info"]["nodes"][0]["name"], "corecast");
        for data in 1..=3 {
            assert_eq!(hear(&mut client), event("a", "publication", json!(data)));
        }
    });
}

#[test]
fn a_client_without_a_protocol_hears_its_topic() {
    let it = WithApi::start(&["--shards", "2", "--route", "/t/{topic}=topics"]);
    let mut raw = Client::connect(it.server.address, "/t/room:1");
    raw.expect_echo("\"subscribed\"");
    let mut phoenix = connect(it.server.address);
    join(&mut phoenix, "room:1");
    let headers = [
        ("X-API-Key", ALL),
        ("Content-Type", "application/json"),
        ("X-Event", "price"),
        ("X-Key", "EUR"),
    ];
    let response = it.send("POST", "/topics/room:1", &headers, b"[1, 2]");
    assert_eq!(response.status, 202);
    assert_eq!(raw.read_text(), "[1, 2]");
    assert_eq!(hear(&mut phoenix), event("room:1", "price", json!([1, 2])));
    let counted = it.ask(ALL, "GET", "/topics/room:1").text();
    assert_eq!(counted, r#"{"topic":"room:1","subscribers":2}"#);
}
