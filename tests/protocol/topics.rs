//! Topics by their names in the path: what a client without a protocol hears and may do,
//! by the rules that count for all protocols.
//!
//! How: raw clients on `/topics/{topic}` beside Phoenix clients in the same topic.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::client::{BINARY, Client, TEXT, request};
use crate::support::phoenix::{binary_push, connect, error, hear, hear_all, join, ok, say};
use crate::support::{Server, corecast, on_each_driver, wait_until};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use tempfile::TempDir;

#[test]
fn the_data_of_a_topic_arrives_as_it_is() {
    on_each_driver(&["--shards", "2"], |server| {
        let mut raw: Vec<_> = (0..8)
            .map(|_| Client::connect(server.address, "/topics/room:1"))
            .collect();
        let mut elsewhere = Client::connect(server.address, "/topics/room:2");
        let phoenix = &mut connect(server.address);
        join(phoenix, "room:1");

        say(phoenix, json!(["j", "1", "room:1", "msg", {"a": [1, 2]}]));
        hear_all(phoenix, 2);
        for raw in &mut raw {
            assert_eq!(raw.read_text(), r#"{"a":[1,2]}"#);
        }
        phoenix.send(&binary_push("j", "2", "room:1", "bin", &[0, 159]));
        for raw in &mut raw {
            let frame = raw.frame();
            assert_eq!((frame.opcode, &frame.payload[..]), (BINARY, &[0, 159][..]));
        }
        for _ in 0..2 {
            phoenix.frame();
        }
        for (text, payload) in [
            (r#"{"b":2}"#, json!({"b": 2})),
            ("no \"JSON\"", json!("no \"JSON\"")),
        ] {
            raw[0].send_text(text);
            let expected = json!([null, null, "room:1", "publication", payload]);
            assert_eq!(hear(phoenix), expected);
            for raw in &mut raw {
                let frame = raw.frame();
                assert_eq!((frame.opcode, &frame.payload[..]), (TEXT, text.as_bytes()));
            }
        }
        elsewhere.send_text("alone");
        assert_eq!(elsewhere.read_text(), "alone");
    });
}

#[test]
fn a_topic_of_a_handlers_own_cannot_be_named() {
    on_each_driver(&["--shards", "1"], |server| {
        for (path, status) in [
            ("/topics/corecast:broadcast:%2Fbroadcast".to_owned(), 404),
            (format!("/topics/{}", "x".repeat(1_025)), 414),
            (format!("/topics/{}", "x".repeat(1_024)), 101),
        ] {
            let mut client = Client::open(server.address);
            client.send(request(&path).as_bytes());
            let head = client.response_head();
            let expected = format!("HTTP/1.1 {status} ");
            assert!(head.starts_with(&expected), "{path}: {head}");
        }
    });
}

const SECRET: &str = "a secret that only this test knows, and no one else";

const RULES: &str = r#"
[token]
algorithm = "HS256"
secret = "a secret that only this test knows, and no one else"

[[topics]]
pattern = "news:*"
publish = "nobody"

[[topics]]
pattern = "team:*"
join = "token"
publish = "token"
echo = false

[[topics]]
pattern = "secret"
join = "nobody"

[[topics]]
pattern = "open:*"
"#;

fn token(claims: Value) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut claims = claims;
    claims["exp"] = json!(since.as_secs() + 600);
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    encode(&Header::default(), &claims, &key).unwrap()
}

/// A server with these rules, and the folder that its file is in.
fn configured(rules: &str) -> (Server, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("corecast.toml");
    fs::write(&file, rules).unwrap();
    let mut command = corecast();
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .args(["--route", "/topics/{topic}=topics", "--shards", "1"])
        .args(["--route", "/socket/websocket=phoenix", "--config"])
        .arg(&file);
    (Server::spawn(&mut command), folder)
}

/// The status of a handshake for a topic.
fn status(server: &Server, topic: &str) -> String {
    let mut client = Client::open(server.address);
    client.send(request(&format!("/topics/{topic}")).as_bytes());
    let head = client.response_head();
    head.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn one_list_of_rules_counts_for_all_protocols() {
    let (server, _folder) = configured(RULES);
    let member = token(json!({"topics": ["team:*"]}));
    let speaker = token(json!({"topics": ["team:*"], "publish": ["team:a"]}));
    for (topic, expected) in [
        ("open:1".to_owned(), "101"),
        ("news:1".to_owned(), "101"),
        ("secret".to_owned(), "403"),
        ("unmatched".to_owned(), "404"),
        ("team:a".to_owned(), "403"),
        ("team:a?token=no".to_owned(), "403"),
        (format!("team:a?token={member}"), "101"),
    ] {
        assert_eq!(status(&server, &topic), expected, "{topic}");
    }

    // A session that may not publish ends, and that is counted.
    let denied = server.total("denied_publications");
    for topic in ["news:1".to_owned(), format!("team:a?token={member}")] {
        let mut client = Client::connect(server.address, &format!("/topics/{topic}"));
        client.send_text("x");
        assert_eq!(client.frame().close_code(), 1008);
    }
    assert_eq!(server.total("denied_publications"), denied + 2);

    let phoenix = &mut connect(server.address);
    say(phoenix, json!(["j", "r", "team:a", "phx_join", {}]));
    assert_eq!(hear(phoenix), error("j", "r", "team:a", "unauthorized"));
    let payload = json!({ "token": speaker });
    say(phoenix, json!(["j", "r", "team:a", "phx_join", payload]));
    assert_eq!(hear(phoenix), ok("j", "r", "team:a"));

    // The sender does not hear itself here; the others do.
    let path = format!("/topics/team:a?token={speaker}");
    let mut raw = Client::connect(server.address, &path);
    raw.send_text("1");
    let expected = json!([null, null, "team:a", "publication", 1]);
    assert_eq!(hear(phoenix), expected);
    say(phoenix, json!(["j", "p", "team:a", "e", {"n": 2}]));
    assert_eq!(hear(phoenix), ok("j", "p", "team:a"));
    assert_eq!(raw.read_text(), r#"{"n":2}"#);
}

#[test]
fn rules_are_taken_up_by_sighup() {
    let (server, folder) = configured("");
    assert_eq!(status(&server, "room"), "101");
    let file = folder.path().join("corecast.toml");
    fs::write(&file, "[[topics]]\npattern = 'room'\njoin = 'nobody'\n").unwrap();
    server.signal(libc::SIGHUP);
    wait_until("the rules count", || {
        server.log().contains("topics is as configured")
    });
    wait_until("on the shard", || status(&server, "room") == "403");
    // Rules that cannot stand change nothing.
    fs::write(&file, "[[topics]]\npattern = 'room'\njoin = 'token'\n").unwrap();
    server.signal(libc::SIGHUP);
    wait_until("they are refused", || {
        server
            .log()
            .contains("asks for a token, but there is no table [token]")
    });
    assert_eq!(status(&server, "room"), "403");
}
