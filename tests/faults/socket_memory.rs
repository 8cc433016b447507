//! The kernel has little memory for sockets: buffers of a page, or a group of processes
//! whose TCP memory is used up. Messages leave in many small parts or wait, are
//! delivered whole, once and in order, and the shards go on.
//!
//! How: a network namespace of the test's own with the smallest buffers; and a
//! control group whose limit on TCP memory is taken down and up again under
//! load. `net.ipv4.tcp_mem` bounds the whole host, in every namespace, so it is
//! left alone.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::support::client::{BINARY, Client, FIN, encode};
use crate::support::fault::{Before, cpu_time, own_network, wait_until_settled};
use crate::support::{Server, corecast, drivers, on_each_driver, skip};

fn pattern(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|i| (i / 5 + seed) as u8).collect()
}

/// Echoes and broadcasts of every size arrive whole.
fn exchange(server: &Server, rounds: usize) {
    wait_until_settled(server);
    let mut echo = Client::connect(server.address, "/echo");
    let mut listeners: Vec<_> = (0..6)
        .map(|_| Client::connect(server.address, "/broadcast"))
        .collect();
    for round in 0..rounds {
        let payload = pattern([10, 5_000, 200_000][round % 3] + round, round);
        let frame = encode(FIN | BINARY, true, &payload);
        for publisher in [false, true] {
            let client = if publisher {
                &mut listeners[0]
            } else {
                &mut echo
            };
            let (mut writer, frame) = (client.writer(), frame.clone());
            let sender = thread::spawn(move || writer.write_all(&frame));
            if publisher {
                for listener in &mut listeners {
                    assert!(listener.frame().payload == payload, "round {round}");
                }
            } else {
                assert!(echo.frame().payload == payload, "round {round}");
            }
            sender.join().unwrap().expect("the session lives");
        }
    }
    echo.close();
    for listener in listeners {
        listener.close();
    }
}

#[test]
fn buffers_of_a_page() {
    if let Err(error) = own_network() {
        return skip(
            "socket buffers of a page",
            &format!("no network of its own: {error}"),
        );
    }
    for kind in ["rmem", "wmem"] {
        // Of this namespace alone; it goes with its last process.
        fs::write(format!("/proc/sys/net/ipv4/tcp_{kind}"), "4096 4096 4096").unwrap();
    }
    on_each_driver(&["--shards", "2"], |server| {
        let before = Before::look(server);
        exchange(server, 9);
        before.expect_recovered(server, 8 << 20);
    });
}

/// A control group for one server, which goes with it.
struct Group(PathBuf);

impl Group {
    fn new() -> io::Result<Group> {
        let root = Path::new("/sys/fs/cgroup/memory");
        if !root.join("memory.kmem.tcp.limit_in_bytes").exists() {
            return Err(io::Error::other("no control groups that bound TCP memory"));
        }
        let path = root.join(format!("corecast-test-{}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Group(path))
    }

    fn limit(&self, bytes: i64) {
        let limit = self.0.join("memory.kmem.tcp.limit_in_bytes");
        fs::write(limit, bytes.to_string()).unwrap();
    }

    /// Bytes of its sockets' buffers.
    fn used(&self) -> i64 {
        let text = fs::read_to_string(self.0.join("memory.kmem.tcp.usage_in_bytes")).unwrap();
        text.trim().parse().unwrap()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Dropped after the server, when no process is in it any more.
        let _ = fs::remove_dir(&self.0);
    }
}

const MESSAGES: usize = 100;

#[test]
fn no_memory_for_tcp() {
    for driver in drivers() {
        println!("driver {driver}");
        let group = match Group::new() {
            Ok(group) => group,
            Err(error) => return skip("no memory for TCP", &error.to_string()),
        };
        group.limit(16 << 20);
        let mut command = Command::new("sh");
        command
            .args(["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\""])
            .arg(&group.0)
            .arg(corecast().get_program())
            .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--shards", "2", "--driver", driver])
            .args(["--write-stall-timeout", "1m", "--close-timeout", "1m"]);
        let server = Server::spawn(&mut command);
        let before = Before::look(&server);
        exchange(&server, 3);

        // The sessions that are there when it runs out, with answers they do not read.
        let mut witness = Client::connect(server.address, "/echo");
        let message = encode(FIN | BINARY, true, &pattern(30_000, 3));
        let mut loads: Vec<_> = (0..20)
            .map(|_| Client::connect_narrow(server.address, "/echo"))
            .collect();
        const LITTLE: i64 = 256 << 10;
        group.limit(LITTLE);
        let senders: Vec<_> = loads
            .iter()
            .map(|client| {
                let (mut writer, message) = (client.writer(), message.clone());
                thread::spawn(move || {
                    for _ in 0..MESSAGES {
                        writer.write_all(&message).expect("the session lives");
                    }
                })
            })
            .collect();
        // The kernel lets a little more pass than it was told.
        crate::support::wait_until("TCP has used up its memory", || group.used() >= LITTLE);
        thread::sleep(Duration::from_millis(500));
        let used = cpu_time(server.pid());
        thread::sleep(Duration::from_secs(1));
        let used = cpu_time(server.pid()) - used;
        println!("{} bytes, {used:?} of CPU time in a second", group.used());
        assert!(used < Duration::from_millis(500), "{used:?}");

        // Memory comes back, and nothing of it was lost.
        group.limit(-1);
        let expected = pattern(30_000, 3);
        for client in &mut loads {
            for _ in 0..MESSAGES {
                assert!(client.frame().payload == expected);
            }
        }
        for sender in senders {
            sender.join().unwrap();
        }
        witness.expect_echo("still here");
        witness.close();
        for client in loads {
            client.close();
        }
        assert_eq!(server.total("ended.vanished"), 0);
        exchange(&server, 3);
        before.expect_recovered(&server, 16 << 20);
        drop(server);
    }
}
