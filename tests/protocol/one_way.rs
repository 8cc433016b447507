//! Routes on which clients may not publish, or only those with a token for it. The
//! backend may, and a client that may not is told in the words of its protocol.
//!
//! How: speakers without and with tokens, signed here, beside a listener that must
//! hear what was allowed and nothing else.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::client::{CLOSE, Client, request_with};
use crate::support::{Server, corecast, on_each_driver, run};
use corecast::config::{Config, PublishPolicy, RouteSetting};
use corecast::hub::Topic;
use corecast::ws::PreparedFrame;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

const SECRET: &str = "a secret that only this test knows, and no one else";

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs()
}

/// A token with this claim `publish`.
fn token(publish: &Value) -> String {
    let claims = json!({"exp": now() + 600, "publish": publish});
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    encode(&Header::default(), &claims, &key).unwrap()
}

/// Settings of a handler with the secret of [`token`].
fn settings(handler: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    let text = format!("[handlers.{handler}.token]\nalgorithm = 'HS256'\nsecret = '{SECRET}'\n");
    fs::write(file.path(), text).unwrap();
    file
}

fn with_token(server: &Server, path: &str, token: &str) -> Client {
    Client::connect(server.address, &format!("{path}?token={token}"))
}

/// The code and the reason of the close frame that comes next.
#[track_caller]
fn close_of(client: &mut Client) -> (u16, String) {
    let frame = client.frame();
    assert_eq!(frame.opcode, CLOSE, "{frame:?}");
    let reason = String::from_utf8_lossy(&frame.payload[2..]).into_owned();
    (frame.close_code(), reason)
}

/// Checks that a listener hears these words next, and so has heard nothing before.
fn hears_nothing_but(listener: &mut Client, speaker: &mut Client, words: &str) {
    speaker.send_text(words);
    assert_eq!(listener.read_text(), words);
}

#[test]
fn a_broadcast_on_which_no_client_may_speak_closes_those_that_do() {
    on_each_driver(
        &[
            "--route",
            "/news=broadcast:publish=nobody",
            "--route",
            "/n/{x}=broadcast:publish=nobody",
        ],
        |server| {
            for path in ["/news", "/n/a"] {
                let before = server.total("denied_publications");
                let listener = Client::connect(server.address, path);
                let mut speaker = Client::connect(server.address, path);
                speaker.send_text("hear me");
                let (code, reason) = close_of(&mut speaker);
                assert_eq!((code, &*reason), (1008, "publishing is not allowed here"));
                assert_eq!(server.total("denied_publications"), before + 1);
                assert_eq!(server.total("publications"), 0);
                // It is there all the same.
                listener.close();
            }
        },
    );
}

#[test]
fn the_backend_speaks_where_no_client_may() {
    let config = Config {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        admin: None,
        shards: 2,
        routes: vec![RouteSetting {
            publish: Some(PublishPolicy::Nobody),
            ..RouteSetting::new("/news", "broadcast")
        }],
        ..Config::default()
    };
    let server = corecast::server::Server::new(config)
        .unwrap()
        .start()
        .unwrap();
    let publisher = server.publisher();
    let mut listeners: Vec<_> = (0..8)
        .map(|_| Client::connect(server.local_addr(), "/news"))
        .collect();
    let topic = Topic::new("corecast:broadcast:/news");
    publisher
        .try_publish(&topic, PreparedFrame::text("from the backend"))
        .unwrap();
    for listener in &mut listeners {
        assert_eq!(listener.read_text(), "from the backend");
    }
    let mut speaker = listeners.pop().unwrap();
    speaker.send_text("hear me");
    assert_eq!(close_of(&mut speaker).0, 1008);
    publisher
        .try_publish(&topic, PreparedFrame::text("once more"))
        .unwrap();
    for listener in &mut listeners {
        assert_eq!(listener.read_text(), "once more");
    }
}

