//! The JSON chat across shards, with a third-party client: each session hears all, and
//! every message is exactly as documented.
//!
//! How: tokio-tungstenite clients on `/ws` and `/ws/{user_id}`, as many as it
//! takes until each of two shards has several.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::client::{Client, request};
use crate::support::{DEADLINE, Server, on_each_driver};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(address: SocketAddr, path: &str) -> Socket {
    let (socket, response) = connect_async(format!("ws://{address}{path}"))
        .await
        .expect("a session");
    assert_eq!(response.status(), 101);
    socket
}

/// The next text message, as it came.
async fn read(socket: &mut Socket) -> String {
    let message = timeout(DEADLINE, socket.next()).await.expect("in time");
    match message.expect("a message").expect("no fault") {
        Message::Text(text) => text.as_str().to_owned(),
        other => panic!("expected text, not {other:?}"),
    }
}

async fn say(socket: &mut Socket, text: impl Into<String>) {
    socket.send(Message::text(text.into())).await.expect("sent");
}

fn timestamp(message: &str) -> u64 {
    let value: Value = serde_json::from_str(message).expect("JSON");
    let timestamp = value["timestamp"].as_u64().expect("a timestamp");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let age = (now.as_millis() as u64).abs_diff(timestamp);
    assert!(age < 60_000, "the timestamp is {age} ms off");
    timestamp
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime
        .block_on(async { timeout(3 * DEADLINE, test).await })
        .expect("in time");
}

