//! The contents that the page must have, and those that it must not have.

use super::page;
use crate::Cause;
use crate::report::sample::{contest, entry, results, sample_results, window};
use crate::results::{Failure, Role};

#[test]
fn a_page_loads_nothing_and_runs_nothing() {
    let page = page(&sample_results());
    for outside in [
        "http://", "https://", "src=", "href=", "url(", "@import", "<script",
    ] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn what_comes_from_outside_is_escaped() {
    const EVIL: &str = "<script>alert('\"&')</script>";
    let mut results = sample_results();
    results.version = EVIL.into();
    results.host.date = EVIL.into();
    results.host.cpu = EVIL.into();
    results.host.kernel = EVIL.into();
    results.host.governor = Some(EVIL.into());
    results.host.sysctls.insert(EVIL.into(), EVIL.into());
    results.settings.set = EVIL.into();
    results.settings.driver = EVIL.into();
    results.settings.cores = EVIL.into();
    results.absent = vec![EVIL.into()];
    results.skipped = vec![EVIL.into()];
    for contest in &mut results.contests {
        contest.name = EVIL.into();
        contest.title = EVIL.into();
        contest.group = EVIL.into();
        contest.unit = EVIL.into();
        contest.note = EVIL.into();
        contest.failures = vec![Failure {
            contestant: EVIL.into(),
            round: 1,
            cause: Cause::Contestant,
            reason: EVIL.into(),
        }];
        for entry in &mut contest.entries {
            entry.name = EVIL.into();
        }
    }
    let page = page(&results);
    assert!(!page.contains("<script") && !page.contains("'\"&'"));
    assert!(page.contains("&lt;script&gt;"));
}

#[test]
fn it_shows_verdict_charts_tables_and_host() {
    let page = page(&sample_results());
    for wanted in [
        "7 of 9 goals met, 2 missed",
        "✗ missed",
        "≥ 0.9 × floor",
        "stalled: 40 of 100 answers",
        "doubtful",
        "uWebSockets: no C++ compiler was found",
        "</strong>: echo-20B-c50000: it needs 50,200 open files",
        "id=\"overview\"",
        "floors: no server here",
        "thousand messages per second",
        "68.6 · 0.93 × floor · 1.41 × baseline",
        "≥ 13.0 · CPU 1.19 × floor",
        "client-bound",
        "p50 85 µs · p99 510 µs",
        "resident bytes per idle session, logarithmic",
        "<details",
        "net.core.somaxconn",
        "prefers-color-scheme:dark",
        "@media print",
        "role=\"img\"",
    ] {
        assert!(page.contains(wanted), "{wanted}");
    }
}

#[test]
fn an_empty_run_has_a_page() {
    let page = page(&results(Vec::new()));
    assert!(page.contains("Nothing was measured") && !page.contains("<figure"));
}

#[test]
fn neither_floor_nor_baseline_nor_range_is_needed() {
    let alone = entry("corecast", Role::Server, [window(5_000, 0.9, 0.5)]);
    let page = page(&results(vec![contest("echo", vec![alone])]));
    assert!(page.contains("<figure") && !page.contains("id=\"overview\""));
    assert!(!page.contains("class=\"whisker\"") && !page.contains("× floor"));
}

#[test]
fn a_window_in_which_nothing_happened_is_shown_without_figures() {
    let entries = vec![
        entry("corecast", Role::Server, [window(0, 0.9, 0.5)]),
        entry("floor", Role::Floor, [window(0, 0.9, 0.5)]),
    ];
    let mut results = results(vec![contest("echo", entries)]);
    results.contests[0].goals = vec![crate::results::Goal::OfFloor(0.9)];
    for text in [
        page(&results),
        crate::report::table(&results),
        crate::report::markdown(&results),
        crate::report::compare(&results, &results).table(),
    ] {
        assert!(!text.contains("NaN") && !text.contains("inf "), "{text}");
    }
}

/// Writes the sample as a page and as text, to look at:
/// `cargo test -p corecast-bench --lib -- --ignored a_sample_to_look_at --nocapture`.
#[test]
#[ignore = "for people to look at"]
fn a_sample_to_look_at() {
    let directory = std::env::temp_dir().join("corecast-bench-sample");
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("report.html");
    std::fs::write(&file, page(&sample_results())).unwrap();
    println!("{}", crate::report::table(&sample_results()));
    println!("{}", crate::report::markdown(&sample_results()));
    println!("{}", file.display());
}
