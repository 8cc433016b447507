//! Clients that connect while the server is replaced three times notice nothing:
//! none is refused or reset, each is answered 101 and gets its echo.
//!
//! How: 1,000 clients at 500 a second, or as many as CORECAST_TEST_RESTART_CLIENTS
//! says, and SIGUSR2 to the process that serves after each quarter of them, once the
//! hand-over before has been made. Each sends its message with its handshake, because a
//! session of a server that drains may be told to go (1001) as soon as it is open.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::{Client, request, text};
use crate::support::processes::{new_processes, signal};
use crate::support::{Server, drivers, wait_until};

const PER_SECOND: u32 = 500;

fn clients() -> usize {
    let asked = std::env::var("CORECAST_TEST_RESTART_CLIENTS");
    asked.map_or(1_000, |number| number.parse().expect("a number"))
}

#[test]
fn nobody_is_refused() {
    let _alone = crate::alone();
    let count = clients();
    for driver in drivers() {
        let options = [
            "--shards",
            "2",
            "--drain-timeout",
            "500ms",
            "--driver",
            driver,
        ];
        let server = Server::start(&options);
        let began = Instant::now();
        let mut threads = Vec::new();
        for number in 0..count {
            let due = Duration::from_secs(1) / PER_SECOND * number as u32;
            thread::sleep(due.saturating_sub(began.elapsed()));
            let address = server.address;
            threads.push(thread::spawn(move || {
                let mut client = Client::open(address);
                let words = "served by whichever";
                client.send(&[request("/echo").into_bytes(), text(words)].concat());
                let head = client.response_head();
                assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
                assert_eq!(client.read_text(), words);
            }));
            if number > 0 && number % (count / 4) == 0 {
                let before = number / (count / 4) - 1;
                wait_until("the one before has taken over", || {
                    new_processes(&server).len() == before
                });
                let serving = new_processes(&server).last().copied();
                signal(
                    serving.unwrap_or(server.pid() as libc::pid_t),
                    libc::SIGUSR2,
                );
                if before == 2 {
                    wait_until("the last has taken over", || {
                        new_processes(&server).len() == 3
                    });
                }
            }
        }
        let failed = threads.into_iter().filter_map(|client| client.join().err());
        let failed = failed.count();
        let all = new_processes(&server);
        println!(
            "{driver}: {count} clients, {} hand-overs, {failed} failed",
            all.len()
        );
        signal(all[all.len() - 1], libc::SIGTERM);
        assert_eq!((failed, all.len()), (0, 3));
        assert_eq!(server.exit_status().code(), Some(0));
    }
}
