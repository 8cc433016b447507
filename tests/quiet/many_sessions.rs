//! 10,000 sessions over two shards: one broadcast reaches all of them, the
//! statistics know all of them, and when they have gone nothing of them is
//! left; three rounds, after which the server is no larger than after the first.
//!
//! How: raw sockets from several loopback addresses, with a descriptor limit of
//! the test process raised as far as it goes.

use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::{Client, request};
use crate::support::{Server, drivers};

const SESSIONS: usize = 10_000;
/// Handshakes sent before their answers are read.
const BATCH: usize = 250;

/// Opens sessions and keeps nothing but their sockets.
fn open(server: &Server, source: Ipv4Addr, count: usize) -> Vec<TcpStream> {
    let request = request("/broadcast");
    let mut streams = Vec::with_capacity(count);
    while streams.len() < count {
        let mut batch: Vec<Client> = (0..BATCH.min(count - streams.len()))
            .map(|_| {
                let mut client =
                    Client::open_from(source, server.address, None).expect("a connection");
                client.send(request.as_bytes());
                client
            })
            .collect();
        for client in &mut batch {
            let head = client.response_head();
            assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        }
        streams.extend(batch.into_iter().map(|client| client.stream));
    }
    streams
}

#[test]
fn ten_thousand_sessions_come_and_go() {
    let _alone = crate::alone();
    let limit = corecast::sys::raise_descriptor_limit().unwrap();
    assert!(
        limit > SESSIONS as u64 + 500,
        "this test needs {SESSIONS} descriptors; raise the limit of {limit} with ulimit -n"
    );
    for driver in drivers() {
        let server = Server::start(&["--shards", "2", "--driver", driver]);
        let mut sizes = Vec::new();
        for round in 1..=3u64 {
            let began = Instant::now();
            let streams: Vec<TcpStream> = thread::scope(|scope| {
                let openers: Vec<_> = (1..=2)
                    .map(|host| {
                        let source = Ipv4Addr::new(127, 0, round as u8, host);
                        let server = &server;
                        scope.spawn(move || open(server, source, SESSIONS / 2))
                    })
                    .collect();
                openers
                    .into_iter()
                    .flat_map(|opener| opener.join().unwrap())
                    .collect()
            });
            server.wait_for("sessions", SESSIONS as u64);
            let spread = server.per_shard("sessions");
            assert!(spread.iter().all(|n| *n > 3_000), "{spread:?}");
            let opened = began.elapsed();

            // A client outside sends one message, and all hear it.
            let mut publisher = Client::connect(server.address, "/broadcast");
            let text = format!("round {round}");
            publisher.expect_echo(&text);
            let mut frame = vec![0x81, text.len() as u8];
            frame.extend(text.as_bytes());
            for mut stream in &streams {
                let mut received = vec![0; frame.len()];
                stream
                    .read_exact(&mut received)
                    .expect("everybody hears it");
                assert_eq!(received, frame);
            }
            publisher.close();
            // Once each.
            server.wait_for("deliveries", round * (SESSIONS as u64 + 1));

            // A third each leaves with a reset, with an end of stream, and with
            // a close frame.
            for (number, stream) in streams.into_iter().enumerate() {
                match number % 3 {
                    0 => {
                        let socket = socket2::SockRef::from(&stream);
                        socket.set_linger(Some(Duration::ZERO)).unwrap();
                    }
                    1 => {}
                    _ => {
                        use std::io::Write;
                        let mut stream = &stream;
                        let _ = stream.write_all(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8]);
                    }
                }
            }
            server.wait_for("sessions", 0);
            server.wait_for("subscriptions", 0);
            server.wait_for("topics", 0);
            sizes.push(server.resident_bytes());
            println!(
                "{driver}, round {round}: opened in {opened:?}, whole round {:?}",
                began.elapsed()
            );
        }
        println!("{driver}: resident after each round: {sizes:?}");
        let growth = sizes[2].saturating_sub(sizes[0]);
        assert!(growth < 2 << 20, "grows by {growth} bytes: {sizes:?}");
    }
}
