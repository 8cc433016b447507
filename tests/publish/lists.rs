//! Which topics have subscribers, and how many, summed over all shards.
//!
//! How: sessions on both shards join topics, and backends ask by each way there is.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::backend::{ALL, WithApi, json as body_of};
use crate::support::phoenix::{connect, join, on_all_shards};
use crate::support::{drivers, wait_until};

/// Walks the list page by page, and returns what it has and the number of pages.
fn walk(it: &WithApi, query: &str) -> (BTreeMap<String, u64>, usize) {
    let mut topics = BTreeMap::new();
    let mut after = String::new();
    for pages in 1.. {
        let response = it.ask(ALL, "GET", &format!("/topics?{query}{after}"));
        assert_eq!(response.status, 200, "{}", response.text());
        let page = body_of(&response);
        for entry in page["topics"].as_array().unwrap() {
            let name = entry["topic"].as_str().unwrap().to_owned();
            let before = topics.insert(name, entry["subscribers"].as_u64().unwrap());
            assert_eq!(before, None, "{entry} is there twice");
        }
        match &page["next"] {
            Value::Null => return (topics, pages),
            next => after = format!("&after={}", next.as_str().unwrap()),
        }
    }
    unreachable!("a list ends");
}

#[test]
fn topics_are_listed_once_with_all_their_subscribers() {
    for driver in drivers() {
        let it = WithApi::start(&["--driver", driver, "--shards", "2"]);
        assert_eq!(walk(&it, "limit=10").0, BTreeMap::new());
        let mut clients = on_all_shards(&it.server, 1, || connect(it.server.address));
        let all = clients.len() as u64;
        for (number, client) in clients.iter_mut().enumerate() {
            join(client, "everywhere");
            for topic in 0..20 {
                join(client, &format!("own:{number}:{topic}"));
            }
        }
        let expected: BTreeMap<String, u64> = (0..clients.len())
            .flat_map(|number| (0..20).map(move |topic| (format!("own:{number}:{topic}"), 1)))
            .chain([("everywhere".to_owned(), all)])
            .collect();
        assert_eq!(walk(&it, "limit=1000").0, expected);
        let (topics, pages) = walk(&it, "limit=7");
        assert_eq!(topics, expected);
        assert!(pages >= expected.len() / 7, "{pages}");

        let (topics, _) = walk(&it, "prefix=own%3A0%3A&limit=3");
        assert_eq!(topics.len(), 20);
        assert!(topics.keys().all(|name| name.starts_with("own:0:")));

        let count = |topic: &str| body_of(&it.ask(ALL, "GET", &format!("/topics/{topic}")));
        let counted = json!({"topic": "everywhere", "subscribers": all});
        assert_eq!(count("everywhere"), counted);
        assert_eq!(count("nowhere")["subscribers"], 0);

        let stats = it.call("presence_stats", json!({"channel": "everywhere"}));
        assert_eq!(stats["result"], json!({"num_clients": all, "num_users": 0}));
        let channels = |params: Value| it.call("channels", params)["result"]["channels"].clone();
        assert_eq!(
            channels(json!({})).as_object().unwrap().len(),
            expected.len()
        );
        let some = channels(json!({"pattern": "own:0:1?"}));
        assert_eq!(some.as_object().unwrap().len(), 10, "{some}");
        let all = json!({"everywhere": {"num_clients": all}});
        assert_eq!(channels(json!({"pattern": "e*where"})), all);

        // Gauges are brought up to date with a tick.
        wait_until("the node tells of its sessions", || {
            let node = it.call("info", json!({}))["result"]["nodes"][0].clone();
            node["num_clients"] == clients.len() && node["num_subs"] == 21 * clients.len()
        });
        drop(clients);
        wait_until("they are gone", || walk(&it, "limit=10").0.is_empty());
    }
}

/// A walk over a table that is far larger than one question, and mostly of others.
#[test]
fn a_prefix_is_found_among_many_topics() {
    let it = WithApi::start(&["--shards", "1"]);
    let mut clients = Vec::new();
    for number in 0..102 {
        let mut client = connect(it.server.address);
        for topic in 0..99 {
            join(&mut client, &format!("many:{number}:{topic}"));
        }
        clients.push(client);
    }
    let mut last = connect(it.server.address);
    join(&mut last, "rare");
    let (topics, pages) = walk(&it, "prefix=rare&limit=10");
    assert_eq!((topics.len(), pages), (1, 1));
    let (topics, pages) = walk(&it, "limit=1000");
    assert_eq!(topics.len(), 102 * 99 + 1);
    assert!(pages >= 11, "{pages}");
    // The method without pages says so.
    let answer = it.call("channels", json!({}));
    assert_eq!(answer["error"]["code"], 108, "{answer}");
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap()
            .contains("GET /topics")
    );
}
