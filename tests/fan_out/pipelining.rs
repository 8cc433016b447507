//! However the bytes arrive, they mean the same: frames after the handshake in the same
//! segment, a handshake in one-byte pieces, very many frames at once, a frame in
//! one-byte pieces.
//!
//! How: raw sockets against `/echo`, on each driver.

use std::io::Write;
use std::thread;

use crate::support::client::{Client, FIN, PING, PONG, TEXT, encode, request, text};
use crate::support::on_each_driver;

#[test]
fn frames_behind_the_handshake_are_served() {
    on_each_driver(&["--shards", "1"], |server| {
        let mut client = Client::open(server.address);
        let mut bytes = request("/echo").into_bytes();
        bytes.extend(text("first"));
        bytes.extend(text("second"));
        // The third is in pieces: the rest comes later.
        let third = text("third");
        bytes.extend(&third[..4]);
        client.send(&bytes);
        assert!(client.response_head().starts_with("HTTP/1.1 101 "));
        assert_eq!(client.read_text(), "first");
        assert_eq!(client.read_text(), "second");
        client.send(&third[4..]);
        assert_eq!(client.read_text(), "third");
        client.close();
    });
}

/// More than is read at once follows the handshake.
#[test]
fn a_long_pipeline_behind_the_handshake_is_served() {
    on_each_driver(&["--shards", "1"], |server| {
        let mut client = Client::open(server.address);
        let mut writer = client.writer();
        let sender = thread::spawn(move || {
            let mut bytes = request("/echo").into_bytes();
            for number in 0..20_000 {
                bytes.extend(text(&number.to_string()));
            }
            writer.write_all(&bytes).expect("the server reads");
        });
        assert!(client.response_head().starts_with("HTTP/1.1 101 "));
        for number in 0..20_000 {
            assert_eq!(client.read_text(), number.to_string());
        }
        sender.join().unwrap();
        client.close();
    });
}

/// The close frame after the handshake is answered too.
#[test]
fn a_session_that_ends_as_it_begins() {
    on_each_driver(&["--shards", "1"], |server| {
        let mut client = Client::open(server.address);
        let mut bytes = request("/echo").into_bytes();
        bytes.extend(text("hello and goodbye"));
        bytes.extend(encode(FIN | 8, true, &1000u16.to_be_bytes()));
        client.send(&bytes);
        assert!(client.response_head().starts_with("HTTP/1.1 101 "));
        assert_eq!(client.read_text(), "hello and goodbye");
        assert_eq!(client.frame().close_code(), 1000);
        client.expect_end();
        server.wait_for("sessions", 0);
    });
}

#[test]
fn a_handshake_in_one_byte_pieces() {
    on_each_driver(&["--shards", "1"], |server| {
        let mut client = Client::open(server.address);
        for byte in request("/echo").into_bytes() {
            client.send(&[byte]);
        }
        assert!(client.response_head().starts_with("HTTP/1.1 101 "));
        client.expect_echo("hello");
        server.wait_for("handshakes", 0);
        client.close();
    });
}

#[test]
fn frames_in_one_byte_pieces() {
    on_each_driver(&["--shards", "1"], |server| {
        let mut client = Client::connect(server.address, "/echo");
        let bytes = [
            encode(TEXT, true, "Grüß".as_bytes()),
            encode(FIN | PING, true, b"?"),
            encode(FIN, true, " dich".as_bytes()),
        ]
        .concat();
        for byte in bytes {
            client.send(&[byte]);
        }
        let pong = client.frame();
        assert_eq!((pong.opcode, &pong.payload[..]), (PONG, &b"?"[..]));
        assert_eq!(client.read_text(), "Grüß dich");
        client.close();
    });
}

/// All answers to one segment arrive, complete and in order, pongs included.
#[test]
fn many_frames_in_one_segment() {
    on_each_driver(&["--shards", "1"], |server| {
        let mut client = Client::connect(server.address, "/echo");
        for _ in 0..20 {
            let mut bytes = Vec::new();
            for number in 0..500 {
                bytes.extend(text(&number.to_string()));
                bytes.extend(encode(FIN | PING, true, number.to_string().as_bytes()));
            }
            client.send(&bytes);
            for number in 0..500 {
                assert_eq!(client.read_text(), number.to_string());
                let pong = client.frame();
                assert_eq!(pong.opcode, PONG);
                assert_eq!(pong.payload, number.to_string().into_bytes());
            }
        }
        assert_eq!(server.total("messages_in"), 10_000);
        client.close();
    });
}

/// A server that reads a byte at a time sees every split there is.
#[test]
fn reads_of_one_byte_mean_the_same() {
    let options = ["--shards", "1", "--max-read-bytes", "1"];
    on_each_driver(&options, |server| {
        let mut client = Client::open(server.address);
        let mut bytes = request("/echo").into_bytes();
        bytes.extend(text("behind the handshake"));
        bytes.extend(encode(TEXT, true, "in pieces: \u{20ac}".as_bytes()));
        bytes.extend(encode(FIN | PING, true, b"in between"));
        bytes.extend(encode(FIN, true, &[b'x'; 5_000]));
        client.send(&bytes);
        assert!(client.response_head().starts_with("HTTP/1.1 101 "));
        assert_eq!(client.read_text(), "behind the handshake");
        let pong = client.frame();
        assert_eq!((pong.opcode, &pong.payload[..]), (PONG, &b"in between"[..]));
        let expected = format!("in pieces: \u{20ac}{}", "x".repeat(5_000));
        assert_eq!(client.read_text(), expected);
        client.close();
        server.wait_for("sessions", 0);
    });
}
