//! The parts that the black-box tests share: a server process, clients that can
//! misbehave, and waiting with deadlines.
//!
//! Nothing here sleeps for a guessed time: what should happen is waited for,
//! and a wait that takes too long fails the test and shows the server's log.

// Each test program uses a part of this.
#![allow(dead_code)]

pub mod aftermath;
pub mod centrifuge;
pub mod client;
pub mod doctor;
pub mod fault;
pub mod foreign;
pub mod haproxy;
pub mod hostile;
pub mod http;
pub mod phoenix;
pub mod processes;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longer than anything in these tests should take on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// The binary. Tests of the library alone are built without it, and must not ask.
pub fn binary() -> &'static str {
    match option_env!("CARGO_BIN_EXE_corecast") {
        Some(binary) => binary,
        None => panic!("tests that run the binary have required-features in Cargo.toml"),
    }
}

/// A command that runs the binary with nothing in its environment but `PATH`.
pub fn corecast() -> Command {
    let mut command = Command::new(binary());
    command.env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

/// Leaves a line that `make test` repeats; the harness would swallow a `println`.
pub fn skip(what: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "\nSKIPPED: {what}: {why}");
}

/// The drivers this host has. epoll is always there.
pub fn drivers() -> &'static [&'static str] {
    use corecast::config::Driver;
    match corecast::plane::resolve_driver(Driver::Uring) {
        Ok(_) => &["uring", "epoll"],
        Err(error) => {
            skip("the driver uring", &error.to_string());
            &["epoll"]
        }
    }
}

/// Runs a test with a fresh server on each driver.
pub fn on_each_driver(options: &[&str], test: impl Fn(&Server)) {
    for driver in drivers() {
        println!("driver {driver}");
        let server = Server::start(&[&["--driver", driver], options].concat());
        test(&server);
    }
}

/// A running server process. Dropping it kills it.
pub struct Server {
    child: Mutex<Child>,
    log: Arc<Mutex<Vec<String>>>,
    /// The address at which WebSocket connections are accepted.
    pub address: SocketAddr,
    /// The address at which the control plane answers.
    pub admin: SocketAddr,
}

impl Server {
    /// Starts a server with the demo's routes on ports of the kernel's choice and waits
    /// until it listens.
    pub fn start(options: &[&str]) -> Server {
        let mut command = corecast();
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .env("CORECAST_DEMO", "true")
            .args(options);
        Server::spawn(&mut command)
    }

    /// Runs a prepared command and waits until it listens.
    pub fn spawn(command: &mut Command) -> Server {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, said) = mpsc::channel();
        let kept = Arc::clone(&log);
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                kept.lock().unwrap().push(line.clone());
                // Only the first lines are waited for.
                let _ = lines.send(line);
            }
        });

        let (mut address, mut admin) = (None, None);
        let until = Instant::now() + DEADLINE;
        while address.is_none() || admin.is_none() {
            let left = until.saturating_duration_since(Instant::now());
            match said.recv_timeout(left) {
                Ok(line) => {
                    address = address.or_else(|| address_after(&line, "listening on ws://"));
                    admin = admin.or_else(|| address_after(&line, "metrics and health on http://"));
                }
                Err(RecvTimeoutError::Timeout) => panic!("the server does not say that it listens"),
                Err(RecvTimeoutError::Disconnected) => {
                    let status = child.wait();
                    panic!("the server ended ({status:?}): {:#?}", log.lock().unwrap());
                }
            }
        }
        Server {
            child: Mutex::new(child),
            log,
            address: address.unwrap(),
            admin: admin.unwrap(),
        }
    }

    /// The process's number.
    pub fn pid(&self) -> u32 {
        self.child.lock().unwrap().id()
    }

    /// Sends the process a signal.
    pub fn signal(&self, signal: libc::c_int) {
        // SAFETY: kill takes no pointers; the child was not waited for yet, so
        // its number is still its own.
        let sent = unsafe { libc::kill(self.pid() as libc::pid_t, signal) };
        assert_eq!(sent, 0, "the server is there to get a signal");
    }

    /// Waits until the process has ended.
    pub fn exit_status(&self) -> ExitStatus {
        let mut status = None;
        wait_until("the server ends", || {
            status = self.child.lock().unwrap().try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Whether the process has ended.
    pub fn has_ended(&self) -> bool {
        self.child.lock().unwrap().try_wait().unwrap().is_some()
    }

    /// The log of the server so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// The whole of `/stats`.
    pub fn stats(&self) -> Value {
        let response = http::get(self.admin, "/stats");
        assert_eq!(response.status, 200);
        serde_json::from_slice(&response.body).expect("/stats is JSON")
    }

    /// A number of `/stats`, summed over the shards; `ended.idle` is a number
    /// in an object.
    pub fn total(&self, key: &str) -> u64 {
        lookup(&self.stats()["total"], key)
    }

    /// The same number of each shard.
    pub fn per_shard(&self, key: &str) -> Vec<u64> {
        let stats = self.stats();
        let shards = stats["shards"].as_array().expect("shards is an array");
        shards.iter().map(|shard| lookup(shard, key)).collect()
    }

    /// Waits until a number of `/stats` has a value.
    pub fn wait_for(&self, key: &str, value: u64) {
        let mut last = 0;
        let reached = poll_until(DEADLINE, || {
            last = self.total(key);
            last == value
        });
        assert!(reached, "{key} is {last} and not {value}: {}", self.stats());
    }

    /// Resident memory of the process, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let stats = self.stats();
        let bytes = &stats["process"]["resident_memory_bytes"];
        bytes.as_u64().expect("the process has a size")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap();
        let _ = child.kill();
        let _ = child.wait();
        let log = self.log.lock().unwrap().join("\n");
        if thread::panicking() {
            eprintln!("the server said:\n{log}");
        } else {
            assert!(!log.contains("panicked"), "the server panicked:\n{log}");
        }
    }
}

fn lookup(numbers: &Value, key: &str) -> u64 {
    let value = key.split('.').fold(numbers, |value, part| &value[part]);
    value.as_u64().unwrap_or_else(|| panic!("no number {key}"))
}

fn address_after(line: &str, words: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once(words)?;
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && !".:[]".contains(c))
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// Asks again and again until the answer is yes; `false` if that takes too long.
pub fn poll_until(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + limit;
    loop {
        if is_so() {
            return true;
        }
        if Instant::now() >= until {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until something is so, and fails the test if that takes too long.
#[track_caller]
pub fn wait_until(what: &str, is_so: impl FnMut() -> bool) {
    assert!(poll_until(DEADLINE, is_so), "waited in vain until {what}");
}

/// Runs a command to its end, which must come soon, and returns its exit code,
/// standard output and standard error.
pub fn run(command: &mut Command) -> (i32, String, String) {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    // The output of these programs fits into a pipe, so they can be waited for first.
    if !poll_until(DEADLINE, || child.try_wait().unwrap().is_some()) {
        let _ = child.kill();
    }
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().unwrap_or_else(|| {
        panic!(
            "ended by signal {:?}: {}",
            output.status.signal(),
            text(&output.stderr)
        )
    });
    (code, text(&output.stdout), text(&output.stderr))
}
