//! `corecast health` ends with 0 while the server that has these options is ready, and
//! with 1 otherwise, so that images without a shell can have a health check.
//!
//! How: the real program beside a real server in each of its phases, and beside
//! something that is no server.

use std::io::Write;
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::{Server, corecast, run, wait_until};

fn health() -> Command {
    let mut command = corecast();
    command.arg("health");
    command
}

#[test]
fn it_follows_readiness() {
    let server = Server::start(&["--shards", "1", "--drain-delay", "1h"]);
    let _session = Client::connect(server.address, "/echo");
    let (admin, address) = (server.admin.to_string(), server.address.to_string());
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "admin = \"{admin}\"").unwrap();
    let ask = || {
        [
            run(health().args(["--admin", &admin])),
            run(health().env("CORECAST_ADMIN", &admin)),
            run(health().arg("--config").arg(file.path())),
            // Without a control plane the health page of a listener is asked.
            run(health().args(["--admin", "off", "--listen", &address])),
        ]
    };
    for (code, stdout, stderr) in ask() {
        assert_eq!((code, &*stderr), (0, ""));
        assert!(
            stdout.ends_with(": running\n") || stdout.ends_with(": ok\n"),
            "{stdout}"
        );
    }
    server.signal(libc::SIGTERM);
    wait_until("it is unready", || server.stats()["phase"] == "unready");
    for (code, stdout, stderr) in ask() {
        assert_eq!((code, &*stdout), (1, ""));
        assert!(stderr.contains("is not ready"), "{stderr}");
        assert!(stderr.contains(" answers 503, "), "{stderr}");
    }
    drop(server);
    for (code, _, stderr) in ask() {
        assert_eq!(code, 1);
        assert!(stderr.contains("does not answer: "), "{stderr}");
    }
}

#[test]
fn it_does_not_wait_for_ever_and_a_mistake_is_1_too() {
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = mute.local_addr().unwrap().to_string();
    let began = Instant::now();
    let (code, _, stderr) = run(health().args(["--admin", &address]));
    assert_eq!(code, 1, "{stderr}");
    assert!(began.elapsed() < Duration::from_secs(10));
    for words in [&["--admin", "x"][..], &["--frobnicate"]] {
        assert_eq!(run(health().args(words)).0, 1, "{words:?}");
    }
}
