//! Answers, or their absence, that nothing on this host explains.

use super::*;
use crate::outcome::Severity::Failure;

#[test]
fn each_answer_has_its_meaning_and_remedy() {
    for (cause, what, remedy) in [
        (Cause::Unreachable, "cannot be reached", "ip route get"),
        (
            Cause::Forbidden,
            "firewall or policy of this host",
            "nft list ruleset",
        ),
        (
            Cause::ConnectTimeout,
            "first packet in time",
            "firewall on the way",
        ),
        (
            Cause::HandshakeTimeout,
            "opening handshake in time.",
            "more slowly",
        ),
        (
            Cause::AnswerTimeout,
            "an answer did not come in time",
            "Send less",
        ),
        (Cause::Reset, "closed without reading", "server's log"),
        (Cause::EndOfStream, "without a close frame", "server's log"),
        (
            Cause::NotWebSocket,
            "does not speak WebSocket",
            "port and path",
        ),
        (Cause::Protocol, "broke RFC 6455", "tcpdump"),
        (Cause::RefusedByApplication, "application refused", "topic"),
        (
            Cause::Os(libc::EIO),
            "error of the operating system",
            "errno",
        ),
        (Cause::Status(200), "HTTP 200: there is a page", "path"),
        (Cause::Status(301), "HTTP 301", "Location"),
        (
            Cause::Status(401),
            "HTTP 401: the server wants a login",
            "header",
        ),
        (Cause::Status(403), "Origin", "--header 'Origin: "),
        (
            Cause::Status(404),
            "HTTP 404: there is no such path",
            "path",
        ),
        (Cause::Status(426), "another version", "version 13"),
        (Cause::Status(429), "from one address", "--sources"),
        (Cause::Status(502), "a proxy did not reach", "without it"),
        (
            Cause::Status(503),
            "own limit was reached with 1,000 opened",
            "--max-sessions",
        ),
        (Cause::Closed(1008), "policy", "silence"),
        (
            Cause::Closed(1009),
            "larger than it takes",
            "--max-message-bytes",
        ),
        (Cause::Closed(1011), "internal error", "log"),
        (Cause::Closed(1012), "restarts", "restarted"),
        (
            Cause::Closed(1013),
            "close code 1013: a slow consumer",
            "--max-pending-bytes",
        ),
        (Cause::Closed(4001), "the application says so", "code"),
    ] {
        let what = ["3,000 connections could not be opened because", what];
        expect(&failed(cause, 3_000), Failure, &what, &[remedy]);
    }
}

#[test]
fn nobody_listens_from_the_start_or_any_more() {
    let from_the_start = but(|e| {
        e.opened = 0;
        e.failed.insert(Cause::Refused, 1_000);
    });
    expect(
        &from_the_start,
        Failure,
        &["nobody listens there"],
        &["ss -ltn"],
    );
    let what = [
        "nobody listened there any more",
        "although 1,000 were opened",
    ];
    expect(&failed(Cause::Refused, 5), Failure, &what, &["restarted"]);
}

#[test]
fn packets_sent_again_are_told() {
    let evidence = but(|e| {
        e.counters.syn_retransmits = 60;
        e.failed.insert(Cause::ConnectTimeout, 10);
    });
    expect(
        &evidence,
        Failure,
        &["60 first packets had to be sent again"],
        &[],
    );
}

#[test]
fn a_late_answer_says_who_was_full_meanwhile() {
    let late = |server: f64, client: f64| {
        but(|e| {
            load(e, server, client);
            e.lost.insert(Cause::AnswerTimeout, 4);
        })
    };
    for (evidence, who) in [
        (late(0.99, 0.3), "while the server was full"),
        (late(0.3, 0.99), "while the load generator was full"),
    ] {
        let findings = diagnose(&evidence);
        assert!(findings[0].what.contains(who), "{findings:#?}");
    }
    assert!(!diagnose(&late(0.3, 0.3))[0].what.contains("while"));
}

#[test]
fn deliveries_that_never_came() {
    let lost = |received, lost| but(|e| e.deliveries = Some(delivered(received, lost)));
    expect(
        &lost(90_000, 10_000),
        Severity::Failure,
        &["10,000 of 100,000 deliveries had not arrived when the run ended."],
        &["--timeout", "--slow-consumer"],
    );
    let path = ["Check the URL's path", "--protocol"];
    expect(
        &lost(0, 2_000),
        Severity::Failure,
        &["None of 2,000 deliveries"],
        &path,
    );
    let mut slow = lost(90_000, 10_000);
    load(&mut slow, 0.99, 0.4);
    let findings = diagnose(&slow);
    assert!(
        findings[0].what.contains("while the server was full"),
        "{findings:#?}"
    );
}

/// They went with their connections, which have an explanation.
#[test]
fn deliveries_on_lost_connections_are_explained_with_them() {
    let evidence = but(|e| {
        e.deliveries = Some(delivered(90_000, 10_000));
        e.lost.insert(Cause::Reset, 3);
    });
    expect(
        &evidence,
        Severity::Failure,
        &["3 open connections were lost"],
        &[],
    );
}
