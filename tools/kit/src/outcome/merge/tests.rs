//! Runs are joined without losing, doubling or averaging anything.

use super::*;
use crate::cause::Cause;
use crate::outcome::Sample;
use crate::sample::{empty_outcome, sample_outcome};

/// A run on a host of that name.
fn run(hostname: &str) -> Outcome {
    let mut outcome = sample_outcome();
    outcome.machines[0].hostname = hostname.into();
    outcome
}

/// A run with a connected client and ten messages a second.
fn short(hostname: &str, started_unix_ms: u64, seconds: usize) -> Outcome {
    let mut outcome = empty_outcome();
    outcome.started_unix_ms = started_unix_ms;
    outcome.seconds = seconds as f64;
    outcome.machines = run(hostname).machines;
    outcome.connections.peak = 1;
    outcome.series = (1..=seconds)
        .map(|second| Sample {
            at: second as f64,
            seconds: 1.0,
            connected: 1,
            sent: 10,
            client_cpu: 0.5,
            cores: vec![0.5, 0.25],
            server_sessions: Some(7),
            ..Sample::default()
        })
        .collect();
    outcome
}

fn sent(outcome: &Outcome) -> u64 {
    outcome.series.iter().map(|sample| sample.sent).sum()
}

#[test]
fn histograms_are_added_and_not_averaged() {
    let (mut fast, mut slow) = (empty_outcome(), empty_outcome());
    let mut both = Latency::default();
    for (outcome, micros, count) in [(&mut fast, 100, 990), (&mut slow, 50_000, 10)] {
        let mut latency = Latency::default();
        (0..count).for_each(|_| latency.record_nanos(micros * 1_000));
        both.add(&latency);
        outcome.latencies.insert("echo".into(), latency);
    }
    let joined = merge(vec![fast, slow]).unwrap();
    let echo = joined.latencies["echo"].percentiles();
    assert!(joined.latencies["echo"] == both);
    assert_eq!((echo.count, echo.p50, echo.p99), (1_000, 100, 100));
    assert!(echo.p99_9 > 49_000);
}

#[test]
fn counts_are_summed_and_the_machines_listed() {
    let one = run("anvil");
    let joined = merge(vec![run("anvil"), run("bellows")]).unwrap();
    assert_eq!(joined.connections.asked, 2 * one.connections.asked);
    assert_eq!(joined.connections.failed[&Cause::Status(503)], 74);
    assert_eq!(joined.connections.lost[&Cause::Reset], 4);
    assert_eq!(joined.connections.peak, 2 * one.connections.peak);
    assert_eq!(joined.messages.sent, 2 * one.messages.sent);
    assert_eq!(joined.messages.seconds, one.messages.seconds);
    assert_eq!(joined.deliveries.as_ref().unwrap().lost, 24);
    let names: Vec<_> = joined.machines.iter().map(|m| &m.hostname).collect();
    assert_eq!(names, ["anvil", "bellows"]);
    assert_eq!(joined.targets, one.targets);
    assert_eq!(joined.command, one.command);
    assert_eq!(sent(&joined), 2 * sent(&one));
    assert_eq!(joined.series.len(), one.series.len());
}

#[test]
fn a_rate_is_what_all_reached_together() {
    let one = run("anvil");
    let joined = merge(vec![run("anvil"), run("bellows")]).unwrap();
    let ratio = joined.messages.sent_rate() / one.messages.sent_rate();
    assert!((ratio - 2.0).abs() < 1e-9, "{ratio}");
    assert!((joined.connections.rate() / one.connections.rate() - 2.0).abs() < 1e-9);
}

#[test]
fn what_two_runs_have_both_seen_is_counted_once() {
    let one = run("anvil");
    // Two machines, one server.
    let joined = merge(vec![run("anvil"), run("bellows")]).unwrap();
    assert_eq!(joined.resources.server, one.resources.server);
    let middle = &joined.series[60];
    assert_eq!(middle.server_sessions, one.series[60].server_sessions);
    assert_eq!(middle.cores.len(), 8);
    assert_eq!(
        middle.kernel_memory_bytes,
        one.series[60].kernel_memory_bytes.map(|bytes| 2 * bytes)
    );
    // Two processes on one machine.
    let joined = merge(vec![run("anvil"), run("anvil")]).unwrap();
    assert_eq!(joined.series[60].cores.len(), 4);
    assert_eq!(
        joined.resources.kernel_memory_bytes,
        one.resources.kernel_memory_bytes
    );
    // Two containers on one machine have names of their own.
    let container = |hostname| {
        let mut run = run(hostname);
        run.machines[0].boot = "2f1d".into();
        run
    };
    let joined = merge(vec![container("load-1"), container("load-2")]).unwrap();
    assert_eq!(joined.series[60].cores.len(), 4);
    assert_eq!(
        joined.resources.kernel_memory_bytes,
        one.resources.kernel_memory_bytes
    );
    assert_eq!(
        joined.series[60].kernel_memory_bytes,
        one.series[60].kernel_memory_bytes
    );
    // Two servers.
    let mut other = run("bellows");
    other.targets = vec!["ws://elsewhere/".into()];
    let joined = merge(vec![run("anvil"), other]).unwrap();
    let cpu = |outcome: &Outcome| outcome.resources.server.as_ref().unwrap().cpu_seconds;
    assert_eq!(cpu(&joined), 2.0 * cpu(&one));
}

