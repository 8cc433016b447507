//! `/broadcast`: every subscriber gets every message, each publisher's in the
//! order sent, and the sender too.
//!
//! How: several publishers that send in bursts; every subscriber checks the
//! number that each publisher's message carries.

mod support;

use support::{Client, Server};
use tokio_tungstenite::tungstenite::Message;

const SUBSCRIBERS: usize = 8;
const PUBLISHERS: usize = 3;
/// More than a queue holds.
const MESSAGES: usize = 3000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everyone_gets_everything_in_order() {
    for style in ["tuned", "plain"] {
        delivers_everything_in_order(Server::start_in(style)).await;
    }
}

async fn delivers_everything_in_order(server: Server) {
    let mut tasks = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..SUBSCRIBERS {
        clients.push(Client::connect(server.address, "/broadcast").await);
    }
    for (number, mut client) in clients.into_iter().enumerate() {
        tasks.push(tokio::spawn(async move {
            let mut next = [0; PUBLISHERS];
            let mut sent = 0;
            while next != [MESSAGES; PUBLISHERS] {
                if number < PUBLISHERS && sent < MESSAGES {
                    // A burst each time something of its own came back.
                    if next[number] == sent {
                        for _ in 0..100 {
                            client.feed(Message::text(format!("{number} {sent}"))).await;
                            sent += 1;
                        }
                        client.flush().await;
                    }
                }
                let text = client.read_text().await;
                let (publisher, message) = text.split_once(' ').expect("two numbers");
                let publisher: usize = publisher.parse().unwrap();
                assert_eq!(message.parse::<usize>().unwrap(), next[publisher]);
                next[publisher] += 1;
            }
            client
        }));
    }
    // No client leaves before all have everything.
    let mut clients = Vec::new();
    for task in tasks {
        clients.push(task.await.expect("everything arrives"));
    }
    let publications = (PUBLISHERS * MESSAGES) as u64;
    server.wait_until("publications", publications);
    server.wait_until("deliveries", publications * SUBSCRIBERS as u64);
    assert_eq!(server.total("messages_in"), publications);
    assert_eq!(server.total("ended.slow_consumer"), 0);
}

/// A publisher that never waits is slowed down rather than its listeners cut.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_loses_nothing() {
    let server = Server::start();
    let mut publisher = Client::connect(server.address, "/broadcast").await;
    let mut subscribers = Vec::new();
    for _ in 0..4 {
        let mut subscriber = Client::connect(server.address, "/broadcast").await;
        subscribers.push(tokio::spawn(async move {
            for number in 0..10 * MESSAGES {
                assert_eq!(subscriber.read_text().await, number.to_string());
            }
        }));
    }
    let (mut sent, mut heard) = (0, 0);
    while heard < 10 * MESSAGES {
        // Its own copies are read only so that it is no slow consumer itself.
        while sent < 10 * MESSAGES && sent < heard + 2 * MESSAGES {
            publisher.feed(Message::text(sent.to_string())).await;
            sent += 1;
        }
        publisher.flush().await;
        assert_eq!(publisher.read_text().await, heard.to_string());
        heard += 1;
    }
    for subscriber in subscribers {
        subscriber.await.expect("nothing is lost");
    }
    assert_eq!(server.total("ended.slow_consumer"), 0);
}

#[tokio::test]
async fn text_stays_text_and_binary_stays_binary() {
    let server = Server::start();
    let mut ann = Client::connect(server.address, "/broadcast").await;
    let mut bob = Client::connect(server.address, "/broadcast").await;
    for message in [
        Message::text("Wörld"),
        Message::binary(&b"\x00\xff"[..]),
        Message::text(""),
        Message::binary(vec![7; 64 * 1024]),
    ] {
        ann.send(message.clone()).await;
        assert_eq!(ann.read().await, message);
        assert_eq!(bob.read().await, message);
    }
}
