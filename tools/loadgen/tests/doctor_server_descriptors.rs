//! The doctor is right about the descriptors of a server: with a low
//! RLIMIT_NOFILE it names the limit and the number of sessions at which the
//! server then stops accepting.
//!
//! How: a server in a process with few descriptors, and the doctor in another
//! with as many.

mod walls;

use walls::doctor::{ask, examine_if_asked, expect_near};
use walls::load;
use walls::process::{Server, limit_descriptors, serve_if_asked};

const DESCRIPTORS: u64 = 1_000;

/// Not a test: the process of a server, when a test starts this program as one.
#[test]
fn server_process() {
    serve_if_asked();
}

/// Not a test: the process of the doctor, when a test starts this program as one.
#[test]
fn doctor_process() {
    examine_if_asked();
}

#[track_caller]
fn as_predicted(shards: u64, connections: u64) {
    let asked = format!("--role server --shards {shards} --connections {connections}");
    let prediction = ask(&asked, |command| limit_descriptors(command, DESCRIPTORS));
    assert!(!prediction.fits());
    let (limit, predicted) = prediction.wall();
    assert!(limit.starts_with("RLIMIT_NOFILE"), "{prediction:#?}");

    let server = Server::start(&format!("corecast --shards {shards}"), |command| {
        limit_descriptors(command, DESCRIPTORS);
    });
    let (url, count) = (server.url(), connections.to_string());
    let words = ["connect", &url, "-c", &count, "--hold", "300ms"];
    let run = load(&[&words[..], &["--timeout", "2s"]].concat());
    let name = format!("process {})", server.pid());
    run.expect_failure(
        &[&name, "had no descriptor left"],
        &["higher limit (ulimit -n"],
    );
    let opened = run.outcome().connections.opened;
    eprintln!("{shards} shards: {opened} were opened, {predicted} predicted");
    if shards == 1 {
        expect_near(opened, predicted);
    } else {
        // The prediction is when the first shard is full; the others go on.
        let most = shards * DESCRIPTORS;
        assert!((predicted..most).contains(&opened), "{opened}, {predicted}");
    }
}

#[test]
fn one_shard() {
    as_predicted(1, 1_200);
}

#[test]
fn two_shards() {
    as_predicted(2, 2_400);
}

/// What the doctor says fits, fits.
#[test]
fn what_fits_is_opened() {
    let with = |command: &mut std::process::Command| limit_descriptors(command, DESCRIPTORS);
    let prediction = ask("--role server --shards 2 --connections 1500", with);
    assert!(prediction.fits(), "{prediction:#?}");
    let server = Server::start("corecast --shards 2", with);
    load(&["connect", &server.url(), "-c", "1500", "--hold", "300ms"]).expect_success();
}
