//! A log that goes nowhere costs the server its log and nothing else: standard
//! error may be a full disk, a pipe whose reader has gone, or one whose reader
//! has stopped reading. No line is waited for, and how many were lost is told
//! once the log gets through again.
//!
//! How: the server writes to such a standard error from its first line on, is
//! made to say more (a shard runs out of descriptors), serves, and drains.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::support::client::{Client, request};
use crate::support::fault::{Claim, limit};
use crate::support::{corecast, drivers, http, poll_until, wait_until};

const DESCRIPTORS: u64 = 64;

/// A server of which nothing is heard.
struct Mute {
    child: Child,
    address: SocketAddr,
}

impl Mute {
    fn start(driver: &str, format: &str, stderr: impl Into<Stdio>) -> Mute {
        let claim = Claim::new();
        let mut command = corecast();
        command
            .args(["serve", "--shards", "1", "--admin", "off", "--log", format])
            .args(["--driver", driver, "--listen", &claim.address.to_string()])
            .stdin(Stdio::null())
            .stderr(stderr);
        limit(&mut command, libc::RLIMIT_NOFILE, DESCRIPTORS);
        let mut child = command.spawn().expect("the binary runs");
        wait_until("the server listens", || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the server ended: {status}");
            }
            std::net::TcpStream::connect(claim.address).is_ok()
        });
        Mute {
            child,
            address: claim.address,
        }
    }

    /// More clients come than there are descriptors, then all go: the shard
    /// says twice what happened.
    fn run_out_of_descriptors(&self) {
        let mut clients: Vec<Client> = (0..DESCRIPTORS)
            .map(|_| {
                let mut client = Client::open(self.address);
                client.send(request("/echo").as_bytes());
                client
            })
            .collect();
        assert!(clients[0].response_head().starts_with("HTTP/1.1 101 "));
        clients[0].expect_echo("first");
        let mut last = clients.pop().unwrap();
        last.expect_silence(Duration::from_millis(200));
        drop(clients);
        assert!(last.response_head().starts_with("HTTP/1.1 101 "));
        last.expect_echo("last");
    }

    fn serves(&self) {
        assert_eq!(http::get(self.address, "/healthz").status, 200);
        Client::connect(self.address, "/broadcast").expect_echo("served");
    }

    /// SIGTERM ends it, soon and well.
    fn ends(&mut self) {
        // SAFETY: kill takes no pointers; the child was not waited for yet.
        unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
        let mut status = None;
        wait_until("the server ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert_eq!(status.unwrap().code(), Some(0));
    }
}

impl Drop for Mute {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A pipe's ends: to read, to write.
fn pipe() -> (File, File) {
    let (reader, writer) = io::pipe().unwrap();
    (OwnedFd::from(reader).into(), OwnedFd::from(writer).into())
}

fn set_waiting(file: &File, waits: bool) {
    let flags = if waits { 0 } else { libc::O_NONBLOCK };
    // SAFETY: F_SETFL takes no pointers.
    let set = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, flags) };
    assert_eq!(set, 0);
}

#[test]
fn a_full_disk() {
    for driver in drivers() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut server = Mute::start(driver, "human", full);
        server.serves();
        server.run_out_of_descriptors();
        server.serves();
        server.ends();
    }
}

#[test]
fn a_pipe_without_a_reader() {
    for driver in drivers() {
        let (reader, writer) = pipe();
        drop(reader);
        let mut server = Mute::start(driver, "json", writer);
        server.serves();
        server.run_out_of_descriptors();
        server.serves();
        server.ends();
    }
}

#[test]
fn a_pipe_that_nobody_reads_any_more() {
    for (driver, format) in drivers().iter().zip(["human", "json"]) {
        let (mut reader, mut writer) = pipe();
        set_waiting(&writer, false);
        let line = [b'x'; 4096];
        while writer.write(&line).is_ok() {}
        // The server's standard error is the same open pipe and must find it as usual.
        set_waiting(&writer, true);
        let ours = writer.try_clone().unwrap();
        let mut server = Mute::start(driver, format, writer);
        server.serves();
        server.run_out_of_descriptors();
        server.serves();

        // The reader goes on, and the next line gets through.
        drop(ours);
        set_waiting(&reader, false);
        let mut said = Vec::new();
        let mut read_all = || {
            let _ = reader.read_to_end(&mut said);
            String::from_utf8_lossy(&said).replace('x', "")
        };
        read_all();
        server.run_out_of_descriptors();
        let mut text = String::new();
        assert!(
            poll_until(crate::support::DEADLINE, || {
                text = read_all();
                text.contains("accepting again")
            }),
            "{text}"
        );
        let lost = text.lines().find(|line| line.contains("lines were lost"));
        let lost = lost.unwrap_or_else(|| panic!("nothing of what was lost: {text}"));
        // At least four lines: the address, the URL, that accepting paused and went on.
        let number = lost.split(" lines were lost").next().unwrap();
        let number = number.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap();
        assert!(number.parse::<u32>().unwrap() >= 4, "{lost}");
        if format == "json" {
            let event: serde_json::Value = serde_json::from_str(lost).expect("JSON");
            assert_eq!(event["level"], "WARN");
        }
        server.ends();
    }
}

/// Output that was asked for and cannot be written is an error, not a panic.
#[test]
fn a_configuration_that_cannot_be_printed() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = corecast()
        .args(["serve", "--print-config"])
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("No space left"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}
