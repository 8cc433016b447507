//! Bytes that cannot leave wait in a bounded queue: a session whose answers are not
//! read is not read either, and the server's memory stays bounded.
//!
//! How: one large message both ways past a slow reader, and far more small ones
//! than the server may keep, with resident memory watched meanwhile.

use std::io::Write;
use std::thread;
use std::time::Duration;

use crate::support::client::{BINARY, CONTINUATION, Client, FIN, encode};
use crate::support::on_each_driver;

const MIB: usize = 1 << 20;

fn pattern(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|i| (i / 7) as u8 ^ seed).collect()
}

/// The largest message that is allowed, in one frame and in fragments.
#[test]
fn sixteen_mebibytes_both_ways() {
    let options = ["--shards", "1", "--max-message-bytes", "16MiB"];
    on_each_driver(&options, |server| {
        let mut client = Client::connect(server.address, "/echo");
        let before = server.resident_bytes();
        for round in 0..2 {
            let payload = pattern([16, 7][usize::from(round)] * MIB, round);
            let bytes = if round == 1 {
                let parts: Vec<&[u8]> = payload.chunks(2 * MIB + 1).collect();
                let last = parts.len() - 1;
                let frame = |(number, part): (usize, &&[u8])| {
                    let opcode = if number == 0 { BINARY } else { CONTINUATION };
                    let fin = if number == last { FIN } else { 0 };
                    encode(fin | opcode, true, part)
                };
                parts.iter().enumerate().flat_map(frame).collect()
            } else {
                encode(FIN | BINARY, true, &payload)
            };
            let mut writer = client.writer();
            let sender = thread::spawn(move || writer.write_all(&bytes).unwrap());
            // The client does not read for a while.
            sender.join().unwrap();
            thread::sleep(Duration::from_millis(200));
            let echo = client.frame();
            assert_eq!(echo.opcode, BINARY);
            assert!(echo.payload == payload, "round {round}: not the same bytes");
        }
        let grown = server.resident_bytes().saturating_sub(before) as usize;
        println!("grown by {} MiB", grown / MIB);
        // A message being assembled, its answer being queued, and their growth.
        assert!(grown < 80 * MIB, "grown by {} MiB", grown / MIB);
        client.close();
    });
}

/// 128 MiB of answers wait to be read, and hardly any of them in the server.
#[test]
fn a_session_that_does_not_read_is_not_read() {
    on_each_driver(&["--shards", "1"], |server| {
        let before = server.resident_bytes();
        let mut clients: Vec<_> = (0..8)
            .map(|_| Client::connect_narrow(server.address, "/echo"))
            .collect();
        let message = encode(FIN | BINARY, true, &pattern(16 * 1024, 1));
        let senders: Vec<_> = clients
            .iter()
            .map(|client| {
                let (mut writer, message) = (client.writer(), message.clone());
                thread::spawn(move || {
                    for _ in 0..1024 {
                        writer.write_all(&message).expect("read in the end");
                    }
                })
            })
            .collect();
        // All are stuck when nothing is read any more.
        let mut last = 0;
        crate::support::wait_until("the server reads no more", || {
            thread::sleep(Duration::from_millis(200));
            let now = server.total("bytes_in");
            now > 0 && std::mem::replace(&mut last, now) == now
        });
        let grown = server.resident_bytes().saturating_sub(before) as usize;
        println!("{} MiB received, grown by {} KiB", last >> 20, grown / 1024);
        assert!(grown < 16 * MIB, "grown by {} KiB", grown / 1024);
        // Everyone else is served meanwhile.
        Client::connect(server.address, "/echo").expect_echo("unhindered");

        let expected = pattern(16 * 1024, 1);
        thread::scope(|scope| {
            for client in &mut clients {
                let expected = &expected;
                scope.spawn(move || {
                    for _ in 0..1024 {
                        assert!(client.frame().payload == *expected, "not the same bytes");
                    }
                });
            }
        });
        for sender in senders {
            sender.join().unwrap();
        }
        for client in clients {
            client.close();
        }
    });
}

/// A publisher that is faster than the fan-out is held back, and nothing that
/// it publishes is lost.
#[test]
fn publishers_are_held_back() {
    let options = [
        "--shards",
        "2",
        "--ring-capacity",
        "16",
        "--max-pending-bytes",
        "64MiB",
    ];
    on_each_driver(&options, |server| {
        let before = server.resident_bytes();
        const COUNT: usize = 30_000;
        let readers: Vec<_> = (0..10)
            .map(|_| {
                let mut client = Client::connect(server.address, "/broadcast");
                thread::spawn(move || {
                    for number in 0..COUNT {
                        let payload = client.frame().payload;
                        assert_eq!(payload[..4], (number as u32).to_be_bytes());
                    }
                })
            })
            .collect();
        let mut publisher = Client::connect(server.address, "/broadcast");
        let mut writer = publisher.writer();
        let sender = thread::spawn(move || {
            for numbers in (0..COUNT).collect::<Vec<_>>().chunks(100) {
                let bytes: Vec<u8> = numbers
                    .iter()
                    .flat_map(|number| {
                        let mut payload = vec![0; 200];
                        payload[..4].copy_from_slice(&(*number as u32).to_be_bytes());
                        encode(FIN | BINARY, true, &payload)
                    })
                    .collect();
                writer.write_all(&bytes).expect("the session lives");
            }
        });
        for _ in 0..COUNT {
            publisher.frame();
        }
        sender.join().unwrap();
        for reader in readers {
            reader.join().expect("nothing is lost");
        }
        let grown = server.resident_bytes().saturating_sub(before) as usize;
        println!("grown by {} KiB", grown / 1024);
        server.wait_for("deliveries", 11 * COUNT as u64);
    });
}
