//! Third-party clients in other languages: the Python package `websockets` and the npm
//! package `ws`.
//!
//! How: the scripts in `tests/clients/` drive a real server. They need Python
//! or Node and what `make test-clients` installs; without them they are skipped
//! and say so.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::foreign::clients;
use crate::support::{on_each_driver, poll_until, skip};

/// Whether a program can be run and its package is installed.
fn is_there(program: &str, package: &Path) -> bool {
    let mut version = Command::new(program);
    version
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if !version.status().is_ok_and(|status| status.success()) {
        skip("foreign_clients", &format!("there is no {program}"));
        return false;
    }
    if !package.is_dir() {
        let name = package.file_name().unwrap_or_default().to_string_lossy();
        skip(
            "foreign_clients",
            &format!("{name} is not installed; run: make test-clients"),
        );
        return false;
    }
    true
}

/// Runs a script against a server on each driver.
fn drive(script: &str, command: impl Fn() -> Command) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    // The clients send larger messages than a server takes by default.
    let options = ["--shards", "2", "--max-message-bytes", "8MiB"];
    on_each_driver(&options, |server| {
        let mut command = command();
        command
            .arg(folder.join(script))
            .arg(server.address.to_string());
        let mut child = command.spawn().expect("the client runs");
        let ended = poll_until(Duration::from_secs(90), || {
            child.try_wait().unwrap().is_some()
        });
        if !ended {
            let _ = child.kill();
        }
        let status = child.wait().unwrap();
        assert!(
            ended && status.success(),
            "the client says that something does not work"
        );
        server.wait_for("sessions", 0);
    });
}

#[test]
fn python_websockets() {
    let packages = clients().join("python");
    if is_there("python3", &packages.join("websockets")) {
        drive("python_websockets.py", || {
            let mut command = Command::new("python3");
            command
                .env("PYTHONPATH", &packages)
                .env("PYTHONDONTWRITEBYTECODE", "1");
            command
        });
    }
}

#[test]
fn node_ws() {
    let packages = clients().join("node_modules");
    if is_there("node", &packages.join("ws")) {
        drive("node_ws.js", || {
            let mut command = Command::new("node");
            command.env("NODE_PATH", &packages);
            command
        });
    }
}
