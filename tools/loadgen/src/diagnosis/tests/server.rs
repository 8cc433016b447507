//! Limits of the server that this host shows.

use super::*;
use crate::outcome::Severity::{Failure, Note};

/// A server with no descriptor left, whose other table is half empty.
fn without_descriptors(e: &mut Evidence) {
    let server = e.seen.server.as_mut().unwrap();
    server.fullest_table = Some(19_990);
    server.descriptors = Some(30_000);
    server.tables = 3;
}

#[test]
fn a_full_table_explains_what_was_not_accepted() {
    let evidence = but(|e| {
        without_descriptors(e);
        e.failed = [(Cause::HandshakeTimeout, 400), (Cause::ConnectTimeout, 50)].into();
        // The queue overflows because nothing is taken from it.
        e.counters.listen_overflows = 900;
    });
    expect(
        &evidence,
        Failure,
        &[
            "450 connections could not be opened because the server (corecast, process 123)",
            "19,990 of 20,000 were in use in the fullest of its 3 tables",
        ],
        &["LimitNOFILE=", "more --shards"],
    );
}

#[test]
fn a_full_table_that_harmed_nobody_is_a_note() {
    expect(
        &but(without_descriptors),
        Note,
        &["No connection was lost to it"],
        &[],
    );
}

#[test]
fn a_server_with_one_table_has_no_shards_to_add() {
    let evidence = but(|e| {
        without_descriptors(e);
        e.seen.server.as_mut().unwrap().tables = 1;
        e.lost.insert(Cause::EndOfStream, 1);
    });
    assert!(!only(&evidence).remedy.contains("shards"));
}

#[test]
fn a_server_that_ended_explains_its_lost_connections() {
    let evidence = but(|e| {
        e.seen.server_gone = true;
        e.failed.insert(Cause::Refused, 20);
        e.lost = [(Cause::Reset, 800), (Cause::EndOfStream, 200)].into();
    });
    expect(
        &evidence,
        Failure,
        &[
            "20 connections could not be opened and 1,000 open ones were lost",
            "the server (corecast, process 123) ended during the run",
        ],
        &["dmesg"],
    );
}

/// Its processor time ended with it, so that nothing follows from its figures.
#[test]
fn a_server_that_ended_bounds_no_rate() {
    let evidence = but(|e| {
        e.seen.server_gone = true;
        (e.usage.server_cpu, e.usage.server_threads) = (None, Vec::new());
        (e.at_maximum, e.rate) = (true, None);
    });
    expect(&evidence, Note, &["ended during the run"], &["dmesg"]);
}

/// A process may have inherited descriptors above a limit that was lowered since.
#[test]
fn no_more_descriptors_are_in_use_than_there_are() {
    let evidence = but(|e| {
        without_descriptors(e);
        e.seen.server.as_mut().unwrap().fullest_table = Some(20_003);
    });
    assert!(
        only(&evidence)
            .what
            .contains("20,000 of 20,000 were in use")
    );
}

#[test]
fn a_full_accept_queue_drops_connections() {
    let evidence = but(|e| {
        e.counters.listen_overflows = 1_234;
        e.counters.listen_drops = 1_300;
        e.failed.insert(Cause::ConnectTimeout, 12);
    });
    expect(
        &evidence,
        Failure,
        &[
            "12 connections could not be opened",
            "full accept queue (net.core.somaxconn is 4,096) dropped 1,300 attempts",
        ],
        &["sysctl -w net.core.somaxconn=65535", "--backlog"],
    );
}

#[test]
fn an_overflow_that_lost_nobody_shows_in_the_latency() {
    let evidence = but(|e| {
        e.counters.listen_overflows = 1;
        e.limits.accept_queue = Some(65_535);
    });
    let what = ["dropped 1 attempt;", "1 s, 3 s or 7 s", "latency"];
    expect(&evidence, Note, &what, &["a longer --backlog"]);
}

#[test]
fn lost_connections_are_not_the_accept_queues() {
    let evidence = but(|e| {
        e.counters.listen_overflows = 1;
        e.lost.insert(Cause::Reset, 3);
    });
    let findings = diagnose(&evidence);
    assert_eq!(findings.len(), 2, "{findings:#?}");
    assert!(findings[0].what.starts_with("3 open connections were lost"));
    assert_eq!(findings[1].severity, Note);
}

#[test]
fn a_remote_servers_queue_is_not_seen_here() {
    let evidence = but(|e| {
        e.local = false;
        e.counters.listen_overflows = 99;
        e.counters.request_drops = 99;
    });
    assert_eq!(diagnose(&evidence), []);
}

#[test]
fn half_open_connections_have_a_queue() {
    let cookies = but(|e| e.counters.request_cookies = 500);
    let what = [
        "tcp_max_syn_backlog is 2,048",
        "500 attempts were answered with a SYN cookie",
    ];
    expect(
        &cookies,
        Note,
        &what,
        &["net.ipv4.tcp_max_syn_backlog=65535"],
    );
    let dropped = but(|e| {
        e.counters.request_drops = 70;
        e.failed.insert(Cause::ConnectTimeout, 7);
    });
    expect(
        &dropped,
        Failure,
        &["7 connections", "70 attempts were dropped"],
        &[],
    );
}
