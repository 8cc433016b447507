//! A shard that stood still finds more sockets ready at once than its completion
//! queue holds (8,192): each is served, none is forgotten, and a second time too.
//!
//! How: 9,000 sessions on one shard, whose thread is stopped as if its core had
//! been taken away while all of them send; and a third of them leave.

use std::net::Ipv4Addr;
use std::time::Instant;

use crate::support::client::{Client, request};
use crate::support::fault::{Before, StoppedThread, thread};
use crate::support::{Server, on_each_driver, skip};

const SESSIONS: usize = 9_000;
const BATCH: usize = 200;

fn open(server: &Server) -> Vec<Client> {
    let request = request("/echo");
    let mut clients = Vec::with_capacity(SESSIONS);
    while clients.len() < SESSIONS {
        let source = Ipv4Addr::new(127, 7, 0, 1 + (clients.len() / 4_000) as u8);
        let mut batch: Vec<_> = (0..BATCH)
            .map(|_| {
                let client = Client::open_from(source, server.address, None);
                let mut client = client.expect("a connection");
                client.send(request.as_bytes());
                client
            })
            .collect();
        for client in &mut batch {
            assert!(client.response_head().starts_with("HTTP/1.1 101 "));
        }
        clients.append(&mut batch);
    }
    clients
}

#[test]
fn more_than_the_queue_holds() {
    let _alone = crate::alone();
    let limit = corecast::sys::raise_descriptor_limit().unwrap();
    if limit < SESSIONS as u64 + 500 {
        return skip("9,000 sockets ready at once", "ulimit -n is too low");
    }
    let options = [
        "--shards",
        "1",
        "--ping-interval",
        "0",
        "--idle-timeout",
        "0",
    ];
    on_each_driver(&options, |server| {
        let before = Before::look(server);
        let mut clients = open(server);
        for round in 0..2 {
            let stopped = match StoppedThread::stop(thread(server.pid(), "shard-0")) {
                Ok(stopped) => stopped,
                Err(error) => return skip("9,000 sockets ready at once", &error.to_string()),
            };
            for (number, client) in clients.iter_mut().enumerate() {
                client.send_text(&format!("{round}: {number}"));
            }
            drop(stopped);
            let began = Instant::now();
            for (number, client) in clients.iter_mut().enumerate() {
                assert_eq!(client.read_text(), format!("{round}: {number}"));
            }
            println!("all answered after {:?}", began.elapsed());
        }
        // Ends of streams in such numbers are all seen as well.
        let stopped = StoppedThread::stop(thread(server.pid(), "shard-0")).unwrap();
        let left = clients.split_off(SESSIONS / 3);
        for (number, client) in left.into_iter().enumerate() {
            if number % 2 == 0 {
                client.reset();
            }
        }
        drop(stopped);
        server.wait_for("sessions", (SESSIONS / 3) as u64);
        drop(clients);
        // The slab keeps the places it made for so many.
        before.expect_recovered(server, 8 << 20);
    });
}
