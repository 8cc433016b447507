//! Clients that take and do not read: subscribers while publications flow, and
//! readers of a page. Others get everything, the server's memory stays, and the
//! silent ones are let go of in time.
//!
//! How: connections that the kernel buffers little for. That a slow subscriber
//! gets 1013 and no torn frame is shown in `slow_consumer.rs`.

use std::thread;

use crate::support::aftermath::{good_client, withstand};
use crate::support::client::Client;

#[test]
fn subscribers() {
    const SILENT: usize = 40;
    const MESSAGES: usize = 300;
    let options = [
        "--route",
        "/flow=broadcast",
        "--max-pending-bytes",
        "256KiB",
        "--close-timeout",
        "300ms",
    ];
    withstand("subscribers that never read", &options, |server| {
        let before = server.total("ended.slow_consumer");
        let silent: Vec<Client> = (0..SILENT)
            .map(|_| Client::connect_narrow(server.address, "/flow"))
            .collect();
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let mut reader = Client::connect(server.address, "/flow");
                thread::spawn(move || {
                    for number in 0..MESSAGES {
                        let text = reader.read_text();
                        assert_eq!(text[..8].parse(), Ok(number));
                    }
                    reader.close();
                })
            })
            .collect();
        let mut publisher = Client::connect(server.address, "/flow");
        for number in 0..MESSAGES {
            let message = format!("{number:08}{}", "x".repeat(16 << 10));
            publisher.send_text(&message);
            assert!(publisher.read_text() == message, "message {number}");
        }
        for reader in readers {
            reader.join().expect("who reads gets everything");
        }
        publisher.close();
        server.wait_for("ended.slow_consumer", before + SILENT as u64);
        drop(silent);
        SILENT
    });
}

#[test]
fn readers_of_a_page() {
    const READERS: usize = 300;
    withstand("readers of a page that never read", &[], |server| {
        let before = server.total("http_requests");
        let readers: Vec<Client> = (0..READERS)
            .map(|_| {
                let source = std::net::Ipv4Addr::LOCALHOST;
                let mut client = Client::open_from(source, server.address, Some(1)).unwrap();
                client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
                client
            })
            .collect();
        server.wait_for("http_requests", before + READERS as u64);
        good_client(server);
        // Not waiting for their own end, but for the server's.
        server.wait_for("handshakes", 0);
        drop(readers);
        READERS
    });
}
