//! A slow consumer on a route with `latest` ends with the newest publication of each key,
//! and of each topic for those without one.
//!
//! How: a publisher on another thread gives prices of a few symbols, large enough to fill
//! the socket of a client that does not read; then the client reads everything.

use std::collections::BTreeMap;

use corecast::config::{Config, SlowConsumerPolicy};
use corecast::handler::{Context, Handler, RoutePolicy};
use corecast::hub::Topic;
use corecast::publication::Content;
use corecast::server::Server;
use corecast::upgrade::Request;
use corecast::ws::Message;

use crate::support::client::Client;

/// Subscribes each session to both topics.
struct Prices;

impl Handler for Prices {
    type State = ();

    fn open(&mut self, _: &Request, ctx: &mut Context<'_>) {
        ctx.subscribe(&Topic::new("prices"));
        ctx.subscribe(&Topic::new("status"));
    }

    fn message(&mut self, (): &mut (), message: Message<'_>, ctx: &mut Context<'_>) {
        match message {
            Message::Text("leave") => _ = ctx.unsubscribe(&Topic::new("status")),
            message => ctx.send(message),
        }
    }

    fn policy(&self) -> RoutePolicy {
        RoutePolicy::default().slow_consumer(SlowConsumerPolicy::Latest)
    }
}

const SYMBOLS: [&str; 5] = ["AAPL", "MSFT", "NVDA", "SAP", "TSM"];
const ROUNDS: usize = 300;

fn publish(server: &corecast::server::RunningServer) {
    let publisher = server.publisher();
    let send = |topic: &str, content: Content| {
        let topic = Topic::new(topic);
        while publisher.try_publish(&topic, content.clone()).is_err() {
            std::thread::yield_now();
        }
    };
    let filler = "x".repeat(8 * 1024);
    for round in 0..ROUNDS {
        for symbol in SYMBOLS {
            let price = format!(r#"{{"of":"{symbol}","round":{round},"x":"{filler}"}}"#);
            send("prices", Content::json(&price).with_key(symbol));
        }
        let status = format!(r#"{{"of":"status","round":{round},"x":"{filler}"}}"#);
        send("status", Content::json(&status));
    }
}

/// The last round of each that arrives before the answer to what is said, each in order.
fn read(client: &mut Client, say: &str) -> (BTreeMap<String, usize>, usize) {
    client.send_text(say);
    let mut last = BTreeMap::new();
    let mut received = 0;
    loop {
        let text = client.read_text();
        if text == say {
            return (last, received);
        }
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let of = value["of"].as_str().unwrap().to_owned();
        let round = value["round"].as_u64().unwrap() as usize;
        received += 1;
        let before = last.insert(of, round);
        assert!(before.is_none_or(|before| before < round), "an older one");
    }
}

#[test]
fn the_newest_of_each_key_arrives() {
    let config = Config {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        admin: None,
        shards: 2,
        ..Config::default()
    };
    let server = Server::new(config).unwrap().route("/prices", || Prices);
    let server = server.unwrap().start().unwrap();
    let mut slow = Client::connect_narrow(server.local_addr(), "/prices");
    publish(&server);
    let last_round = ROUNDS - 1;
    let mut last = BTreeMap::new();
    let mut received = 0;
    // What is kept leaves while the client reads, so its own answer may come before.
    while last.len() < 6 || last.values().any(|round| *round != last_round) {
        let (heard, count) = read(&mut slow, "next");
        received += count;
        for (of, round) in heard {
            let before = last.insert(of, round);
            assert!(before.is_none_or(|before| before < round), "an older one");
        }
    }
    assert!(received < ROUNDS * 6, "there was room for all");
}
