//! Presence in more topics at once than publications have room: each topic hears of
//! who came, in both versions of the protocol.
//!
//! How: two clients join many topics in one burst, with room for two publications.

use std::collections::BTreeSet;
use std::io::Write;

use crate::support::client::{Client, text};
use crate::support::on_each_driver;
use crate::support::phoenix::hear;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

const TOPICS: usize = 60;
const RULES: &str = "[[handlers.phoenix.topics]]\npattern = 'room:*'\npresence = true\n";

fn join(number: usize, is_v1: bool) -> Value {
    let (topic, payload) = (format!("room:{number}"), json!({}));
    if is_v1 {
        return json!({"topic": topic, "event": "phx_join", "payload": payload, "ref": "r"});
    }
    json!(["j", "r", topic, "phx_join", payload])
}

/// Topic and event of a message of either version.
fn topic_and_event(message: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    match message {
        Value::Array(elements) => (text(&elements[2]), text(&elements[3])),
        object => (text(&object["topic"]), text(&object["event"])),
    }
}

#[test]
fn every_topic_hears_of_who_came() {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(RULES.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();
    let options = ["--config", path, "--shards", "1", "--ring-capacity", "2"];
    on_each_driver(&options, |server| {
        let mut clients = [("1.0.0", true), ("2.0.0", false)].map(|(version, is_v1)| {
            let path = format!("/socket/websocket?vsn={version}");
            let mut client = Client::connect(server.address, &path);
            let joins: Vec<u8> = (0..TOPICS)
                .flat_map(|number| text(&join(number, is_v1).to_string()))
                .collect();
            client.send(&joins);
            client
        });
        for client in &mut clients {
            let mut told = BTreeSet::new();
            while told.len() < TOPICS {
                // Fails when nothing comes any more.
                let (topic, event) = topic_and_event(&hear(client));
                if event == "presence_diff" {
                    told.insert(topic);
                }
            }
        }
        assert!(server.total("refused_publications") > 0, "it was not tried");
    });
}
