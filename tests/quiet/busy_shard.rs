//! A shard that never runs out of work still accepts, answers others, keeps
//! its deadlines and drains.
//!
//! How: clients keep a single shard saturated with messages that need no
//! answer; meanwhile plain requests, an echo, a handshake that times out and
//! finally SIGTERM must all be served.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::client::{Client, text};
use crate::support::{Server, http, on_each_driver, wait_until};

/// Keeps the shard busy until told to stop or disconnected.
fn flood(server: &Server, stop: &AtomicBool) {
    let client = Client::connect(server.address, "/ws");
    let burst = text(r#"{"type":"benchmark_test","content":"x"}"#).repeat(1_000);
    let mut writer = client.writer();
    while !stop.load(Ordering::Relaxed) && writer.write_all(&burst).is_ok() {}
}

#[test]
fn everybody_else_is_served() {
    let _alone = crate::alone();
    on_each_driver(&["--shards", "1", "--handshake-timeout", "1s"], |server| {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| flood(server, &stop));
            }
            wait_until("the flood has begun", || {
                server.total("messages_in") > 10_000
            });

            let mut slow = Client::open(server.address);
            slow.send(b"GET / HTTP/1.1\r\n");
            for _ in 0..5 {
                assert_eq!(http::get(server.address, "/healthz").status, 200);
                Client::connect(server.address, "/echo").expect_echo("in between");
            }
            let refusal = slow.response_head();
            assert!(refusal.starts_with("HTTP/1.1 408 "), "{refusal}");

            server.signal(libc::SIGTERM);
            let status = server.exit_status();
            stop.store(true, Ordering::Relaxed);
            assert!(status.success(), "{status}");
        });
    });
}

/// One session that always has more to read takes no more than its share.
#[test]
fn a_flooding_client_takes_its_share_and_no_more() {
    let _alone = crate::alone();
    on_each_driver(&["--shards", "1"], |server| {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| flood(server, &stop));
            let mut witness = Client::connect(server.address, "/echo");
            for _ in 0..10 {
                thread::sleep(Duration::from_millis(100));
                witness.expect_echo("still answered");
            }
            stop.store(true, Ordering::Relaxed);
        });
    });
}
