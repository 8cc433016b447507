//! Publishing from outside of the shards: sessions on all shards get everything that
//! was accepted, each publisher's in order, and can be counted.
//!
//! How: the library in this process on two shards, with publishers on plain threads
//! and in tasks of tokio at the same time, through the smallest rings.

use std::net::SocketAddr;
use std::thread;

use crate::support::client::Client;
use crate::support::wait_until;
use corecast::config::{Config, Driver};
use corecast::handler::{Context, Handler};
use corecast::hub::Topic;
use corecast::publisher::{PublishError, Publisher};
use corecast::server::{RunningServer, Server};
use corecast::upgrade::Request;
use corecast::ws::{Message, PreparedFrame};

const THREADS: usize = 2;
const TASKS: usize = 3;
const EACH: usize = 300;

/// Subscribes each session to one topic, and tells it which shard it is on. A message
/// is published, so that handlers and outsiders publish side by side.
struct Listener {
    topic: Topic,
}

impl Handler for Listener {
    type State = ();

    fn open(&mut self, _: &Request, ctx: &mut Context<'_>) {
        ctx.subscribe(&self.topic);
        ctx.send_text(&ctx.shard().to_string());
    }

    fn message(&mut self, (): &mut (), message: Message<'_>, ctx: &mut Context<'_>) {
        ctx.publish(&self.topic, PreparedFrame::from(message));
    }
}

fn topic() -> Topic {
    Topic::new("news")
}

fn start(driver: Driver, ring_capacity: usize) -> RunningServer {
    let config = Config {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        admin: None,
        shards: 2,
        driver,
        ring_capacity,
        ..Config::default()
    };
    let server = Server::new(config).unwrap();
    let server = server.route("/news", || Listener { topic: topic() });
    server.unwrap().start().unwrap()
}

/// A session on each shard, in the order of the shards.
fn one_on_each(address: SocketAddr) -> [Client; 2] {
    let mut found = [None, None];
    for _ in 0..200 {
        let mut client = Client::connect(address, "/news");
        let shard: usize = client.read_text().parse().unwrap();
        found[shard].get_or_insert(client);
        if let [Some(_), Some(_)] = &found {
            return found.map(Option::unwrap);
        }
    }
    panic!("the kernel puts all on one shard");
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread();
    { runtime }.build().unwrap().block_on(future)
}

fn text(publisher: usize, number: usize) -> PreparedFrame {
    PreparedFrame::text(&format!("{publisher} {number}"))
}

/// From a thread, which tries until there is room.
fn publish_all(publisher: &Publisher, who: usize) {
    for number in 0..EACH {
        while publisher.try_publish(&topic(), text(who, number)) == Err(PublishError::Full) {
            thread::yield_now();
        }
    }
}

/// Reads what all publishers have published, each one's in order.
fn read_all(client: &mut Client) {
    let mut next = [0; THREADS + TASKS + 1];
    while next.iter().sum::<usize>() < next.len() * EACH {
        let text = client.read_text();
        let (publisher, number) = text.split_once(' ').expect("two numbers");
        let next = &mut next[publisher.parse::<usize>().unwrap()];
        assert_eq!(number.parse(), Ok(*next), "of publisher {publisher}");
        *next += 1;
    }
}

#[test]
fn sessions_on_all_shards_get_each_publishers_messages_in_order() {
    for driver in [Driver::Auto, Driver::Epoll] {
        let server = start(driver, 2);
        let mut clients = one_on_each(server.local_addr());
        let mut session = Client::connect(server.local_addr(), "/news");
        session.read_text();
        let publisher = server.publisher();
        thread::scope(|scope| {
            for who in 0..THREADS {
                let publisher = server.handle().publisher();
                scope.spawn(move || publish_all(&publisher, who));
            }
            scope.spawn(|| {
                block_on(async {
                    let set = (THREADS..THREADS + TASKS).map(|who| {
                        let publisher = publisher.clone();
                        tokio::spawn(async move {
                            for number in 0..EACH {
                                let published = publisher.publish(&topic(), text(who, number));
                                published.await.expect("the server runs");
                            }
                        })
                    });
                    for task in set.collect::<Vec<_>>() {
                        task.await.unwrap();
                    }
                });
            });
            let mut writer = session.writer();
            scope.spawn(move || {
                use std::io::Write;
                for number in 0..EACH {
                    let text = format!("{} {number}", THREADS + TASKS);
                    let frame = crate::support::client::text(&text);
                    writer.write_all(&frame).expect("the session lives");
                }
            });
            for client in &mut clients {
                scope.spawn(move || read_all(client));
            }
            read_all(&mut session);
        });
        for metrics in server.metrics() {
            let taken = metrics.outside_publications.value();
            assert_eq!(
                taken,
                ((THREADS + TASKS) * EACH) as u64,
                "each shard takes all"
            );
        }
        server.handle().hurry();
    }
}

/// The number follows sessions that come and go, on both shards.
#[test]
fn subscribers_are_counted_on_all_shards() {
    for driver in [Driver::Auto, Driver::Epoll] {
        let server = start(driver, 16);
        let publisher = server.publisher();
        let count = || block_on(publisher.subscribers(&topic())).expect("the server runs");
        assert_eq!(count(), 0);
        let [one, two] = one_on_each(server.local_addr());
        wait_until("others have gone", || count() == 2);
        let other = block_on(publisher.subscribers(&Topic::new("nobody's")));
        assert_eq!(other, Ok(0));
        one.close();
        wait_until("one has gone", || count() == 1);
        two.reset();
        wait_until("both have gone", || count() == 0);
        server.handle().hurry();
    }
}
