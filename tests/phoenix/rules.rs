//! The rules of topics in the configuration file: which sessions may join, publish and
//! hear themselves, and how many topics a session may be in.
//!
//! How: a server with a file of rules on each driver; raw clients.

use std::io::Write;

use crate::support::phoenix::{
    connect, error, expect_heartbeat, hear, hear_all, join, ok, say, sorted,
};
use crate::support::{Server, corecast, on_each_driver, run};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

const RULES: &str = r#"
[phoenix]
max_topics_per_socket = 3
[[phoenix.topics]]
pattern = "rooms:forbidden"
join = "nobody"
[[phoenix.topics]]
pattern = "rooms:*"
[[phoenix.topics]]
pattern = "news:{section}"
publish = false
[[phoenix.topics]]
pattern = "game:{id}"
echo = false
"#;

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn on_each_driver_with_rules(test: impl Fn(&Server)) {
    let file = file(RULES);
    let path = file.path().to_str().unwrap();
    on_each_driver(&["--shards", "1", "--config", path], test);
}

#[test]
fn the_first_rule_that_matches_counts_and_none_is_unmatched() {
    on_each_driver_with_rules(|server| {
        let client = &mut connect(server.address);
        say(client, json!(["j", "1", "rooms:forbidden", "phx_join", {}]));
        assert_eq!(
            hear(client),
            error("j", "1", "rooms:forbidden", "unauthorized")
        );
        join(client, "rooms:forbidden:not");
        for topic in ["room:a", "news:", "news:a:b", "rooms", ""] {
            say(client, json!(["j", "2", topic, "phx_join", {}]));
            assert_eq!(
                hear(client),
                error(Value::Null, "2", topic, "unmatched topic")
            );
        }
        server.wait_for("subscriptions", 1);
    });
}

#[test]
fn where_publishing_is_off_a_push_reaches_nobody() {
    on_each_driver_with_rules(|server| {
        let (speaker, listener) = (&mut connect(server.address), &mut connect(server.address));
        join(speaker, "news:today");
        join(listener, "news:today");
        say(speaker, json!(["j", "1", "news:today", "e", {}]));
        assert_eq!(hear(speaker), error("j", "1", "news:today", "unauthorized"));
        expect_heartbeat(listener);
        assert_eq!(server.total("publications"), 0);
    });
}

#[test]
fn where_echo_is_off_all_but_the_sender_hear_it() {
    on_each_driver_with_rules(|server| {
        let (speaker, listener) = (&mut connect(server.address), &mut connect(server.address));
        join(speaker, "game:1");
        join(listener, "game:1");
        say(speaker, json!(["j", "1", "game:1", "move", {"x": 1}]));
        assert_eq!(hear(speaker), ok("j", "1", "game:1"));
        assert_eq!(
            hear(listener),
            json!([null, null, "game:1", "move", {"x": 1}])
        );
        say(listener, json!(["j", "2", "game:1", "move", {}]));
        assert_eq!(hear(listener), ok("j", "2", "game:1"));
        assert_eq!(hear(speaker), json!([null, null, "game:1", "move", {}]));
        expect_heartbeat(speaker);
    });
}

#[test]
fn the_number_of_topics_is_as_configured() {
    on_each_driver_with_rules(|server| {
        let client = &mut connect(server.address);
        for number in 0..3 {
            join(client, &format!("rooms:{number}"));
        }
        say(client, json!(["j", "1", "rooms:3", "phx_join", {}]));
        assert_eq!(
            hear(client),
            error("j", "1", "rooms:3", "too many channels joined")
        );
        say(client, json!(["j", "2", "rooms:0", "phx_leave", {}]));
        let close = json!(["j", "j", "rooms:0", "phx_close", {}]);
        assert_eq!(
            hear_all(client, 2),
            sorted(vec![ok("j", "2", "rooms:0"), close])
        );
        join(client, "rooms:3");
    });
}

#[test]
fn a_mistake_in_the_file_names_line_and_key_and_the_rules_are_printed() {
    let serve = |text: &str, options: &[&str]| {
        let file = file(text);
        let path = file.path().to_str().unwrap().to_owned();
        let mut command = corecast();
        command.args(["serve", "--config", &path]).args(options);
        let (code, out, err) = run(&mut command);
        (code, out, err.replace(&path, "FILE"))
    };
    for (text, message) in [
        (
            "[[phoenix.topics]]\npattern = 'a*b'",
            "FILE:2: phoenix.topics.pattern: 'a*b' is not a pattern of topics",
        ),
        (
            "shards = 1\n[[phoenix.topics]]\npattern = 'a'\njoin = 'token'",
            "FILE:4: phoenix.topics.join: 'a' asks for a token, but there is no table [token]",
        ),
        (
            "[phoenix]\nmax_topics_per_socket = 0",
            "FILE:2: phoenix.max_topics_per_socket: 0 is out of range; allowed: 1 to 100000",
        ),
        (
            "[phoenix.token]\nalgorithm = 'HS256'\nsecret = 'short'",
            "FILE:1: phoenix.token: a secret of 5 bytes can be guessed",
        ),
        (
            "[phoenix.token]\nalgorithm = 'RS256'\npublic_key_file = '/no/such/file'",
            "FILE:1: phoenix.token: '/no/such/file' cannot be read",
        ),
    ] {
        let (code, _, err) = serve(text, &[]);
        assert_eq!(code, 2, "{err}");
        assert!(err.starts_with(&format!("error: {message}")), "{err}");
    }

    let secret = "an open secret of thirty-two byte";
    let token = format!("[phoenix.token]\nalgorithm = 'HS256'\nsecret = '{secret}'\n");
    let (code, printed, err) = serve(&format!("{RULES}{token}"), &["--print-config"]);
    assert_eq!(code, 0, "{err}");
    assert!(!printed.contains(secret), "{printed}");
    let (code, _, err) = serve(&printed, &[]);
    assert_eq!(code, 2);
    assert!(
        err.contains("phoenix.token: give one of secret_file"),
        "{err}"
    );

    let (_, printed, _) = serve(RULES, &["--print-config"]);
    let (code, again, err) = serve(&printed, &["--print-config"]);
    assert_eq!(code, 0, "{err}");
    let tables = |text: &str| {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let begin = lines
            .iter()
            .position(|line| line == "[handlers.phoenix]")
            .expect("the tables");
        lines[begin..].join("\n")
    };
    assert_eq!(tables(&printed), tables(&again));
    assert!(
        printed.contains("pattern = \"news:{section}\"\njoin = \"everyone\"\npublish = \"nobody\"")
    );
}
