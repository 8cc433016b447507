//! The differences that count as a change, and those that are only mentioned.

use super::*;
use crate::report::sample::{contest, entry, memory, results, sample_results, window};
use crate::results::Sample;

/// A run of one scenario: the server at these rates beside a floor at `floor`.
fn run(server: [u64; 3], floor: Option<u64>) -> Results {
    let windows = |rates: [u64; 3]| rates.map(|rate| window(rate, 1.0, 0.5));
    let mut entries = vec![entry("corecast", Role::Server, windows(server))];
    entries.extend(floor.map(|rate| entry("floor", Role::Floor, windows([rate; 3]))));
    results(vec![contest("echo", entries)])
}

fn judgements(comparison: &Comparison) -> Vec<(Quantity, Judgement)> {
    let changes = comparison.changes.iter();
    let judged = changes.filter_map(|change| Some((change.quantity, change.judgement?)));
    judged.collect()
}

#[test]
fn a_run_is_the_same_as_itself() {
    let results = sample_results();
    let comparison = compare(&results, &results);
    assert!(comparison.unmatched.is_empty() && comparison.warnings.is_empty());
    assert!(
        comparison
            .changes
            .iter()
            .all(|change| change.ratio() == 1.0 || change.old.median == 0.0)
    );
    assert!(
        judgements(&comparison)
            .iter()
            .all(|(_, judgement)| *judgement == Judgement::Same)
    );
    assert!(comparison.table().ends_with("0 improved, 0 regressed\n"));
}

#[test]
fn a_slower_machine_is_no_regression() {
    let comparison = compare(
        &run([980, 1_000, 1_020], Some(1_000)),
        &run([490, 500, 510], Some(500)),
    );
    assert_eq!(comparison.changes[0].ratio(), 0.5);
    assert_eq!(
        judgements(&comparison),
        [
            (Quantity::RateToFloor, Judgement::Same),
            (Quantity::CpuToFloor, Judgement::Same),
        ]
    );
}

#[test]
fn falling_behind_the_floor_is_a_regression() {
    let comparison = compare(
        &run([980, 1_000, 1_020], Some(1_000)),
        &run([980, 1_000, 1_020], Some(1_200)),
    );
    let regressed: Vec<_> = comparison
        .regressions()
        .map(|change| change.quantity)
        .collect();
    assert_eq!(regressed, [Quantity::RateToFloor, Quantity::CpuToFloor]);
    let table = comparison.table();
    assert!(
        table.contains("REGRESSED: echo, corecast: rate ÷ floor 1.00 (0.98 to 1.02) → 0.83"),
        "{table}"
    );
    let back = compare(
        &run([980, 1_000, 1_020], Some(1_200)),
        &run([980, 1_000, 1_020], Some(1_000)),
    );
    assert_eq!(
        (back.improvements().count(), back.regressions().count()),
        (2, 0)
    );
}

#[test]
fn ranges_that_overlap_prove_nothing() {
    let comparison = compare(
        &run([700, 1_000, 1_100], Some(1_000)),
        &run([800, 820, 1_000], Some(1_000)),
    );
    let unclear = |(_, judgement): &(Quantity, Judgement)| *judgement == Judgement::Unclear;
    assert!(judgements(&comparison).iter().all(unclear));
    assert!(comparison.table().contains("| unclear |"));
}

#[test]
fn without_a_floor_absolute_figures_are_judged_and_called_so() {
    let comparison = compare(&run([980, 1_000, 1_020], None), &run([780, 800, 820], None));
    let regressed: Vec<_> = comparison
        .regressions()
        .map(|change| change.quantity)
        .collect();
    assert_eq!(regressed, [Quantity::Rate, Quantity::CpuTime]);
    assert!(
        comparison
            .table()
            .contains("rate (absolute) 1.00 (0.98 to 1.02) k/s")
    );
}