#[test]
fn on_a_broadcast_that_asks_for_a_token_its_claim_decides() {
    let file = settings("broadcast");
    let options = [
        "--shards",
        "1",
        "--config",
        file.path().to_str().unwrap(),
        "--route",
        "/news=broadcast:publish=token",
        "--route",
        "/rooms/{room}=broadcast:publish=token",
    ];
    on_each_driver(&options, |server| {
        for (path, publish) in [
            ("/news", json!(["/news"])),
            ("/news", json!(["/other", "*"])),
            ("/rooms/a", json!(["/rooms/*"])),
        ] {
            let mut listener = Client::connect(server.address, path);
            let mut speaker = with_token(server, path, &token(&publish));
            hears_nothing_but(&mut listener, &mut speaker, "it is allowed");
            for bad in [
                token(&json!([])),
                token(&json!(["/rooms"])),
                token(&json!("/news")),
                token(&publish).replace('.', "_"),
                String::new(),
            ] {
                let mut speaker = with_token(server, path, &bad);
                speaker.send_text("hear me");
                assert_eq!(close_of(&mut speaker).0, 1008, "{path} {bad}");
            }
            let mut speaker = with_token(server, path, &token(&publish));
            hears_nothing_but(&mut listener, &mut speaker, "still allowed");
        }
        // Programs send it as a header.
        let mut listener = Client::connect(server.address, "/news");
        let mut speaker = Client::open(server.address);
        let header = format!("Authorization: bearer {}\r\n", token(&json!(["/news"])));
        speaker.send(request_with("/news", &header).as_bytes());
        assert!(speaker.response_head().starts_with("HTTP/1.1 101 "));
        hears_nothing_but(&mut listener, &mut speaker, "as a header");
    });
}

#[test]
fn a_chat_answers_those_that_may_not_speak_and_lets_them_stay() {
    let file = settings("chat");
    let options = [
        "--config",
        file.path().to_str().unwrap(),
        "--route",
        "/c/{room}=chat:publish=token",
        "--route",
        "/quiet/{room}=chat:publish=nobody",
    ];
    on_each_driver(&options, |server| {
        let say = |client: &mut Client, words: &str| {
            client.send_text(&format!(r#"{{"type":"chat_message","content":"{words}"}}"#));
        };
        for path in ["/c/a", "/quiet/a"] {
            let before = server.total("denied_publications");
            let mut silent = Client::connect(server.address, path);
            assert!(silent.read_text().contains("connected"));
            say(&mut silent, "hear me");
            let answer = silent.read_text();
            assert!(answer.contains(r#""type":"error""#), "{answer}");
            assert!(answer.contains("unauthorized"), "{answer}");
            assert_eq!(server.total("denied_publications"), before + 1);
            // A message that is not a publication is answered as ever.
            silent.send_text(r#"{"type":"what"}"#);
            assert!(silent.read_text().contains("is not a type of message"));
            if path == "/c/a" {
                let mut speaker = with_token(server, path, &token(&json!(["/c/*"])));
                assert!(speaker.read_text().contains("connected"));
                say(&mut speaker, "it is allowed");
                assert!(silent.read_text().contains("it is allowed"));
            }
        }
    });
}

#[test]
fn what_cannot_be_is_refused_at_the_start() {
    for (route, words) in [
        (
            "/news=broadcast:publish=token",
            "--route: '/news' asks for a token to publish, but there is no table [token] \
             or [handlers.broadcast.token]",
        ),
        (
            "/s=phoenix:publish=token",
            "--route: '/s' asks for a token to publish, but there is no table [token] \
             or [handlers.phoenix.token]",
        ),
        (
            "/e=echo:publish=nobody",
            "--route: '/e' cannot have publish=nobody, because nothing is published with echo",
        ),
        (
            "/news=broadcast:publish=all",
            "'all' is not an answer to who may publish; use everyone, token or nobody",
        ),
    ] {
        for print in [&["--print-config"][..], &[]] {
            let words_typed = ["serve", "--listen", "127.0.0.1:0", "--route", route];
            let (code, _, said) = run(corecast().args(words_typed).args(print));
            assert_eq!(code, 2, "{said}");
            assert!(said.contains(words), "{said}");
        }
    }
    let route = "/news=broadcast:drop:publish=nobody";
    let words_typed = ["serve", "--route", route, "--print-config"];
    let (code, printed, _) = run(corecast().args(words_typed));
    assert_eq!(code, 0);
    let table = "handler = \"broadcast\"\nslow_consumer = \"drop\"\npublish = \"nobody\"\n";
    assert!(printed.contains(table), "{printed}");
}
