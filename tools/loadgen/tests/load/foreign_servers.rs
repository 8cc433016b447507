//! The core scenarios count right against servers by other authors: the Python
//! package `websockets` and the npm package `ws`.
//!
//! How: the scripts in `tests/foreign/` serve echo and broadcast. They need
//! Python or Node and what `make test-clients` installs; without them they are
//! skipped and say so.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::run::{expect_connections, expect_deliveries, load};
use crate::support::skip;

/// The folder in which `make test-clients` installs: beside the folder of the
/// profile the tests were built with.
fn packages() -> PathBuf {
    let profile = Path::new(env!("CARGO_BIN_EXE_corecast-load"))
        .ancestors()
        .nth(2);
    profile
        .expect("the binary lies in target/PROFILE")
        .join("test-clients")
}

/// Whether a program can be run and its package is installed.
fn is_there(program: &str, package: &Path) -> bool {
    let mut version = Command::new(program);
    version
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if !version.status().is_ok_and(|status| status.success()) {
        skip("foreign_servers", &format!("there is no {program}"));
        return false;
    }
    if !package.is_dir() {
        let name = package.file_name().unwrap_or_default().to_string_lossy();
        skip(
            "foreign_servers",
            &format!("{name} is not installed; run: make test-clients"),
        );
        return false;
    }
    true
}

/// A server by other authors. Dropping it ends it.
struct Foreign {
    child: Child,
    port: u16,
}

impl Foreign {
    fn start(command: &mut Command, script: &str) -> Foreign {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign");
        let mut child = command
            .arg(folder.join(script))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server runs");
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let port = line.trim().parse().expect("the server says its port");
        Foreign { child, port }
    }

    fn url(&self, path: &str) -> String {
        format!("ws://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn check(server: &Foreign) {
    let (echo, broadcast) = (server.url("/echo"), server.url("/broadcast"));

    let outcome = load(&format!("connect {echo} -c 50 --hold 300ms --ping 100ms")).passed();
    expect_connections(&outcome, 50);
    assert!(outcome.latencies["heartbeat"].count() >= 50);

    for options in ["--pipeline 4", "--rate 200", "--protocol text --size 70000"] {
        let outcome = load(&format!(
            "echo {echo} -c 8 -d 500ms --warm-up 100ms {options}"
        ))
        .passed();
        expect_connections(&outcome, 8);
        expect_deliveries(&outcome, 1);
    }

    for options in ["", "-p 3 --outstanding 2", "-p 2 --rate 100"] {
        let outcome = load(&format!(
            "broadcast {broadcast} -s 10 -d 500ms --warm-up 100ms {options}"
        ))
        .passed();
        expect_connections(&outcome, 10);
        expect_deliveries(&outcome, 10);
    }

    let outcome = load(&format!("churn {echo} -c 5 --exchanges 2 -d 500ms")).passed();
    assert!(outcome.connections.opened > 5);
    assert_eq!(outcome.connections.closed, outcome.connections.opened);
    expect_deliveries(&outcome, 1);

    // The resets go unnoticed, and no connection is lost by them.
    let outcome = load(&format!("connect {echo} -c 20 --hold 100ms --close reset")).passed();
    expect_connections(&outcome, 20);
}

/// Phoenix channels: everybody joins, receives the messages of everybody in the
/// same channel, and gets a reply to a join, a push and a heartbeat.
fn check_channels(server: &Foreign) {
    let load_channels = |path: &str| {
        let url = server.url(path);
        load(&format!(
            "phoenix {url} --channels 2 --users 5 --rate 20 --heartbeat 200ms -d 1s"
        ))
    };

    let outcome = load_channels("/socket/websocket?vsn=2.0.0").passed();
    expect_connections(&outcome, 10);
    let deliveries = outcome.deliveries.as_ref().expect("pushes are delivered");
    // The last pushes may still be under way when the run ends.
    assert!(deliveries.received >= (deliveries.publications - 10) * 5);
    assert_eq!(outcome.latencies["join"].count(), 10);
    assert!(outcome.latencies["reply"].count() > 0);
    assert!(outcome.latencies["heartbeat"].count() >= 10);

    let words = ["5 open connections were lost", "refused by the application"];
    let outcome = load_channels("/socket/websocket?vsn=2.0.0&closed").failed(&words);
    assert_eq!(outcome.connections.losses(), 5);
}

#[test]
fn python_websockets() {
    let packages = packages().join("python");
    if is_there("python3", &packages.join("websockets")) {
        let mut command = Command::new("python3");
        command
            .env("PYTHONPATH", &packages)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        let server = Foreign::start(&mut command, "websockets_server.py");
        check(&server);
        check_channels(&server);
    }
}

#[test]
fn node_ws() {
    let packages = packages().join("node_modules");
    if is_there("node", &packages.join("ws")) {
        let mut command = Command::new("node");
        command.env("NODE_PATH", &packages);
        check(&Foreign::start(&mut command, "ws_server.js"));
    }
}
