//! A service manager hears when the server is ready, that it is being replaced,
//! by which process, and when it stops.
//!
//! How: a socket in the place of systemd's.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::support::{DEADLINE, Server, corecast};

/// Waits for a message with these words, and returns it.
fn hear(manager: &UnixDatagram, words: &str) -> String {
    let mut heard = Vec::new();
    loop {
        let mut message = [0; 4_096];
        let len = manager
            .recv(&mut message)
            .unwrap_or_else(|error| panic!("nothing was said of {words}: {error}: {heard:#?}"));
        let text = String::from_utf8(message[..len].to_vec()).unwrap();
        if text.contains(words) {
            return text;
        }
        heard.push(text);
    }
}

#[test]
fn it_is_told_of_each_step() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut command = corecast();
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .args(["--shards", "2", "--drain-timeout", "0s"])
        .env("NOTIFY_SOCKET", &path)
        .env(
            "WATCHDOG_USEC",
            Duration::from_secs(4).as_micros().to_string(),
        );
    let server = Server::spawn(&mut command);
    let ready = hear(&manager, "READY=1");
    assert!(
        ready.contains(&format!("ws://{}", server.address)),
        "{ready}"
    );
    hear(&manager, "WATCHDOG=1");

    server.signal(libc::SIGUSR2);
    assert!(hear(&manager, "RELOADING=1").contains("MONOTONIC_USEC="));
    let over = hear(&manager, "MAINPID=");
    assert!(over.contains("READY=1"), "{over}");
    let new_process = over.lines().find_map(|line| line.strip_prefix("MAINPID="));
    let new_process: libc::pid_t = new_process.unwrap().parse().unwrap();
    assert_ne!(new_process as u32, server.pid());
    assert_eq!(server.exit_status().code(), Some(0));
    hear(&manager, "WATCHDOG=1");

    // SAFETY: kill takes no pointers.
    unsafe { libc::kill(new_process, libc::SIGTERM) };
    assert!(hear(&manager, "STOPPING=1").contains("EXTEND_TIMEOUT_USEC="));
}
