//! The short table that docs/benchmark.md quotes.

use std::fmt;
use std::fmt::Write as _;

use corecast_kit::markdown::{self as md, plain};

use super::facts::{
    self, NONE, best_rival, bytes, is_client_bound, is_idle, ratio, spread, thousands,
};
use crate::results::{Contest, Entry, Results, Role, Spread};

/// Date and machine, then a row for each scenario in which the server took part,
/// then a line for whatever was skipped or has failed.
pub fn markdown(results: &Results) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(results, &mut text);
    text
}

fn write(results: &Results, text: &mut String) -> fmt::Result {
    let rounds = match results.settings.rounds {
        1 => "one round".into(),
        rounds => format!("medians of {rounds} rounds (lowest to highest)"),
    };
    writeln!(
        text,
        "{}; {}; corecast {}, {rounds}:",
        plain(&facts::host(&results.host)),
        facts::cores(&results.settings),
        plain(&results.version),
    )?;
    let (idle, timed): (Vec<&Contest>, _) = results.contests.iter().partition(|c| is_idle(c));
    let headings = [
        "what",
        "thousand per s",
        "÷ fastest floor",
        "× baseline",
        "× best rival",
        "goal",
    ];
    rows(text, &headings, &timed, timed_cells)?;
    let headings = [
        "what",
        "bytes per session",
        "of the kernel",
        "÷ baseline",
        "÷ best rival",
        "goal",
    ];
    rows(text, &headings, &idle, idle_cells)?;
    let skipped = results
        .skipped
        .iter()
        .map(|line| format!("skipped: {line}"));
    let failures = facts::failures(results).into_iter();
    let failed = failures.map(|line| format!("failed: {line}"));
    for (index, line) in skipped.chain(failed).enumerate() {
        let gap = if index == 0 { "\n" } else { "" };
        writeln!(text, "{gap}- {}", plain(&line))?;
    }
    Ok(())
}

