//! Presence: who is in a topic, and who comes and goes; only where a rule asks for it.
//!
//! How: raw clients on both shards of a server with a file of rules, on each driver.

use serde_json::{Value, json};

use crate::support::centrifuge::{ROUTE, ask, config, connect, expect_ping, hear, say, subscribe};
use crate::support::client::Client;
use crate::support::phoenix::on_all_shards;
use crate::support::{Server, on_each_driver};

const FILE: &str = r#"
[[topics]]
pattern = "room:*"
presence = true
[[topics]]
pattern = "*"
"#;

fn on_each_driver_with_rules(test: impl Fn(&Server)) {
    let file = config(FILE);
    let path = file.path().to_str().unwrap();
    on_each_driver(&["--shards", "2", "--route", ROUTE, "--config", path], test);
}

/// The next message that is not a join: one that was made on another shard just before a
/// client has subscribed may still reach it.
fn hear_past_joins(client: &mut Client) -> Value {
    loop {
        let message = hear(client);
        if message["push"].get("join").is_none() {
            return message;
        }
    }
}

/// Waits for a join.
fn hear_join(client: &mut Client, number: &str) {
    while hear(client) != movement("join", number) {}
}

fn movement(what: &str, number: &str) -> Value {
    json!({"push": {"channel": "room:a", what: {"info": {"user": "", "client": number}}}})
}

#[test]
fn those_in_a_topic_hear_who_comes_and_goes_on_any_shard() {
    on_each_driver_with_rules(|server| {
        let numbers = std::cell::RefCell::new(Vec::new());
        let mut clients = on_all_shards(server, 1, || {
            let (client, number) = connect(server.address);
            numbers.borrow_mut().push(number);
            client
        });
        let numbers = numbers.into_inner();
        for at in 0..clients.len() {
            subscribe(&mut clients[at], "room:a");
            for client in &mut clients[..=at] {
                hear_join(client, &numbers[at]);
            }
        }
        let reply = ask(
            &mut clients[0],
            json!({"id": 4, "presence": {"channel": "room:a"}}),
        );
        let members = reply["presence"]["presence"].as_object().unwrap();
        assert_eq!(members.len(), clients.len());
        for number in &numbers {
            assert_eq!(members[number], json!({"user": "", "client": number}));
        }
        let stats = json!({"num_clients": clients.len(), "num_users": 1});
        let reply = ask(
            &mut clients[0],
            json!({"id": 5, "presence_stats": {"channel": "room:a"}}),
        );
        assert_eq!(reply["presence_stats"], stats);

        // One leaves, one is gone.
        let last = clients.len() - 1;
        say(
            &mut clients[last],
            json!({"id": 6, "unsubscribe": {"channel": "room:a"}}),
        );
        assert_eq!(
            hear_past_joins(&mut clients[last]),
            json!({"id": 6, "unsubscribe": {}})
        );
        expect_ping(&mut clients[last]);
        for client in &mut clients[..last] {
            assert_eq!(hear(client), movement("leave", &numbers[last]));
        }
        let others = clients.split_off(1);
        drop(others);
        let mut gone: Vec<_> = (1..last)
            .map(|_| hear(&mut clients[0]).to_string())
            .collect();
        gone.sort();
        let mut expected: Vec<_> = numbers[1..last]
            .iter()
            .map(|it| movement("leave", it).to_string())
            .collect();
        expected.sort();
        assert_eq!(gone, expected);
        expect_ping(&mut clients[0]);
    });
}

#[test]
fn where_no_rule_asks_for_presence_nothing_is_told() {
    on_each_driver_with_rules(|server| {
        let (client, _) = &mut connect(server.address);
        subscribe(client, "other");
        let (other, _) = &mut connect(server.address);
        subscribe(other, "other");
        expect_ping(client);
        assert_eq!(server.total("publications"), 0);
    });
}
