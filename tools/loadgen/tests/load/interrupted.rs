//! Ctrl-C ends a run in good order and with its report; a second one at once.
//!
//! How: the signal is sent when the run has said that it has come to a phase.
//! Runs are planned for minutes, so that one that does not end fails the test.

use std::time::{Duration, Instant};

use crate::support::liar::{Liar, Lie};
use crate::support::run::{Going, expect_deliveries};
use crate::support::{Corecast, wait_until};

/// The signal, and the time the run took to end after it.
fn interrupt(run: Going) -> (crate::support::run::Run, Duration) {
    let begun = Instant::now();
    run.signal(libc::SIGINT);
    (run.end(), begun.elapsed())
}

#[test]
fn while_connections_are_opened() {
    let server = Corecast::start();
    let url = server.url("/echo");
    let run = Going::start(&format!("connect {url} -c 10000 --arrival-rate 20"));
    wait_until("some are open", || server.opened() > 5);
    let (run, took) = interrupt(run);
    assert_eq!(run.code, 0, "{run}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(run.stdout.contains("interrupted"), "{run}");
    let outcome = run.outcome.expect("it writes what it has");
    assert!(outcome.interrupted);
    let connections = outcome.connections;
    assert!((1..1_000).contains(&connections.opened), "{connections:?}");
    assert_eq!(connections.closed, connections.opened);
    server.expect_empty();
}

#[test]
fn while_messages_flow() {
    let server = Corecast::start();
    for (scenario, path) in [
        ("echo --rate 200 -d 10m", "/echo"),
        ("echo -d 10m", "/echo"),
        ("broadcast -s 10 -d 10m", "/broadcast"),
        ("message -c 10 -m 1000000 --rate 100", "/ws"),
        ("churn -c 5 -d 10m", "/echo"),
    ] {
        let url = server.url(path);
        let mut run = Going::start(&format!("{scenario} {url}"));
        run.expect_said("\nmeasuring");
        let before = server.messages();
        wait_until("messages flow", || server.messages() > before + 20);
        let (run, took) = interrupt(run);
        assert_eq!(run.code, 0, "{run}");
        assert!(took < Duration::from_secs(10), "{took:?}");
        assert!(run.stdout.contains("interrupted"), "{run}");
        let outcome = run.outcome.expect("it writes what it has");
        assert!(outcome.interrupted && outcome.messages.sent > 0);
        assert_eq!(outcome.connections.closed, outcome.connections.opened);
        if outcome.deliveries.is_some() {
            let receivers = if path == "/broadcast" { 10 } else { 1 };
            expect_deliveries(&outcome, receivers);
        }
        server.expect_empty();
    }
}

#[test]
fn the_second_signal_ends_it_at_once() {
    // It waits for answers that never come, for as long as they may take.
    let url = Liar::start(Lie::Silence).echo();
    let mut run = Going::start(&format!("echo {url} -c 2 -d 10m --timeout 10m"));
    run.expect_said("\nmeasuring");
    run.signal(libc::SIGINT);
    run.expect_said("waiting for what is on its way");
    let (run, took) = interrupt(run);
    assert_eq!(run.code, 130, "{run}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(run.outcome.is_none());
}