#[test]
fn a_rate_that_the_load_held_back_is_not_judged() {
    let bound = |rate| {
        let windows = [rate; 3].map(|rate| window(rate, 0.5, 1.0));
        let floor = [1_000; 3].map(|rate| window(rate, 0.5, 1.0));
        let entries = vec![
            entry("corecast", Role::Server, windows),
            entry("floor", Role::Floor, floor),
        ];
        results(vec![contest("echo", entries)])
    };
    let comparison = compare(&bound(1_000), &bound(500));
    assert_eq!(
        judgements(&comparison),
        [(Quantity::CpuToFloor, Judgement::Regressed)]
    );
}

#[test]
fn memory_and_latency_are_better_when_they_are_less() {
    let idle = |bytes| {
        results(vec![contest(
            "idle",
            vec![memory("corecast", Role::Server, bytes)],
        )])
    };
    let less = compare(&idle(128.0), &idle(58.0));
    assert_eq!(judgements(&less), [(Quantity::Memory, Judgement::Improved)]);
    let more = compare(&idle(0.0), &idle(58.0));
    assert_eq!(
        judgements(&more),
        [(Quantity::Memory, Judgement::Regressed)]
    );
    assert!(!more.table().contains("inf"), "{}", more.table());

    let timed = |p99| {
        let latency = Some(Latency {
            p50: 85.0,
            p99,
            ..Latency::default()
        });
        let sample = || Sample {
            latency,
            ..window(1_000, 0.5, 0.5)
        };
        let server = entry("corecast", Role::Server, [sample(), sample()]);
        results(vec![contest("latency", vec![server])])
    };
    let slower = compare(&timed(500.0), &timed(900.0));
    let regressed: Vec<_> = slower.regressions().map(|change| change.quantity).collect();
    assert_eq!(regressed, [Quantity::TailLatency]);
}

#[test]
fn what_others_did_is_shown_but_not_judged() {
    let rival = |rate| {
        let windows = [rate; 3].map(|rate| window(rate, 1.0, 0.5));
        results(vec![contest(
            "echo",
            vec![entry("rival", Role::Rival, windows)],
        )])
    };
    let comparison = compare(&rival(1_000), &rival(100));
    assert_eq!(comparison.changes[0].ratio(), 0.1);
    assert!(judgements(&comparison).is_empty());
}

#[test]
fn what_only_one_run_has_is_named() {
    let old = run([1, 1, 1], Some(1));
    let mut new = run([1, 1, 1], None);
    new.contests[0].entries[0].rounds = vec![None; 3];
    new.contests.push(contest("other", Vec::new()));
    let comparison = compare(&old, &new);
    assert_eq!(
        comparison.unmatched,
        [
            "other is only in the new run",
            "echo, corecast has figures only in the old run",
            "echo, floor has figures only in the old run",
        ]
    );
    assert!(comparison.table().contains("no figure in common"));
}

#[test]
fn runs_that_cannot_be_compared_are_warned_of() {
    let old = sample_results();
    let mut new = sample_results();
    new.host.kernel = "7.0.0".into();
    new.settings.driver = "epoll".into();
    new.settings.measured_seconds = 0.5;
    new.settings.rounds = 1;
    let warnings = compare(&old, &new).warnings;
    for wanted in [
        "the kernel differs: 6.18.44 in the old run, 7.0.0 in the new",
        "the driver differs",
        "the length of a window differs: 3 s in the old run, 0.5 s",
        "single round",
    ] {
        assert!(
            warnings.iter().any(|warning| warning.contains(wanted)),
            "{warnings:?}"
        );
    }
    assert_eq!(warnings.len(), 4);
}

/// `cargo test -p corecast-bench --lib -- --ignored a_comparison_to_look_at --nocapture`.
#[test]
#[ignore = "for people to look at"]
fn a_comparison_to_look_at() {
    let old = sample_results();
    let mut new = sample_results();
    for reading in new.contests[0].entries[0].rounds.iter_mut().flatten() {
        if let crate::results::Reading::Timed(sample) = reading {
            sample.messages = sample.messages * 4 / 5;
        }
    }
    new.contests[5].entries[0] = memory("corecast (uring)", Role::Server, 41.0);
    new.contests.remove(2);
    new.settings.driver = "epoll".into();
    println!("{}", compare(&old, &new));
}
