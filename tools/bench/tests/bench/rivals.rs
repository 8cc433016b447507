//! The rivals are correct servers under the bench's own load, and end when
//! asked: shows that each echoes and broadcasts every byte, takes a message of
//! 1 MiB, refuses an unknown path, and ends on SIGTERM.
//!
//! How: starts what `make rivals` has listed, one after the other. A rival that
//! is not installed is not tested; without a list the test says so and passes.

use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use corecast_bench::load::broadcast::Broadcast;
use corecast_bench::load::echo::Echo;
use corecast_bench::load::{Account, Peer, Protocol, Window};
use corecast_kit::address::free_address;

const NAMES: [&str; 3] = ["bun", "node-ws", "gorilla"];

const WINDOW: Window = Window {
    warm_up: Duration::from_millis(50),
    measured: Duration::from_millis(200),
};

/// Time to listen, and to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running rival. Dropping it ends it.
struct Rival {
    child: Child,
    address: SocketAddrV4,
}

impl Rival {
    fn start(words: &[&str]) -> Rival {
        let address = free_address().unwrap();
        let child = Command::new(words[0])
            .args(&words[1..])
            .args(["--listen", &address.to_string()])
            .stdin(Stdio::null())
            .spawn()
            .expect("the rival can be started");
        let rival = Rival { child, address };
        within_patience(|| TcpStream::connect(address).ok()).expect("it listens");
        rival
    }

    fn echoes(&self, connections: usize, outstanding: usize, payload_bytes: usize) {
        let echo = Echo {
            connections,
            outstanding,
            payload_bytes,
        };
        let peer = Peer::new(self.address, Protocol::WebSocket);
        assert!(
            echo.measure(&peer, WINDOW, Account::default())
                .unwrap()
                .messages
                > 0
        );
    }

    fn broadcasts(&self, subscribers: usize, outstanding: usize) {
        let broadcast = Broadcast {
            subscribers,
            outstanding,
            payload_bytes: 20,
        };
        let peer = Peer::new(self.address, Protocol::WebSocket);
        let sample = broadcast
            .measure(&peer, WINDOW, Account::default())
            .unwrap();
        assert!(sample.messages >= subscribers as u64);
    }

    fn refuses(&self, path: &str) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: rival\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        assert_eq!(status.escape_ascii().to_string(), "HTTP/1.1 404");
    }

    fn ends_on_sigterm(mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        within_patience(|| self.child.try_wait().unwrap()).expect("it ends on SIGTERM")
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn within_patience<T>(mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if let Some(result) = attempt() {
            return Some(result);
        }
        sleep(Duration::from_millis(10));
    }
    None
}

/// The list that `make rivals` wrote beside the folder of the profile the tests
/// were built with; empty if it has not run.
fn list() -> String {
    let profile = Path::new(env!("CARGO_BIN_EXE_corecast-bench"))
        .ancestors()
        .nth(2)
        .expect("the binary lies in target/PROFILE");
    std::fs::read_to_string(profile.join("rivals/list")).unwrap_or_default()
}

#[test]
fn each_rival_serves_and_ends() {
    let list = list();
    for name in NAMES {
        let mut rivals = list.lines().map(|line| line.split('\t'));
        let Some(words) = rivals.find_map(|mut words| (words.next()? == name).then_some(words))
        else {
            eprintln!("rivals: {name} is not tested because it is not installed; run: make rivals");
            continue;
        };
        eprintln!("rivals: {name}");
        let rival = Rival::start(&words.collect::<Vec<_>>());
        rival.refuses("/elsewhere");
        rival.echoes(100, 16, 20);
        rival.echoes(2, 1, 1024 * 1024);
        rival.broadcasts(200, 16);
        rival.ends_on_sigterm();
    }
}
