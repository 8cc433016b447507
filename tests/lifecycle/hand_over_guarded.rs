//! A hand-over is refused, with the reason and the remedy, where the new process
//! would not outlive the process: under an init that ends with its first child,
//! under a supervisor that knows one process, and in a unit of systemd that is
//! not of Type=notify.
//!
//! How: a PID namespace with a script as its init, and with tini where it is
//! installed. The variables of systemd are set by hand.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::support::client::Client;
use crate::support::processes::{child, signal};
use crate::support::{Server, corecast, skip, wait_until};

const SERVE: [&str; 8] = [
    "serve",
    "--listen",
    "127.0.0.1:0",
    "--admin",
    "127.0.0.1:0",
    "--shards=1",
    "--drain-timeout",
    "0s",
];

/// A server under an init of a PID namespace; nothing where there can be none.
fn under_init(words: &[&str]) -> Option<Server> {
    let possible = Command::new("unshare")
        .args(["--pid", "--fork", "--mount-proc", "true"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !possible {
        skip("hand-over under an init", "it takes root and unshare");
        return None;
    }
    let mut command = Command::new("unshare");
    command
        .args(["--pid", "--fork", "--mount-proc", "--kill-child"])
        .args(words)
        .arg(env!("CARGO_BIN_EXE_corecast"))
        .args(SERVE);
    Some(Server::spawn(&mut command))
}

fn is_refused(server: &Server, process: libc::pid_t, words: &[&str]) {
    let mut client = Client::connect(server.address, "/echo");
    signal(process, libc::SIGUSR2);
    let line = || {
        let log = server.log();
        let line = log.lines().find(|line| line.contains("no hand-over: "));
        line.map(str::to_owned)
    };
    wait_until("the refusal is told", || line().is_some());
    let line = line().unwrap();
    for words in words {
        assert!(line.contains(words), "{words}: {line}");
    }
    client.expect_echo("as if nothing had happened");
    assert_eq!(server.stats()["phase"], "running");
}

/// A script that ends with its child.
fn script(path: &Path) {
    fs::write(path, "#!/bin/sh\n\"$@\"\nexit $?\n").unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn an_init_that_ends_with_its_child() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["tini", "dumb-init", "catatonit", "docker-init"] {
        let init = folder.path().join(name);
        script(&init);
        let Some(server) = under_init(&[init.to_str().unwrap()]) else {
            return;
        };
        let process = child(child(server.pid() as libc::pid_t));
        let words = [name, "ends when this process does", "another container"];
        is_refused(&server, process, &words);
        signal(process, libc::SIGTERM);
        assert_eq!(server.exit_status().code(), Some(0));
    }
}

#[test]
fn tini_itself() {
    if Command::new("tini").arg("--version").output().is_err() {
        return skip("hand-over under tini", "it is not installed");
    }
    let Some(server) = under_init(&["tini", "--"]) else {
        return;
    };
    // As `docker kill --signal` sends it.
    let init = child(server.pid() as libc::pid_t);
    is_refused(&server, init, &["tini", "another container"]);
    signal(init, libc::SIGTERM);
    assert_eq!(server.exit_status().code(), Some(0));
}

#[test]
fn process_one_itself() {
    let Some(server) = under_init(&[]) else {
        return;
    };
    let process = child(server.pid() as libc::pid_t);
    is_refused(&server, process, &["process 1", "another container"]);
    signal(process, libc::SIGTERM);
    assert_eq!(server.exit_status().code(), Some(0));
}

#[test]
fn a_supervisor_that_knows_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let supervisor = folder.path().join("supervisord");
    script(&supervisor);
    let mut command = Command::new(&supervisor);
    command.arg(env!("CARGO_BIN_EXE_corecast")).args(SERVE);
    let server = Server::spawn(&mut command);
    let process = child(server.pid() as libc::pid_t);
    is_refused(&server, process, &["supervisord", "Type=notify"]);
    signal(process, libc::SIGTERM);
    assert_eq!(server.exit_status().code(), Some(0));
}

#[test]
fn a_unit_that_is_not_of_type_notify() {
    // systemd sets the variable to the number of the process that it executes.
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "SYSTEMD_EXEC_PID=$$ exec \"$@\"", "sh"])
        .arg(corecast().get_program())
        .args(SERVE);
    let server = Server::spawn(&mut command);
    let process = server.pid() as libc::pid_t;
    is_refused(&server, process, &["systemd unit", "set Type=notify"]);
}
