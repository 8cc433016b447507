//! The doctor is right about the descriptors of the load generator: it names
//! the limit and the number of connections at which the generator then stops,
//! however many threads it starts.
//!
//! How: both in processes with few descriptors.

use crate::walls::doctor::{ask, expect_near};
use crate::walls::process::limit_descriptors;
use crate::walls::server::Corecast;
use crate::walls::{Run, load_with};
use corecast_load::cause::Cause;

/// So few that the generator needs many threads, and no number of them helps.
const DESCRIPTORS: u64 = 100;

fn connect(count: u64) -> Run {
    let server = Corecast::start(|config| config);
    let (url, count) = (server.url("/echo"), count.to_string());
    let words = ["connect", &url, "-c", &count, "--hold", "300ms"];
    load_with(&words, |command| limit_descriptors(command, DESCRIPTORS))
}

#[test]
fn the_generator_stops_where_the_doctor_says() {
    let prediction = ask("--role client --connections 2000", |command| {
        limit_descriptors(command, DESCRIPTORS);
    });
    assert!(!prediction.fits());
    let (limit, predicted) = prediction.wall();
    assert!(limit.starts_with("RLIMIT_NOFILE"), "{prediction:#?}");

    let run = connect(2_000);
    let connections = &run.outcome().connections;
    let failed = 2_000 - connections.opened;
    assert_eq!(connections.failed, [(Cause::Descriptors, failed)].into());
    run.expect_failure(
        &["the load generator had no descriptor left"],
        &["the hard limit is 100", "ulimit -n"],
    );
    expect_near(connections.opened, predicted);
}

/// A number of connections that fits, says the doctor, does fit.
#[test]
fn what_fits_is_opened() {
    let prediction = ask("--role client --connections 300", |command| {
        limit_descriptors(command, DESCRIPTORS);
    });
    assert!(prediction.fits(), "{prediction:#?}");
    connect(300).expect_success();
}
