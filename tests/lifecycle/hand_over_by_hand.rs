//! A server that another one is started beside, on the same port, and that is
//! then told to drain: clients go on connecting all the while and notice nothing.
//!
//! How: 1,000 clients, or as many as CORECAST_TEST_RESTART_CLIENTS says, at 500 a
//! second, while the server is replaced three times. Each sends its message with
//! its handshake, because a session of a server that drains may be told to go
//! (1001) as soon as it is open.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::{Client, request, text};
use crate::support::fault::Claim;
use crate::support::{Server, corecast, drivers, wait_until};

const THREADS: usize = 16;
const PER_SECOND: f64 = 500.0;
const REPLACEMENTS: usize = 3;

fn start(driver: &str, address: SocketAddr) -> Server {
    let mut command = corecast();
    command
        .args(["serve", "--listen", &address.to_string(), "--share-port"])
        .args(["--admin", "127.0.0.1:0", "--shards", "2"])
        .args(["--driver", driver, "--drain-timeout", "1s"]);
    Server::spawn(&mut command)
}

/// One client; how long it took until it had its echo.
fn visit(address: SocketAddr) -> Duration {
    let began = Instant::now();
    let mut client = Client::open(address);
    client.send(&[request("/echo").into_bytes(), text("served")].concat());
    let head = client.response_head();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert_eq!(client.read_text(), "served");
    began.elapsed()
}

#[test]
fn nobody_is_refused() {
    let asked = std::env::var("CORECAST_TEST_RESTART_CLIENTS");
    let clients = asked.map_or(1_000, |number| number.parse().expect("a number"));
    for driver in drivers() {
        let claim = Claim::new();
        let mut server = start(driver, claim.address);
        let begun = AtomicUsize::new(0);
        let start_of_all = Instant::now();
        let slowest = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|first| {
                    let (begun, address) = (&begun, claim.address);
                    scope.spawn(move || {
                        let mine = (first..clients).step_by(THREADS);
                        mine.map(|place| {
                            let due = Duration::from_secs_f64(place as f64 / PER_SECOND);
                            thread::sleep(due.saturating_sub(start_of_all.elapsed()));
                            begun.fetch_add(1, Ordering::Relaxed);
                            visit(address)
                        })
                        .max()
                    })
                })
                .collect();
            for replacement in 1..=REPLACEMENTS {
                let due = clients * replacement / (REPLACEMENTS + 2);
                wait_until("it is time for the next server", || {
                    begun.load(Ordering::Relaxed) >= due
                });
                let old = std::mem::replace(&mut server, start(driver, claim.address));
                old.signal(libc::SIGTERM);
                assert_eq!(old.exit_status().code(), Some(0));
            }
            let slowest = threads.into_iter().filter_map(|it| it.join().unwrap());
            slowest.max().unwrap()
        });
        println!("{driver}: {clients} clients served, the slowest in {slowest:?}");
    }
}
