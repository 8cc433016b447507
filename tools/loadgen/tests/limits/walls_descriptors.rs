//! Descriptors that run out, here and at the server.
//!
//! How: processes that get a low limit, soft and hard.

use crate::walls::process::{Server, limit_descriptors};
use crate::walls::server::Corecast;
use crate::walls::{Run, load, load_with};
use corecast_load::cause::Cause;

/// Opens 200 connections with tables of so many descriptors.
fn connect_with(descriptors: u64, options: &[&str]) -> Run {
    let server = Corecast::start(|config| config);
    let url = server.url("/echo");
    let words = [&["connect", &url, "-c", "200", "--hold", "300ms"], options].concat();
    load_with(&words, |command| limit_descriptors(command, descriptors))
}

#[test]
fn one_table_of_the_generator_is_full() {
    let run = connect_with(80, &["--threads", "1"]);
    let connections = &run.outcome().connections;
    let failed = 200 - connections.opened;
    assert!((120..=150).contains(&failed), "{}", run.story());
    assert_eq!(connections.failed, [(Cause::Descriptors, failed)].into());
    run.expect_failure(
        &[
            &format!("{failed} connections could not be opened"),
            "the load generator had no descriptor left",
            "1 table, each for 80, which makes 80",
        ],
        &["the hard limit is 80", "ulimit -n 264"],
    );
    assert!(run.outcome().resources.client_bound);
}

#[test]
fn more_threads_have_more_tables() {
    for descriptors in [100, 128] {
        let run = connect_with(descriptors, &[]);
        run.expect_success();
        assert_eq!(run.outcome().connections.opened, 200);
        assert!(run.outcome().machines[0].threads > 2);
    }
}

/// So few that no number of threads helps: there is a run all the same, and it
/// says what stopped it.
#[test]
fn no_number_of_threads_helps() {
    let run = connect_with(48, &[]);
    run.expect_failure(
        &["the load generator had no descriptor left", "each for 48"],
        &["the hard limit is 48", "ulimit -n"],
    );
}

#[test]
fn a_corecast_without_descriptors_stops_accepting() {
    let server = Server::start("corecast --shards 1", |command| {
        limit_descriptors(command, 64)
    });
    refuses_for_want_of_descriptors(&server, "of its 2 tables");
}

#[test]
fn a_foreign_server_without_descriptors() {
    let server = Server::start("echo 0", |command| limit_descriptors(command, 64));
    refuses_for_want_of_descriptors(&server, "64 of 64 were in use");
}

#[track_caller]
fn refuses_for_want_of_descriptors(server: &Server, more: &str) {
    let words = [
        "connect",
        &server.url(),
        "-c",
        "150",
        "--hold",
        "300ms",
        "--timeout",
        "1s",
    ];
    let run = load(&words);
    let connections = &run.outcome().connections;
    assert!((30..64).contains(&connections.opened), "{}", run.story());
    let name = format!("process {})", server.pid());
    run.expect_failure(
        &[&name, "had no descriptor left", "64 of 64", more],
        &["higher limit (ulimit -n"],
    );
    assert!(!run.outcome().resources.client_bound);
}
