//! A shard that stands still for seconds holds up the publishers, and only those:
//! messages that it cannot take wait in a bounded queue, the other shard serves all
//! other sessions, and once it goes on every delivery is made, once and in order.
//!
//! How: rings of two entries, and one shard's thread is stopped as if its core
//! had been taken away, while sessions of the other publish all they can.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::{BINARY, Client, FIN, encode};
use crate::support::fault::{Before, StoppedThread, cpu_time, thread};
use crate::support::{Server, on_each_driver, skip};

const PUBLISHERS: usize = 4;
const SUBSCRIBERS: usize = 5;
const MESSAGES: usize = 2_000;
const STOPPED: Duration = Duration::from_secs(2);

/// A session on one shard, whichever way the kernel deals out connections.
fn connect_to(server: &Server, shard: usize, path: &str) -> Client {
    for _ in 0..100 {
        let before = server.per_shard("opened");
        let client = Client::connect(server.address, path);
        if server.per_shard("opened")[shard] > before[shard] {
            return client;
        }
        client.close();
    }
    panic!("shard {shard} gets no connection");
}

/// Reads all there is to read: from each publisher every number, in order.
fn read_all(mut client: Client) {
    let mut next = [0; PUBLISHERS];
    for _ in 0..PUBLISHERS * MESSAGES {
        let payload = client.frame().payload;
        let publisher = usize::from(payload[0]);
        let number = u32::from_be_bytes(payload[1..5].try_into().unwrap()) as usize;
        assert_eq!(number, next[publisher], "of publisher {publisher}");
        next[publisher] += 1;
    }
    client.expect_silence(Duration::from_millis(100));
    client.close();
}

#[test]
fn publishers_wait_and_nothing_is_lost() {
    let _alone = crate::alone();
    let options = [
        "--shards",
        "2",
        "--ring-capacity",
        "2",
        "--max-pending-bytes",
        "64MiB",
        "--write-stall-timeout",
        "1m",
    ];
    on_each_driver(&options, |server| {
        let before = Before::look(server);
        let mut echo = connect_to(server, 0, "/echo");
        let mut stuck = connect_to(server, 1, "/echo");
        let mut readers = Vec::new();
        for shard in [0, 1] {
            for _ in 0..SUBSCRIBERS {
                let client = connect_to(server, shard, "/broadcast");
                readers.push(thread::spawn(move || read_all(client)));
            }
        }
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|_| connect_to(server, 0, "/broadcast"))
            .collect();
        let published = server.total("publications");

        let stopped = match StoppedThread::stop(thread(server.pid(), "shard-1")) {
            Ok(stopped) => stopped,
            Err(error) => return skip("a shard that stands still", &error.to_string()),
        };
        let mut senders = Vec::new();
        for (publisher, client) in publishers.into_iter().enumerate() {
            let mut writer = client.writer();
            senders.push(thread::spawn(move || {
                for number in 0..MESSAGES as u32 {
                    let mut payload = vec![publisher as u8; 1024];
                    payload[1..5].copy_from_slice(&number.to_be_bytes());
                    writer
                        .write_all(&encode(FIN | BINARY, true, &payload))
                        .expect("the session lives");
                }
            }));
            readers.push(thread::spawn(move || read_all(client)));
        }
        stuck.send_text("waits");

        // The healthy shard serves every session that does not publish, without
        // spinning.
        let (began, used) = (Instant::now(), cpu_time(server.pid()));
        let mut echoes = 0;
        while began.elapsed() < STOPPED {
            echo.expect_echo("meanwhile");
            echoes += 1;
            thread::sleep(Duration::from_millis(10));
        }
        let used = cpu_time(server.pid()) - used;
        // Two in the ring, and one of each publisher after them.
        let held = server.total("publications") - published;
        assert!(held <= 2 + PUBLISHERS as u64, "{held} were taken");
        assert!(server.total("ring_full") > 0);
        let resident = server.resident_bytes();
        println!("{echoes} echoes, {used:?} of CPU time; resident: {resident}, {before:?}");
        assert!(used < STOPPED / 2, "{used:?} of CPU time while it waits");
        stuck.expect_silence(Duration::from_millis(100));

        drop(stopped);
        assert_eq!(stuck.read_text(), "waits");
        for sender in senders {
            sender.join().unwrap();
        }
        for reader in readers {
            reader
                .join()
                .expect("nothing is lost, doubled or out of order");
        }
        echo.close();
        stuck.close();
        assert_eq!(
            server.total("publications") - published,
            (PUBLISHERS * MESSAGES) as u64
        );
        before.expect_recovered(server, 16 << 20);
    });
}
