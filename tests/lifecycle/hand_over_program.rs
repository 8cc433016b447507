//! A new process runs the file that is at the program's path at the time of the
//! hand-over, whatever name the program was started under; where the file is
//! gone, the program that runs is started once more.
//!
//! How: copies of the program in a folder of the test's own, which are replaced
//! and removed as an upgrade does.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::client::Client;
use crate::support::processes::{Ended, is_served, signal};
use crate::support::{Server, wait_until};
use tempfile::TempDir;

/// A folder, and a copy of the program in it under a name.
fn installed(name: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::copy(env!("CARGO_BIN_EXE_corecast"), &path).unwrap();
    (folder, path)
}

fn start(command: &mut Command) -> Server {
    command.args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    Server::spawn(command.args(["--shards", "1", "--drain-timeout", "0s"]))
}

/// The file that a process runs, as the kernel names it.
fn runs(process: libc::pid_t) -> PathBuf {
    fs::read_link(format!("/proc/{process}/exe")).unwrap()
}

fn name(process: libc::pid_t) -> String {
    let words = fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap();
    words.split('\0').next().unwrap().to_owned()
}

/// Replaces a server and returns the number of the last process.
fn replace(server: &Server, ended: &mut Ended) -> libc::pid_t {
    let serving = ended.0.last().copied();
    signal(
        serving.unwrap_or(server.pid() as libc::pid_t),
        libc::SIGUSR2,
    );
    let new_process = ended.after(server, ended.0.len() + 1);
    is_served(server.address);
    new_process
}

#[test]
fn a_program_may_be_started_under_any_name() {
    let (folder, path) = installed("corecast");
    // Another program of the name is in the path.
    fs::write(folder.path().join("web"), "#!/bin/sh\nexit 3\n").unwrap();
    let mut command = Command::new(&path);
    command.arg0("web").env("PATH", folder.path());
    let server = start(&mut command);
    let mut ended = Ended::default();
    for _ in 0..2 {
        let new_process = replace(&server, &mut ended);
        assert_eq!(runs(new_process), path);
        assert_eq!(name(new_process), "web");
    }
}

#[test]
fn the_new_process_runs_a_replaced_file() {
    let (folder, path) = installed("corecast");
    let server = start(&mut Command::new(&path));
    let mut ended = Ended::default();
    let upgrade = |path: &Path| {
        let new = folder.path().join("corecast.new");
        fs::copy(env!("CARGO_BIN_EXE_corecast"), &new).unwrap();
        fs::rename(new, path).unwrap();
    };
    upgrade(&path);
    let deleted = runs(server.pid() as libc::pid_t);
    assert!(deleted.to_string_lossy().ends_with(" (deleted)"));
    assert_eq!(runs(replace(&server, &mut ended)), path);
    upgrade(&path);
    assert_eq!(runs(replace(&server, &mut ended)), path);
}

#[test]
fn a_link_is_followed_when_it_is_needed() {
    let (folder, old) = installed("corecast-1.0");
    let new = folder.path().join("corecast-1.1");
    fs::copy(&old, &new).unwrap();
    let link = folder.path().join("corecast");
    symlink(&old, &link).unwrap();
    let mut command = Command::new("corecast");
    command.env("PATH", folder.path());
    let server = start(&mut command);
    fs::remove_file(&link).unwrap();
    symlink(&new, &link).unwrap();
    assert_eq!(runs(replace(&server, &mut Ended::default())), new);
}

#[test]
fn a_removed_file_is_that_of_the_running_program() {
    let (_folder, path) = installed("corecast");
    let server = start(&mut Command::new(&path));
    let mut ended = Ended::default();
    fs::remove_file(&path).unwrap();
    replace(&server, &mut ended);
    let words = format!(
        "{} is no longer there; the new process runs",
        path.display()
    );
    assert!(server.log().contains(&words));
    replace(&server, &mut ended);

    // It is there again.
    fs::copy(env!("CARGO_BIN_EXE_corecast"), &path).unwrap();
    assert_eq!(runs(replace(&server, &mut ended)), path);
}

#[test]
fn a_file_that_cannot_be_run_is_told() {
    let (_folder, path) = installed("corecast");
    let server = start(&mut Command::new(&path));
    fs::remove_file(&path).unwrap();
    fs::write(&path, "half of it").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    server.signal(libc::SIGUSR2);
    wait_until("the failure is told", || {
        let words = format!("the program {} cannot be started: ", path.display());
        server.log().contains(&words)
    });
    Client::connect(server.address, "/echo").expect_echo("served");
    assert_eq!(server.stats()["phase"], "running");
}
