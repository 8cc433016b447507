//! With `ends_sessions` a session ends when a token expires that it has shown: with 1008
//! and `the token has expired`. Without it the session lives on, as before.
//!
//! How: tokens that expire in two seconds, shown in a join and in the handshake of a
//! route on which a token says who may publish.

use std::fs;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

use crate::support::client::{CLOSE, Client};
use crate::support::phoenix::{connect, expect_heartbeat, hear, ok, say};
use crate::support::{Server, on_each_driver};

const SECRET: &str = "a secret that only this test knows, and no one else";

/// A token that is good for two to three seconds, and when it is not any more.
fn token() -> (String, Instant) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let expiry = now.as_secs() + 3;
    let claims = json!({"exp": expiry, "topics": ["*"], "publish": ["*", "/news"]});
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let token = encode(&Header::default(), &claims, &key).unwrap();
    (token, Instant::now() + (Duration::from_secs(expiry) - now))
}

fn on_each_driver_with(ends_sessions: bool, test: impl Fn(&Server)) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let table = |handler: &str| {
        format!(
            "[handlers.{handler}.token]\nalgorithm = 'HS256'\nsecret = '{SECRET}'\n\
             ends_sessions = {ends_sessions}\n"
        )
    };
    let topics = "[[handlers.phoenix.topics]]\npattern = 'room:*'\njoin = 'token'\n\
                  [[handlers.phoenix.topics]]\npattern = '*'\n";
    let text = table("phoenix") + topics + &table("broadcast");
    fs::write(file.path(), text).unwrap();
    let path = file.path().to_str().unwrap();
    let news = "/news=broadcast:publish=token";
    on_each_driver(&["--shards", "1", "--route", news, "--config", path], test);
}

/// Reads to the close frame, which must come at that time.
fn expect_expiry(client: &mut Client, expiry: Instant) {
    let frame = loop {
        let frame = client.frame();
        if frame.opcode == CLOSE {
            break frame;
        }
    };
    assert_eq!(frame.close_code(), 1008);
    assert_eq!(&frame.payload[2..], b"the token has expired");
    let late = Instant::now().saturating_duration_since(expiry);
    // A clock is read twice, and a tick takes a quarter of a second.
    assert!(
        Instant::now() + Duration::from_millis(50) >= expiry,
        "too early"
    );
    assert!(late < Duration::from_secs(2), "{late:?}");
    client.send_close(1008);
    client.expect_end();
}

#[test]
fn a_session_ends_with_its_token() {
    on_each_driver_with(true, |server| {
        let mut client = connect(server.address);
        let mut free = connect(server.address);
        let (token, expiry) = token();
        say(
            &mut client,
            json!(["j", "r", "room:a", "phx_join", {"token": token}]),
        );
        assert_eq!(hear(&mut client), ok("j", "r", "room:a"));
        // One that has shown none in a topic for all is not concerned.
        say(&mut free, json!(["j", "r", "lobby", "phx_join", {}]));
        assert_eq!(hear(&mut free), ok("j", "r", "lobby"));

        let mut publisher = Client::connect(server.address, &format!("/news?token={token}"));
        publisher.expect_echo("published");
        let reader = Client::connect(server.address, "/news");
        expect_expiry(&mut publisher, expiry);
        expect_expiry(&mut client, expiry);
        expect_heartbeat(&mut free);
        server.wait_for("ended.token_expired", 2);
        server.wait_for("sessions", 2);
        reader.close();
    });
}

#[test]
fn a_session_outlives_its_token_unless_told_otherwise() {
    on_each_driver_with(false, |server| {
        let mut client = connect(server.address);
        let (token, expiry) = token();
        say(
            &mut client,
            json!(["j", "r", "room:a", "phx_join", {"token": token}]),
        );
        assert_eq!(hear(&mut client), ok("j", "r", "room:a"));
        std::thread::sleep(expiry.saturating_duration_since(Instant::now()));
        std::thread::sleep(Duration::from_secs(1));
        expect_heartbeat(&mut client);
        assert_eq!(server.total("ended.token_expired"), 0);
    });
}
