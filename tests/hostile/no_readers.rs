//! A flood of messages without a subscriber: each is taken and counted, and nothing is
//! kept.
//!
//! How: `benchmark_test` messages to a chat, which answers none of them, and
//! publications on a path where the only subscriber but the publisher is gone.

use std::io::Write;

use crate::support::aftermath::withstand;
use crate::support::client::{Client, text};

#[test]
fn a_chat_that_does_not_answer() {
    const MESSAGES: usize = 60_000;
    withstand("messages to a path without readers", &[], |server| {
        let mut client = Client::connect(server.address, "/ws");
        assert!(client.read_text().contains("connected"));
        let thousand =
            text(r#"{"type":"benchmark_test","content":"nobody hears this"}"#).repeat(1_000);
        let mut writer = client.writer();
        for _ in 0..MESSAGES / 1_000 {
            writer.write_all(&thousand).expect("the server reads");
        }
        // The answer to the last one says that all before it were looked at.
        client.send_text("?");
        assert!(client.read_text().contains("error"));
        client.close();
        MESSAGES
    });
}

#[test]
fn publications_for_nobody_else() {
    const MESSAGES: usize = 3_000;
    withstand("publications without subscribers", &[], |server| {
        let gone = Client::connect(server.address, "/broadcast");
        let mut publisher = Client::connect(server.address, "/broadcast");
        gone.reset();
        for batch in 0..MESSAGES / 100 {
            for number in 0..100 {
                publisher.send_text(&format!("{batch} {number}"));
            }
            for number in 0..100 {
                assert_eq!(publisher.read_text(), format!("{batch} {number}"));
            }
        }
        publisher.close();
        MESSAGES
    });
}