async fn everyone_hears_everyone(server: &Server) {
    let mut users = Vec::new();
    while users.len() < 12 || server.per_shard("sessions").iter().any(|n| *n < 3) {
        let name = format!("user {}", users.len());
        let mut socket = connect(server.address, &format!("/ws/user%20{}", users.len())).await;
        let hello = read(&mut socket).await;
        let time = timestamp(&hello);
        // Byte for byte: some clients compare strings.
        assert_eq!(
            hello,
            format!(r#"{{"type":"connected","user_id":"{name}","timestamp":{time}}}"#)
        );
        users.push(socket);
        assert!(users.len() < 200, "the kernel puts all on one shard");
    }
    // A round each, so that the order is known.
    for speaker in 0..users.len() {
        let content = format!("round {speaker} with \"quotes\", ünïcode and {{}}");
        let message = json!({"type": "chat_message", "content": content});
        say(&mut users[speaker], message.to_string()).await;
        for listener in &mut users {
            let heard = read(listener).await;
            let time = timestamp(&heard);
            let content = Value::from(content.as_str());
            assert_eq!(
                heard,
                format!(
                    r#"{{"type":"message","user_id":"user {speaker}","content":{content},"timestamp":{time}}}"#
                )
            );
        }
    }
    let count = users.len() as u64;
    assert_eq!(server.total("publications"), count);
    server.wait_for("deliveries", count * count);
    for mut user in users {
        user.close(None).await.expect("a close frame leaves");
        while timeout(DEADLINE, user.next())
            .await
            .expect("in time")
            .is_some()
        {}
    }
    server.wait_for("sessions", 0);
    assert_eq!(server.total("ended.peer_closed"), count);
}

#[test]
fn everyone_hears_everyone_across_shards() {
    on_each_driver(&["--shards", "2"], |server| {
        run(everyone_hears_everyone(server));
    });
}

async fn user_of(server: &Server, path: &str) -> String {
    let hello = read(&mut connect(server.address, path).await).await;
    let hello: Value = serde_json::from_str(&hello).unwrap();
    assert_eq!(hello["type"], "connected");
    hello["user_id"].as_str().unwrap().to_owned()
}

#[test]
fn users_are_named_by_their_path_or_by_chance() {
    on_each_driver(&["--shards", "1"], |server| {
        run(async {
            for (path, name) in [
                ("/ws/ann", "ann"),
                ("/ws/J%C3%BCrgen%20%2F%20M%C3%BCller", "Jürgen / Müller"),
                ("/ws/%22%5C", "\"\\"),
                ("/ws/ann?token=1", "ann"),
            ] {
                assert_eq!(user_of(server, path).await, name);
            }
            let mut names = Vec::new();
            for _ in 0..20 {
                let name = user_of(server, "/ws").await;
                let number = name.strip_prefix("user_").expect("user_ and a number");
                assert!(number.parse::<u32>().is_ok(), "{name}");
                names.push(name);
            }
            names.sort_unstable();
            names.dedup();
            assert!(names.len() > 15, "chance gives the same names: {names:?}");
        });
    });
}

#[test]
fn what_is_no_chat_message_gets_an_error_and_the_session_lives_on() {
    on_each_driver(&["--shards", "1"], |server| {
        run(async {
            let mut ann = connect(server.address, "/ws/ann").await;
            let mut bob = connect(server.address, "/ws/bob").await;
            read(&mut ann).await;
            read(&mut bob).await;
            for bad in [
                "",
                "not JSON",
                "[]",
                r#"["chat_message","x"]"#,
                "42",
                "null",
                "{}",
                r#"{"type":"chat_message"}"#,
                r#"{"type":"unknown","content":"x"}"#,
                r#"{"type":7,"content":"x"}"#,
                r#"{"content":"x"}"#,
                r#"{"type":"chat_message","content":"x"} trailing"#,
            ] {
                say(&mut ann, bad).await;
                let answer = read(&mut ann).await;
                let error: Value = serde_json::from_str(&answer).unwrap();
                assert_eq!(error["type"], "error", "{bad}: {answer}");
                assert!(!error["reason"].as_str().unwrap().is_empty());
                assert_eq!(error.as_object().unwrap().len(), 2, "{answer}");
            }
            ann.send(Message::binary(&b"{}"[..])).await.unwrap();
            let error: Value = serde_json::from_str(&read(&mut ann).await).unwrap();
            assert_eq!(error["type"], "error");

            // Counted and not answered: the next frame is the next message.
            let before = server.total("messages_in");
            for _ in 0..10 {
                say(&mut ann, r#"{"type":"benchmark_test","content":{"a":[1]}}"#).await;
            }
            // The content is passed on as it was written.
            let content = r#"{"b": 1,  "a": [1.50, null]}"#;
            say(
                &mut ann,
                format!(r#"{{"content":{content}, "type":"chat_message"}}"#),
            )
            .await;
            let heard = read(&mut bob).await;
            assert!(
                heard.contains(&format!(r#""content":{content},"#)),
                "{heard}"
            );
            assert_eq!(read(&mut ann).await, heard);
            assert_eq!(server.total("messages_in"), before + 11);

            // Each kind of JSON is one.
            for content in ["null", " null ", "0", "false", "\"\"", "[]", "{}"] {
                let text = format!(r#"{{"type":"chat_message","content":{content}}}"#);
                say(&mut ann, text).await;
                let heard = read(&mut ann).await;
                let said = format!(r#""content":{},"#, content.trim());
                assert!(heard.contains(&said), "{heard}");
                assert_eq!(read(&mut bob).await, heard);
            }
            assert!(
                timeout(Duration::from_millis(100), ann.next())
                    .await
                    .is_err()
            );
        });
    });
}

/// A name goes out with each message, so it may not be as long as a request.
#[test]
fn a_name_has_a_fair_length() {
    let options = ["--shards", "1", "--route", "/chat/{room}/{user_id}=chat"];
    on_each_driver(&[&options[..], &["--demo"]].concat(), |server| {
        for path in ["/ws", "/chat/kitchen"] {
            for (name, status) in [("n".repeat(256), 101), ("%6e".repeat(256), 101)]
                .into_iter()
                .chain([("n".repeat(257), 414)])
            {
                let mut client = Client::open(server.address);
                client.send(request(&format!("{path}/{name}")).as_bytes());
                let head = client.response_head();
                assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
            }
        }
    });
}
