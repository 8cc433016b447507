//! A report as people read it: the table, the fixes below it, and the sentence.

use std::fmt::Write;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};

use super::check::{Check, Fix, Verdict, grouped};
use super::{Amount, Report, Role};

/// The width where the terminal's is not known.
const WIDTH: u16 = 132;

/// The whole report. Limits that fit are left out of the table unless `all`.
pub fn render(report: &Report, all: bool) -> String {
    let mut text = heading(report);
    let shown: Vec<&Check> = report
        .checks
        .iter()
        .filter(|check| all || check.verdict != Verdict::Fits)
        .collect();
    if !shown.is_empty() {
        let _ = writeln!(text, "{}", table(&shown));
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
    let fixes: Vec<&&Check> = shown.iter().filter(|check| check.fix.is_some()).collect();
    if !fixes.is_empty() {
        let _ = writeln!(text, "\nFixes:");
        for check in fixes {
            text.push_str(&fix(check));
        }
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
        .load_style(UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH)
        .set_header(["limit", "set in", "now", "needed", "verdict", "why"]);
    let shown = |amount: &Option<Amount>| {
        let text = amount.as_ref().map_or("–".to_owned(), Amount::to_string);
        Cell::new(text).set_alignment(CellAlignment::Right)
    };
    for check in checks {
        table.add_row([
            Cell::new(&check.limit),
            Cell::new(place(check)),
            shown(&check.value),
            shown(&check.needed),
            Cell::new(check.verdict.as_str()),
            Cell::new(&check.why),
        ]);
    }
    table
}

/// The path of a kernel parameter is its name again.
fn place(check: &Check) -> &str {
    match check.place.starts_with("/proc/sys/") && check.limit.contains('.') {
        true => "sysctl",
        false => &check.place,
    }
}

fn fix(check: &Check) -> String {
    let mut text = String::new();
    let Some(Fix { now, for_good }) = &check.fix else {
        return text;
    };
    let _ = writeln!(text, "  {} ({})", check.limit, check.verdict.as_str());
    if let Some(command) = now {
        let _ = writeln!(text, "    now       {command}");
    }
    if let Some(for_good) = for_good {
        let _ = writeln!(text, "    for good  {}: {}", for_good.file, for_good.line);
    }
    text
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
            "for good  sysctl/x.conf: fs.nr_open = 65536",
            "1 more limit fits",
        ] {
            assert!(text.contains(words), "no '{words}' in:\n{text}");
        }
        assert!(!text.contains("fs.file-max"));
        assert_eq!(text.lines().last(), Some(report.sentence.as_str()));
        assert!(render(&report, true).contains("fs.file-max"));
    }
}
