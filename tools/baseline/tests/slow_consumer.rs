//! A subscriber that does not read is cut and counted; the others get
//! everything and are not held up.
//!
//! How: one client that never reads while numbered messages go to everyone.

mod support;

use std::time::Duration;

use support::{Client, Server};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

/// Enough to fill the socket's buffers and then a queue.
const MESSAGES: usize = 2500;

fn message(number: usize) -> Message {
    Message::text(format!("{number:08}{}", "x".repeat(16 * 1024)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_cut_while_others_get_everything() {
    let server = Server::start();
    let mut slow = Client::connect(server.address, "/broadcast").await;
    let mut publisher = Client::connect(server.address, "/broadcast").await;
    let mut other = Client::connect(server.address, "/broadcast").await;
    let other = tokio::spawn(async move {
        for number in 0..MESSAGES {
            assert_eq!(other.read().await, message(number));
        }
    });
    for number in 0..MESSAGES {
        publisher.send(message(number)).await;
        assert_eq!(publisher.read().await, message(number));
    }
    other.await.expect("the others get everything");
    server.wait_until("ended.slow_consumer", 1);
    server.wait_until("sessions", 1);
    // The messages that it reads later are whole and in order, and then it ends.
    let mut received = 0;
    let rest = async {
        while let Some(Ok(Message::Text(text))) = slow.next().await {
            assert_eq!(Message::Text(text), message(received));
            received += 1;
        }
    };
    timeout(Duration::from_secs(20), rest)
        .await
        .expect("it ends");
    assert!(received > 0 && received < MESSAGES, "{received}");
}
