//! A silent session is pinged at half the idle limit and closed at the limit;
//! any received byte is a sign of life.
//!
//! How: `--idle-timeout 1s`, raw clients that answer, do not answer, or dribble.
//! The server looks at each session several times a second, so the times are
//! checked with that much slack.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::{BINARY, Client, FIN, PING, PONG, encode, text};
use crate::support::on_each_driver;

const OPTIONS: &[&str] = &["--shards", "1", "--idle-timeout", "1s"];

#[test]
fn a_silent_client_is_pinged_and_then_closed() {
    on_each_driver(OPTIONS, |server| {
        let began = Instant::now();
        let mut client = Client::connect(server.address, "/echo");
        assert_eq!(client.frame().opcode, PING);
        let pinged = began.elapsed();
        assert!(pinged > Duration::from_millis(450), "{pinged:?}");
        assert!(pinged < Duration::from_millis(950), "{pinged:?}");
        assert_eq!(client.frame().close_code(), 1001);
        let closed = began.elapsed();
        assert!(closed > Duration::from_millis(950), "{closed:?}");
        assert!(closed < Duration::from_millis(2000), "{closed:?}");
        client.send_close(1001);
        client.expect_end();
        server.wait_for("ended.idle", 1);
        server.wait_for("sessions", 0);
        assert_eq!(server.total("pings"), 1);
    });
}

#[test]
fn a_client_that_answers_pings_stays() {
    on_each_driver(OPTIONS, |server| {
        let mut client = Client::connect(server.address, "/echo");
        let began = Instant::now();
        let mut pings = 0;
        while began.elapsed() < Duration::from_secs(3) {
            let ping = client.frame();
            assert_eq!(ping.opcode, PING);
            client.send(&encode(FIN | PONG, true, &ping.payload));
            pings += 1;
        }
        assert!((3..=7).contains(&pings), "{pings} pings in 3 s");
        client.expect_echo("still here");
        assert_eq!(server.total("ended.idle"), 0);
    });
}

/// Not only whole frames count.
#[test]
fn a_dribbling_client_stays() {
    on_each_driver(OPTIONS, |server| {
        let mut client = Client::connect(server.address, "/echo");
        for byte in text("abcdef") {
            client.send(&[byte]);
            thread::sleep(Duration::from_millis(250));
        }
        let mut frame = client.frame();
        while frame.opcode == PING {
            frame = client.frame();
        }
        assert_eq!(frame.text(), "abcdef");
        assert_eq!(server.total("ended.idle"), 0);
    });
}

/// While its answers wait for it, a session is not read and so cannot show a
/// sign of life. That time must not count against it afterwards.
#[test]
fn a_slow_reader_is_not_taken_for_a_silent_client() {
    let options = [OPTIONS, &["--max-message-bytes", "8MiB"]].concat();
    on_each_driver(&options, |server| {
        let len = 8 << 20;
        let bytes = encode(FIN | BINARY, true, &vec![1; len]);
        let mut client = Client::connect_narrow(server.address, "/echo");
        let mut writer = client.writer();
        let sender = thread::spawn(move || std::io::Write::write_all(&mut writer, &bytes).unwrap());
        sender.join().unwrap();
        // The echo has begun, and is not read for longer than the idle limit.
        thread::sleep(Duration::from_millis(2500));
        let echo = client.frame();
        assert_eq!((echo.opcode, echo.payload.len()), (BINARY, len));
        client.send_text("done");
        let mut frame = client.frame();
        while frame.opcode == PING {
            frame = client.frame();
        }
        assert_eq!(frame.text(), "done");
        // Now it is silent: a ping must come before the close frame.
        assert_eq!(client.frame().opcode, PING);
        assert_eq!(client.frame().close_code(), 1001);
    });
}

#[test]
fn pings_can_be_switched_off() {
    let options = [OPTIONS, &["--ping-interval", "0"]].concat();
    on_each_driver(&options, |server| {
        let mut client = Client::connect(server.address, "/echo");
        assert_eq!(client.frame().close_code(), 1001);
        assert_eq!(server.total("pings"), 0);
    });
}

#[test]
fn no_limit_means_no_limit() {
    on_each_driver(
        &[
            "--shards",
            "1",
            "--idle-timeout",
            "0",
            "--ping-interval",
            "0",
        ],
        |server| {
            let mut client = Client::connect(server.address, "/echo");
            client.expect_silence(Duration::from_millis(1500));
            client.expect_echo("still here");
        },
    );
}
