//! Rates that do not rise any further, and the bottleneck of each.
//!
//! How: servers and generators that are slow on purpose, each with a core that
//! it has for itself as far as that can be arranged; a measurement is repeated
//! when another program was in the way.

use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::walls::process::{Server, first_core, pin, prefer, two_cores};
use crate::walls::server::{Corecast, behaving, echo};
use crate::walls::{Run, at_last, load, load_with, skip};

/// Measurements must not measure each other.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A server whose one thread takes a fifth of a millisecond for each message,
/// and which goes before the generator if both want the same core.
fn slow_server() -> Server {
    Server::start("echo 200", prefer)
}

/// That the figures are those of the server.
fn is_the_servers(run: &Run) -> Result<(), String> {
    match run.outcome().resources.client_bound {
        false if !run.stdout.contains("CLIENT-BOUND") => Ok(()),
        _ => Err(format!("it is marked client-bound: {}", run.story())),
    }
}

#[test]
fn a_server_with_a_full_thread_is_the_limit() {
    let _alone = alone();
    let server = slow_server();
    let words = [
        "echo",
        &server.url(),
        "-c",
        "1",
        "--pipeline",
        "16",
        "--duration",
        "2s",
    ];
    at_last(
        "a_server_with_a_full_thread_is_the_limit",
        || load(&[&words[..], &["--warm-up", "300ms"]].concat()),
        |run| {
            assert_eq!(run.status, 0, "{}", run.story());
            is_the_servers(run)?;
            let what = [
                "The server was full (its busiest thread",
                "are the server's limit",
            ];
            run.limit_says(&what, &["more cores or shards"])
        },
    );
}

/// A generator on one core sends to a server on another that only reads.
#[test]
fn a_generator_with_a_full_core_is_the_limit() {
    let _alone = alone();
    let Some([servers, ours]) = two_cores() else {
        return skip("a full generator", "the server needs a core of its own");
    };
    let server = Server::start("sink", |command| {
        pin(command, servers);
        prefer(command);
    });
    let core = ours.to_string();
    let words = [
        "endurance",
        &server.url(),
        "-c",
        "4",
        "--duration",
        "2s",
        "--threads",
        "1",
    ];
    let words = [
        &words[..],
        &["--cpus", &core, "--protocol", "raw", "--close", "reset"],
    ]
    .concat();
    at_last(
        "a_generator_with_a_full_core_is_the_limit",
        || load_with(&words, prefer),
        |run| {
            assert_eq!(run.status, 0, "{}", run.story());
            if !run.outcome().resources.client_bound || !run.stdout.contains("CLIENT-BOUND") {
                return Err(format!("it is not marked client-bound: {}", run.story()));
            }
            let what = [
                "The load generator was full",
                "client-bound",
                "a lower bound",
            ];
            run.limit_says(&what, &["the load generator more cores"])
                .or_else(|_| run.limit_says(&what, &["Use --threads 2, because 1 core"]))
        },
    );
}

/// Both on one core: neither's figures are its own.
#[test]
fn two_on_one_core_are_told() {
    let _alone = alone();
    let core = first_core();
    let on_it = |command: &mut Command| {
        pin(command, core);
        prefer(command);
    };
    let server = Server::start("echo 20", on_it);
    let words = [
        "echo",
        &server.url(),
        "-c",
        "1",
        "--pipeline",
        "16",
        "--duration",
        "2s",
    ];
    at_last(
        "two_on_one_core_are_told",
        || load_with(&words, on_it),
        |run| {
            assert_eq!(run.status, 0, "{}", run.story());
            run.limit_says(&["share 1 full core"], &["cores of its own"])
        },
    );
}

/// Five thousand messages a second can be echoed, and ten thousand are asked for.
#[test]
fn a_rate_that_the_server_does_not_reach() {
    let _alone = alone();
    let server = slow_server();
    let words = [
        "echo",
        &server.url(),
        "-c",
        "1",
        "--rate",
        "10000",
        "--duration",
        "1500ms",
    ];
    let words = [&words[..], &["--warm-up", "300ms", "--timeout", "20s"]].concat();
    at_last(
        "a_rate_that_the_server_does_not_reach",
        || load(&words),
        |run| {
            assert_eq!(run.status, 0, "{}", run.story());
            is_the_servers(run)?;
            let what = [
                "Only ",
                " of 10,000 messages per second were reached",
                "the server was full",
            ];
            run.limit_says(&what, &["more cores or shards"])?;
            let what = ["The median latency grew", "this rate cannot be kept up"];
            run.limit_says(&what, &["Lower the rate"])
        },
    );
}

/// The same, with a server that waits for something and has a core to spare.
#[test]
fn a_rate_that_a_waiting_server_does_not_reach() {
    let _alone = alone();
    let url = behaving(|_, stream| {
        drop(echo(stream, || {
            std::thread::sleep(Duration::from_millis(1))
        }));
    });
    let words = [
        "echo",
        &url,
        "-c",
        "2",
        "--rate",
        "4000",
        "--duration",
        "1500ms",
    ];
    let words = [&words[..], &["--warm-up", "300ms", "--timeout", "20s"]].concat();
    at_last(
        "a_rate_that_a_waiting_server_does_not_reach",
        || load(&words),
        |run| {
            assert_eq!(run.status, 0, "{}", run.story());
            let what = [
                "of 4,000 messages per second were reached",
                "neither the load generator",
            ];
            run.limit_says(&what, &["more connections"])
        },
    );
}

/// Each thread does its share of a rate, so that none may be without a connection.
#[test]
fn one_connection_reaches_the_rate() {
    let _alone = alone();
    let server = Corecast::start(|config| config);
    let url = server.url("/echo");
    let words = [
        "echo",
        &url,
        "-c",
        "1",
        "--rate",
        "100",
        "--duration",
        "1s",
        "--threads",
        "4",
    ];
    at_last(
        "one_connection_reaches_the_rate",
        || load(&words),
        Run::is_good,
    );
    // A number of messages comes to its end.
    load(&[
        "message",
        &url,
        "-c",
        "1",
        "--messages",
        "100",
        "--threads",
        "4",
    ]);
}

#[test]
fn a_healthy_run_has_nothing_to_say() {
    let _alone = alone();
    let server = Corecast::start(|config| config.shards(2));
    let url = server.url("/echo");
    let words = [
        "echo",
        &url,
        "-c",
        "50",
        "--rate",
        "200",
        "--duration",
        "2s",
    ];
    at_last(
        "a_healthy_run_has_nothing_to_say",
        || load(&words),
        Run::is_good,
    );
}
