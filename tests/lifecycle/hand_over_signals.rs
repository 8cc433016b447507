//! The effect of signals at each step of a hand-over: none is lost, and whichever comes
//! at which step, one process serves in the end, or none where a stop was asked for.
//!
//! How: a new process reads a secret from a named pipe, so that it is ready when the
//! test lets it be; a long drain timeout keeps the old process draining.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::processes::{
    Ended, child, children, has_open, has_thread, is_served, new_processes, runs, signal,
};
use crate::support::{Server, corecast, poll_until, wait_until};
use tempfile::TempDir;

/// The gate at which new processes wait during their start while it is closed: a pipe
/// in the place of the file with a secret, which is read twice, once with the
/// configuration and once when the server is made.
struct Gate {
    folder: TempDir,
    /// Kept open while the gate is closed, so that the pipe has no end.
    pipe: Option<File>,
}

impl Gate {
    /// A gate that is open.
    fn new() -> Gate {
        let mut gate = Gate {
            folder: tempfile::tempdir().unwrap(),
            pipe: None,
        };
        gate.open();
        gate
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn close(&mut self) {
        let (pipe, secret) = (self.at("pipe"), self.at("secret"));
        let _ = fs::remove_file(&pipe);
        let path = CString::new(pipe.as_os_str().as_bytes()).unwrap();
        // SAFETY: the path ends with a zero.
        assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
        let mut ends = File::options().read(true).write(true).open(&pipe).unwrap();
        ends.write_all(&SECRET).unwrap();
        fs::remove_file(&secret).unwrap();
        fs::hard_link(pipe, secret).unwrap();
        self.pipe = Some(ends);
    }

    /// Lets a new process pass with its configuration, and not further.
    fn open_half(&mut self, new_process: libc::pid_t) {
        wait_until("the new process reads the pipe", || {
            has_open(new_process, &self.at("secret"))
        });
        self.pipe = None;
        wait_until("the new process obeys signals", || {
            has_thread(new_process, "signals")
        });
    }

    fn open(&mut self) {
        fs::write(self.at("file"), SECRET).unwrap();
        fs::rename(self.at("file"), self.at("secret")).unwrap();
        // A new process that reads the pipe comes to its end, and one that waits for
        // something to read gets it.
        self.pipe = None;
        let mut options = File::options();
        options.write(true).custom_flags(libc::O_NONBLOCK);
        if let Ok(mut pipe) = options.open(self.at("pipe")) {
            let _ = pipe.write_all(&SECRET);
        }
    }

    /// Starts a server, and closes the gate for its new processes.
    fn start(&mut self, more: &[&str]) -> Server {
        let config = format!(
            "shards = 2\n[handlers.phoenix.token]\nalgorithm = \"HS256\"\nsecret_file = {:?}\n\
             [[handlers.phoenix.topics]]\npattern = \"*\"\njoin = \"token\"\n",
            self.at("secret")
        );
        let file = self.at("corecast.toml");
        fs::write(&file, config).unwrap();
        let mut command = corecast();
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .arg("--config")
            .arg(&file)
            .args(more);
        let server = Server::spawn(&mut command);
        self.close();
        server
    }
}

/// The secret that the servers under test read, in the pipe or in the file.
const SECRET: [u8; 64] = [b's'; 64];

impl Drop for Gate {
    fn drop(&mut self) {
        // New processes that are left find themselves alone and end.
        self.open();
    }
}

/// Sessions get their close frames at once.
const SOON: [&str; 2] = ["--drain-timeout", "0s"];
/// They get them spread over a time longer than any test.
const LATE: [&str; 4] = ["--drain-timeout", "600s", "--close-timeout", "1s"];

fn number(server: &Server) -> libc::pid_t {
    server.pid() as libc::pid_t
}

#[track_caller]
fn wait_for_line(server: &Server, words: &str) {
    let heard = poll_until(crate::support::DEADLINE, || server.log().contains(words));
    assert!(heard, "no line with '{words}'");
}

fn serves(server: &Server) {
    is_served(server.address);
}

#[test]
fn a_second_request_before_the_new_process_is_ready_follows_the_first() {
    let mut gate = Gate::new();
    let server = gate.start(&SOON);
    let mut ended = Ended::default();
    server.signal(libc::SIGUSR2);
    wait_for_line(&server, "SIGUSR2: starting a new process");
    for _ in 0..2 {
        server.signal(libc::SIGUSR2);
        wait_for_line(&server, "and another one follows it");
    }
    gate.open();
    let first = ended.after(&server, 1);
    wait_for_line(&server, &format!("process {first} gets the second"));
    ended.after(&server, 2);
    assert_eq!(server.exit_status().code(), Some(0));
    wait_until("the first new process ends", || !runs(first));
    serves(&server);
    assert_eq!(new_processes(&server).len(), 2, "several are one");
}

#[test]
fn a_second_request_follows_a_hand_over_that_fails() {
    let mut gate = Gate::new();
    let server = gate.start(&SOON);
    let mut ended = Ended::default();
    server.signal(libc::SIGUSR2);
    let first = child(number(&server));
    server.signal(libc::SIGUSR2);
    wait_for_line(&server, "and another one follows it");
    signal(first, libc::SIGKILL);
    wait_for_line(
        &server,
        "the hand-over failed: the new process ended before it was ready",
    );
    wait_for_line(
        &server,
        "starting the new process that was asked for meanwhile",
    );
    serves(&server);
    gate.open();
    let second = ended.after(&server, 1);
    assert_ne!(first, second);
    serves(&server);
}

#[test]
fn a_stop_before_the_new_process_is_ready_ends_both() {
    for (stop, name) in [(libc::SIGTERM, "SIGTERM"), (libc::SIGINT, "SIGINT")] {
        let mut gate = Gate::new();
        let server = gate.start(&SOON);
        server.signal(libc::SIGUSR2);
        let new_process = child(number(&server));
        wait_for_line(&server, "starting a new process");
        server.signal(libc::SIGUSR2);
        wait_for_line(&server, "another one follows");
        server.signal(stop);
        wait_for_line(
            &server,
            &format!("{name}: giving up the hand-over that is under way, and draining"),
        );
        assert_eq!(server.exit_status().code(), Some(0));
        // It finds itself alone when it would be ready.
        if runs(new_process) {
            gate.open();
        }
        wait_until("the new process ends", || !runs(new_process));
        assert!(new_processes(&server).is_empty());
        assert!(
            TcpStream::connect(server.address).is_err(),
            "nobody listens"
        );
    }
}

#[test]
fn a_new_process_that_is_stopped_before_it_is_ready_leaves_the_old_one_serving() {
    for (stop, name) in [(libc::SIGTERM, "SIGTERM"), (libc::SIGINT, "SIGINT")] {
        let mut gate = Gate::new();
        let server = gate.start(&SOON);
        let mut client = Client::connect(server.address, "/echo");
        let failures = || server.log().matches("the hand-over failed: ").count();

        // While it reads its configuration.
        server.signal(libc::SIGUSR2);
        let new_process = child(number(&server));
        signal(new_process, stop);
        wait_until("the new process ends", || !runs(new_process));
        wait_for_line(
            &server,
            &format!("the new process ended before it was ready (signal: {stop} ({name}))"),
        );
        client.expect_echo("as if nothing had happened");

        // Later, when it has a log of its own.
        wait_until("the failure is told", || failures() == 1);
        gate.close();
        server.signal(libc::SIGUSR2);
        let new_process = child(number(&server));
        gate.open_half(new_process);
        signal(new_process, stop);
        wait_for_line(
            &server,
            &format!("{name}: this process does not take over and ends; the one before goes on"),
        );
        wait_until("the failure is told", || failures() == 2);
        wait_until("the new process ends", || !runs(new_process));
        client.expect_echo("as if nothing had happened");
        serves(&server);
        assert_eq!(server.stats()["phase"], "running");
    }
}

#[test]
fn other_signals_reach_a_new_process_once_it_serves() {
    let mut gate = Gate::new();
    let server = gate.start(&SOON);
    let mut ended = Ended::default();
    server.signal(libc::SIGUSR2);
    let new_process = child(number(&server));
    // While it reads its configuration, and later.
    signal(new_process, libc::SIGHUP);
    gate.open_half(new_process);
    wait_for_line(&server, "SIGHUP: kept until the server has started");
    signal(new_process, libc::SIGUSR2);
    wait_for_line(&server, "SIGUSR2: kept until the server has started");
    signal(new_process, libc::SIGUSR1);
    wait_for_line(&server, "SIGUSR1: kept until the server has started");
    gate.open();
    ended.after(&server, 2);
    assert_eq!(ended.0[0], new_process);
    wait_for_line(&server, "SIGUSR1: nothing to reopen");
    wait_for_line(&server, "SIGHUP: the configuration was read again");
    serves(&server);
}

/// A server that replaces none is stopped when it has started, and at once by
/// the second signal.
#[test]
fn a_start_that_hangs_can_be_ended() {
    let mut gate = Gate::new();
    drop(gate.start(&SOON));
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut command = corecast();
    command.args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "off",
        "--config",
    ]);
    command.arg(gate.at("corecast.toml"));
    let mut child = command.stderr(log.reopen().unwrap()).spawn().unwrap();
    let process = child.id() as libc::pid_t;
    let _ended = Ended(vec![process]);
    gate.open_half(process);
    let said = |words: &str| fs::read_to_string(log.path()).unwrap().contains(words);
    signal(process, libc::SIGTERM);
    wait_until("it is kept", || {
        said("SIGTERM: kept until the server has started; a second signal ends it now")
    });
    signal(process, libc::SIGINT);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(said("SIGINT: ending before the server has started"));
}

