//! A client that always reads a little less than it is sent never lets its queue become
//! empty; bytes that have left must not be kept for that.
//!
//! How: echo clients with short segments and a small window, for which the kernel keeps
//! a send buffer smaller than the queue, so that it never takes all of it; resident
//! memory is watched. All comes back in order.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crate::support::client::{BINARY, FIN, encode, request};
use crate::support::{DEADLINE, Server, drivers};
use socket2::{Domain, Socket, Type};

const CLIENTS: usize = 2;
const MESSAGE: usize = 3_000;
const MESSAGES: usize = 12_000;
const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const MIB: u64 = 1 << 20;

fn payload(number: usize) -> Vec<u8> {
    (number as u32).to_be_bytes().repeat(MESSAGE / 4)
}

/// A session whose segments are short, so that the kernel buffers little for it.
fn connect(server: &Server) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_mss(536).unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    socket.connect(&server.address.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(request("/echo").as_bytes()).unwrap();
    let mut head = [0; RESPONSE.len()];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(std::str::from_utf8(&head), Ok(RESPONSE));
    stream
}

#[test]
fn what_has_left_is_forgotten() {
    let _alone = crate::alone();
    for driver in drivers() {
        let server = Server::start(&[
            "--driver",
            driver,
            "--shards",
            "1",
            "--high-water-mark",
            "1MiB",
        ]);
        let before = server.resident_bytes();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let mut reader = connect(&server);
                let mut writer = reader.try_clone().unwrap();
                let writer = thread::spawn(move || {
                    for number in 0..MESSAGES {
                        let frame = encode(FIN | BINARY, true, &payload(number));
                        writer.write_all(&frame).expect("the server reads");
                    }
                });
                let reader = thread::spawn(move || {
                    // The clients do not read until the queue is full.
                    thread::sleep(Duration::from_millis(300));
                    let mut frame = vec![0; 4 + MESSAGE];
                    for number in 0..MESSAGES {
                        reader.read_exact(&mut frame).expect("an answer");
                        assert!(frame[4..] == payload(number), "message {number}");
                    }
                });
                (writer, reader)
            })
            .collect();
        let mut grown = 0;
        while !clients.iter().all(|(_, reader)| reader.is_finished()) {
            grown = grown.max(server.resident_bytes().saturating_sub(before));
            thread::sleep(Duration::from_millis(20));
        }
        println!("{driver}: grown by {} KiB", grown / 1024);
        for (writer, reader) in clients {
            writer.join().unwrap();
            reader.join().expect("everything in order");
        }
        // A queue is full at 1 MiB, and its room grows by doubling; kept whole, the
        // two would come near 30 MiB.
        assert!(grown < 16 * MIB, "grown by {} MiB", grown / MIB);
    }
}
