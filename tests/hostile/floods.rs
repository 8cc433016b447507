//! Floods of frames that cost their sender next to nothing: pings, pongs, and
//! messages in tiny or empty fragments without end. They are answered in order,
//! and the server grows by no more than the bytes of the messages themselves.
//!
//! How: one session each that sends as fast as it can, with a reader beside it.
//! `pipelining.rs` has messages with pings between them in one segment.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crate::support::aftermath::withstand;
use crate::support::client::{CONTINUATION, Client, FIN, PING, PONG, TEXT, encode, text};

/// Sends the same bytes again and again, from a thread of its own.
fn flood(mut stream: TcpStream, bytes: Vec<u8>, times: usize) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for _ in 0..times {
            stream.write_all(&bytes).expect("the server reads");
        }
    })
}

#[test]
fn pings() {
    withstand("pings in a flood", &[], |server| {
        let mut client = Client::connect(server.address, "/echo");
        let thousand: Vec<u8> = (0..1_000u32)
            .flat_map(|number| encode(FIN | PING, true, &number.to_be_bytes()))
            .collect();
        let sender = flood(client.writer(), thousand, 50);
        for number in 0..50_000u32 {
            let frame = client.frame();
            let expected = (number % 1_000).to_be_bytes();
            assert_eq!((frame.opcode, &frame.payload[..]), (PONG, &expected[..]));
        }
        sender.join().unwrap();
        client.expect_echo("still here");
        client.close();
        50_000
    });
}

/// A session whose pongs are not read is not read either: the pings wait at their
/// sender.
#[test]
fn pings_whose_pongs_are_not_read() {
    withstand("pings whose pongs are not read", &[], |server| {
        let client = Client::connect_narrow(server.address, "/echo");
        let pings = encode(FIN | PING, true, &[b'p'; 125]).repeat(1_000);
        let limit = Some(Duration::from_millis(300));
        client.stream.set_write_timeout(limit).unwrap();
        let mut writer = client.writer();
        let mut written = 0;
        while let Ok(some) = writer.write(&pings) {
            written += some;
            assert!(written < 256 << 20, "the server takes pings without end");
        }
        client.reset();
        drop(writer);
        written / (pings.len() / 1_000)
    });
}

#[test]
fn pongs() {
    withstand("pongs nobody asked for", &[], |server| {
        let mut client = Client::connect(server.address, "/echo");
        let thousand = encode(FIN | PONG, true, b"!").repeat(1_000);
        flood(client.writer(), thousand, 100).join().unwrap();
        client.expect_echo("still here");
        client.close();
        100_000
    });
}

/// A limit on bytes is no limit on fragments. A million of them in each run.
#[test]
fn fragments_of_one_byte() {
    const FRAGMENTS: usize = 334_000;
    let options = ["--max-message-bytes", "1MiB"];
    withstand("fragments of one byte", &options, |server| {
        let mut client = Client::connect(server.address, "/echo");
        client.send(&encode(TEXT, true, b"x"));
        let thousand = encode(CONTINUATION, true, b"x").repeat(1_000);
        flood(client.writer(), thousand, FRAGMENTS / 1_000)
            .join()
            .unwrap();
        client.send(&encode(FIN | CONTINUATION, true, b""));
        let message = client.read_text();
        assert_eq!(message.len(), FRAGMENTS + 1);
        assert!(message.bytes().all(|byte| byte == b'x'));
        client.close();
        FRAGMENTS
    });
}

#[test]
fn empty_fragments() {
    const FRAGMENTS: usize = 334_000;
    withstand("empty fragments", &[], |server| {
        let mut client = Client::connect(server.address, "/echo");
        client.send(&encode(TEXT, true, b""));
        let thousand = encode(CONTINUATION, true, b"").repeat(1_000);
        flood(client.writer(), thousand, FRAGMENTS / 1_000)
            .join()
            .unwrap();
        client.send(&encode(FIN | CONTINUATION, true, b"at last"));
        assert_eq!(client.read_text(), "at last");
        client.close();
        FRAGMENTS
    });
}

/// All are answered, in order.
#[test]
fn messages_with_pings_between() {
    const MESSAGES: usize = 10_000;
    withstand("messages with pings between", &[], |server| {
        let mut client = Client::connect(server.address, "/echo");
        let mut writer = client.writer();
        let sender = thread::spawn(move || {
            for number in 0..MESSAGES {
                let number = number.to_string();
                let both = [text(&number), encode(FIN | PING, true, number.as_bytes())];
                writer.write_all(&both.concat()).expect("the server reads");
            }
        });
        for number in 0..MESSAGES {
            assert_eq!(client.read_text(), number.to_string());
            let pong = client.frame();
            assert_eq!(pong.opcode, PONG);
            assert_eq!(pong.payload, number.to_string().into_bytes());
        }
        sender.join().unwrap();
        client.close();
        MESSAGES
    });
}
