//! A session that sends more per second than allowed is slowed down or closed, by
//! configuration; no other session notices.
//!
//! How: raw sockets against each driver, with rates so low that the server's
//! share of the time is long. Only lower bounds of time are checked: a busy
//! machine makes everything later, never earlier.

use std::time::{Duration, Instant};

use crate::support::client::{BINARY, CLOSE, Client, FIN, PING, PONG, encode, text};
use crate::support::on_each_driver;

const ONE_SHARD: [&str; 2] = ["--shards", "1"];

/// 60 messages in one segment at 100 a second, of which 10 may come at once:
/// the others take half a second, and all come back in order.
#[test]
fn messages_over_the_rate_are_served_later() {
    let rates = ["--max-message-rate", "100", "--rate-burst", "100ms"];
    on_each_driver(&[&ONE_SHARD[..], &rates].concat(), |server| {
        let mut witness = Client::connect(server.address, "/echo");
        let mut client = Client::connect(server.address, "/echo");
        let began = Instant::now();
        let many: Vec<u8> = (0..60).flat_map(|n| text(&n.to_string())).collect();
        client.send(&many);
        for number in 0..60 {
            assert_eq!(client.read_text(), number.to_string());
            if number == 20 {
                witness.expect_echo("not slowed down");
            }
        }
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(490), "{took:?}");
        assert!(server.total("rate_pauses") > 0);
        // The rate allows a burst again, and a goodbye is not a message.
        client.close();
        server.wait_for("sessions", 1);
    });
}

/// The second segment comes while the session is paused: no readiness tells of
/// it again.
#[test]
fn what_arrives_during_a_pause_is_not_forgotten() {
    let rates = ["--max-message-rate", "10", "--rate-burst", "100ms"];
    on_each_driver(&[&ONE_SHARD[..], &rates].concat(), |server| {
        let mut client = Client::connect(server.address, "/echo");
        client.send(&[text("one"), text("two")].concat());
        assert_eq!(client.read_text(), "one");
        client.send_text("three");
        assert_eq!(client.read_text(), "two");
        assert_eq!(client.read_text(), "three");
        client.shutdown_write();
        client.expect_end();
        server.wait_for("sessions", 0);
    });
}

/// The reset of a connection shows at once, and not when its pause of a minute is over.
#[test]
fn a_paused_session_that_is_reset_is_over() {
    let rates = ["--max-byte-rate", "1KiB", "--rate-burst", "1s"];
    on_each_driver(&[&ONE_SHARD[..], &rates].concat(), |server| {
        let mut client = Client::connect(server.address, "/echo");
        client.send(&text(&"a".repeat(60_000)));
        assert_eq!(client.read_text().len(), 60_000);
        client.send_text("later");
        let began = Instant::now();
        server.wait_for("rate_pauses", 1);
        client.reset();
        server.wait_for("ended.vanished", 1);
        assert!(began.elapsed() < Duration::from_secs(20));
    });
}

/// Pings count as messages, since each is answered.
#[test]
fn a_flood_of_pings_is_slowed_down() {
    let rates = ["--max-message-rate", "100", "--rate-burst", "100ms"];
    on_each_driver(&[&ONE_SHARD[..], &rates].concat(), |server| {
        let mut client = Client::connect(server.address, "/echo");
        let began = Instant::now();
        let pings: Vec<u8> = (0..40u8)
            .flat_map(|n| encode(FIN | PING, true, &[n]))
            .collect();
        client.send(&pings);
        for number in 0..40u8 {
            let pong = client.frame();
            assert_eq!((pong.opcode, pong.payload), (PONG, vec![number]));
        }
        assert!(began.elapsed() >= Duration::from_millis(290));
    });
}

/// 200 KiB at 256 KiB a second, of which 64 KiB may come at once, take half a
/// second; they come back whole.
#[test]
fn bytes_over_the_rate_are_served_later() {
    let rates = ["--max-byte-rate", "256KiB", "--rate-burst", "250ms"];
    on_each_driver(&[&ONE_SHARD[..], &rates].concat(), |server| {
        let mut client = Client::connect(server.address, "/echo");
        let began = Instant::now();
        let message = encode(FIN | BINARY, true, &[7; 20 * 1024]);
        for _ in 0..10 {
            client.send(&message);
        }
        for _ in 0..10 {
            assert_eq!(client.frame().payload, [7; 20 * 1024]);
        }
        // The last read may be over by all of what it read.
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(250), "{took:?}");
        assert!(server.total("rate_pauses") > 0);
        client.close();
    });
}

/// A paused session is not idle: it is the server that does not listen.
#[test]
fn a_pause_is_not_silence() {
    let options = ["--max-message-rate", "1", "--idle-timeout", "400ms"];
    on_each_driver(&[&ONE_SHARD[..], &options].concat(), |server| {
        let mut client = Client::connect(server.address, "/echo");
        client.send(&[text("one"), text("two")].concat());
        assert_eq!(client.read_text(), "one");
        // The ping that asks for a sign of life may come in between.
        assert_eq!(client.read_text(), "two");
        assert_eq!(server.total("ended.idle"), 0);
    });
}

/// With `close` the burst is served, and one more ends the session with 1008.
#[test]
fn over_the_rate_means_the_end_where_it_says_so() {
    let rates = ["--max-message-rate", "5", "--over-rate", "close"];
    on_each_driver(&[&ONE_SHARD[..], &rates].concat(), |server| {
        let mut witness = Client::connect(server.address, "/broadcast");
        let mut client = Client::connect(server.address, "/broadcast");
        let many: Vec<u8> = (0..50).flat_map(|n| text(&n.to_string())).collect();
        client.send(&many);
        let close = loop {
            let frame = client.frame();
            if frame.opcode == CLOSE {
                break frame;
            }
        };
        assert_eq!(close.close_code(), 1008);
        client.send_close(1008);
        client.expect_end();
        for number in 0..5 {
            assert_eq!(witness.read_text(), number.to_string());
        }
        witness.expect_echo("nothing of what came too fast");
        server.wait_for("ended.over_rate", 1);
        assert_eq!(server.total("rate_pauses"), 0);
    });
}

#[test]
fn bytes_over_the_rate_mean_the_end_where_it_says_so() {
    let rates = ["--max-byte-rate", "8KiB", "--over-rate", "close"];
    on_each_driver(&[&ONE_SHARD[..], &rates].concat(), |server| {
        let mut client = Client::connect(server.address, "/echo");
        client.expect_echo(&"x".repeat(4_000));
        client.send(&encode(FIN | BINARY, true, &[7; 10_000]));
        assert_eq!(client.frame().close_code(), 1008);
        client.send_close(1008);
        client.expect_end();
        server.wait_for("ended.over_rate", 1);
        server.wait_for("sessions", 0);
    });
}
