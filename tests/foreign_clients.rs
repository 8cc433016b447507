//! Clients that nobody here wrote, in other languages: the Python package
//! `websockets` and the npm package `ws`.
//!
//! How: the scripts in `tests/clients/` drive a real server. Their packages are
//! installed below the target folder, once. Without Python or Node on this
//! machine its part is skipped, and says so.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::{on_each_driver, poll_until};

const PYTHON_WEBSOCKETS: &str = "websockets==15.0.1";
const NODE_WS: &str = "ws@8.18.3";

/// Whether a program can be run.
fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    command
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let there = command.status().is_ok_and(|status| status.success());
    if !there {
        println!("skipped: this machine has no {program}");
    }
    there
}

/// Where a package is installed; empty at first.
fn folder(package: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("clients")
        .join(package)
}

/// Runs an installation unless its result is there already.
fn install(result: &Path, command: &mut Command) {
    if result.exists() {
        return;
    }
    let output = command.output().expect("the installer runs");
    assert!(
        output.status.success() && result.exists(),
        "the package cannot be installed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Runs a script against a server on each driver.
fn drive(script: &str, command: impl Fn(&Path) -> Command) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients")
        .join(script);
    on_each_driver(&["--shards", "2"], |server| {
        let mut child = command(&script)
            .arg(server.address.to_string())
            .spawn()
            .unwrap();
        let limit = std::time::Duration::from_secs(90);
        let ended = poll_until(limit, || child.try_wait().unwrap().is_some());
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
    if !is_there("python3") {
        return;
    }
    let packages = folder(PYTHON_WEBSOCKETS);
    install(
        &packages.join("websockets"),
        Command::new("python3")
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ])
            .arg("--target")
            .arg(&packages)
            .arg(PYTHON_WEBSOCKETS),
    );
    drive("python_websockets.py", |script| {
        let mut command = Command::new("python3");
        command.arg(script).env("PYTHONPATH", &packages);
        command
    });
}

#[test]
fn node_ws() {
    if !is_there("node") || !is_there("npm") {
        return;
    }
    let packages = folder(NODE_WS);
    std::fs::create_dir_all(&packages).unwrap();
    install(
        &packages.join("node_modules/ws"),
        Command::new("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
            .arg(&packages)
            .arg(NODE_WS),
    );
    drive("node_ws.js", |script| {
        let mut command = Command::new("node");
        command
            .arg(script)
            .env("NODE_PATH", packages.join("node_modules"));
        command
    });
}
