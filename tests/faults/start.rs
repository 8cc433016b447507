//! A host that gives too little at the start gets a clear end: the server exits
//! with 1 and says what was missing, or it runs. It never panics, hangs or runs
//! with a part of its shards.
//!
//! How: the server is started with ever more threads, descriptors, memory and
//! locked memory, until it runs.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::support::client::request;
use crate::support::fault::{Claim, limit};
use crate::support::{corecast, drivers, skip, wait_until};

const SHARDS: &str = "3";

/// The outcome of a start.
enum Start {
    /// It ran, served, and ended well when asked.
    Ran,
    /// It ended by itself and said this.
    Ended(ExitStatus, String),
}

/// A server's process, which does not outlive the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(driver: &str, prepare: impl FnOnce(&mut Command)) -> io::Result<Start> {
    let claim = Claim::new();
    let said = tempfile::NamedTempFile::new().unwrap();
    let mut command = corecast();
    command
        .args(["serve", "--shards", SHARDS, "--driver", driver])
        .args(["--admin", "127.0.0.1:0", "--listen"])
        .arg(claim.address.to_string())
        .stdin(Stdio::null())
        .stderr(said.reopen().unwrap());
    prepare(&mut command);
    let mut process = Process(command.spawn()?);
    let log = || fs::read_to_string(said.path()).unwrap();
    let mut ended = None;
    wait_until("the server runs or ends", || {
        ended = process.0.try_wait().unwrap();
        ended.is_some() || log().contains("metrics and health on")
    });
    if ended.is_none() {
        // The thread that waits for signals is started after this line, and the server
        // may end for want of it.
        let mut client = TcpStream::connect(claim.address).ok();
        if let Some(client) = &mut client {
            let _ = client.write_all(request("/echo").as_bytes());
            client.set_nonblocking(true)?;
        }
        let mut first = [0; 12];
        wait_until("the server answers, says why not, or ends", || {
            ended = process.0.try_wait().unwrap();
            ended.is_some()
                || client
                    .as_mut()
                    .is_some_and(|client| client.read(&mut first).is_ok())
                || log().contains("accepting pauses: Too many open files")
        });
    }
    if ended.is_some_and(|status| !status.success()) {
        return Ok(Start::Ended(ended.unwrap(), log()));
    }
    // SAFETY: kill takes no pointers; the child was not waited for yet.
    unsafe { libc::kill(process.0.id() as libc::pid_t, libc::SIGTERM) };
    wait_until("the server ends", || {
        ended = process.0.try_wait().unwrap();
        ended.is_some()
    });
    match ended {
        Some(status) if status.success() => Ok(Start::Ran),
        status => Ok(Start::Ended(status.unwrap(), log())),
    }
}

/// Ended with 1 and these words, and not by a panic.
#[track_caller]
fn assert_clear(status: ExitStatus, said: &str, words: &[&str], limit: u64) {
    assert_eq!(status.code(), Some(1), "{limit}: {status}: {said}");
    assert!(!said.contains("panicked"), "{limit}: {said}");
    let clear = words.iter().any(|word| said.contains(word));
    assert!(clear, "{limit}: none of {words:?} in: {said}");
}

/// A limit on threads counts those of a user, and the superuser has none. So the server
/// runs as a user with no other process.
#[test]
fn too_few_threads() {
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        return skip(
            "too few threads at the start",
            "it takes root to be another user",
        );
    }
    let user = 50_000 + std::process::id() % 10_000;
    for driver in drivers() {
        let mut ends = 0;
        for threads in 1..20 {
            let started = start(driver, |command| {
                command.uid(user);
                limit(command, libc::RLIMIT_NPROC, threads);
            });
            match started {
                Ok(Start::Ran) => break,
                Ok(Start::Ended(status, said)) => {
                    assert_clear(status, &said, &["ulimit -u"], threads);
                    ends += 1;
                }
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    let why = "another user may not run the binary";
                    return skip("too few threads at the start", why);
                }
                Err(error) => panic!("{error}"),
            }
        }
        // Its first thread, three shards, the control plane, the one for signals.
        assert!((4..=7).contains(&ends), "{ends} starts ended");
    }
}

#[test]
fn too_few_descriptors() {
    for driver in drivers() {
        let mut ends = 0;
        let mut ran = false;
        // With fewer the program cannot even be loaded.
        for descriptors in 8..60 {
            let prepare = |command: &mut Command| limit(command, libc::RLIMIT_NOFILE, descriptors);
            match start(driver, prepare).unwrap() {
                Start::Ran => {
                    ran = true;
                    break;
                }
                Start::Ended(status, said) => {
                    assert_clear(status, &said, &["ulimit -n", "Too many open"], descriptors);
                    ends += 1;
                }
            }
        }
        assert!(ran && ends > 3, "{ends} starts ended");
    }
}

/// Where memory itself runs out a program can only end; it must do that, and
/// not stand still with a lock in its hands.
#[test]
fn too_little_memory() {
    for driver in drivers() {
        for resource in [libc::RLIMIT_AS, libc::RLIMIT_DATA] {
            for mebibytes in [3, 5, 8, 12, 16, 20, 24, 32, 48, 64, 100, 200] {
                let bytes = mebibytes << 20;
                let started = start(driver, |command| limit(command, resource, bytes));
                // The kernel kills a program it has no memory to load.
                let Ok(Start::Ended(status, said)) = started else {
                    continue;
                };
                match (status.code(), status.signal()) {
                    (Some(1), _) => assert_clear(status, &said, &["emory", "ulimit"], mebibytes),
                    // The loader's word for it.
                    (Some(127), _) => {}
                    (_, Some(libc::SIGABRT)) => {
                        assert!(said.contains("memory allocation"), "{mebibytes}: {said}");
                    }
                    // No room for the program, which takes 14 MiB without
                    // optimisation, libc and a stack.
                    (_, Some(libc::SIGKILL | libc::SIGSEGV)) if mebibytes < 24 => {}
                    _ => panic!("{mebibytes} MiB: {status}: {said}"),
                }
            }
        }
    }
}

/// The rings of this kernel do not count as locked memory; where they do, the
/// server says what to raise.
#[test]
fn no_locked_memory() {
    for driver in drivers() {
        let started = start(driver, |command| limit(command, libc::RLIMIT_MEMLOCK, 0));
        if let Start::Ended(status, said) = started.unwrap() {
            assert_clear(status, &said, &["ulimit -l"], 0);
        }
    }
}
