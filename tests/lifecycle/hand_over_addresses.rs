//! A hand-over from one address to every address of the host resets no connection:
//! those in the queue of the old listeners are the new process's.
//!
//! How: clients that connect without a pause, each from its handshake to an echo, while
//! a server at 127.0.0.1 is replaced by one at 0.0.0.0, and back.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::support::client::Client;
use crate::support::{Server, corecast, drivers, wait_until};

fn options(listen: SocketAddr) -> String {
    format!("listen = \"{listen}\"\nshards = 2\ndrain_timeout = \"1s\"\ndemo = true\n")
}

/// The processes that have taken over, the last one first.
fn new_processes(log: &str) -> Vec<libc::pid_t> {
    let numbers = log.lines().rev().filter_map(|line| {
        let (_, rest) = line.split_once(": process ")?;
        let (number, _) = rest.split_once(" has taken over")?;
        number.parse().ok()
    });
    numbers.collect()
}

#[test]
fn from_one_address_to_all_of_them() {
    for driver in drivers() {
        let claim = corecast::sys::bind_shared("127.0.0.1:0".parse().unwrap()).unwrap();
        let one = claim.local_addr().unwrap().as_socket().unwrap();
        let every = SocketAddr::new("0.0.0.0".parse().unwrap(), one.port());
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "{}", options(one)).unwrap();
        let mut command = corecast();
        command
            .args(["serve", "--admin", "127.0.0.1:0", "--driver", driver])
            .arg("--config")
            .arg(file.path());
        let server = Server::spawn(&mut command);

        let (is_over, served) = (AtomicBool::new(false), AtomicUsize::new(0));
        let serving = |count: usize| {
            let enough = served.load(Ordering::Relaxed) + count;
            wait_until("clients are served", || {
                served.load(Ordering::Relaxed) >= enough
            });
        };
        let last = thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        let mut client = Client::open(one);
                        // A reset is a panic here, and fails the test. The close frame
                        // of a drain may come before the echo.
                        client.handshake("/echo");
                        client.send_text("served");
                        client.frame();
                        client.reset();
                        served.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            serving(50);
            let mut serves = server.pid() as libc::pid_t;
            for (round, address) in [every, every, one, every].into_iter().enumerate() {
                fs::write(file.path(), options(address)).unwrap();
                // SAFETY: kill takes no pointers; the process is the last that serves.
                assert_eq!(unsafe { libc::kill(serves, libc::SIGUSR2) }, 0);
                wait_until("the next process has taken over", || {
                    new_processes(&server.log()).len() == round + 1
                });
                serves = new_processes(&server.log())[0];
                serving(50);
            }
            is_over.store(true, Ordering::Relaxed);
            serves
        });
        // Reached at another address of the host, too.
        let mut other = Client::open(SocketAddr::new("127.0.0.7".parse().unwrap(), one.port()));
        other.handshake("/echo");
        other.expect_echo("at all of them");
        // SAFETY: kill takes no pointers.
        unsafe { libc::kill(last, libc::SIGKILL) };
    }
}
