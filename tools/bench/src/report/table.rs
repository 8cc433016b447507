//! The table for the terminal.

use std::fmt::Write as _;

use super::grid::{Column, Grid};
use super::{facts, figures};
use crate::results::{Contest, Results};

/// The widest line of a table; most are narrower.
const WIDTH: u16 = 158;

/// The whole run as text for a terminal, without colour.
pub fn table(results: &Results) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(results, &mut text);
    text
}

fn write(results: &Results, text: &mut String) -> std::fmt::Result {
    let name = |contest: &Contest| contest.name.clone();
    for (group, contests) in facts::groups(results) {
        writeln!(text, "\n{}\n", group.to_uppercase())?;
        write!(text, "{}", figures::timed(&contests, name).text(WIDTH))?;
        write!(text, "{}", figures::idle(&contests, name).text(WIDTH))?;
        for contest in contests.iter().filter(|contest| !contest.note.is_empty()) {
            writeln!(text, "{}: {}", contest.name, contest.note)?;
        }
    }
    if results.contests.is_empty() {
        writeln!(text, "\nNothing was measured.")?;
    } else {
        writeln!(text, "\n{}", wrapped(facts::EXPLANATION))?;
    }
    if results.contests.iter().any(facts::is_idle) {
        writeln!(text, "{}", wrapped(facts::MEMORY_EXPLANATION))?;
    }
    let judged = facts::judged(results);
    if !judged.is_empty() {
        writeln!(text, "\nGOALS: {}\n", facts::tally(&judged))?;
        write!(text, "{}", goals(judged).text(WIDTH))?;
    }
    writeln!(text, "\n{}", facts::host(&results.host))?;
    writeln!(text, "{}", facts::settings(results))?;
    let settings = &results.settings;
    writeln!(text, "{}; {}", facts::cores(settings), settings.cores)?;
    for absent in &results.absent {
        writeln!(text, "absent: {absent}")?;
    }
    for skipped in &results.skipped {
        writeln!(text, "skipped: {skipped}")?;
    }
    for doubt in facts::doubts(results) {
        writeln!(text, "\nDOUBTFUL: {}", wrapped(&doubt))?;
    }
    for failure in facts::failures(results) {
        writeln!(text, "\nFAILED {failure}")?;
    }
    Ok(())
}

fn goals(judged: Vec<facts::Judged<'_>>) -> Grid {
    let columns = [
        Column::words("goal", |goal: &facts::Judged| goal.verdict.goal.to_string()),
        Column::figures("reached", |goal| facts::reached(&goal.verdict)),
        Column::words("verdict", |goal| facts::met(&goal.verdict).into()),
    ];
    let mut sections: Vec<(String, Vec<facts::Judged<'_>>)> = Vec::new();
    for goal in judged {
        match sections.last_mut() {
            Some((name, goals)) if *name == goal.contest.name => goals.push(goal),
            _ => sections.push((goal.contest.name.clone(), vec![goal])),
        }
    }
    Grid::new(&columns, sections)
}

/// Prose in lines of ordinary length.
fn wrapped(prose: &str) -> String {
    const LINE: usize = 100;
    let mut text = String::with_capacity(prose.len() + prose.len() / 50);
    let mut column = 0;
    for word in prose.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > LINE {
            text.push('\n');
            column = 0;
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{contest, entry, results, sample_results, window};
    use crate::results::Role;

    fn line<'a>(text: &'a str, wanted: &str) -> &'a str {
        let mut lines = text.lines();
        lines
            .find(|line| line.contains(wanted))
            .unwrap_or_else(|| panic!("{wanted} in\n{text}"))
    }

    #[test]
    fn it_names_what_matters() {
        let text = table(&sample_results());
        for wanted in [
            "\nECHO\n",
            "| echo-20B-c10000 ",
            "68.6 (67.2 to 70.6)",
            "≥ 13.0",
            "client-bound",
            "510 µs",
            "resident B per session",
            "GOALS: 7 of 9 goals met, 2 missed",
            "handshakes: Each connection is reset",
            "2026-11-22 14:39 UTC, AMD EPYC, 2 cores",
            "server on core 0, load on core 1",
            "absent: uWebSockets: no C++ compiler was found",
            "skipped: echo-20B-c50000: it needs 50,200 open files",
            "DOUBTFUL: other work",
            "\nFAILED echo-20B-p16-c100",
        ] {
            line(&text, wanted.trim_start_matches('\n').trim_end());
            assert!(text.contains(wanted), "{wanted} in\n{text}");
        }
        assert!(
            line(&text, "≥ 14 × floor").contains("13.9 | MISSED"),
            "{text}"
        );
        assert!(line(&text, "by CPU |").contains("MISSED"), "{text}");
        assert!(!text.contains('\u{1b}'), "no colour");
    }

    #[test]
    fn it_fits_a_wide_terminal() {
        for line in table(&sample_results()).lines() {
            assert!(line.chars().count() <= 160, "{line}");
        }
    }

    #[test]
    fn columns_that_nobody_needs_are_left_out() {
        let alone = entry("corecast", Role::Server, [window(5_000, 0.9, 0.5)]);
        let text = table(&results(vec![contest("echo", vec![alone])]));
        for unwanted in [
            "÷ floor |",
            "÷ baseline |",
            "p50",
            "slowest core",
            "GOALS",
            " to ",
        ] {
            assert!(!line(&text, "contestant").contains(unwanted), "{unwanted}");
        }
        assert!(line(&text, "corecast ").contains("5.00"), "{text}");
    }

    #[test]
    fn a_contestant_that_failed_is_shown_as_such() {
        let mut failed = entry("corecast", Role::Server, []);
        failed.rounds = vec![None; 3];
        let text = table(&results(vec![contest("echo", vec![failed])]));
        assert!(line(&text, "corecast ").contains("failed"), "{text}");
    }

    #[test]
    fn an_empty_run_says_so() {
        let text = table(&results(Vec::new()));
        assert!(text.contains("Nothing was measured."), "{text}");
    }
}
