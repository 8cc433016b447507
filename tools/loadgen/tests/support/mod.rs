//! The parts that the black-box tests of the load generator share: a corecast
//! server in this process, servers that break their promises, and the binary,
//! run with a deadline.
//!
//! Nothing here sleeps for a guessed time: each expected event is waited for,
//! and a wait that takes too long fails the test and shows the output.

// Each test program uses a part of this.
#![allow(dead_code, missing_docs)]

pub mod liar;
pub mod run;

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use corecast::config::{Config, Driver, RouteSetting};
use corecast::server::{RunningServer, Server};
pub use corecast_kit::wait::poll_until;

/// Longer than anything in these tests should take on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Leaves a line that `make test` repeats; the harness would swallow a `println`.
pub fn skip(what: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "\nSKIPPED: {what}: {why}");
}

/// The drivers this host has. epoll is always there.
pub fn drivers() -> &'static [&'static str] {
    match corecast::plane::resolve_driver(Driver::Uring) {
        Ok(_) => &["uring", "epoll"],
        Err(error) => {
            skip("the driver uring", &error.to_string());
            &["epoll"]
        }
    }
}

/// A corecast server in this process. Dropping it ends it.
pub struct Corecast {
    running: RunningServer,
}

impl Corecast {
    /// A server with the routes every corecast has.
    pub fn start() -> Corecast {
        Corecast::of(Server::new(settings()).unwrap())
    }

    /// A server with routes or settings of the test's own; see [`settings`].
    pub fn of(server: Server) -> Corecast {
        Corecast {
            running: server.start().expect("a server starts"),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.running.local_addr()
    }

    pub fn url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address())
    }

    /// The URL of `/stats`.
    pub fn stats(&self) -> String {
        format!("http://{}", self.running.admin_addr().expect("an address"))
    }

    /// Handshakes that were accepted so far, that of the generator's probe included.
    pub fn opened(&self) -> u64 {
        let shards = self.running.metrics().iter();
        shards.map(|shard| shard.opened.value()).sum()
    }

    /// Messages the server has received so far.
    pub fn messages(&self) -> u64 {
        let shards = self.running.metrics().iter();
        shards.map(|shard| shard.messages_in.value()).sum()
    }

    /// All sessions are over: the generator has left none open.
    #[track_caller]
    pub fn expect_empty(&self) {
        wait_until("the server has no session any more", || {
            let shards = self.running.metrics().iter();
            shards.map(|shard| shard.sessions.value()).sum::<u64>() == 0
        });
    }
}

/// Settings for a server on ports of the kernel's choice.
pub fn settings() -> Config {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    Config {
        listen: vec![any.into()],
        admin: Some(any),
        shards: 2,
        routes: RouteSetting::demo(),
        ..Config::default()
    }
}

/// Waits until something is so, and fails the test if that takes too long.
#[track_caller]
pub fn wait_until(what: &str, is_so: impl FnMut() -> bool) {
    assert!(poll_until(DEADLINE, is_so), "waited in vain until {what}");
}
