//! Topics to which some clients may push, or none: a token's claim `publish` names
//! those it is good for, apart from those that may be joined with it.
//!
//! How: tokens are signed here; a speaker's push is answered `ok` or `unauthorized`,
//! and a listener hears the first and not the second.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::client::Client;
use crate::support::phoenix::{
    connect, error, expect_heartbeat, hear, hear_all, join, ok, say, sorted,
};
use crate::support::{Server, corecast, on_each_driver};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

const SECRET: &str = "a secret that only this test knows, and no one else";

const RULES: &str = r#"
[handlers.phoenix.token]
algorithm = "HS256"
secret = "a secret that only this test knows, and no one else"

[[handlers.phoenix.topics]]
pattern = "news:*"
publish = "nobody"

[[handlers.phoenix.topics]]
pattern = "open:*"
publish = "token"

[[handlers.phoenix.topics]]
pattern = "closed:*"
join = "token"
publish = "token"

[[handlers.phoenix.topics]]
pattern = "members:*"
join = "token"
publish = "everyone"

[[handlers.phoenix.topics]]
pattern = "old:nobody"
publish = false

[[handlers.phoenix.topics]]
pattern = "old:everyone"
publish = true
"#;

fn file(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    file
}

fn on_each_driver_with_rules(options: &[&str], test: impl Fn(&Server)) {
    let file = file(RULES);
    let path = file.path().to_str().unwrap();
    on_each_driver(
        &[&["--shards", "1", "--config", path], options].concat(),
        test,
    );
}

fn token(claims: Value) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut claims = claims;
    claims["exp"] = json!(since.as_secs() + 600);
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    encode(&Header::default(), &claims, &key).unwrap()
}

fn join_with(client: &mut Client, topic: &str, token: &str) -> Value {
    say(
        client,
        json!(["j", "r", topic, "phx_join", {"token": token}]),
    );
    hear(client)
}

/// Whether a push of the speaker is allowed; the listener hears it then and only then.
fn may_push(speaker: &mut Client, listener: &mut Client, topic: &str) -> bool {
    say(speaker, json!(["j", "p", topic, "shout", {"x": 1}]));
    let heard = json!([null, null, topic, "shout", {"x": 1}]);
    let answer = hear(speaker);
    if answer == error("j", "p", topic, "unauthorized") {
        expect_heartbeat(listener);
        return false;
    }
    // The reply and the broadcast come in either order.
    let own = vec![answer, hear(speaker)];
    assert_eq!(
        sorted(own),
        sorted(vec![ok("j", "p", topic), heard.clone()])
    );
    assert_eq!(hear(listener), heard);
    true
}

#[test]
fn no_client_may_push_where_nobody_may_and_each_attempt_is_counted() {
    on_each_driver_with_rules(&[], |server| {
        let (speaker, listener) = (&mut connect(server.address), &mut connect(server.address));
        let good = token(json!({"topics": ["*"], "publish": ["*"]}));
        for topic in ["news:today", "old:nobody"] {
            assert_eq!(join_with(speaker, topic, &good), ok("j", "r", topic));
            join(listener, topic);
            let before = server.total("denied_publications");
            assert!(!may_push(speaker, listener, topic));
            assert_eq!(server.total("denied_publications"), before + 1);
        }
        assert_eq!(server.total("publications"), 0);
        join(speaker, "old:everyone");
        join(listener, "old:everyone");
        assert!(may_push(speaker, listener, "old:everyone"));
    });
}

#[test]
fn a_tokens_claim_says_where_it_may_push() {
    on_each_driver_with_rules(&[], |server| {
        let listener = &mut connect(server.address);
        join(listener, "open:a");
        for (claims, may) in [
            (json!({"publish": ["open:a"]}), true),
            (json!({"publish": ["other", "open:{id}"]}), true),
            (json!({"publish": ["open:b"]}), false),
            (json!({"publish": []}), false),
            (json!({"publish": ["{"]}), false),
            // To join is not to push, and a claim of another type is none.
            (json!({"topics": ["open:a"]}), false),
            (json!({"publish": "open:a"}), false),
        ] {
            let speaker = &mut connect(server.address);
            let joined = join_with(speaker, "open:a", &token(claims.clone()));
            assert_eq!(joined, ok("j", "r", "open:a"), "everyone may join");
            assert_eq!(may_push(speaker, listener, "open:a"), may, "{claims}");
        }
        let speaker = &mut connect(server.address);
        join(speaker, "open:a");
        assert!(!may_push(speaker, listener, "open:a"), "without a token");
    });
}

#[test]
fn a_join_and_a_push_are_allowed_apart() {
    on_each_driver_with_rules(&[], |server| {
        let all = token(json!({"topics": ["*"], "publish": ["*"]}));
        let readers = token(json!({"topics": ["*"]}));
        let writers = token(json!({"publish": ["*"]}));
        let listener = &mut connect(server.address);
        for (topic, may_readers_push) in [("closed:a", false), ("members:a", true)] {
            assert_eq!(join_with(listener, topic, &readers), ok("j", "r", topic));
            let speaker = &mut connect(server.address);
            assert_eq!(
                join_with(speaker, topic, &writers),
                error("j", "r", topic, "unauthorized")
            );
            assert_eq!(join_with(speaker, topic, &readers), ok("j", "r", topic));
            assert_eq!(may_push(speaker, listener, topic), may_readers_push);
            // A join with another token counts from then on.
            say(
                speaker,
                json!(["j2", "r", topic, "phx_join", {"token": all}]),
            );
            hear_all(speaker, 2);
            say(speaker, json!(["j2", "p", topic, "shout", {"x": 1}]));
            assert!(hear_all(speaker, 2).contains(&ok("j2", "p", topic)));
            assert_eq!(
                hear(listener),
                json!([null, null, topic, "shout", {"x": 1}])
            );
        }
    });
}

/// The policy of a route bounds the rules of its topics.
#[test]
fn the_stricter_of_route_and_rule_counts() {
    let options = [
        "--route",
        "/quiet/websocket=phoenix:publish=nobody",
        "--route",
        "/signed/websocket=phoenix:publish=token",
    ];
    on_each_driver_with_rules(&options, |server| {
        let all = token(json!({"topics": ["*"], "publish": ["*"]}));
        for (path, topic, may) in [
            ("/socket", "members:a", true),
            ("/signed", "members:a", true),
            ("/signed", "news:a", false),
            ("/quiet", "members:a", false),
            ("/quiet", "open:a", false),
        ] {
            let path = format!("{path}/websocket?vsn=2.0.0");
            let [mut speaker, mut listener] =
                [(); 2].map(|()| Client::connect(server.address, &path));
            assert_eq!(join_with(&mut speaker, topic, &all), ok("j", "r", topic));
            assert_eq!(join_with(&mut listener, topic, &all), ok("j", "r", topic));
            assert_eq!(
                may_push(&mut speaker, &mut listener, topic),
                may,
                "{path} {topic}"
            );
        }
        let path = "/signed/websocket?vsn=2.0.0";
        let [mut speaker, mut listener] = [(); 2].map(|()| Client::connect(server.address, path));
        join(&mut speaker, "old:everyone");
        join(&mut listener, "old:everyone");
        assert!(!may_push(&mut speaker, &mut listener, "old:everyone"));
    });
}

#[test]
fn the_old_words_still_count_and_the_log_says_how_they_are_called() {
    let file = file(RULES);
    let mut command = corecast();
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .arg("--config")
        .arg(file.path());
    let server = Server::spawn(&mut command);
    let log = server.log();
    assert!(
        log.contains("WARN") && log.contains("publish = true is called"),
        "{log}"
    );
}
