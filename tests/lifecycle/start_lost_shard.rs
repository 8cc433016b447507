//! A shard that dies while it starts ends the start of the whole server: the start
//! returns with an error, no shard is left running, and none has accepted.
//!
//! How: a handler that cannot be made on one of the shards, on each in turn.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::wait_until;
use corecast::config::Config;
use corecast::error::StartError;
use corecast::handler::Echo;
use corecast::server::Server;

const SHARDS: usize = 4;

/// The threads of this process that are shards.
fn shards() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("shard-")).collect()
}

/// An address that was free a moment ago.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

#[test]
fn a_handler_that_cannot_be_made_on_one_shard_ends_the_start() {
    for fatal in 0..SHARDS {
        let address = free_address();
        let config = Config::new().listen([address.into()]).shards(SHARDS);
        let made = Arc::new(AtomicUsize::new(0));
        let make = move || {
            let number = made.fetch_add(1, Ordering::Relaxed);
            assert_ne!(number, fatal, "this one cannot be made");
            Echo
        };
        let server = Server::new(config).unwrap().route("/mine", make).unwrap();
        let Err(error) = server.start() else {
            panic!("{fatal}: it has started");
        };
        assert!(matches!(error, StartError::ShardLost), "{fatal}: {error}");
        // The kernel lists a thread for a moment after it was joined.
        wait_until("no shard is left", || shards().is_empty());
        // Not possible while a socket holds the port.
        TcpListener::bind(address).unwrap();
    }
}