/// A server that has handed over and drains, because its sessions are to get
/// their close frames late.
struct OldProcess {
    server: Server,
    _clients: Vec<Client>,
    new_process: libc::pid_t,
    ended: Ended,
    _gate: Gate,
}

impl OldProcess {
    fn new() -> OldProcess {
        let (mut gate, mut ended) = (Gate::new(), Ended::default());
        let server = gate.start(&LATE);
        gate.open();
        // A shard closes one at a time, a few a second.
        let clients = (0..500).map(|_| Client::connect(server.address, "/echo"));
        let clients = clients.collect();
        server.signal(libc::SIGUSR2);
        let new_process = ended.after(&server, 1);
        OldProcess {
            server,
            _clients: clients,
            new_process,
            ended,
            _gate: gate,
        }
    }
}

#[test]
fn an_old_process_that_drains_is_not_replaced_again() {
    let mut old_process = OldProcess::new();
    let (server, new_process) = (&old_process.server, old_process.new_process);
    server.signal(libc::SIGUSR2);
    wait_for_line(
        server,
        &format!(
            "SIGUSR2: no hand-over: process {new_process} has taken over from this one already"
        ),
    );
    assert!(!server.has_ended());
    assert_eq!(children(number(server)), [new_process], "no other one");
    serves(server);

    // The one that serves is replaced.
    signal(new_process, libc::SIGUSR2);
    old_process.ended.after(server, 2);
    serves(server);
}