#[test]
fn a_server_that_counts_for_all_is_asked_once() {
    let confirmed = |counts: [u64; 2]| {
        let runs = counts.map(|count| {
            let mut run = empty_outcome();
            (run.messages.sent, run.messages.confirmed) = (100, Some(count));
            run
        });
        merge(runs.to_vec()).unwrap().messages.confirmed
    };
    assert_eq!(confirmed([100, 98]), Some(198));
    assert_eq!(confirmed([200, 199]), Some(200));
}

#[test]
fn series_are_aligned_by_the_wall_clock() {
    let joined = merge(vec![short("a", 10_000, 4), short("b", 12_000, 4)]).unwrap();
    assert_eq!((joined.started_unix_ms, joined.seconds), (10_000, 6.0));
    let figures = |of: fn(&Sample) -> u64| joined.series.iter().map(of).collect::<Vec<_>>();
    assert_eq!(figures(|sample| sample.sent), [10, 10, 20, 20, 10, 10]);
    assert_eq!(figures(|sample| sample.connected), [1, 1, 2, 2, 1, 1]);
    assert_eq!(figures(|sample| sample.at as u64), [1, 2, 3, 4, 5, 6]);
    assert_eq!(joined.series[0].cores, [0.5, 0.25, 0.0, 0.0]);
    assert_eq!(joined.series[2].client_cpu, 1.0);
    assert_eq!(joined.series[2].server_sessions, Some(7));
    assert_eq!(joined.connections.peak, 2);
}

#[test]
fn intervals_that_do_not_meet_lose_nothing() {
    let joined = merge(vec![short("a", 10_000, 4), short("b", 10_300, 4)]).unwrap();
    assert_eq!(sent(&joined), 80);
    let per_interval: Vec<_> = joined.series.iter().map(|sample| sample.sent).collect();
    assert_eq!(per_interval, [17, 20, 20, 20, 3]);
    let last = joined.series.last().unwrap();
    assert!((last.seconds - 0.3).abs() < 1e-9 && (last.at - 4.3).abs() < 1e-9);
    let seconds: f64 = joined.series.iter().map(|sample| sample.seconds).sum();
    assert!((seconds - 4.3).abs() < 1e-9);
}

#[test]
fn runs_that_did_not_overlap_have_the_larger_peak_and_a_note() {
    let joined = merge(vec![short("a", 0, 4), short("b", 60_000, 4)]).unwrap();
    assert_eq!(joined.connections.peak, 1);
    let note = joined.findings.last().unwrap();
    assert_eq!(note.severity, Severity::Note);
    assert!(note.what.contains("60.0 s apart"), "{}", note.what);
    // Without series the maximum is not known: an upper bound.
    let bare = |mut run: Outcome| {
        run.series.clear();
        run
    };
    let joined = merge(vec![bare(short("a", 0, 4)), bare(short("b", 60_000, 4))]).unwrap();
    assert_eq!(joined.connections.peak, 2);
}

#[test]
fn of_each_percentile_of_an_interval_the_largest_is_taken() {
    let mut slow = run("bellows");
    let second = 60;
    let p = slow.series[second].latencies.get_mut("echo").unwrap();
    (p.p99, p.min) = (9_999_999, 1);
    let fast = run("anvil");
    let before = fast.series[second].latencies["echo"];
    let joined = merge(vec![fast, slow]).unwrap();
    let after = joined.series[second].latencies["echo"];
    assert_eq!((after.p99, after.min), (9_999_999, 1));
    assert_eq!((after.p50, after.count), (before.p50, 2 * before.count));
    assert!((after.mean - before.mean).abs() < 1e-6);
}

#[test]
fn findings_failures_and_settings_carry_names_where_they_differ() {
    let mut other = run("bellows");
    other.findings[0].what = "something else".into();
    other.failures = vec!["memory climbed".into()];
    other.settings[0].value = "10,000".into();
    let joined = merge(vec![run("anvil"), other]).unwrap();
    let what: Vec<_> = joined.findings.iter().map(|f| f.what.as_str()).collect();
    assert_eq!(what.len(), 3, "{what:?}");
    assert!(what[0].starts_with("anvil: 3 connections"));
    assert_eq!(what[1], "bellows: something else");
    assert!(what[2].starts_with("anvil, bellows: the generator"));
    assert_eq!(joined.failures, ["bellows: memory climbed"]);
    let values = |name: &str| {
        let settings = joined.settings.iter().filter(|s| s.name == name);
        settings.map(|s| s.value.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(values("connections"), ["anvil: 20,000", "bellows: 10,000"]);
    assert_eq!(values("message"), ["64 bytes, binary"]);
}

#[test]
fn another_scenario_or_format_is_refused_by_position() {
    let mut other = empty_outcome();
    other.scenario = "broadcast".into();
    let error = merge(vec![empty_outcome(), empty_outcome(), other]).unwrap_err();
    assert!(error.0.contains("run 3") && error.0.contains("'broadcast'"));
    let mut other = empty_outcome();
    other.format = 9;
    let error = merge(vec![empty_outcome(), other]).unwrap_err();
    assert!(error.0.contains("run 2") && error.0.contains("format 9"));
    assert!(merge(Vec::new()).is_err());
}

#[test]
fn one_run_stays_as_it_is_and_empty_ones_can_be_joined() {
    let one = merge(vec![run("anvil")]).unwrap();
    assert_eq!(one.settings, run("anvil").settings);
    assert!(one.series == run("anvil").series);
    let joined = merge(vec![empty_outcome(), empty_outcome()]).unwrap();
    assert!(joined.series.is_empty() && joined.problems().is_empty());
    assert_eq!(joined.connections.rate(), 0.0);
}
