//! The plan for a terminal.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::Plan;
use super::words::{bytes, count, figure, things};

/// The width of text that an ordinary terminal shows without breaking lines.
const WIDTH: u16 = 98;

pub(super) fn table(plan: &Plan) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(plan, &mut text);
    text
}

fn write(plan: &Plan, text: &mut String) -> std::fmt::Result {
    let question = &plan.question;
    writeln!(
        text,
        "{}; {} of {} per second, each to {}\n",
        things(question.connections as f64, "connection", "connections"),
        match question.rate {
            1.0 => "1 message".to_owned(),
            rate => format!("{} messages", figure(rate)),
        },
        bytes(question.payload_bytes as f64),
        match question.fan_out {
            1 => "one session".to_owned(),
            sessions => format!("{} sessions", count(sessions as f64)),
        }
    )?;
    let mut origins: Vec<&str> = Vec::new();
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_MARKDOWN)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH)
        .set_header(["budget", "figure", "arithmetic", "from"]);
    for section in &plan.sections {
        table.add_row([&section.title.to_uppercase(), "", "", ""]);
        for line in &section.lines {
            let numbers: Vec<String> = line
                .origins
                .iter()
                .map(|origin| number_of(origin, &mut origins).to_string())
                .collect();
            table.add_row([
                line.what.clone(),
                line.shown(),
                line.arithmetic.clone(),
                numbers.join(" "),
            ]);
        }
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    writeln!(text, "{}", table.trim_fmt())?;
    writeln!(text, "\nWhere the constants come from:")?;
    for (index, origin) in origins.iter().enumerate() {
        writeln!(text, "{:3}  {origin}", index + 1)?;
    }
    list(text, "To set on the server's host:", &plan.to_set)?;
    list(text, "A test of this size needs:", &plan.for_a_test)?;
    if plan.problems.is_empty() {
        return Ok(());
    }
    list(text, "This does not fit:", &plan.problems)
}

fn list(text: &mut String, title: &str, lines: &[String]) -> std::fmt::Result {
    writeln!(text, "\n{title}")?;
    lines
        .iter()
        .try_for_each(|line| writeln!(text, "  - {line}"))
}

/// The number of an origin in the list below the table, where it is added if it
/// is new.
fn number_of<'a>(origin: &'a str, origins: &mut Vec<&'a str>) -> usize {
    match origins.iter().position(|known| *known == origin) {
        Some(index) => index + 1,
        None => {
            origins.push(origin);
            origins.len()
        }
    }
}