#[test]
fn an_old_process_that_drains_can_be_hurried_and_leaves_the_listeners() {
    for (first, second) in [
        (libc::SIGTERM, libc::SIGTERM),
        (libc::SIGINT, libc::SIGTERM),
    ] {
        let old_process = OldProcess::new();
        let (server, new_process) = (&old_process.server, old_process.new_process);
        server.signal(first);
        wait_for_line(server, ": draining already; a second signal");
        assert!(!server.has_ended());
        let began = Instant::now();
        server.signal(second);
        wait_for_line(server, ": closing all sessions now");
        assert_eq!(server.exit_status().code(), Some(0));
        assert!(began.elapsed() < Duration::from_secs(10));
        assert!(runs(new_process));
        for _ in 0..10 {
            serves(server);
        }
    }
}

#[test]
fn a_new_process_that_serves_stops_as_any_server() {
    for stop in [libc::SIGTERM, libc::SIGINT] {
        let old_process = OldProcess::new();
        let (server, new_process) = (&old_process.server, old_process.new_process);
        signal(new_process, stop);
        wait_until("the new process ends", || !runs(new_process));
        assert!(!server.has_ended(), "the old process still drains");
        server.signal(libc::SIGTERM);
        wait_for_line(server, "draining already");
        server.signal(libc::SIGTERM);
        assert_eq!(server.exit_status().code(), Some(0));
    }
}

/// Whether the stop or `go` comes first is a race. Either the new process serves,
/// on listeners that the old process has left alone, or none is left.
#[test]
fn a_stop_beside_go_leaves_one_server_or_none() {
    const ROUNDS: u32 = 24;
    let start = || Server::start(&["--shards", "2", "--drain-timeout", "0s"]);
    let took = {
        let (server, mut ended) = (start(), Ended::default());
        let began = Instant::now();
        server.signal(libc::SIGUSR2);
        ended.after(&server, 1);
        began.elapsed()
    };
    let mut handed_over = 0;
    for round in 0..ROUNDS {
        let server = start();
        let mut ended = Ended::default();
        server.signal(libc::SIGUSR2);
        // From half the time that it took to one and a half.
        thread::sleep(took / 2 + took * round / ROUNDS);
        let children = children(number(&server));
        // It may have ended already.
        // SAFETY: kill takes no pointers; the child was not waited for yet.
        unsafe { libc::kill(number(&server), libc::SIGTERM) };
        assert_eq!(server.exit_status().code(), Some(0));
        ended.0 = new_processes(&server);
        if ended.0.is_empty() {
            for new_process in children {
                wait_until("the new process ends", || !runs(new_process));
            }
            assert!(
                TcpStream::connect(server.address).is_err(),
                "nobody listens"
            );
        } else {
            handed_over += 1;
            for _ in 0..10 {
                serves(&server);
            }
        }
    }
    println!("{handed_over} of {ROUNDS} were handed over, the first in {took:?}");
}

/// A server without sessions ends as soon as it has handed over.
#[test]
fn no_line_about_a_hand_over_is_lost() {
    let server = Server::start(&["--shards", "1", "--drain-timeout", "0s"]);
    let mut ended = Ended::default();
    let mut serving = number(&server);
    for count in 1..=20 {
        signal(serving, libc::SIGUSR2);
        serving = ended.after(&server, count);
    }
    assert_eq!(server.exit_status().code(), Some(0));
    serves(&server);
}
