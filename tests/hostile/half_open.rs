//! Thousands of connections that never finish their handshake: newcomers are
//! served beside them, each of them is answered with 408 when its time is up (or closed, if it said nothing),
//! and no more of them are held than `--max-handshakes` allows.
//!
//! How: connections that say nothing, or half a request, with a short
//! `--handshake-timeout`. One such client is timed in `http.rs`.

use std::net::Shutdown;
use std::time::{Duration, Instant};

use crate::support::aftermath::{good_client, withstand};
use crate::support::client::{Client, request};

/// Connections that say as much of a request as their number tells.
fn open(server: &crate::support::Server, count: usize) -> Vec<Client> {
    let request = request("/echo");
    (0..count)
        .map(|number| {
            let mut client = Client::open(server.address);
            let most = request.len() - 1;
            let said = if number.is_multiple_of(2) {
                0
            } else {
                number % most
            };
            // A client that waited long to be accepted may be answered already.
            let _ = std::io::Write::write_all(&mut client.stream, &request.as_bytes()[..said]);
            client
        })
        .collect()
}

/// A connection is refused with 408 when its time is up, or closed without a word
/// if it had said nothing.
#[track_caller]
fn expect_end(client: &mut Client, how: &str) {
    if let Some(head) = client.try_response_head() {
        assert!(head.starts_with("HTTP/1.1 408 "), "{how}: {head}");
    }
}

#[test]
fn by_the_thousand() {
    const CONNECTIONS: usize = 3_000;
    let limit = corecast::sys::raise_descriptor_limit().unwrap();
    assert!(
        limit > CONNECTIONS as u64 + 500,
        "this test needs {CONNECTIONS} descriptors; raise the limit of {limit} with ulimit -n"
    );
    let options = ["--handshake-timeout", "1s"];
    withstand("half-open handshakes", &options, |server| {
        let before = server.total("refused.timeout");
        let mut clients = open(server, CONNECTIONS);
        good_client(server);
        for (number, client) in clients.iter_mut().enumerate() {
            let how = format!("half-open handshake {number}");
            expect_end(client, &how);
        }
        assert_eq!(server.total("refused.timeout"), before + CONNECTIONS as u64);
        CONNECTIONS
    });
}

/// As many silent connections as may be in flight, and as many that drip a header, hold
/// no other client up for the ten seconds that a handshake may take.
#[test]
fn silent_ones_give_way_to_newcomers() {
    const ON_A_SHARD: usize = 40;
    let options = ["--handshake-timeout", "60s", "--max-handshakes", "40"];
    withstand(
        "half-open handshakes that keep all places",
        &options,
        |server| {
            let before = server.total("refused.crowded_out");
            let mut clients = open(server, 4 * ON_A_SHARD);
            let began = Instant::now();
            for _ in 0..3 * ON_A_SHARD {
                good_client(server);
            }
            let took = began.elapsed();
            assert!(took < Duration::from_secs(20), "{took:?}");
            assert!(server.total("refused.crowded_out") > before);
            for client in &mut clients {
                let _ = client.stream.shutdown(Shutdown::Write);
            }
            server.wait_for("handshakes", 0);
            clients.len()
        },
    );
}

#[test]
fn no_more_than_allowed_at_once() {
    const CONNECTIONS: usize = 300;
    const ON_A_SHARD: u64 = 40;
    let options = ["--handshake-timeout", "200ms", "--max-handshakes", "40"];
    withstand("half-open handshakes over the limit", &options, |server| {
        let before = server.total("refused.timeout");
        let mut clients = open(server, CONNECTIONS);
        let mut most = 0;
        for client in &mut clients {
            let on_shards = server.per_shard("handshakes");
            most = on_shards.into_iter().chain([most]).max().unwrap();
            expect_end(client, "half-open");
        }
        assert!((1..=ON_A_SHARD).contains(&most), "{most} on a shard");
        assert_eq!(server.total("refused.timeout"), before + CONNECTIONS as u64);
        CONNECTIONS
    });
}
