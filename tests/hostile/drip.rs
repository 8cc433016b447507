//! Senders of single bytes: a request that comes too slowly is ended by its
//! deadline however regularly its bytes come, frames in single bytes are served
//! however many senders there are, and an announced payload that does not come
//! takes no memory.
//!
//! How: many connections side by side, a byte to each in turn.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::aftermath::withstand;
use crate::support::client::{BINARY, Client, FIN, PONG, encode, request};
use crate::support::hostile::refusal;

#[test]
fn headers_that_drip() {
    const CLIENTS: usize = 200;
    let options = ["--handshake-timeout", "500ms"];
    withstand("header drips", &options, |server| {
        let before = server.total("refused.timeout");
        let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::open(server.address)).collect();
        let began = Instant::now();
        // Whole header lines by the end, so that there is always progress.
        let mut bytes = b"GET /echo HTTP/1.1\r\n"
            .iter()
            .chain(b"X: y\r\n".iter().cycle());
        while server.total("refused.timeout") < before + CLIENTS as u64 {
            let byte = [*bytes.next().unwrap()];
            for client in &mut clients {
                // A connection whose time is up may be closed already.
                let _ = client.stream.write_all(&byte);
            }
            assert!(
                began.elapsed() < crate::support::DEADLINE,
                "not ended by the deadline"
            );
            thread::sleep(Duration::from_millis(10));
        }
        assert!(
            began.elapsed() >= Duration::from_millis(450),
            "ended too soon"
        );
        for client in &mut clients {
            assert_eq!(refusal(&mut client.stream, true, "header drip").status, 408);
        }
        CLIENTS
    });
}

/// Handshakes and frames, all of them a byte at a time, all at once.
#[test]
fn sessions_that_drip() {
    const CLIENTS: usize = 100;
    withstand("sessions a byte at a time", &[], |server| {
        let bytes = [
            request("/echo").into_bytes(),
            encode(1, true, "Gr\u{fc}".as_bytes()),
            encode(FIN | 9, true, b"?"),
            encode(FIN, true, "\u{df} dich".as_bytes()),
        ]
        .concat();
        let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::open(server.address)).collect();
        for byte in bytes {
            for client in &mut clients {
                client.send(&[byte]);
            }
        }
        for mut client in clients {
            assert!(client.response_head().starts_with("HTTP/1.1 101 "));
            assert_eq!(client.frame().opcode, PONG);
            assert_eq!(client.read_text(), "Gr\u{fc}\u{df} dich");
            client.close();
        }
        CLIENTS
    });
}

/// Sixteen megabytes each are announced, and a few bytes come. That the memory
/// is not taken in advance is checked with the rest.
#[test]
fn payloads_that_do_not_come() {
    const CLIENTS: usize = 100;
    let options = ["--max-message-bytes", "16MiB"];
    withstand("payloads announced and not sent", &options, |server| {
        let length = (16u64 << 20).to_be_bytes();
        let header = [&[FIN | BINARY, 0xFF], &length[..], &[0; 4]].concat();
        let mut clients: Vec<Client> = (0..CLIENTS)
            .map(|_| Client::connect(server.address, "/echo"))
            .collect();
        for client in &mut clients {
            client.send(&header);
        }
        for byte in b"a beginning" {
            for client in &mut clients {
                client.send(&[*byte]);
            }
        }
        for client in clients {
            client.reset();
        }
        CLIENTS
    });
}
