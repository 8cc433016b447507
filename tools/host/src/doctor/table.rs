//! A report as people read it: the table, the fixes below it, and the sentence.

use std::fmt::Write;

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table};

use super::check::{Check, Fix, ForGood, Stops, UNIT, Verdict};
use super::{Amount, Report, Role};
use crate::number::grouped;

/// The width of text that an ordinary terminal shows without breaking lines; the
/// same when the report is piped.
const WIDTH: usize = 98;
/// The indentation of the lines about a limit.
const INDENT: usize = 4;

/// The whole report. Limits that fit are left out of the table unless `all`.
pub fn render(report: &Report, all: bool) -> String {
    let mut text = heading(report);
    let shown: Vec<&Check> = report
        .checks
        .iter()
        .filter(|check| all || check.verdict != Verdict::Fits)
        .collect();
    if !shown.is_empty() {
        let _ = writeln!(text, "\n{}", table(&shown).trim_fmt());
    }
    let hidden = report.checks.len() - shown.len();
    if hidden > 0 {
        let limits = if hidden == 1 {
            "limit fits"
        } else {
            "limits fit"
        };
        let _ = writeln!(text, "{hidden} more {limits}; --all shows them.");
    }
    for check in &shown {
        text.push_str(&block(check));
    }
    let fixes = shown.iter().filter_map(|check| check.fix.as_ref());
    let mut files = fixes.filter_map(|fix| Some(&fix.for_good.as_ref()?.file));
    if files.any(|file| file == UNIT || file.contains("-corecast-")) {
        let _ = writeln!(
            text,
            "\nThe whole files: corecast print unit, corecast print sysctl."
        );
    }
    let _ = writeln!(text, "\n{}", report.sentence);
    text
}

fn heading(report: &Report) -> String {
    let asked = &report.asked;
    let ends = match asked.role {
        Role::Server => "server",
        Role::Client => "client",
        Role::Both => "server and client",
    };
    let mut text = format!(
        "{} connections, this host as {ends}",
        grouped(asked.connections)
    );
    if asked.role.serves() {
        let _ = write!(text, ", {} shards", asked.shards);
    }
    if asked.role.connects() {
        let _ = write!(
            text,
            ", {} sources to {} targets",
            grouped(asked.sources),
            grouped(asked.targets)
        );
    }
    if let Some(running) = &report.running {
        let _ = write!(text, "; corecast runs as process {}", running.pid);
    }
    text.push_str(".\n");
    text
}

fn table(checks: &[&Check]) -> Table {
    let mut table = Table::new();
    table
        .load_style(ASCII_MARKDOWN)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH as u16)
        .set_header(["limit", "now", "needed", "stops at", "verdict"]);
    let shown = |amount: &Option<Amount>| {
        let text = amount.as_ref().map_or("–".to_owned(), Amount::to_string);
        Cell::new(text).set_alignment(CellAlignment::Right)
    };
    for check in checks {
        table.add_row([
            Cell::new(&check.limit),
            shown(&check.value),
            shown(&check.needed),
            Cell::new(stops(check)).set_alignment(CellAlignment::Right),
            Cell::new(check.verdict.as_str()),
        ]);
    }
    // A name that is cut in two cannot be looked for.
    if let Some(column) = table.column_mut(0) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    table
}

fn stops(check: &Check) -> String {
    match check.stops {
        Stops::Connections(u64::MAX) | Stops::Nothing => "–".to_owned(),
        Stops::Connections(connections) => grouped(connections),
        Stops::Burst(burst) => format!("{} at once", grouped(burst)),
    }
}

/// The lines about a limit: its meaning, the place where it is set, and its remedy.
fn block(check: &Check) -> String {
    let mut text = format!("\n{}: {}\n", check.limit, check.verdict.as_str());
    wrap(&mut text, "", &check.why);
    wrap(&mut text, "set in    ", &check.place);
    let Some(Fix { now, for_good }) = &check.fix else {
        return text;
    };
    // Not wrapped, so that it can be copied.
    if let Some(command) = now {
        let _ = writeln!(text, "{:INDENT$}now       {command}", "");
    }
    if let Some(ForGood { file, line }) = for_good {
        let _ = writeln!(text, "{:INDENT$}for good  {file}: {line}", "");
    }
    text
}

/// Adds words in lines of the table's width.
fn wrap(text: &mut String, heading: &str, words: &str) {
    let indent = INDENT + heading.len();
    let mut column = 0;
    for word in words.split_ascii_whitespace() {
        let length = word.chars().count();
        let fits = column + 1 + length <= WIDTH;
        let _ = match column {
            0 => write!(text, "{:INDENT$}{heading}{word}", ""),
            _ if fits => write!(text, " {word}"),
            _ => write!(text, "\n{:indent$}{word}", ""),
        };
        column = match column > 0 && fits {
            true => column + 1 + length,
            false => indent + length,
        };
    }
    if column > 0 {
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::testing::asked;

    #[test]
    fn the_sentence_comes_last_and_what_fits_only_when_asked_for() {
        let low = Check::sysctl("files", "fs.nr_open")
            .value(Amount::Count(1_024))
            .needed(Amount::Count(50_000))
            .verdict(Verdict::TooLow, "why so")
            .set("sysctl/x.conf", 65_536);
        let fits = Check::sysctl("files", "fs.file-max").verdict(Verdict::Fits, "enough");
        let report = Report::new(asked(100_000), None, vec![low, fits]);
        let text = render(&report, false);
        assert!(text.starts_with("100,000 connections, this host as server, 2 shards.\n"));
        for words in [
            "50,000",
            "TOO LOW",
            "now       sysctl -w fs.nr_open=65536",
            "for good  sysctl/x.conf: fs.nr_open = 2097152",
            "1 more limit fits",
        ] {
            assert!(text.contains(words), "no '{words}' in:\n{text}");
        }
        assert!(!text.contains("fs.file-max"));
        for line in text.lines().filter(|line| *line != report.sentence) {
            assert!(line.chars().count() <= 100, "{line}");
        }
        assert_eq!(text.lines().last(), Some(report.sentence.as_str()));
        assert!(render(&report, true).contains("fs.file-max"));
    }
}
