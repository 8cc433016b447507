//! Every signal that asks a process to stop drains the server, and leaves a line
//! in the log with its name; the second one closes all sessions at once.
//!
//! How: a session is there when the signal comes, and gets its close frame.

use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::{Server, drivers, wait_until};

const STOPS: [(libc::c_int, &str); 5] = [
    (libc::SIGTERM, "SIGTERM"),
    (libc::SIGINT, "SIGINT"),
    (libc::SIGQUIT, "SIGQUIT"),
    (libc::SIGPWR, "SIGPWR"),
    (libc::SIGXCPU, "SIGXCPU"),
];

#[test]
fn the_first_drains() {
    for (driver, (signal, name)) in drivers().iter().cycle().zip(STOPS) {
        let options = ["--driver", driver, "--shards", "2", "--drain-timeout", "0s"];
        let server = Server::start(&options);
        let mut client = Client::connect(server.address, "/echo");
        server.signal(signal);
        assert_eq!(client.frame().close_code(), 1001);
        client.send_close(1001);
        client.expect_end();
        assert_eq!(server.exit_status().code(), Some(0), "{name}");
        assert!(server.log().contains(&format!("{name}: draining;")));
    }
}

/// A server without sessions ends at once, and says first why.
#[test]
fn a_server_without_sessions_says_why_it_ends() {
    for _ in 0..10 {
        let server = Server::start(&["--shards", "1"]);
        server.signal(libc::SIGTERM);
        assert_eq!(server.exit_status().code(), Some(0));
        assert!(server.log().contains("SIGTERM: draining;"));
    }
}

#[test]
fn the_second_hurries_whichever_it_is() {
    let options = [
        "--shards",
        "1",
        "--drain-timeout",
        "600s",
        "--close-timeout",
        "1s",
    ];
    for (first, second) in [
        (libc::SIGTERM, libc::SIGINT),
        (libc::SIGQUIT, libc::SIGTERM),
        (libc::SIGXCPU, libc::SIGQUIT),
    ] {
        let server = Server::start(&options);
        // They get their close frames one after the other, a few a second.
        let clients = (0..200).map(|_| Client::connect(server.address, "/echo"));
        let _clients: Vec<_> = clients.collect();
        server.signal(first);
        wait_until("it drains", || server.log().contains(": draining;"));
        // The kernel repeats this one; that is not a wish to hurry.
        server.signal(libc::SIGXCPU);
        server.signal(libc::SIGUSR2);
        wait_until("a hand-over is refused", || {
            server
                .log()
                .contains("no hand-over: the server is draining")
        });
        assert!(!server.has_ended());
        let began = Instant::now();
        server.signal(second);
        assert_eq!(server.exit_status().code(), Some(0));
        assert!(began.elapsed() < Duration::from_secs(10));
        assert!(server.log().contains("closing all sessions now"));
    }
}
