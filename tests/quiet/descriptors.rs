//! A handler may use a file that the application opened after the start, and no
//! client receives what was meant for it; and a server that was given a descriptor
//! table per shard has one.
//!
//! How: a log that is opened while clients are connected, as a rotated log is, with
//! the descriptor number of a client's socket in a table of its own. A handler
//! writes a line to it, and every client sees nothing but its own echo.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use corecast::config::{Config, Driver};
use corecast::handler::{Context, Handler};
use corecast::server::{RunningServer, Server};
use corecast::upgrade::Request;
use corecast::ws::Message;

use crate::support::client::Client;
use crate::support::drivers;

type Log = Arc<Mutex<Option<File>>>;
/// Threads that handlers were called on, as directories below `/proc`.
type Threads = Arc<Mutex<HashSet<PathBuf>>>;

/// Echoes each message and writes it to the log.
struct Logging {
    log: Log,
    threads: Threads,
}

impl Handler for Logging {
    type State = ();
    type Notice = ();

    fn open(&mut self, _: &Request, _: &mut Context<'_>) {
        let thread = Path::new("/proc").join(fs::read_link("/proc/thread-self").unwrap());
        self.threads.lock().unwrap().insert(thread);
    }

    fn message(&mut self, (): &mut (), message: Message<'_>, ctx: &mut Context<'_>) {
        if let (Some(log), Message::Text(line)) = (&mut *self.log.lock().unwrap(), message) {
            log.write_all(line.as_bytes()).unwrap();
        }
        ctx.send(message);
    }
}

fn server(driver: &str, log: &Log, threads: &Threads) -> Server {
    let config = Config::new()
        .listen(["127.0.0.1:0".parse().unwrap()])
        .shards(2)
        .driver(driver.parse::<Driver>().unwrap());
    let (log, threads) = (Arc::clone(log), Arc::clone(threads));
    let make = move || Logging {
        log: Arc::clone(&log),
        threads: Arc::clone(&threads),
    };
    Server::new(config).unwrap().route("/log", make).unwrap()
}

fn clients(server: &RunningServer) -> Vec<Client> {
    let open = |_| Client::connect(server.local_addr(), "/log");
    (0..40).map(open).collect()
}

#[test]
fn a_file_opened_after_the_start_is_the_same_file_in_a_handler() {
    let _alone = crate::alone();
    for driver in drivers() {
        let log = Log::default();
        let server = server(driver, &log, &Threads::default()).start().unwrap();
        let mut clients = clients(&server);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rotated.log");
        *log.lock().unwrap() = Some(File::create(&path).unwrap());

        for (number, client) in clients.iter_mut().enumerate() {
            client.expect_echo(&format!("line {number}\n"));
        }
        // Any other message to a client would come before this echo.
        for client in &mut clients {
            client.expect_echo("end\n");
        }
        let written = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = (0..40).map(|number| format!("line {number}\n")).collect();
        assert_eq!(written, lines.concat() + &"end\n".repeat(40));
        server.handle().hurry();
    }
}

/// The sockets in the descriptor table of a thread.
fn sockets(task: &Path) -> HashSet<String> {
    let links = fs::read_dir(task.join("fd")).unwrap();
    links
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .map(|link| link.to_string_lossy().into_owned())
        .filter(|link| link.starts_with("socket:"))
        .collect()
}

#[test]
fn a_table_per_shard_holds_the_sessions_of_that_shard_alone() {
    let _alone = crate::alone();
    for driver in drivers() {
        let threads = Threads::default();
        let server = server(driver, &Log::default(), &threads);
        // SAFETY: the handler has no log here, and uses no other descriptor.
        let server = unsafe { server.with_a_descriptor_table_per_shard() };
        let server = server.start().unwrap();
        let mut clients = clients(&server);
        for client in &mut clients {
            client.expect_echo("here");
        }
        let threads = threads.lock().unwrap();
        let tables: Vec<_> = threads.iter().map(|thread| sockets(thread)).collect();
        assert_eq!(tables.len(), 2, "both shards have sessions");
        assert!(tables[0].is_disjoint(&tables[1]));
        let (listeners, all) = (2, tables[0].len() + tables[1].len());
        assert_eq!(all, clients.len() + listeners);
        server.handle().hurry();
    }
}
