//! Connections that come and go in every rude way as fast as they can, more of
//! them than the server may hold, and such that close one half.
//!
//! How: raw sockets from two threads; the gauges and descriptors say whether
//! something of them is left.

use std::io::Write;
use std::net::Ipv4Addr;
use std::thread;

use crate::support::aftermath::withstand;
use crate::support::client::{BINARY, Client, FIN, encode, request, text};
use crate::support::hostile::refusal;

/// A visit of one of eight kinds.
fn visit(server: &crate::support::Server, source: Ipv4Addr, number: usize) {
    let mut client = Client::open_from(source, server.address, None).expect("a connection");
    let request = request(if number.is_multiple_of(3) {
        "/broadcast"
    } else {
        "/echo"
    });
    match number % 8 {
        0 => drop(client),
        1 => client.reset(),
        2 => {
            client.send(&request.as_bytes()[..request.len() / 2]);
            client.reset();
        }
        3 => {
            client.send(request.as_bytes());
            client.reset();
        }
        4 => client.send(request.as_bytes()),
        5 => {
            client.send(request.as_bytes());
            client.response_head();
            client.reset();
        }
        6 => {
            client.send(request.as_bytes());
            client.response_head();
            client.send(&encode(FIN | BINARY, true, &[7; 1_000])[..500]);
            client.reset();
        }
        _ => {
            client.send(request.as_bytes());
            client.response_head();
            client.close();
        }
    }
}

#[test]
fn connects_and_disconnects() {
    const VISITS: usize = 4_000;
    withstand("connects and disconnects", &[], |server| {
        thread::scope(|scope| {
            for half in 0..2 {
                scope.spawn(move || {
                    let source = Ipv4Addr::new(127, 0, 1, half + 1);
                    for number in 0..VISITS / 2 {
                        visit(server, source, number);
                    }
                });
            }
        });
        // Those in the kernel's queue are accepted, looked at and counted too.
        let sessions = server.total("opened");
        assert!(sessions > 0);
        VISITS
    });
}

/// As many as there is room for get in, all others are told when to come back.
#[test]
fn more_than_there_is_room_for() {
    const CLIENTS: usize = 600;
    // The witnesses have four of the places.
    const ROOM: usize = 60;
    let options = ["--max-sessions", "64"];
    withstand("a storm over the limit on sessions", &options, |server| {
        let mut clients: Vec<Client> = (0..CLIENTS)
            .map(|_| {
                let mut client = Client::open(server.address);
                client.send(request("/echo").as_bytes());
                client
            })
            .collect();
        let mut inside = 0;
        for client in &mut clients {
            let mut start = [0; 12];
            crate::support::wait_until("there is an answer", || {
                client.stream.peek(&mut start).expect("an answer") == start.len()
            });
            if start.starts_with(b"HTTP/1.1 101") {
                client.response_head();
                client.expect_echo("in");
                inside += 1;
            } else {
                assert_eq!(refusal(&mut client.stream, true, "a storm").status, 503);
            }
        }
        assert_eq!(inside, ROOM);
        drop(clients);
        // The room is free again, for the client that is sent to look.
        server.wait_for("sessions", 4);
        CLIENTS
    });
}

/// Messages sent before the end of the stream are answered.
#[test]
fn half_closed_connections() {
    const ROUNDS: usize = 50;
    withstand("half-closed connections", &[], |server| {
        for _ in 0..ROUNDS {
            let mut client = Client::open(server.address);
            client.shutdown_write();
            assert!(matches!(client.try_frame(), Ok(None) | Err(_)));

            let mut client = Client::open(server.address);
            client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
            client.shutdown_write();
            let page = crate::support::http::finish(&mut client.stream, true);
            assert_eq!(page.status, 200);

            let mut client = Client::open(server.address);
            client.send(b"GET /nowhere HTTP/1.1\r\n");
            client.shutdown_write();
            let mut rest = Vec::new();
            let _ = std::io::Read::read_to_end(&mut client.stream, &mut rest);

            let mut client = Client::open(server.address);
            client.send(&[request("/echo").into_bytes(), text("last words")].concat());
            client.shutdown_write();
            assert!(client.response_head().starts_with("HTTP/1.1 101 "));
            assert_eq!(client.read_text(), "last words");
            client.expect_end();

            let mut client = Client::connect(server.address, "/echo");
            client.stream.write_all(&text("cut off")[..5]).unwrap();
            client.shutdown_write();
            client.expect_end();
        }
        5 * ROUNDS
    });
}
