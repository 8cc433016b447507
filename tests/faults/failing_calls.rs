//! System calls that fail as they do when the kernel is out of memory or
//! descriptors, or is interrupted: a session may end, a shard never does, and
//! accepting pauses, says so once, and goes on by itself.
//!
//! How: `strace` makes every so many calls of a running server fail. Where it is
//! missing the test says so and passes.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::client::{Client, FIN, TEXT, encode, request};
use crate::support::fault::Before;
use crate::support::{Server, on_each_driver, poll_until, skip, wait_until};

/// Makes calls of a server fail while it lives.
struct Failing(Child);

impl Failing {
    /// `fault` is strace's way to say which: `sendto:error=ENOBUFS:when=2+3`.
    fn start(server: &Server, fault: &str) -> Option<Failing> {
        let name = fault.split(':').next().unwrap();
        let mut child = Command::new("strace")
            .args(["-f", "-o", "/dev/null", "-p", &server.pid().to_string()])
            .args(["-e", &format!("trace={name}")])
            .args(["-e", &format!("inject={fault}")])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .inspect_err(|_| skip(fault, "no strace; apt-get install strace"))
            .ok()?;
        // It says so once it holds every thread.
        let mut said = String::new();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let _ = lines.read_line(&mut said);
        if !said.contains("attached") {
            skip(fault, said.trim());
            let _ = child.wait();
            return None;
        }
        std::thread::spawn(move || lines.lines().for_each(drop));
        Some(Failing(child))
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        // With a signal it can act on, so that it lets the server go first.
        // SAFETY: kill takes no pointers; the child was not waited for yet.
        unsafe { libc::kill(self.0.id() as libc::pid_t, libc::SIGTERM) };
        let _ = self.0.wait();
    }
}

/// Clients come and talk until told otherwise by the server, which may only end
/// sessions. Returns how many were served and how many were not.
fn talk(server: &Server, clients: usize) -> (usize, usize) {
    let (mut served, mut ended) = (0, 0);
    for number in 0..clients {
        let mut client = Client::open(server.address);
        let text = format!("client {number}");
        let short = Some(Duration::from_secs(5));
        client.stream.set_read_timeout(short).unwrap();
        // The session may be over before this is said.
        let _ = client.stream.write_all(request("/echo").as_bytes());
        let _ = client
            .stream
            .write_all(&encode(FIN | TEXT, true, text.as_bytes()));
        let mut received = Vec::new();
        let whole = received_all(&mut client, &mut received, text.as_bytes());
        if whole { served += 1 } else { ended += 1 }
    }
    (served, ended)
}

/// Whether these bytes arrive before the end of the stream.
fn received_all(client: &mut Client, received: &mut Vec<u8>, last: &[u8]) -> bool {
    use std::io::Read;
    let mut chunk = [0; 1_024];
    while !received.ends_with(last) {
        match client.stream.read(&mut chunk) {
            Ok(0) | Err(_) => return false,
            Ok(len) => received.extend_from_slice(&chunk[..len]),
        }
    }
    true
}

/// Sending and receiving, out of memory: the session's end, or nothing at all.
#[test]
fn sends_and_receives_without_memory() {
    on_each_driver(&["--shards", "2"], |server| {
        let before = Before::look(server);
        for fault in [
            "sendto:error=ENOBUFS:when=3+5",
            "sendto:error=ENOMEM:when=2+4",
            "recvfrom:error=ENOMEM:when=3+5",
            "recvfrom:error=ENOBUFS:when=2+4",
        ] {
            let Some(failing) = Failing::start(server, fault) else {
                return;
            };
            let (served, ended) = talk(server, 40);
            drop(failing);
            println!("{fault}: {served} served, {ended} ended");
            assert!(served > 0, "{fault}: nobody is served");
            assert!(!server.has_ended(), "{fault}");
            // An end of stream that was not read is seen all the same.
            server.wait_for("sessions", 0);
        }
        before.expect_recovered(server, 8 << 20);
        assert_eq!(server.stats()["phase"], "running");
    });
}

/// Interrupted, and nothing else: all are served, and the ends of all are seen.
#[test]
fn interrupted_sends_and_receives() {
    on_each_driver(&["--shards", "2"], |server| {
        for fault in [
            "recvfrom:error=EINTR:when=1+2",
            "sendto:error=EINTR:when=1+2",
        ] {
            let Some(failing) = Failing::start(server, fault) else {
                return;
            };
            let (served, ended) = talk(server, 40);
            assert_eq!((served, ended), (40, 0), "{fault}");
            // Time to see the ends of the clients that have left, and to be
            // interrupted.
            std::thread::sleep(Duration::from_millis(100));
            // The control plane is interrupted too and may not answer before.
            drop(failing);
            server.wait_for("sessions", 0);
        }
    });
}

/// The host's own limits, at the one call that meets them.
#[test]
fn accepts_without_room() {
    on_each_driver(&["--shards", "1"], |server| {
        let before = Before::look(server);
        for (number, error) in ["ENFILE", "ENOMEM", "ENOBUFS"].iter().enumerate() {
            let fault = format!("accept4:error={error}");
            let Some(failing) = Failing::start(server, &fault) else {
                return;
            };
            let mut client = Client::open(server.address);
            client.send(request("/echo").as_bytes());
            wait_until("accepting pauses", || {
                server.log().matches("accepting pauses").count() == number + 1
            });
            client.expect_silence(Duration::from_millis(500));
            let said = server.log().matches("accepting pauses").count();
            assert_eq!(said, number + 1, "{}", server.log());
            drop(failing);
            assert!(client.response_head().starts_with("HTTP/1.1 101 "));
            client.expect_echo("in at last");
            client.close();
        }
        before.expect_recovered(server, 8 << 20);
    });
}

/// Waiting for work, interrupted or short of memory for a moment.
#[test]
fn waits_that_fail() {
    on_each_driver(&["--shards", "2"], |server| {
        let before = Before::look(server);
        for fault in [
            "io_uring_enter:error=EINTR:when=5..60+7",
            "io_uring_enter:error=EAGAIN:when=5..60+7",
            "io_uring_enter:error=EBUSY:when=5..60+7",
            "epoll_pwait:error=EINTR:when=5..60+7",
        ] {
            let Some(failing) = Failing::start(server, fault) else {
                return;
            };
            let (served, ended) = talk(server, 100);
            drop(failing);
            println!("{fault}: {served} served, {ended} ended");
            assert_eq!(ended, 0, "{fault}");
            let lives = poll_until(Duration::from_millis(50), || server.has_ended());
            assert!(!lives, "{fault}: the server has ended");
        }
        before.expect_recovered(server, 8 << 20);
    });
}
