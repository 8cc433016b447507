//! A shard that is stuck in a handler makes the server fall silent towards its
//! service manager, whose watchdog then ends it; an idle one does not.
//!
//! How: a handler that loops until it is told to stop, and a socket in the
//! place of systemd's.

mod support;

use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use corecast::service::Service;
use corecast::{Config, Context, Handler, Message, Request, Server};
use support::client::Client;

/// A handler that never comes back from a message.
struct Stuck(Arc<AtomicBool>);

impl Handler for Stuck {
    type State = ();
    type Notice = ();

    fn open(&mut self, _: &Request, _: &mut Context<'_>) {}

    fn message(&mut self, (): &mut (), _: Message<'_>, _: &mut Context<'_>) {
        while !self.0.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Signs of life heard within a time.
fn signs(manager: &UnixDatagram, time: Duration) -> usize {
    let until = Instant::now() + time;
    let mut count = 0;
    let mut message = [0; 4_096];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return count;
        }
        manager.set_read_timeout(Some(left)).unwrap();
        if let Ok(len) = manager.recv(&mut message) {
            let text = String::from_utf8_lossy(&message[..len]);
            count += usize::from(text.contains("WATCHDOG=1"));
        }
    }
}

#[test]
fn a_stuck_shard_silences_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    // SAFETY: this program has one test, and no other thread that reads these.
    unsafe {
        std::env::set_var("NOTIFY_SOCKET", &path);
        std::env::set_var("WATCHDOG_USEC", "2000000");
    }
    let config = Config::new()
        .listen(["127.0.0.1:0".parse().unwrap()])
        .shards(2);
    let release = Arc::new(AtomicBool::new(false));
    let for_handler = Arc::clone(&release);
    let server = Server::new(config)
        .unwrap()
        .route("/stuck", move || Stuck(Arc::clone(&for_handler)))
        .unwrap()
        .start()
        .unwrap();
    Service::from_environment()
        .report_on(server.vitals())
        .unwrap();
    let alive = signs(&manager, Duration::from_secs(4));
    assert!(alive >= 2, "idle, and {alive} signs of life");

    let mut client = Client::connect(server.local_addr(), "/stuck");
    client.send_text("for ever");
    // The look that was just due, and one in which it had turned before.
    signs(&manager, Duration::from_secs(3));
    assert_eq!(signs(&manager, Duration::from_secs(3)), 0);

    release.store(true, Ordering::Relaxed);
    assert!(signs(&manager, Duration::from_secs(4)) >= 1, "it goes on");
}
