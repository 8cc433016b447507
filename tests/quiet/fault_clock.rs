//! The wall clock may jump by hours or years, forth and back: no session and no
//! handshake is ended by it and none is kept by it, because limits are measured
//! with the clock that only goes on. Only what is told to people follows it.
//!
//! How: libfaketime moves the wall clock of the server's process while it runs.
//! The time stamps of the chat prove that it does.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::support::client::{Client, Frame, PING, PONG, encode};
use crate::support::{Server, corecast, drivers, skip};

const HOUR: i64 = 3_600;

/// The library that the `faketime` command preloads.
fn library() -> Option<String> {
    let output = Command::new("faketime")
        .args(["-m", "-f", "+0", "env"])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("LD_PRELOAD="))?;
    line.split([':', ' '])
        .find(|path| path.contains("faketime"))
        .map(str::to_owned)
}

fn jump(clock: &Path, seconds: i64) {
    // In one step, as the server may look at any moment.
    let new = clock.with_extension("new");
    fs::write(&new, format!("{seconds:+}\n")).unwrap();
    fs::rename(new, clock).unwrap();
}

/// The next frame that is no ping; pings are answered.
fn next(client: &mut Client) -> Frame {
    loop {
        let frame = client.frame();
        if frame.opcode != PING {
            return frame;
        }
        client.send(&encode(
            crate::support::client::FIN | PONG,
            true,
            &frame.payload,
        ));
    }
}

/// By how many seconds the server's wall clock is ahead, as the chat tells it.
fn ahead(chat: &mut Client) -> i64 {
    chat.send_text(r#"{"type":"chat_message","content":"what time is it?"}"#);
    let said: Value = serde_json::from_str(next(chat).text()).unwrap();
    let theirs = said["timestamp"].as_i64().unwrap();
    let ours = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    theirs / 1_000 - ours.as_secs() as i64
}

/// Lives on, answering pings, while something else takes its time.
fn keep_alive<T>(client: &mut Client, meanwhile: impl FnOnce() -> T + Send) -> T
where
    T: Send,
{
    thread::scope(|scope| {
        let other = scope.spawn(meanwhile);
        while !other.is_finished() {
            client.send(&encode(crate::support::client::FIN | PONG, true, b""));
            thread::sleep(Duration::from_millis(50));
        }
        other.join().unwrap()
    })
}

/// A silent client and a handshake that never goes on are ended at their limits,
/// whatever the clock on the wall did meanwhile.
fn expect_limits(server: &Server, meanwhile: impl FnOnce()) {
    let idle_before = server.total("ended.idle");
    let began = Instant::now();
    let mut silent = Client::connect(server.address, "/echo");
    let mut stuck = Client::open(server.address);
    stuck.send(b"GET /echo HTTP/1.1\r\n");
    server.wait_for("handshakes", 1);
    meanwhile();
    let refusal = stuck.response_head();
    assert!(refusal.starts_with("HTTP/1.1 408 "), "{refusal}");
    let refused = began.elapsed();
    assert_eq!(silent.frame().opcode, PING);
    assert_eq!(silent.frame().close_code(), 1001);
    let closed = began.elapsed();
    silent.send_close(1001);
    silent.expect_end();
    server.wait_for("ended.idle", idle_before + 1);
    println!("refused after {refused:?}, closed after {closed:?}");
    for time in [refused, closed] {
        assert!(time > Duration::from_millis(900), "{time:?}");
        assert!(time < Duration::from_secs(10), "{time:?}");
    }
}

#[test]
fn jumps_of_the_wall_clock() {
    let _alone = crate::alone();
    let Some(library) = library() else {
        return skip(
            "jumps of the wall clock",
            "no faketime; apt-get install faketime",
        );
    };
    for driver in drivers() {
        println!("driver {driver}");
        let folder = tempfile::tempdir().unwrap();
        let clock = folder.path().join("clock");
        jump(&clock, 0);
        let mut command = corecast();
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--shards", "2", "--driver", driver])
            .args(["--idle-timeout", "1s", "--ping-interval", "500ms"])
            .args(["--handshake-timeout", "1s"])
            .env("LD_PRELOAD", &library)
            .env("FAKETIME_TIMESTAMP_FILE", &clock)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("DONT_FAKE_MONOTONIC", "1");
        let server = Server::spawn(&mut command);
        let mut chat = Client::connect(server.address, "/ws/somebody");
        assert!(next(&mut chat).text().contains("connected"));
        assert!(ahead(&mut chat).abs() < 60);

        let year = 365 * 24 * HOUR;
        for seconds in [5 * HOUR, -30 * year, 0] {
            keep_alive(&mut chat, || {
                expect_limits(&server, || jump(&clock, seconds))
            });
            let ahead = ahead(&mut chat);
            assert!(
                (ahead - seconds).abs() < 60,
                "{ahead} s ahead, not {seconds}"
            );
            // A client that shows signs of life stays, through several runs of the
            // sweep.
            let until = Instant::now() + Duration::from_millis(700);
            let mut other = Client::connect(server.address, "/echo");
            while Instant::now() < until {
                other.send_text("still here");
                assert_eq!(next(&mut other).text(), "still here");
                chat.send(&encode(crate::support::client::FIN | PONG, true, b""));
                thread::sleep(Duration::from_millis(50));
            }
            other.send_close(1000);
            assert_eq!(next(&mut other).close_code(), 1000);
        }
        // One silent client for each jump, and no other.
        assert_eq!(server.total("ended.idle"), 3);
        server.signal(libc::SIGTERM);
        assert_eq!(next(&mut chat).close_code(), 1001);
        chat.send_close(1001);
        assert_eq!(server.exit_status().code(), Some(0));
    }
}
