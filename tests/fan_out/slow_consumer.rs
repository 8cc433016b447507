//! A subscriber that does not read is closed with 1013, or on a `:drop` route misses
//! publications; the others get everything, and no session gets a torn frame.
//!
//! How: a raw client with a small receive buffer that subscribes and does not
//! read while numbered publications go to everyone; later it reads what there is.

use std::thread;

use crate::support::client::{CLOSE, Client};
use crate::support::{Server, on_each_driver, wait_until};

const MESSAGES: usize = 600;
const OPTIONS: &[&str] = &[
    "--shards",
    "2",
    "--high-water-mark",
    "64KiB",
    "--max-pending-bytes",
    "256KiB",
    "--close-timeout",
    "20s",
    "--write-stall-timeout",
    "20s",
];

fn message(number: usize) -> String {
    format!("{number:08}{}", "x".repeat(16 * 1024))
}

fn number(text: &str) -> usize {
    text[..8].parse().unwrap()
}

/// Publishes to the slow one and to others, which must get everything.
fn publish_to_all(server: &Server) {
    let mut others: Vec<_> = (0..6)
        .map(|_| Client::connect(server.address, "/broadcast"))
        .collect();
    let mut publisher = others.pop().unwrap();
    let readers: Vec<_> = others
        .into_iter()
        .map(|mut other| {
            thread::spawn(move || {
                for expected in 0..MESSAGES {
                    assert_eq!(number(&other.read_text()), expected);
                }
                other.close();
            })
        })
        .collect();
    for sent in 0..MESSAGES {
        publisher.send_text(&message(sent));
        // Its own copy comes back: only the slow one is slow.
        assert_eq!(number(&publisher.read_text()), sent);
    }
    publisher.close();
    for reader in readers {
        reader.join().expect("the others get everything");
    }
}

#[test]
fn is_closed_while_others_get_everything() {
    on_each_driver(OPTIONS, |server| {
        let mut slow = Client::connect_narrow(server.address, "/broadcast");
        publish_to_all(server);
        wait_until("it is closed", || server.total("dropped.closed") > 0);
        assert_eq!(server.total("dropped.slow_consumer"), 0);

        let mut received = 0;
        let close = loop {
            let frame = slow.frame();
            if frame.opcode == CLOSE {
                break frame;
            }
            assert_eq!(number(frame.text()), received);
            assert_eq!(frame.payload.len(), message(0).len(), "a torn frame");
            received += 1;
        };
        assert!(received > 0 && received < MESSAGES, "{received}");
        assert_eq!(close.close_code(), 1013);
        slow.send_close(1013);
        slow.expect_end();
        server.wait_for("ended.slow_consumer", 1);
        server.wait_for("sessions", 0);
    });
}

#[test]
fn misses_publications_on_a_route_that_drops() {
    let options = [OPTIONS, &["--route", "/broadcast=broadcast:drop"]].concat();
    on_each_driver(&options, |server| {
        let mut slow = Client::connect_narrow(server.address, "/broadcast");
        publish_to_all(server);
        wait_until("all deliveries are made or dropped", || {
            let made = server.total("deliveries") + server.total("dropped.slow_consumer");
            made as usize == 7 * MESSAGES
        });
        let dropped = server.total("dropped.slow_consumer") as usize;
        assert!(dropped > 0);

        let mut received = 0;
        let mut last = None;
        while received < MESSAGES - dropped {
            let text = slow.read_text();
            assert_eq!(text.len(), message(0).len(), "a torn frame");
            assert!(last.is_none_or(|last| last < number(&text)), "out of order");
            last = Some(number(&text));
            received += 1;
        }
        // It has caught up: the next publication is the next thing it gets.
        let mut publisher = Client::connect(server.address, "/broadcast");
        publisher.send_text(&message(MESSAGES));
        assert_eq!(number(&slow.read_text()), MESSAGES);
        assert_eq!(server.total("dropped.slow_consumer") as usize, dropped);
        slow.close();
        server.wait_for("ended.peer_closed", 7);
        assert_eq!(server.total("ended.slow_consumer"), 0);
    });
}

/// A session whose client does not even read the close frame is cut off.
#[test]
fn is_cut_off_in_the_end() {
    let options = [
        "--shards",
        "1",
        "--high-water-mark",
        "64KiB",
        "--max-pending-bytes",
        "256KiB",
        "--close-timeout",
        "500ms",
    ];
    on_each_driver(&options, |server| {
        let slow = Client::connect_narrow(server.address, "/broadcast");
        publish_to_all(server);
        server.wait_for("ended.slow_consumer", 1);
        server.wait_for("sessions", 0);
        drop(slow);
    });
}
