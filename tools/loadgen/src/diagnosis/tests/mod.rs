//! Each limit alone, as evidence of a run that is otherwise good: the finding
//! it gives, with its numbers and its remedy.

mod answers;
mod host;
mod plateaus;
mod server;

use corecast_host::{Conntrack, Descriptors, Limits, PortRange, TcpMemory};

use super::{Evidence, Rate, diagnose};
use crate::cause::Cause;
use crate::host::{ServerLook, ThreadUsage, Usage};
use crate::outcome::{Deliveries, Finding, Severity};

/// A run of 1,000 connections on a host of two cores at which nothing went
/// wrong: the server is pinned to core 0, the load generator to core 1.
fn good() -> Evidence {
    let server = ServerLook {
        pid: 123,
        name: "corecast".into(),
        descriptors: Some(1_020),
        fullest_table: Some(1_010),
        tables: 2,
        descriptor_limit: Some(20_000),
        cores: 2,
        ..Default::default()
    };
    let mut evidence = Evidence {
        limits: Limits {
            ports: Some(PortRange {
                first: 32_768,
                last: 60_999,
                reserved: 0,
            }),
            descriptors: Some(Descriptors {
                soft: 20_000,
                hard: 20_000,
            }),
            max_descriptors: Some(1_048_576),
            max_files: Some(2_000_000),
            open_files: Some(500),
            accept_queue: Some(4_096),
            syn_backlog: Some(2_048),
            conntrack: Some(Conntrack {
                count: 10,
                max: 262_144,
            }),
            tcp_memory: Some(TcpMemory {
                pressure_bytes: 6 << 28,
                max_bytes: 2 << 30,
            }),
            memory_bytes: Some(16 << 30),
            available_bytes: Some(12 << 30),
            cgroup_bytes: None,
        },
        asked: 1_000,
        opened: 1_000,
        peak: 1_000,
        sources: 1,
        targets: 1,
        local: true,
        loopback: true,
        threads: 1,
        tables: 1,
        pinned: vec![1],
        rate: Some(Rate {
            noun: "messages".into(),
            asked: 10_000.0,
            achieved: 9_990.0,
        }),
        latency_growth: Some(1.1),
        deliveries: Some(delivered(100_000, 0)),
        ..Default::default()
    };
    evidence.seen.server = Some(server);
    evidence.seen.open_files = 3_000;
    evidence.seen.conntrack = 1_000;
    evidence.seen.socket_bytes = 10 << 20;
    evidence.seen.available_bytes = Some(11 << 30);
    load(&mut evidence, 0.50, 0.40);
    evidence
}

/// So many deliveries that arrived, and so many that did not.
fn delivered(received: u64, lost: u64) -> Deliveries {
    Deliveries {
        publications: received + lost,
        expected: received + lost,
        received,
        lost,
        ..Default::default()
    }
}

/// Sets how busy the server's thread and the load generator's are, each on a
/// core of its own.
fn load(evidence: &mut Evidence, server: f64, client: f64) {
    evidence.busiest_client_thread = client;
    evidence.usage = Usage {
        seconds: 10.0,
        cores: vec![server, client],
        client_cpu: client,
        server_cpu: Some(server),
        server_threads: vec![thread("shard-0", server), thread("corecast", 0.0)],
        ..Default::default()
    };
}

fn thread(name: &str, share: f64) -> ThreadUsage {
    ThreadUsage {
        name: name.into(),
        share,
        ..Default::default()
    }
}

/// A good run but for this.
fn but(change: impl FnOnce(&mut Evidence)) -> Evidence {
    let mut evidence = good();
    change(&mut evidence);
    evidence
}

/// A good run but for connections that failed.
fn failed(cause: Cause, count: u64) -> Evidence {
    but(|e| {
        e.failed.insert(cause, count);
    })
}

/// The only finding there is.
fn only(evidence: &Evidence) -> Finding {
    let findings = diagnose(evidence);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    findings.into_iter().next().unwrap()
}

/// Checks that the only finding says all of `what` and `remedy`, as one
/// sentence.
#[track_caller]
fn expect(evidence: &Evidence, severity: Severity, what: &[&str], remedy: &[&str]) {
    let finding = only(evidence);
    assert_eq!(finding.severity, severity, "{finding:#?}");
    for part in what {
        assert!(finding.what.contains(part), "no '{part}' in {finding:#?}");
    }
    for part in remedy {
        assert!(finding.remedy.contains(part), "no '{part}' in {finding:#?}");
    }
    assert!(finding.what.ends_with('.') && !finding.what.contains(". "));
    assert!(
        finding
            .what
            .starts_with(|first: char| first.is_uppercase() || first.is_numeric())
    );
}

#[test]
fn a_good_run_has_no_finding() {
    assert_eq!(diagnose(&good()), []);
    assert!(!super::client_bound(&good()));
}

#[test]
fn nothing_known_accuses_nobody() {
    assert_eq!(diagnose(&Evidence::default()), []);
    assert!(!super::client_bound(&Evidence::default()));
}

#[test]
fn counts_of_zero_are_no_failures() {
    assert_eq!(diagnose(&failed(Cause::PortsUsedUp, 0)), []);
    assert!(!super::client_bound(&failed(Cause::PortsUsedUp, 0)));
}

#[test]
fn the_worst_comes_first() {
    let evidence = but(|e| {
        e.counters.listen_overflows = 5;
        e.rate.as_mut().unwrap().achieved = 5_000.0;
        e.failed.insert(Cause::Refused, 3);
    });
    let severities: Vec<_> = diagnose(&evidence).iter().map(|f| f.severity).collect();
    let sorted = [Severity::Failure, Severity::Limit, Severity::Note];
    assert_eq!(severities, sorted);
}

/// Every cause, alone, gets exactly one finding of a failure, whether the
/// connection failed or was lost.
#[test]
fn every_cause_is_explained_once() {
    let causes = [
        Cause::PortsUsedUp,
        Cause::Descriptors,
        Cause::Memory,
        Cause::Refused,
        Cause::Unreachable,
        Cause::Forbidden,
        Cause::ConnectTimeout,
        Cause::HandshakeTimeout,
        Cause::Reset,
        Cause::EndOfStream,
        Cause::NotWebSocket,
        Cause::Subprotocol,
        Cause::Protocol,
        Cause::AnswerTimeout,
        Cause::RefusedByApplication,
        Cause::Os(0),
        Cause::Os(libc::EIO),
    ];
    let statuses = (200..=599).map(Cause::Status);
    let codes = (1000..=1015).chain([3000, 4999]).map(Cause::Closed);
    for cause in causes.into_iter().chain(statuses).chain(codes) {
        expect(&failed(cause, 2), Severity::Failure, &["2 conn"], &["."]);
        let lost = but(|e| {
            e.lost.insert(cause, 1);
        });
        expect(
            &lost,
            Severity::Failure,
            &["1 open connection was lost"],
            &["."],
        );
        // Nothing but the counts may be known.
        let mut bare = Evidence::default();
        bare.failed.insert(cause, 1);
        expect(
            &bare,
            Severity::Failure,
            &["1 connection could not"],
            &["."],
        );
    }
}
