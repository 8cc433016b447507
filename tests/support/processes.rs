//! Processes that a server under test starts or leaves.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use super::client::{Client, request, text};
use super::{Server, wait_until};

/// Sends a signal to a process that a test has started, directly or not.
pub fn signal(process: libc::pid_t, signal: libc::c_int) {
    // SAFETY: kill takes no pointers.
    let sent = unsafe { libc::kill(process, signal) };
    assert_eq!(sent, 0, "{process} is there");
}

/// A field of `/proc/PROCESS/status`.
fn status(process: libc::pid_t, field: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.trim_start_matches(':').trim().to_owned())
}

/// The processes whose parent is this one, without those that have ended.
pub fn children(parent: libc::pid_t) -> Vec<libc::pid_t> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers
        .filter(|process| status(*process, "PPid") == Some(parent.to_string()) && runs(*process))
        .collect()
}

/// Whether a process is there and has not ended.
pub fn runs(process: libc::pid_t) -> bool {
    status(process, "State").is_some_and(|state| !state.starts_with(['Z', 'X']))
}

/// Whether a process has a thread of this name.
pub fn has_thread(process: libc::pid_t, name: &str) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else {
        return false;
    };
    threads.flatten().any(|thread| {
        fs::read_to_string(thread.path().join("comm")).is_ok_and(|comm| comm.trim() == name)
    })
}

/// Whether a process has a file open.
pub fn has_open(process: libc::pid_t, file: &Path) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{process}/fd")) else {
        return false;
    };
    descriptors
        .flatten()
        .any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == file))
}

/// Waits for the one child of a process.
pub fn child(parent: libc::pid_t) -> libc::pid_t {
    let mut found = Vec::new();
    wait_until("there is a child", || {
        found = children(parent);
        !found.is_empty()
    });
    found[0]
}

/// The processes that have taken over from each other, in turn, as the log says.
pub fn new_processes(server: &Server) -> Vec<libc::pid_t> {
    let log = server.log();
    let numbers = log.lines().filter_map(|line| {
        let (_, rest) = line.split_once(": process ")?;
        let (number, _) = rest.split_once(" has taken over;")?;
        number.parse().ok()
    });
    numbers.collect()
}

/// A client that gets its echo, whether the process that accepts it drains or
/// not: it sends its message with its handshake.
pub fn is_served(address: SocketAddr) {
    let mut client = Client::open(address);
    client.send(&[request("/echo").into_bytes(), text("served")].concat());
    let head = client.response_head();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert_eq!(client.read_text(), "served");
}

/// Processes that are ended with the test.
#[derive(Default)]
pub struct Ended(pub Vec<libc::pid_t>);

impl Ended {
    /// Waits until so many have taken over, and returns the last.
    pub fn after(&mut self, server: &Server, count: usize) -> libc::pid_t {
        wait_until("a new process has taken over", || {
            self.0 = new_processes(server);
            self.0.len() >= count
        });
        assert_eq!(self.0.len(), count);
        self.0[count - 1]
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        for process in &self.0 {
            // SAFETY: kill takes no pointers.
            unsafe { libc::kill(*process, libc::SIGKILL) };
        }
    }
}
