//! The page: a run as one HTML file, to read on a screen or to print.
//!
//! It loads nothing and runs no script.

use std::fmt::Write as _;

use corecast_kit::chart::charts;
use corecast_kit::html::{Document, escape, figure, list, table};

use super::facts::{self, LATENCY_HEADINGS};
use super::units::{date, duration, grouped, memory};
use crate::cause::Cause;
use crate::outcome::Outcome;

/// Whether a verdict can be given yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The outcome has the results so far.
    Running,
    /// The outcome is final.
    Finished,
}

/// A finished run as one HTML file without any external resource.
pub fn page(outcome: &Outcome) -> String {
    let main = main_part(outcome, Stage::Finished);
    document(&heading(outcome), &main, "")
}

/// The file around a [`main_part`]; `behind` is trusted HTML that follows it.
pub(crate) fn document(title: &str, main: &str, behind: &str) -> String {
    Document {
        title,
        program: "corecast-load",
        style: "",
        body: &format!("{main}\n{behind}"),
    }
    .html()
}

/// Everything that shows the outcome: a `<main>` whose parts each have an `id`.
pub(crate) fn main_part(outcome: &Outcome, stage: Stage) -> String {
    let mut html = String::from("<main>\n");
    // Writing to a string does not fail.
    let _ = write_main(outcome, stage, &mut html);
    html.push_str("</main>");
    html
}

/// The scenario and its targets.
pub(crate) fn heading(outcome: &Outcome) -> String {
    format!(
        "{} against {}",
        outcome.scenario,
        outcome.targets.join(", ")
    )
}

fn write_main(outcome: &Outcome, stage: Stage, html: &mut String) -> std::fmt::Result {
    header(outcome, html)?;
    verdict(outcome, stage, html)?;
    key_figures(outcome, html)?;
    findings(outcome, html)?;
    for chart in charts(outcome) {
        html.push_str(&figure(&chart.id, &chart.title, &chart.svg));
    }
    tables(outcome, html)
}

fn header(outcome: &Outcome, html: &mut String) -> std::fmt::Result {
    let interrupted = if outcome.interrupted {
        ", interrupted"
    } else {
        ""
    };
    writeln!(
        html,
        "<header id=\"head\"><h1>{}</h1>\n<p>{}, {}{interrupted}; corecast-load {}</p>",
        escape(&heading(outcome)),
        date(outcome.started_unix_ms),
        duration(outcome.seconds),
        escape(&outcome.version)
    )?;
    if !outcome.command.is_empty() {
        writeln!(
            html,
            "<p class=\"command\"><code>{}</code></p>",
            escape(&outcome.command.join(" "))
        )?;
    }
    writeln!(html, "</header>")
}

fn verdict(outcome: &Outcome, stage: Stage, html: &mut String) -> std::fmt::Result {
    let problems = outcome.problems();
    let (class, words) = match (stage, problems.is_empty()) {
        (Stage::Finished, true) => ("passed", "✓ passed"),
        (Stage::Finished, false) => ("failed", "✗ failed"),
        (Stage::Running, true) => ("running", "running"),
        (Stage::Running, false) => ("failed", "✗ running, with failures"),
    };
    writeln!(
        html,
        "<section id=\"verdict\" class=\"verdict {class}\"><h2>{words}</h2>"
    )?;
    html.push_str(&list(problems.iter().map(|problem| escape(problem))));
    if outcome.resources.client_bound {
        writeln!(
            html,
            "<p><strong>Client-bound:</strong> the generator, not the server, was the limit. \
             Rates (marked ≥) are lower bounds, latencies upper bounds.</p>"
        )?;
    }
    writeln!(html, "</section>")
}

fn key_figures(outcome: &Outcome, html: &mut String) -> std::fmt::Result {
    writeln!(html, "<dl id=\"key-figures\" class=\"key-figures\">")?;
    for row in facts::key_figures(outcome) {
        writeln!(
            html,
            "<div><dt>{}</dt><dd>{}</dd><dd class=\"remark\">{}</dd></div>",
            escape(&row.name),
            escape(&row.value),
            escape(&row.remark)
        )?;
    }
    writeln!(html, "</dl>")
}

fn findings(outcome: &Outcome, html: &mut String) -> std::fmt::Result {
    if outcome.findings.is_empty() {
        return Ok(());
    }
    writeln!(
        html,
        "<section id=\"findings\"><h2>What limited the run</h2>"
    )?;
    html.push_str(&list(outcome.findings.iter().map(|finding| {
        format!(
            "<strong class=\"{0}\">{0}</strong>: {1}<br><span class=\"remedy\">{2}</span>",
            facts::severity(finding.severity),
            escape(&finding.what),
            escape(&finding.remedy)
        )
    })));
    writeln!(html, "</section>")
}

