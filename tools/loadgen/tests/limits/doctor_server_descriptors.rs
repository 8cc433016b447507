//! The doctor is right about the descriptors of a server: with a low
//! RLIMIT_NOFILE it names the limit and the number of sessions at which the
//! server then stops accepting.
//!
//! How: a server in a process with few descriptors, and the doctor in another
//! with as many.

use std::process::Command;

use crate::walls::doctor::{ask, expect_near};
use crate::walls::process::{Server, limit_descriptors};
use crate::walls::{Run, load};

/// A server with so many shards and descriptors in each table, and at how many
/// connections the doctor sees its wall.
#[track_caller]
fn server(shards: u64, descriptors: u64) -> (Server, u64) {
    let limit = |command: &mut Command| limit_descriptors(command, descriptors);
    let asked = format!("--role server --shards {shards} --connections 1M");
    let prediction = ask(&asked, limit);
    assert!(!prediction.fits());
    let (name, wall) = prediction.wall();
    assert!(name.starts_with("RLIMIT_NOFILE"), "{prediction:#?}");
    let asked = format!("--role server --shards {shards} --connections {wall}");
    assert!(ask(&asked, limit).fits(), "{wall} should fit");
    (
        Server::start(&format!("corecast --shards {shards}"), limit),
        wall,
    )
}

fn connect(server: &Server, count: u64) -> Run {
    let (url, count) = (server.url(), count.to_string());
    let words = ["connect", &url, "-c", &count, "--hold", "300ms"];
    load(&[&words[..], &["--timeout", "3s", "--close", "reset"]].concat())
}

#[track_caller]
fn runs_out_of_descriptors(server: &Server, run: &Run) {
    let name = format!("process {})", server.pid());
    run.expect_failure(
        &[&name, "had no descriptor left"],
        &["higher limit (ulimit -n"],
    );
}

#[test]
fn one_shard_holds_what_was_predicted() {
    let (server, wall) = server(1, 1_000);
    let run = connect(&server, 1_200);
    runs_out_of_descriptors(&server, &run);
    expect_near(run.outcome().connections.opened, wall);
}

/// The kernel deals connections out by a hash, so that two shards are not full
/// at the same moment: the doctor names the number that both hold in any case.
/// That number is opened, and a few per cent more are not.
#[test]
fn two_shards_hold_what_was_predicted_and_little_more() {
    let (server, wall) = server(2, 4_000);
    connect(&server, wall).expect_success();
    let run = connect(&server, wall * 108 / 100);
    runs_out_of_descriptors(&server, &run);
}
