//! Each subscriber gets every publisher's messages once and in the order sent,
//! whichever shards they live on, also when rings and slices are so small that all
//! shards wait for each other.
//!
//! How: publishers pipeline numbered messages to `/broadcast` while all clients
//! read; every reader checks the numbers of each publisher as they come.

use std::io::Write;
use std::thread;

use crate::support::client::{Client, text};
use crate::support::{Server, drivers};

struct Case<'a> {
    options: &'a [&'a str],
    publishers: usize,
    subscribers: usize,
    messages: usize,
}

fn check(case: &Case<'_>) {
    for driver in drivers() {
        let server = Server::start(&[&["--driver", driver], case.options].concat());
        let clients: Vec<Client> = (0..case.publishers + case.subscribers)
            .map(|_| Client::connect(server.address, "/broadcast"))
            .collect();
        let spread = server.per_shard("sessions");
        println!("{driver}: sessions per shard {spread:?}");

        thread::scope(|scope| {
            for (number, client) in clients.into_iter().enumerate() {
                if number < case.publishers {
                    let mut writer = client.writer();
                    scope.spawn(move || {
                        let pipelined: Vec<u8> = (0..case.messages)
                            .flat_map(|seq| text(&format!("{number} {seq}")))
                            .collect();
                        writer.write_all(&pipelined).expect("the server reads");
                    });
                }
                scope.spawn(move || read_in_order(client, case));
            }
        });
        let everyone = (case.publishers + case.subscribers) as u64;
        let published = (case.publishers * case.messages) as u64;
        assert_eq!(server.total("publications"), published);
        server.wait_for("deliveries", published * everyone);
        assert_eq!(server.total("dropped.slow_consumer"), 0);
        server.wait_for("sessions", 0);
    }
}

fn read_in_order(mut client: Client, case: &Case<'_>) {
    let mut next = vec![0; case.publishers];
    for _ in 0..case.publishers * case.messages {
        let message = client.read_text();
        let (publisher, seq) = message.split_once(' ').unwrap();
        let (publisher, seq): (usize, usize) = (publisher.parse().unwrap(), seq.parse().unwrap());
        assert_eq!(
            seq, next[publisher],
            "publisher {publisher} is out of order"
        );
        next[publisher] += 1;
    }
    client.close();
}

#[test]
fn on_one_shard() {
    check(&Case {
        options: &["--shards", "1"],
        publishers: 3,
        subscribers: 5,
        messages: 400,
    });
}

#[test]
fn on_two_shards() {
    check(&Case {
        options: &["--shards", "2"],
        publishers: 4,
        subscribers: 8,
        messages: 500,
    });
}

#[test]
fn on_four_shards_with_hardly_any_room() {
    check(&Case {
        options: &[
            "--shards",
            "4",
            "--ring-capacity",
            "2",
            "--fan-out-slice",
            "1",
        ],
        publishers: 4,
        subscribers: 12,
        messages: 150,
    });
}

/// Publishers alone on their shards: nothing is delivered there, so nothing but
/// the rings themselves can keep such a shard going.
#[test]
fn with_small_rings_and_few_subscribers() {
    check(&Case {
        options: &["--shards", "8", "--ring-capacity", "2"],
        publishers: 3,
        subscribers: 0,
        messages: 100,
    });
}

/// So many shards on one core that they fan out in turns, each with several slices
/// of every publication, and rings that fill up meanwhile.
#[test]
fn on_twelve_shards_of_one_core() {
    let cpu = corecast_host::cpus::usable()[0].to_string();
    check(&Case {
        options: &[
            "--shards",
            "12",
            "--cpus",
            &cpu,
            "--ring-capacity",
            "8",
            "--fan-out-slice",
            "2",
        ],
        publishers: 4,
        subscribers: 116,
        messages: 100,
    });
}
