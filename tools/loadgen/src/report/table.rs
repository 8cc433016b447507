//! The final table for the terminal.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::facts::{self, LATENCY_HEADINGS};
use super::units::{date, duration};
use crate::outcome::Outcome;

/// The width of text that an ordinary terminal shows without breaking lines.
const WIDTH: u16 = 98;

/// The whole run as text for a terminal of 100 columns, without colour.
pub fn table(outcome: &Outcome) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(outcome, &mut text);
    text
}

fn write(outcome: &Outcome, text: &mut String) -> std::fmt::Result {
    writeln!(
        text,
        "{} against {}",
        outcome.scenario,
        outcome.targets.join(", ")
    )?;
    let interrupted = if outcome.interrupted {
        ", interrupted"
    } else {
        ""
    };
    writeln!(
        text,
        "{}, {}{interrupted}; corecast-load {}",
        date(outcome.started_unix_ms),
        duration(outcome.seconds),
        outcome.version
    )?;
    for machine in &outcome.machines {
        writeln!(
            text,
            "from {}: {} threads, {} cores, {}, Linux {}",
            machine.hostname, machine.threads, machine.cores, machine.cpu, machine.kernel
        )?;
    }
    if !outcome.settings.is_empty() {
        writeln!(text, "\n{}", settings(outcome).trim_fmt())?;
    }
    writeln!(text, "\n{}", figures(outcome).trim_fmt())?;
    let latencies = facts::latencies(outcome);
    if !latencies.is_empty() {
        let mut table = start(&LATENCY_HEADINGS);
        table.add_rows(latencies);
        align_right(&mut table, 1..LATENCY_HEADINGS.len());
        writeln!(text, "\n{}", table.trim_fmt())?;
    }
    if !outcome.findings.is_empty() {
        writeln!(text)?;
        for finding in &outcome.findings {
            let severity = facts::severity(finding.severity);
            writeln!(text, "{severity}: {} — {}", finding.what, finding.remedy)?;
        }
    }
    writeln!(text)?;
    let problems = outcome.problems();
    if problems.is_empty() {
        return writeln!(text, "passed");
    }
    problems
        .iter()
        .try_for_each(|problem| writeln!(text, "FAILED: {problem}"))
}

fn settings(outcome: &Outcome) -> Table {
    let mut table = start(&["asked for", ""]);
    for setting in &outcome.settings {
        table.add_row([&setting.name, &setting.value]);
    }
    table
}

fn figures(outcome: &Outcome) -> Table {
    let mut table = start(&["figure", "value", "remark"]);
    for section in facts::sections(outcome) {
        table.add_row([&section.title.to_uppercase(), "", ""]);
        for row in section.rows {
            table.add_row([format!("  {}", row.name), row.value, row.remark]);
        }
    }
    align_right(&mut table, 1..2);
    table
}

fn start(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_MARKDOWN)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH)
        .set_header(headings.iter().copied());
    table
}

fn align_right(table: &mut Table, columns: std::ops::Range<usize>) {
    for index in columns {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{empty_outcome, sample_outcome};

    #[test]
    fn it_names_what_matters() {
        let text = table(&sample_outcome());
        for wanted in [
            "echo against ws://127.0.0.1:8080/echo",
            "asked for",
            "answered with HTTP 503",
            "sent per second",
            "MB/s",
            "confirmed by the server",
            "Echo round trip",
            "p99.99",
            "client ÷ server CPU",
            "kernel memory per connection",
            "FAILED: ",
            "ulimit -n",
        ] {
            assert!(text.contains(wanted), "{wanted} in\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "no colour");
    }

    #[test]
    fn a_client_bound_figure_is_marked_where_it_stands() {
        let mut outcome = sample_outcome();
        outcome.resources.client_bound = true;
        let marked = table(&outcome);
        let line = marked
            .lines()
            .find(|line| line.contains("sent per second"))
            .unwrap();
        assert!(
            line.contains("≥ ") && line.contains("client-bound"),
            "{line}"
        );
        outcome.resources.client_bound = false;
        let text = table(&outcome);
        assert!(!text.contains("≥ ") && !text.to_lowercase().contains("client-bound"));
    }

    #[test]
    fn it_fits_a_hundred_columns() {
        let text = table(&sample_outcome());
        for line in text.lines().filter(|line| line.starts_with('|')) {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }

    #[test]
    fn a_clean_run_has_passed_and_an_empty_one_has_no_empty_tables() {
        let text = table(&empty_outcome());
        assert!(text.ends_with("\npassed\n"), "{text}");
        assert!(!text.contains("p99") && !text.contains("DELIVERIES"));
    }
}
