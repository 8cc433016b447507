//! On a `:latest` route a subscriber that reads too slowly gets the newest publication in
//! the place of those that it had no room for; the others get everything.
//!
//! How: a raw client with a small receive buffer that reads late, or a hundred times as
//! slowly as is published, while numbered publications go to everyone.

use std::thread;
use std::time::Duration;

use crate::support::client::Client;
use crate::support::{Server, on_each_driver, wait_until};

const OPTIONS: &[&str] = &[
    "--shards",
    "2",
    "--route",
    "/broadcast=broadcast:latest",
    "--max-pending-bytes",
    "256KiB",
    "--write-stall-timeout",
    "20s",
];
const LEN: usize = 16 * 1024;

fn message(number: usize) -> String {
    format!("{number:08}{}", "x".repeat(LEN))
}

fn number(text: &str) -> usize {
    assert_eq!(text.len(), LEN + 8, "a torn frame");
    text[..8].parse().unwrap()
}

/// Publishes numbers from `from` up to `to` while another reads each of them.
fn publish(server: &Server, from: usize, to: usize) {
    let mut reader = Client::connect(server.address, "/broadcast");
    let mut publisher = Client::connect(server.address, "/broadcast");
    for sent in from..to {
        publisher.send_text(&message(sent));
        assert_eq!(number(&publisher.read_text()), sent);
        assert_eq!(number(&reader.read_text()), sent, "others get everything");
    }
    publisher.close();
    reader.close();
}

/// Reads until the number before `end`, and returns how many messages that were.
fn read_to(slow: &mut Client, end: usize) -> usize {
    let mut last = None;
    let mut received = 0;
    while last != Some(end - 1) {
        let next = number(&slow.read_text());
        assert!(
            last.is_none_or(|last| last < next),
            "an older one after a newer"
        );
        last = Some(next);
        received += 1;
    }
    received
}

#[test]
fn a_slow_reader_ends_with_the_newest() {
    on_each_driver(OPTIONS, |server| {
        let mut slow = Client::connect_narrow(server.address, "/broadcast");
        publish(server, 0, 1_000);
        let received = read_to(&mut slow, 1_000);
        assert!(received < 1_000, "there was room for all");
        // Every publication was either delivered to it or conflated.
        wait_until("all are accounted for", || {
            let conflated = server.total("dropped.conflated") as usize;
            conflated == 1_000 - received
        });
        assert_eq!(server.total("ended.slow_consumer"), 0);
        // It has caught up: what comes now comes whole.
        publish(server, 1_000, 1_010);
        assert_eq!(read_to(&mut slow, 1_010), 10);
        slow.close();
    });
}

#[test]
fn a_reader_at_a_hundredth_of_the_speed_never_goes_back() {
    on_each_driver(OPTIONS, |server| {
        let mut slow = Client::connect_narrow(server.address, "/broadcast");
        let reader = thread::spawn(move || {
            let mut last = None;
            let mut received = 0;
            while last != Some(1_999) {
                let next = number(&slow.read_text());
                assert!(
                    last.is_none_or(|last| last < next),
                    "{last:?} before {next}"
                );
                last = Some(next);
                received += 1;
                thread::sleep(Duration::from_millis(10));
            }
            (slow, received)
        });
        publish(server, 0, 2_000);
        let (slow, received) = reader.join().expect("it ends with the newest");
        assert!(received < 2_000, "{received}");
        slow.close();
    });
}