/// A table of those contests in which the server has figures, or nothing.
fn rows(
    text: &mut String,
    headings: &[&str],
    contests: &[&Contest],
    cells: fn(&Contest, &Entry) -> Option<Vec<String>>,
) -> fmt::Result {
    let rows: Vec<Vec<String>> = contests
        .iter()
        .filter_map(|contest| {
            let server = contest.server()?;
            let mut row = vec![plain(&contest.title)];
            row.extend(cells(contest, server)?);
            row.push(goals(contest, server));
            Some(row)
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    write!(text, "\n{}", md::table(headings, &rows))
}

fn timed_cells(contest: &Contest, server: &Entry) -> Option<Vec<String>> {
    let rate = thousands(server.rate()?.median);
    let rate = match server.is_client_bound() {
        true => format!("{}{rate}, bound by the client", facts::LOWER_BOUND),
        false => rate,
    };
    Some(vec![
        rate,
        compared(contest, server, contest.fastest_floor(), false),
        compared(contest, server, contest.baseline(), false),
        compared(contest, server, best_rival(contest), true),
    ])
}

/// How many times `other` the server does: by the CPU time, and saying so, if
/// the load held one of them back.
fn compared(contest: &Contest, server: &Entry, other: Option<&Entry>, named: bool) -> String {
    let Some(other) = other else {
        return NONE.into();
    };
    let shown = if is_client_bound(server, other) {
        let cpu = contest.cpu_ratio(server, other);
        cpu.map(|cpu| format!("CPU each × {}", ratio(cpu.median)))
    } else {
        let rates = contest.rate_ratio(server, other);
        rates.map(|rates| spread(rates, ratio))
    };
    with_name(shown, other, named)
}

fn idle_cells(contest: &Contest, server: &Entry) -> Option<Vec<String>> {
    let kernel = Spread::of(server.idle_samples().map(|idle| idle.kernel_bytes))?;
    let part = |other: Option<&Entry>, named| match other {
        None => NONE.into(),
        Some(other) => {
            let ratio = contest.memory_ratio(server, other);
            with_name(ratio.map(|ratio| facts::part(ratio.median)), other, named)
        }
    };
    Some(vec![
        bytes(server.resident_bytes()?.median),
        bytes(kernel.median),
        part(contest.baseline(), false),
        part(best_rival(contest), true),
    ])
}

fn with_name(shown: Option<String>, other: &Entry, named: bool) -> String {
    match shown {
        None => NONE.into(),
        Some(shown) if named => format!("{shown} {}", plain(&other.name)),
        Some(shown) => shown,
    }
}

fn goals(contest: &Contest, server: &Entry) -> String {
    debug_assert_eq!(server.role, Role::Server);
    let verdicts = contest.verdicts(server);
    let goals = verdicts.iter().map(|verdict| {
        let met = match facts::met(verdict) {
            "MISSED" => format!("**missed** ({})", facts::reached(verdict)),
            other => other.to_owned(),
        };
        format!("{} {met}", plain(&verdict.goal.to_string()))
    });
    match goals.collect::<Vec<_>>().join("; ") {
        none if none.is_empty() => NONE.into(),
        goals => goals,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{contest, entry, results, sample_results, window};

    #[test]
    fn each_scenario_is_a_row() {
        let text = markdown(&sample_results());
        for wanted in [
            "2026-11-22 14:39 UTC, AMD EPYC, 2 cores, 23.5 GiB, Linux 6.18.44",
            "| Echo of 20 B, 10,000 connections | 68.6 | 0.93 | 1.41 | 1.10 (1.02 to 1.11) Bun 1.3 | \
             ≥ 0.9 × floor met; ≥ 1.3 × baseline met |",
            "| Opening handshakes, 64 in flight | ≥ 13.0, bound by the client | CPU each × 1.19 |",
            "| Memory of 18,000 idle sessions | 58 | 4,020 | 1/169 |",
        ] {
            assert!(text.contains(wanted), "{wanted} in\n{text}");
        }
        let tables = text.split("\n\n").skip(1);
        let mut tables = tables.filter(|part| part.starts_with('|'));
        let columns = |line: &str| line.matches('|').count();
        assert!(
            tables.all(|table| table.lines().all(|line| columns(line) == 7)),
            "{text}"
        );
    }

    #[test]
    fn what_was_skipped_or_failed_is_a_line_with_its_reason() {
        let mut results = sample_results();
        results.contests[1].failures[0].reason = "stalled:\n    its | words".into();
        let text = markdown(&results);
        let lines = "\n\n- skipped: echo-20B-c50000: it needs 50,200 open files\n\
                     - failed: echo-20B-p16-c100, Node 22 ws 8.18 with a rather long name, \
                     round 2: stalled: its \\| words\n";
        assert!(text.ends_with(lines), "{text}");
    }

    #[test]
    fn who_did_not_take_part_leaves_a_dash() {
        let alone = entry(
            "corecast",
            crate::results::Role::Server,
            [window(5_000, 0.9, 0.5)],
        );
        let text = markdown(&results(vec![contest("echo", vec![alone])]));
        assert!(
            text.contains("| Title of echo | 5.00 | – | – | – | – |"),
            "{text}"
        );
    }

    #[test]
    fn without_the_server_there_are_no_rows() {
        let floor = entry(
            "floor",
            crate::results::Role::Floor,
            [window(5_000, 0.9, 0.5)],
        );
        for results in [
            results(vec![contest("echo", vec![floor])]),
            results(Vec::new()),
        ] {
            assert_eq!(markdown(&results).lines().count(), 1);
        }
    }

    #[test]
    fn names_cannot_break_the_table_or_the_markers() {
        let mut results = sample_results();
        results.contests[0].title = "a | b\n<!-- /figures -->".into();
        let text = markdown(&results);
        assert!(text.contains("| a \\| b &lt;!-- /figures --> |"), "{text}");
    }
}
