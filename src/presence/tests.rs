//! Presence over several shards against an oracle, with clients that apply what
//! they are sent as phoenix.js does.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;
use serde_json::Value;

use super::*;

const SHARDS: usize = 3;
const KEYS: usize = 3;
const TOPIC: &str = "room:a";

#[derive(Debug, Clone)]
enum Operation {
    /// A member comes on a shard, with a key.
    Come(usize, usize),
    /// One of the members goes.
    Go(usize),
    /// A shard hears one thing that another has told.
    Hear(usize, usize),
    /// A shard tells its clients what has changed.
    Tell(usize),
    /// A client joins a shard and is told its members.
    Watch(usize),
}

fn operation() -> impl Strategy<Value = Operation> {
    let shard = 0..SHARDS;
    prop_oneof![
        4 => (shard.clone(), 0..KEYS).prop_map(|(s, k)| Operation::Come(s, k)),
        3 => any::<prop::sample::Index>().prop_map(|i| Operation::Go(i.index(1_000))),
        6 => (shard.clone(), shard.clone()).prop_map(|(to, from)| Operation::Hear(to, from)),
        3 => shard.clone().prop_map(Operation::Tell),
        1 => shard.prop_map(Operation::Watch),
    ]
}

/// Keys and the references under them.
type Known = BTreeMap<String, BTreeSet<String>>;

#[derive(Default)]
struct Shard {
    table: Presences,
    /// The changes that the other shards have told and this one has not heard, in
    /// order.
    incoming: [VecDeque<Change>; SHARDS],
    clients: Vec<Known>,
}

impl Shard {
    fn state(&self) -> Known {
        let mut json = String::new();
        self.table.write_state(TOPIC, &mut json);
        references(&serde_json::from_str(&json).expect("the state is JSON"))
    }

    /// Tells the clients, which add the members that came and then take away those that
    /// went.
    fn tell(&mut self) {
        while let Some((topic, json)) = self.table.take_difference() {
            assert_eq!(&*topic, TOPIC);
            let difference: Value = serde_json::from_str(&json).expect("a difference is JSON");
            let joins = references(&difference["joins"]);
            let leaves = references(&difference["leaves"]);
            for client in &mut self.clients {
                for (key, came) in &joins {
                    client.entry(key.clone()).or_default().extend(came.clone());
                }
                for (key, went) in &leaves {
                    if let Some(known) = client.get_mut(key) {
                        known.retain(|reference| !went.contains(reference));
                    }
                }
                client.retain(|_, known| !known.is_empty());
            }
        }
    }
}

fn references(presences: &Value) -> Known {
    let keys = presences.as_object().expect("an object").iter();
    keys.map(|(key, presence)| {
        let metas = presence["metas"].as_array().expect("metas").iter();
        let references: Vec<String> = metas
            .map(|meta| meta["phx_ref"].as_str().expect("a reference").to_owned())
            .collect();
        let set: BTreeSet<String> = references.iter().cloned().collect();
        assert_eq!(set.len(), references.len(), "one presence is there twice");
        (key.clone(), set)
    })
    .collect()
}

fn announce(shards: &mut [Shard], from: usize, change: &Change) {
    for (to, shard) in shards.iter_mut().enumerate() {
        if to == from {
            shard.table.apply(change);
        } else {
            shard.incoming[from].push_back(change.clone());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 512 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// When all that was told is heard, each shard and each client knows exactly the
    /// members that are there, whatever came between.
    #[test]
    fn all_come_to_know_who_is_there(
        operations in proptest::collection::vec(operation(), 0..150),
    ) {
        let mut shards: Vec<Shard> = (0..SHARDS).map(|_| Shard::default()).collect();
        let mut there: Vec<(usize, Change)> = Vec::new();
        let mut next = 0;
        for operation in operations {
            match operation {
                Operation::Come(shard, key) => {
                    next += 1;
                    let change = Change {
                        topic: TOPIC.into(),
                        key: format!("user \"{key}\"").into(),
                        reference: next,
                        fields: Some("\"online_at\":1".into()),
                    };
                    announce(&mut shards, shard, &change);
                    there.push((shard, change));
                }
                Operation::Go(index) if !there.is_empty() => {
                    let (shard, change) = there.swap_remove(index % there.len());
                    announce(&mut shards, shard, &Change { fields: None, ..change });
                }
                Operation::Go(_) => {}
                Operation::Hear(to, from) => {
                    if let Some(change) = shards[to].incoming[from].pop_front() {
                        shards[to].table.apply(&change);
                    }
                }
                Operation::Tell(shard) => shards[shard].tell(),
                Operation::Watch(shard) => {
                    let state = shards[shard].state();
                    shards[shard].clients.push(state);
                }
            }
        }
        let mut oracle = Known::new();
        for (_, change) in &there {
            let references = oracle.entry(change.key.to_string()).or_default();
            references.insert(format!("{:x}", change.reference));
        }
        for shard in &mut shards {
            for from in 0..SHARDS {
                while let Some(change) = shard.incoming[from].pop_front() {
                    shard.table.apply(&change);
                }
            }
            shard.tell();
            prop_assert_eq!(&shard.state(), &oracle);
            for client in &shard.clients {
                prop_assert_eq!(client, &oracle);
            }
            prop_assert_eq!(shard.table.topics.is_empty(), there.is_empty(), "nothing is left over");
        }
    }
}

#[test]
fn the_shape_is_that_of_phoenix() {
    let mut table = Presences::default();
    for (key, reference, fields) in [("b", 2, "\"online_at\":1"), ("a", 0x1F, "\"online_at\":2")] {
        table.apply(&Change {
            topic: TOPIC.into(),
            key: key.into(),
            reference,
            fields: Some(fields.into()),
        });
    }
    let all = r#"{"a":{"metas":[{"online_at":2,"phx_ref":"1f"}]},"b":{"metas":[{"online_at":1,"phx_ref":"2"}]}}"#;
    let mut state = String::new();
    table.write_state(TOPIC, &mut state);
    assert_eq!(state, all);
    state.clear();
    table.write_state("another", &mut state);
    assert_eq!(state, "{}");
    let difference = format!(r#"{{"joins":{all},"leaves":{{}}}}"#);
    assert_eq!(table.take_difference(), Some((TOPIC.into(), difference)));
    assert_eq!(table.take_difference(), None);
}
