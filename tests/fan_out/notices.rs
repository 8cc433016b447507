//! Handlers tell their likes on other shards something, and are told of time:
//! in order, without loss through the smallest ring, and with no harm done by
//! a panic.
//!
//! How: the library in this process with a handler that passes on what it is
//! told to the sessions of its shard.

use std::net::SocketAddr;
use std::time::Duration;

use crate::support::client::Client;
use corecast::config::{Config, Driver};
use corecast::handler::{Context, Handler, RouteContext, RoutePolicy};
use corecast::hub::Topic;
use corecast::server::{RunningServer, Server};
use corecast::upgrade::Request;
use corecast::ws::{Message, PreparedFrame};

/// Tells others numbers, and its own sessions what it was told.
struct Gossip {
    topic: Topic,
    interval: Option<Duration>,
    ticks: u32,
    /// The next number that should be told.
    expected: u32,
}

impl Gossip {
    fn new(name: &str, interval: Option<Duration>) -> Self {
        Gossip {
            topic: Topic::new(name),
            interval,
            ticks: 0,
            expected: 0,
        }
    }
}

impl Handler for Gossip {
    type State = ();
    /// A number, or none for a panic.
    type Notice = Option<u32>;

    fn open(&mut self, _request: &Request, ctx: &mut Context<'_>) {
        ctx.subscribe(&self.topic);
        ctx.send_text(&ctx.shard().to_string());
    }

    fn message(&mut self, (): &mut (), message: Message<'_>, ctx: &mut Context<'_>) {
        match message {
            Message::Text("panic") => {
                ctx.tell_others::<Self>(None);
            }
            Message::Text("done") => {
                ctx.publish(&self.topic, PreparedFrame::text("done"));
            }
            Message::Text(numbers) => {
                let (from, to) = numbers.split_once(' ').unwrap();
                for number in from.parse::<u32>().unwrap()..to.parse().unwrap() {
                    ctx.tell_others::<Self>(Some(number));
                }
            }
            Message::Binary(_) => {}
        }
    }

    fn notice(&mut self, notice: &Option<u32>, ctx: &mut RouteContext<'_>) {
        let number = notice.expect("as told");
        // A client would not notice that all came in another order.
        assert_eq!(number, self.expected, "in order");
        self.expected += 1;
        if number % 100 == 99 {
            let published = ctx.publish_here(&self.topic, PreparedFrame::text(&number.to_string()));
            assert!(!published.is_full(), "a notice waits until there is room");
        }
    }

    fn policy(&self) -> RoutePolicy {
        let policy = RoutePolicy::default();
        self.interval
            .map_or(policy, |interval| policy.tick_interval(interval))
    }

    fn tick(&mut self, ctx: &mut RouteContext<'_>) {
        self.ticks += 1;
        let tick = PreparedFrame::text(&format!("tick {}", self.ticks));
        assert!(!ctx.publish_here(&self.topic, tick).is_full());
        assert!(self.ticks != 2, "as told");
    }
}

fn start(driver: Driver, interval: Option<Duration>) -> RunningServer {
    let config = Config::new()
        .listen(["127.0.0.1:0".parse().unwrap()])
        .shards(2)
        .driver(driver)
        .ring_capacity(2);
    let server = Server::new(config).unwrap();
    let server = server
        .route("/gossip", move || Gossip::new("gossip", interval))
        .unwrap();
    let server = server.route("/other", || Gossip::new("other", None));
    server.unwrap().start().unwrap()
}

/// A session on each shard, in the order of the shards.
fn one_on_each(address: SocketAddr, path: &str) -> [Client; 2] {
    let mut found = [None, None];
    for _ in 0..200 {
        let mut client = Client::connect(address, path);
        let shard: usize = client.read_text().parse().unwrap();
        found[shard].get_or_insert(client);
        if let [Some(_), Some(_)] = &found {
            return found.map(Option::unwrap);
        }
    }
    panic!("the kernel puts all on one shard");
}

#[test]
fn what_is_told_arrives_on_all_other_shards_in_order() {
    for driver in [Driver::Auto, Driver::Epoll] {
        let server = start(driver, None);
        let [teller, listener] = &mut one_on_each(server.local_addr(), "/gossip");
        let [other_here, other_there] = &mut one_on_each(server.local_addr(), "/other");
        for round in 0..10u32 {
            teller.send_text(&format!("{} {}", round * 500, (round + 1) * 500));
        }
        teller.send_text("panic");
        teller.send_text("5000 5100");
        teller.send_text("done");
        for hundred in 1..=51 {
            assert_eq!(listener.read_text(), (hundred * 100 - 1).to_string());
        }
        // Publications made after it come after it.
        assert_eq!(listener.read_text(), "done");
        // The shard that tells does not hear itself.
        assert_eq!(teller.read_text(), "done");
        // Nor do other routes, for which these numbers would not be in order.
        other_here.send_text("0 100");
        assert_eq!(other_there.read_text(), "99");
        other_here.send_text("done");
        assert_eq!(other_here.read_text(), "done");
        server.handle().hurry();
    }
}

#[test]
fn time_is_told_again_and_again_even_after_a_panic() {
    for driver in [Driver::Auto, Driver::Epoll] {
        let server = start(driver, Some(Duration::from_millis(10)));
        let [one, two] = &mut one_on_each(server.local_addr(), "/gossip");
        for client in [one, two] {
            let tick = |text: String| -> u32 {
                text.strip_prefix("tick ").expect("a tick").parse().unwrap()
            };
            let first = tick(client.read_text());
            for later in 1..=5 {
                assert_eq!(
                    tick(client.read_text()),
                    first + later,
                    "from its own shard only"
                );
            }
        }
        server.handle().hurry();
    }
}
