//! The program itself: it ends on a signal, sessions or not, and says clearly
//! when it cannot listen.

mod support;

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use support::{Client, Server, baseline};

#[tokio::test]
async fn a_signal_ends_it_promptly() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut server = Server::start();
        let mut sessions = Vec::new();
        for path in ["/echo", "/broadcast", "/ws", "/ws"] {
            sessions.push(Client::connect(server.address, path).await);
        }
        let asked = Instant::now();
        server.signal(signal);
        assert_eq!(server.exit_status().code(), Some(0), "{signal}");
        assert!(
            asked.elapsed() < Duration::from_secs(5),
            "{:?}",
            asked.elapsed()
        );
    }
}

#[test]
fn a_taken_port_is_a_clear_error() {
    let server = Server::start();
    let address = server.address.to_string();
    let output = baseline(&["--listen", &address])
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("error: cannot listen on "), "{said}");
    assert!(
        said.contains(&address) && said.contains("--listen"),
        "{said}"
    );
}

#[test]
fn no_threads_are_refused() {
    let output = baseline(&["--threads", "0"])
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(2));
}