fn tables(outcome: &Outcome, html: &mut String) -> std::fmt::Result {
    let mut add = |id: &str, title: &str, headings: &[&str], figures, rows| {
        write!(html, "{}", table(id, title, headings, figures, rows))
    };
    add(
        "latencies",
        "Latencies",
        &LATENCY_HEADINGS,
        1..LATENCY_HEADINGS.len(),
        facts::latencies(outcome)
            .into_iter()
            .map(Vec::from)
            .collect(),
    )?;
    for section in facts::sections(outcome) {
        let rows = section.rows.into_iter();
        add(
            &format!("figures-{}", section.title),
            section.title,
            &["figure", "value", "remark"],
            1..2,
            rows.map(|row| vec![row.name, row.value, row.remark])
                .collect(),
        )?;
    }
    add(
        "causes",
        "Failures by cause",
        &["when", "cause", "name", "connections"],
        3..4,
        causes(outcome),
    )?;
    let settings = outcome.settings.iter();
    add(
        "settings",
        "Settings",
        &["setting", "value"],
        0..0,
        settings
            .map(|setting| vec![setting.name.clone(), setting.value.clone()])
            .collect(),
    )?;
    let machines = outcome.machines.iter();
    add(
        "machines",
        "Machines",
        &["name", "processor", "kernel", "cores", "threads", "memory"],
        3..6,
        machines
            .map(|machine| {
                vec![
                    machine.hostname.clone(),
                    machine.cpu.clone(),
                    machine.kernel.clone(),
                    machine.cores.to_string(),
                    machine.threads.to_string(),
                    memory(machine.memory_bytes as f64),
                ]
            })
            .collect(),
    )
}

fn causes(outcome: &Outcome) -> Vec<Vec<String>> {
    let row = |when: &str, (cause, count): (Cause, u64)| {
        vec![
            when.to_owned(),
            cause.describe(),
            cause.to_string(),
            grouped(count),
        ]
    };
    let failed = facts::causes(&outcome.connections.failed);
    let lost = facts::causes(&outcome.connections.lost);
    failed
        .into_iter()
        .map(|cause| row("while opening", cause))
        .chain(lost.into_iter().map(|cause| row("once open", cause)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{empty_outcome, outcome_of, sample_outcome};

    #[test]
    fn a_page_loads_nothing_and_runs_nothing() {
        let page = page(&sample_outcome());
        for outside in [
            "http://", "https://", "src=", "href=", "url(", "@import", "<script",
        ] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn what_comes_from_outside_is_escaped() {
        const EVIL: &str = "<script>alert('\"&')</script>";
        let mut outcome = sample_outcome();
        outcome.targets = vec![format!("ws://{EVIL}")];
        outcome.command = vec![EVIL.into()];
        outcome.version = EVIL.into();
        outcome.scenario = EVIL.into();
        outcome.failures = vec![EVIL.into()];
        outcome.settings[0].name = EVIL.into();
        outcome.settings[0].value = EVIL.into();
        outcome.machines[0].hostname = EVIL.into();
        outcome.machines[0].cpu = EVIL.into();
        outcome.machines[0].kernel = EVIL.into();
        outcome.findings[0].what = EVIL.into();
        outcome.findings[0].remedy = EVIL.into();
        let echo = outcome.latencies["echo"].clone();
        outcome.latencies.insert(EVIL.into(), echo);
        let page = page(&outcome);
        assert!(!page.contains("<script") && !page.contains("alert('"));
        assert!(page.contains("&lt;script&gt;"));
    }

    #[test]
    fn it_shows_verdict_figures_findings_charts_and_tables() {
        let page = page(&sample_outcome());
        for wanted in [
            "✗ failed",
            "answered with HTTP 503",
            "What limited the run",
            "ulimit -n 1048576",
            "id=\"latency-echo\"",
            "id=\"latencies\"",
            "id=\"causes\"",
            "EPYC 7543P",
            "prefers-color-scheme:dark",
            "@media print",
            "Client-bound",
            "≥ ",
        ] {
            assert!(page.contains(wanted), "{wanted}");
        }
    }

    #[test]
    fn an_empty_run_and_a_long_one_have_a_page() {
        let empty = page(&empty_outcome());
        assert!(empty.contains("✓ passed") && !empty.contains("<figure"));
        page(&outcome_of(1));
        let long = page(&outcome_of(4_000));
        assert!(long.len() < 1_500_000, "{} bytes", long.len());
    }

    #[test]
    fn while_it_runs_there_is_no_verdict() {
        let main = main_part(&empty_outcome(), Stage::Running);
        assert!(main.contains("running") && !main.contains("passed"));
    }
}
