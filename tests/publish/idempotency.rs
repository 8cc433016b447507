//! Idempotency keys: a request that is made again is answered as before and publishes
//! nothing.
//!
//! How: the same requests several times, and a client that counts.

use serde_json::json;

use crate::backend::{ALL, SLOW, WithApi};
use crate::support::client::Client;

const CHANNEL: &str = "corecast:broadcast:/broadcast";

#[test]
fn a_publication_with_the_same_key_is_made_once() {
    let it = WithApi::start(&["--shards", "2"]);
    let mut client = Client::connect(it.server.address, "/broadcast");
    client.expect_echo("subscribed");
    let publish = |key: &str, data: u32| {
        it.call(
            "publish",
            json!({"channel": CHANNEL, "data": data, "idempotency_key": key}),
        )
    };
    for data in 1..=3 {
        assert_eq!(publish("a", data), json!({"result": {}}));
    }
    assert_eq!(client.read_text(), "1");
    publish("b", 4);
    assert_eq!(client.read_text(), "4");

    let post = |key: &str, idempotency_key: &str, body: &[u8]| {
        let headers = [("X-API-Key", key), ("Idempotency-Key", idempotency_key)];
        it.send("POST", &format!("/topics/{CHANNEL}"), &headers, body)
    };
    let first = post(ALL, "c", b"5");
    let again = post(ALL, "c", b"5");
    assert_eq!((first.status, again.status), (202, 202));
    assert_eq!(first.body, again.body);
    assert_eq!(first.header("idempotency-replayed"), None);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    // Both ways in know the same keys, those of another backend are its own.
    assert!(
        post(ALL, "a", b"6")
            .header("idempotency-replayed")
            .is_some()
    );
    post(SLOW, "c", b"7");
    for text in ["5", "7"] {
        assert_eq!(client.read_text(), text);
    }

    // A broadcast that is made again reaches only the channels that it had not reached.
    let broadcast = |channels: &[&str]| {
        let params = json!({"channels": channels, "data": 8, "idempotency_key": "d"});
        it.call("broadcast", params)
    };
    broadcast(&["elsewhere"]);
    broadcast(&["elsewhere", CHANNEL]);
    broadcast(&["elsewhere", CHANNEL]);
    assert_eq!(client.read_text(), "8");
    post(ALL, "e", b"last");
    assert_eq!(client.read_text(), "last");
    assert_eq!(it.counted("replays"), 2 + 1 + 1 + 1 + 2);
}

#[test]
fn a_publication_that_was_not_made_may_be_made_again() {
    let it = WithApi::start(&["--shards", "1"]);
    let mut client = Client::connect(it.server.address, "/broadcast");
    client.expect_echo("subscribed");
    let publish = |data: &str| {
        let body = format!(r#"{{"channel": "{CHANNEL}", "data": {data}, "idempotency_key": "k"}}"#);
        it.send(
            "POST",
            "/api/publish",
            &[("X-API-Key", ALL)],
            body.as_bytes(),
        )
        .text()
    };
    assert!(publish("{").contains("107"));
    assert_eq!(publish("1"), r#"{"result":{}}"#);
    assert_eq!(client.read_text(), "1");
    for key in ["", &"k".repeat(256)] {
        let headers = [("X-API-Key", ALL), ("Idempotency-Key", key)];
        assert_eq!(it.send("POST", "/topics/t", &headers, b"1").status, 400);
    }
}
