//! The JSON chat of `/ws`: every message exactly as documented, because some
//! clients compare strings.
//!
//! How: two users, of which one speaks.

mod support;

use serde_json::Value;
use support::{Client, Server};
use tokio_tungstenite::tungstenite::Message;

async fn say(client: &mut Client, text: &str) {
    client.send(Message::text(text)).await;
}

fn field(message: &str, name: &str) -> Value {
    let message: Value = serde_json::from_str(message).expect("JSON");
    message[name].clone()
}

#[tokio::test]
async fn everyone_hears_what_one_says() {
    let server = Server::start();
    let mut ann = Client::connect(server.address, "/ws/ann").await;
    let hello = ann.read_text().await;
    let time = field(&hello, "timestamp");
    assert_eq!(
        hello,
        format!(r#"{{"type":"connected","user_id":"ann","timestamp":{time}}}"#)
    );
    let mut bob = Client::connect(server.address, "/ws/J%C3%BCrgen%20M").await;
    assert_eq!(field(&bob.read_text().await, "user_id"), "Jürgen M");

    let content = r#"{"b": 1,  "a": [1.50, null]}"#;
    say(
        &mut bob,
        &format!(r#"{{"type":"chat_message","content":{content}}}"#),
    )
    .await;
    let heard = ann.read_text().await;
    let time = field(&heard, "timestamp");
    assert_eq!(
        heard,
        format!(
            r#"{{"type":"message","user_id":"Jürgen M","content":{content},"timestamp":{time}}}"#
        )
    );
    assert_eq!(bob.read_text().await, heard);
}

#[tokio::test]
async fn who_has_no_name_gets_one() {
    let server = Server::start();
    let mut names = Vec::new();
    for _ in 0..5 {
        let mut client = Client::connect(server.address, "/ws").await;
        let name = field(&client.read_text().await, "user_id");
        let number = name
            .as_str()
            .unwrap()
            .strip_prefix("user_")
            .expect("user_ and a number");
        names.push(number.parse::<u32>().expect("a number"));
    }
    names.dedup();
    assert!(names.len() > 1, "{names:?}");
}

#[tokio::test]
async fn a_benchmark_test_is_counted_and_anything_else_is_an_error() {
    let server = Server::start();
    let mut ann = Client::connect(server.address, "/ws/ann").await;
    let mut bob = Client::connect(server.address, "/ws/bob").await;
    ann.read_text().await;
    bob.read_text().await;
    for _ in 0..10 {
        say(&mut ann, r#"{"type":"benchmark_test","content":"x"}"#).await;
    }
    server.wait_until("messages_in", 10);
    for bad in [
        "nonsense",
        "{}",
        r#"{"type":"chat_message"}"#,
        r#"{"type":"x","content":1}"#,
    ] {
        say(&mut ann, bad).await;
        let error = ann.read_text().await;
        assert_eq!(field(&error, "type"), "error", "{bad}: {error}");
        assert_ne!(field(&error, "reason"), "", "{error}");
    }
    ann.send(Message::binary(&b"{}"[..])).await;
    assert_eq!(field(&ann.read_text().await, "type"), "error");
    assert_eq!(server.total("messages_in"), 15);
    assert_eq!(server.total("messages_out"), 5);
    // Bob has received nothing of all that.
    say(&mut ann, r#"{"type":"chat_message","content":"now"}"#).await;
    assert_eq!(field(&bob.read_text().await, "content"), "now");
}
