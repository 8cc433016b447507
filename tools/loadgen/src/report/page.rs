//! The page: a run as one HTML file, to read on a screen or to print.
//!
//! It loads nothing and runs no script.

use corecast_kit::chart::charts;
use corecast_kit::html::{Document, figure, list, table};
use maud::{Markup, html};

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
    html! {
        main {
            (header(outcome))
            (verdict(outcome, stage))
            (key_figures(outcome))
            (findings(outcome))
            @for chart in charts(outcome) {
                (figure(&chart.id, &chart.title, &chart.svg))
            }
            (tables(outcome))
        }
    }
    .into_string()
}

/// The scenario and its targets.
pub(crate) fn heading(outcome: &Outcome) -> String {
    format!(
        "{} against {}",
        outcome.scenario,
        outcome.targets.join(", ")
    )
}

fn header(outcome: &Outcome) -> Markup {
    html! {
        header #head {
            h1 { (heading(outcome)) }
            p {
                (date(outcome.started_unix_ms)) ", " (duration(outcome.seconds))
                @if outcome.interrupted { ", interrupted" }
                "; corecast-load " (outcome.version)
            }
            @if !outcome.command.is_empty() {
                p.command { code { (outcome.command.join(" ")) } }
            }
        }
    }
}

fn verdict(outcome: &Outcome, stage: Stage) -> Markup {
    let problems = outcome.problems();
    let (class, words) = match (stage, problems.is_empty()) {
        (Stage::Finished, true) => ("passed", "✓ passed"),
        (Stage::Finished, false) => ("failed", "✗ failed"),
        (Stage::Running, true) => ("running", "running"),
        (Stage::Running, false) => ("failed", "✗ running, with failures"),
    };
    html! {
        section #verdict class={ "verdict " (class) } {
            h2 { (words) }
            (list(problems.iter().map(|problem| html! { (problem) })))
            @if outcome.resources.client_bound {
                p {
                    strong { "Client-bound:" }
                    " the generator, not the server, was the limit. Rates (marked ≥) are lower \
                     bounds, latencies upper bounds."
                }
            }
        }
    }
}

fn key_figures(outcome: &Outcome) -> Markup {
    html! {
        dl #key-figures .key-figures {
            @for row in facts::key_figures(outcome) {
                div {
                    dt { (row.name) }
                    dd { (row.value) }
                    dd.remark { (row.remark) }
                }
            }
        }
    }
}

fn findings(outcome: &Outcome) -> Markup {
    let findings = outcome.findings.iter().map(|finding| {
        let severity = facts::severity(finding.severity);
        html! {
            strong class=(severity) { (severity) } ": " (finding.what)
            br;
            span.remedy { (finding.remedy) }
        }
    });
    html! {
        @if !outcome.findings.is_empty() {
            section #findings { h2 { "What limited the run" } (list(findings)) }
        }
    }
}

fn tables(outcome: &Outcome) -> Markup {
    let latencies: Vec<_> = facts::latencies(outcome)
        .into_iter()
        .map(Vec::from)
        .collect();
    let settings = outcome.settings.iter();
    let settings = settings.map(|setting| vec![setting.name.clone(), setting.value.clone()]);
    let machines = outcome.machines.iter().map(|machine| {
        vec![
            machine.hostname.clone(),
            machine.cpu.clone(),
            machine.kernel.clone(),
            machine.cores.to_string(),
            machine.threads.to_string(),
            memory(machine.memory_bytes as f64),
        ]
    });
    let (settings, machines): (Vec<_>, Vec<_>) = (settings.collect(), machines.collect());
    let row = |row: facts::Row| vec![row.name, row.value, row.remark];
    let of_causes = ["when", "cause", "name", "connections"];
    let of_machines = ["name", "processor", "kernel", "cores", "threads", "memory"];
    let figures = 1..LATENCY_HEADINGS.len();
    html! {
        (table("latencies", "Latencies", &LATENCY_HEADINGS, figures, &latencies))
        @for section in facts::sections(outcome) {
            @let id = format!("figures-{}", section.title);
            @let rows: Vec<_> = section.rows.into_iter().map(row).collect();
            (table(&id, section.title, &["figure", "value", "remark"], 1..2, &rows))
        }
        (table("causes", "Failures by cause", &of_causes, 3..4, &causes(outcome)))
        (table("settings", "Settings", &["setting", "value"], 0..0, &settings))
        (table("machines", "Machines", &of_machines, 3..6, &machines))
    }
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
        assert!(!page.contains("<script") && !page.contains("'\"&'"));
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
