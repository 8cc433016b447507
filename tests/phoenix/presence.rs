//! Presence: every session in a topic comes to know the other members, on whichever
//! shard, however they came and went.
//!
//! How: raw clients that keep the list as phoenix.js does, on two shards.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use crate::support::client::{Client, text};
use crate::support::phoenix::{connect, error, hear, ok, on_all_shards, say};
use crate::support::{Server, on_each_driver};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

const RULES: &str = "[[handlers.phoenix.topics]]\npattern = 'room:*'\npresence = true\n";

fn on_each_driver_with_presence(options: &[&str], test: impl Fn(&Server)) {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(RULES.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();
    on_each_driver(&[&["--config", path], options].concat(), test);
}

/// A client with its list of members: keys, and the references under them.
struct Member {
    client: Client,
    there: BTreeMap<String, BTreeSet<String>>,
}

fn references(presences: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let keys = presences.as_object().expect("an object").iter();
    keys.map(|(key, presence)| {
        let metas = presence["metas"].as_array().expect("metas").iter();
        let references = metas.map(|meta| {
            assert!(meta["online_at"].as_u64().expect("seconds") > 1_600_000_000);
            meta["phx_ref"].as_str().expect("a reference").to_owned()
        });
        (key.clone(), references.collect())
    })
    .collect()
}

impl Member {
    /// Joins and gets the first list.
    fn join(mut client: Client, topic: &str, payload: Value) -> Member {
        say(&mut client, json!(["j", "r", topic, "phx_join", payload]));
        assert_eq!(hear(&mut client), ok("j", "r", topic));
        let mut member = Member {
            client,
            there: BTreeMap::new(),
        };
        let [join_ref, reference, of, event, state] = member.next();
        assert_eq!((join_ref, reference), (json!("j"), Value::Null));
        assert_eq!((of, event), (json!(topic), json!("presence_state")));
        member.there = references(&state);
        member
    }

    fn next(&mut self) -> [Value; 5] {
        let message = hear(&mut self.client);
        let elements = message.as_array().expect("an array").clone();
        elements.try_into().expect("five elements")
    }

    /// Applies one difference.
    fn apply(&mut self) {
        let [join_ref, reference, _, event, difference] = self.next();
        assert_eq!((join_ref, reference), (Value::Null, Value::Null));
        assert_eq!(event, json!("presence_diff"));
        for (key, came) in references(&difference["joins"]) {
            self.there.entry(key).or_default().extend(came);
        }
        for (key, went) in references(&difference["leaves"]) {
            if let Some(known) = self.there.get_mut(&key) {
                known.retain(|reference| !went.contains(reference));
            }
        }
        self.there.retain(|_, known| !known.is_empty());
    }

    /// Waits until exactly these are there, each so many times.
    #[track_caller]
    fn wait_for(&mut self, expected: &[(&str, usize)]) {
        let expected: BTreeMap<String, usize> = expected
            .iter()
            .map(|(key, count)| ((*key).to_owned(), *count))
            .collect();
        loop {
            let counts: BTreeMap<String, usize> = self
                .there
                .iter()
                .map(|(key, known)| (key.clone(), known.len()))
                .collect();
            if counts == expected {
                return;
            }
            // Fails when nothing comes any more.
            self.apply();
        }
    }
}

#[test]
fn all_shards_come_to_know_who_came_and_who_went() {
    on_each_driver_with_presence(&["--shards", "2"], |server| {
        let clients = on_all_shards(server, 2, || connect(server.address));
        let names: Vec<String> = (0..clients.len()).map(|n| format!("user {n}")).collect();
        let mut members: Vec<Member> = clients
            .into_iter()
            .zip(&names)
            .map(|(client, name)| Member::join(client, "room:a", json!({"user_id": name})))
            .collect();
        let mut all: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        for (place, member) in members.iter_mut().enumerate() {
            assert!(
                place == 0 || member.there.contains_key(&names[place]),
                "oneself is there"
            );
            member.wait_for(&all);
        }
        // One leaves, one says goodbye, one is cut off.
        let mut leaver = members.remove(0);
        say(
            &mut leaver.client,
            json!(["j", "l", "room:a", "phx_leave", {}]),
        );
        members.remove(0).client.send_close(1000);
        members.remove(0).client.reset();
        all.drain(..3);
        for member in &mut members {
            member.wait_for(&all);
        }
        // A member that comes later is told the same at once, or soon, if it is not yet
        // known there.
        let mut late = Member::join(
            connect(server.address),
            "room:a",
            json!({"user_id": "late"}),
        );
        all.push(("late", 1));
        late.wait_for(&all);
        for member in &mut members {
            member.wait_for(&all);
        }
    });
}

#[test]
fn one_user_may_be_there_more_than_once() {
    on_each_driver_with_presence(&["--shards", "1"], |server| {
        let payload = || json!({"user_id": 7, "meta": {"device": "phone", "phx_ref": "forged"}});
        let mut first = Member::join(connect(server.address), "room:a", payload());
        let mut second = Member::join(connect(server.address), "room:a", payload());
        first.wait_for(&[("7", 2)]);
        // Joining again ends the old presence and begins another.
        let before = second.there["7"].clone();
        say(
            &mut second.client,
            json!(["k", "r", "room:a", "phx_join", payload()]),
        );
        let mut after = loop {
            let [_, _, _, event, payload] = second.next();
            if event == "presence_state" {
                break references(&payload);
            }
        };
        let after = after.remove("7").unwrap();
        assert_eq!(after.len(), 2);
        assert_eq!(after.intersection(&before).count(), 1);
        while first.there["7"] != after {
            first.apply();
        }
        drop(second);
        first.wait_for(&[("7", 1)]);
    });
}

#[test]
fn what_a_client_says_of_itself_is_told_and_limited() {
    on_each_driver_with_presence(&["--shards", "1"], |server| {
        let client = &mut connect(server.address);
        let long = json!({"user_id": "x".repeat(256)});
        say(client, json!(["j", "r", "room:a", "phx_join", long]));
        let reason = "user_id or meta too long";
        assert_eq!(hear(client), error("j", "r", "room:a", reason));

        let meta = json!({"a \"quoted\" name": [1, {"b": "ü"}], "online_at": 1, "phx_ref": 2});
        let payload = json!({"user_id": "__proto__ \"x\"", "meta": meta});
        say(client, json!(["j", "r", "room:a", "phx_join", payload]));
        assert_eq!(hear(client), ok("j", "r", "room:a"));
        let state = hear(client);
        let told = &state[4]["__proto__ \"x\""]["metas"][0];
        assert_eq!(told["a \"quoted\" name"], json!([1, {"b": "ü"}]));
        assert!(told["phx_ref"].is_string() && told["online_at"].as_u64() > Some(1_600_000_000));

        // A member without a user_id gets a key of its own.
        let nameless = Member::join(connect(server.address), "room:b", json!({}));
        assert_eq!(nameless.there.len(), 1);
    });
}

#[test]
fn old_clients_are_told_in_their_own_words() {
    on_each_driver_with_presence(&["--shards", "1"], |server| {
        let old = &mut Client::connect(server.address, "/socket/websocket");
        let payload = json!({"user_id": "old"});
        say(
            old,
            json!({"topic": "room:a", "event": "phx_join", "payload": payload, "ref": "1"}),
        );
        assert_eq!(hear(old)["event"], "phx_reply");
        let state = hear(old);
        assert_eq!(
            (&state["event"], &state["ref"]),
            (&json!("presence_state"), &Value::Null)
        );
        assert_eq!(references(&state["payload"]).len(), 1);
        let difference = hear(old);
        assert_eq!(difference["event"], "presence_diff");
        let _new = Member::join(connect(server.address), "room:a", json!({"user_id": "new"}));
        let joins = &hear(old)["payload"]["joins"];
        assert_eq!(references(joins).into_keys().collect::<Vec<_>>(), ["new"]);
    });
}

/// Shards that are congested all the time, because their rings hold two messages, lose
/// no member and keep none that has gone.
#[test]
fn congestion_loses_nobody_and_keeps_nobody() {
    let options = [
        "--shards",
        "2",
        "--ring-capacity",
        "2",
        "--fan-out-slice",
        "1",
    ];
    on_each_driver_with_presence(&options, |server| {
        let watchers = on_all_shards(server, 1, || connect(server.address));
        let mut watchers: Vec<Member> = watchers
            .into_iter()
            .map(|client| Member::join(client, "room:a", json!({"user_id": "watcher"})))
            .collect();
        let count = watchers.len();
        // In a room of their own many talk at once, and come and go unasked.
        let talkers: Vec<Client> = (0..20)
            .map(|number| {
                let mut client = connect(server.address);
                let mut talk = Vec::new();
                for visit in 0..10 {
                    let user = json!({"user_id": format!("{number} {visit}")});
                    for message in [
                        json!([visit, "1", "room:a", "phx_join", user]),
                        json!([visit, "2", "room:b", "phx_join", user]),
                        json!([visit, "3", "room:b", "e", {}]),
                        json!([visit, "4", "room:b", "phx_leave", {}]),
                    ] {
                        talk.extend(text(&message.to_string()));
                    }
                }
                client.send(&talk);
                client
            })
            .collect();
        // Each has joined for the last time, and is cut off in the midst of it all.
        for (number, client) in talkers.into_iter().enumerate() {
            let last = format!("{number} 9");
            let watcher = &mut watchers[0];
            while !watcher.there.contains_key(&last) {
                watcher.apply();
            }
            client.reset();
        }
        for watcher in &mut watchers {
            watcher.wait_for(&[("watcher", count)]);
        }
        let mut late = Member::join(
            connect(server.address),
            "room:a",
            json!({"user_id": "late"}),
        );
        late.wait_for(&[("watcher", count), ("late", 1)]);
    });
}
