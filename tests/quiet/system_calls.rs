//! A shard that has little to do makes three system calls for an echoed message:
//! it waits, reads and sends.
//!
//! How: `strace` lists the calls of a running server while one client sends a few
//! hundred messages, each after the echo of the last. The calls of the shard's
//! thread between the first message and the last are counted; time is not
//! measured. Where strace is missing or may not trace, the test says so and passes.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::support::client::Client;
use crate::support::{Server, on_each_driver, skip, wait_until};

/// Echoes that are counted.
const MESSAGES: usize = 400;
/// Calls per echo: three, and those of the shard's ticks, of which there are some
/// because strace makes everything slow.
const MOST: f64 = 3.2;
/// strace shows this much of what is received.
const SHOWN: &str = "64";

/// Lists the calls of all threads of a server in a file.
struct Trace {
    strace: Child,
    list: tempfile::NamedTempFile,
}

impl Trace {
    fn start(server: &Server) -> Option<Trace> {
        let list = tempfile::NamedTempFile::new().unwrap();
        let mut strace = Command::new("strace")
            .args(["-f", "-s", SHOWN, "-p", &server.pid().to_string(), "-o"])
            .arg(list.path())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .inspect_err(|_| skip("calls per message", "no strace; apt-get install strace"))
            .ok()?;
        // It says so once it holds every thread.
        let mut said = String::new();
        let mut lines = BufReader::new(strace.stderr.take().unwrap());
        let _ = lines.read_line(&mut said);
        if !said.contains("attached") {
            skip("calls per message", said.trim());
            let _ = strace.wait();
            return None;
        }
        std::thread::spawn(move || lines.lines().for_each(drop));
        Some(Trace { strace, list })
    }

    fn lines(&self) -> Vec<String> {
        let bytes = fs::read(self.list.path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // With a signal it can act on, so that it lets the server go first.
        // SAFETY: kill takes no pointers; the child was not waited for yet.
        unsafe { libc::kill(self.strace.id() as libc::pid_t, libc::SIGTERM) };
        let _ = self.strace.wait();
    }
}

/// The thread that received `text`, and the place of that call in the list.
fn received(lines: &[String], text: &str) -> Option<(String, usize)> {
    // The line of a call that another thread's interrupts has its result later.
    let is_receipt = |line: &String| {
        line.contains(text) && (line.contains("recvfrom(") || line.contains("recvfrom resumed"))
    };
    let place = lines.iter().position(is_receipt)?;
    let thread = lines[place].split_whitespace().next()?;
    Some((thread.to_owned(), place))
}

/// How often each call was made between the two messages by the thread that served
/// them. The second half of a call that another thread's line interrupts is not one.
fn count(lines: &[String], first: &str, last: &str) -> Option<BTreeMap<String, usize>> {
    let (thread, from) = received(lines, first)?;
    let (_, to) = received(lines, last)?;
    let mut calls = BTreeMap::new();
    for line in &lines[from + 1..=to] {
        let Some((who, call)) = line.split_once(char::is_whitespace) else {
            continue;
        };
        let call = call.trim_start();
        if who == thread && !call.starts_with("<... ") {
            let name = call.split('(').next().unwrap_or(call);
            *calls.entry(name.to_owned()).or_default() += 1;
        }
    }
    Some(calls)
}

/// Sends a text under a mask of zeros, so that the list shows it, and reads the echo.
fn echo(client: &mut Client, text: &str) {
    let mut frame = vec![0x81, 0x80 | text.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(text.as_bytes());
    client.send(&frame);
    assert_eq!(client.read_text(), text);
}

#[test]
fn a_lone_echo_is_a_wait_a_read_and_a_send() {
    let _alone = crate::alone();
    on_each_driver(&["--shards", "1"], |server| {
        let mut client = Client::connect(server.address, "/echo");
        echo(&mut client, "hello");
        let Some(trace) = Trace::start(server) else {
            return;
        };
        echo(&mut client, "the first");
        for number in 1..MESSAGES {
            echo(&mut client, &format!("message {number}"));
        }
        echo(&mut client, "the last");
        let mut counted = None;
        wait_until("the list of calls is written", || {
            counted = count(&trace.lines(), "the first", "the last");
            counted.is_some()
        });
        let calls = counted.unwrap();
        let all: usize = calls.values().sum();
        let per_message = all as f64 / MESSAGES as f64;
        println!("{per_message:.2} calls per echo: {calls:?}");
        assert!(per_message >= 3.0, "some calls were not listed: {calls:?}");
        assert!(per_message <= MOST, "{per_message:.2} per echo: {calls:?}");
    });
}
