//! Descriptors run out in every shard's table and in the control plane's: each says so
//! once, no thread spins meanwhile, sessions go on, a flood of more clients changes
//! nothing, and all recover by themselves.
//!
//! How: tables of 64 descriptors and far more clients than fit. One shard alone
//! is in `descriptor_exhaustion.rs`. The limit of the whole host (`fs.file-max`)
//! cannot be reached without harm to others, and gives the same error to the
//! same call.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crate::support::client::{Client, request};
use crate::support::fault::{Before, cpu_time, limit};
use crate::support::{DEADLINE, Server, corecast, drivers, http, poll_until, wait_until};

const DESCRIPTORS: u64 = 64;
const SHARDS: usize = 3;

fn start(driver: &str) -> Server {
    let mut command = corecast();
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .args(["--shards", &SHARDS.to_string(), "--driver", driver]);
    limit(&mut command, libc::RLIMIT_NOFILE, DESCRIPTORS);
    Server::spawn(&mut command)
}

/// The process uses little time of the processor for a second.
fn expect_rest(server: &Server) {
    let mut used = Duration::ZERO;
    let rests = poll_until(DEADLINE, || {
        let before = cpu_time(server.pid());
        thread::sleep(Duration::from_secs(1));
        used = cpu_time(server.pid()) - before;
        used < Duration::from_millis(100)
    });
    println!("{used:?} of CPU time in a second");
    assert!(rests, "{used:?} of CPU time in a second of rest");
}

#[test]
fn the_tables_of_all_shards() {
    for driver in drivers() {
        println!("driver {driver}");
        let server = start(driver);
        let before = Before::look(&server);
        let mut clients = Vec::new();
        // The kernel chooses the shard of each, so they come until all are full.
        while server.per_shard("accept_pauses").contains(&0) {
            assert!(clients.len() < 2_000, "a shard does not fill");
            for _ in 0..20 {
                let mut client = Client::open(server.address);
                client.send(request("/broadcast").as_bytes());
                clients.push(client);
            }
        }
        server.wait_for("handshakes", 0);
        let held = server.total("sessions") as usize;
        assert!(held < SHARDS * DESCRIPTORS as usize, "{held} sessions");
        println!("{held} sessions of {} clients", clients.len());

        // More come and go while there is no room.
        for _ in 0..300 {
            drop(TcpStream::connect(server.address).unwrap());
        }
        expect_rest(&server);
        let said = server.log().matches("accepting pauses").count();
        assert_eq!(said, SHARDS, "{}", server.log());

        // The sessions that are in are served, and so is the control plane.
        let (mut inside, mut outside) = (Vec::new(), Vec::new());
        for mut client in clients {
            let short = Some(Duration::from_millis(2));
            client.stream.set_read_timeout(short).unwrap();
            let is_in = client.stream.peek(&mut [0]).is_ok();
            client.stream.set_read_timeout(Some(DEADLINE)).unwrap();
            if is_in {
                assert!(client.response_head().starts_with("HTTP/1.1 101 "));
                inside.push(client);
            } else {
                outside.push(client);
            }
        }
        assert_eq!(inside.len(), held);
        inside[0].send_text("to all who are in");
        for client in &mut inside {
            assert_eq!(client.read_text(), "to all who are in");
        }

        // They leave, and the clients that waited get in, as many at a time as leave.
        drop(inside);
        outside.reverse();
        while let Some(mut client) = outside.pop() {
            assert!(client.response_head().starts_with("HTTP/1.1 101 "));
            client.close();
        }
        assert!(server.log().contains("accepting again"), "{}", server.log());
        before.expect_recovered(&server, 4 << 20);
    }
}

#[test]
fn the_table_of_the_control_plane() {
    for driver in drivers() {
        println!("driver {driver}");
        let server = start(driver);
        let before = Before::look(&server);
        let mut many: Vec<_> = (0..100)
            .map(|_| TcpStream::connect(server.admin).unwrap())
            .collect();
        wait_until("the control plane says so", || {
            server.log().contains("the control plane cannot accept")
        });
        let mut client = Client::connect(server.address, "/echo");
        client.expect_echo("meanwhile");
        // Longer than it pauses each time.
        thread::sleep(Duration::from_millis(2_500));
        expect_rest(&server);
        client.expect_echo("meanwhile");
        let said = server.log().matches("control plane cannot accept").count();
        assert_eq!(said, 1, "{}", server.log());

        // The last in the queue is answered once the others leave.
        let mut last = many.pop().unwrap();
        drop(many);
        last.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .unwrap();
        last.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut answer = Vec::new();
        last.read_to_end(&mut answer).unwrap();
        assert_eq!(http::Response::parse(&answer, true).status, 200);
        wait_until("the control plane says that it goes on", || {
            server.log().contains("the control plane accepts again")
        });
        client.close();
        before.expect_recovered(&server, 4 << 20);
    }
}
