//! The page: a run as one HTML file, to read on a screen or to print.

mod charts;
mod tables;

use corecast_kit::html::{Document, figure, grid, list};
use corecast_kit::units::grouped;
use maud::{Markup, html};

use super::facts::{self, Judged};
use super::figures;
use crate::results::{Contest, Results, Role};

/// The whole run as one HTML file without any external resource.
pub fn page(results: &Results) -> String {
    let title = format!("Benchmark of corecast {}", results.version);
    let settings = &results.settings;
    let body = html! {
        main {
            header #head {
                h1 { (title) }
                p { (facts::host(&results.host)) }
                p { (facts::settings(results)) }
                p { (facts::cores(settings)) "; " (settings.cores) }
            }
            (verdict(results))
            (remarks(results))
            (legend(results))
            @if let Some(svg) = charts::overview(&results.contests) {
                (figure("overview", "Compared with the fastest floor", &svg))
            }
            @for (index, (group, contests)) in facts::groups(results).into_iter().enumerate() {
                h2.group id={ "group-" (index) } { (group) }
                @for (place, contest) in contests.iter().enumerate() {
                    (charts_of(contest, &format!("chart-{index}-{place}")))
                }
                (tables::html(&figures::timed(&contests, title_and_name)))
                (tables::html(&figures::idle(&contests, title_and_name)))
            }
            (explanation(results))
            (host(results))
        }
    };
    Document {
        title: &title,
        program: "corecast-bench",
        style: include_str!("page.css"),
        body: &body.into_string(),
    }
    .html()
}

fn title_and_name(contest: &Contest) -> String {
    format!("{} – {}", contest.title, contest.name)
}

/// The goals, the figures that were reached, and the failures.
fn verdict(results: &Results) -> Markup {
    let judged = facts::judged(results);
    let missed = judged.iter().any(|goal| goal.verdict.met == Some(false));
    let met = judged.iter().any(|goal| goal.verdict.met == Some(true));
    let class = match () {
        () if missed || results.own_failures() > 0 => "failed",
        () if met => "passed",
        () => "running",
    };
    let words = match judged.is_empty() {
        true => "no goals were set".into(),
        false => facts::tally(&judged),
    };
    let failures = facts::failures(results).into_iter();
    html! {
        section #verdict class={ "verdict " (class) } {
            h2 { (words) }
            (list(failures.map(|failure| item("failure", "failed", &failure))))
            @if !judged.is_empty() { (goals(&judged)) }
        }
    }
}

/// A line that begins with a strong word.
fn item(class: &str, word: &str, text: &str) -> Markup {
    html! { strong class=(class) { (word) } ": " (text) }
}

fn goals(judged: &[Judged<'_>]) -> Markup {
    let mark = |met| match met {
        Some(true) => ("met", "✓ met"),
        Some(false) => ("missed", "✗ missed"),
        None => ("unjudged", "not judged"),
    };
    html! {
        div.table tabindex="0" {
            table.goals {
                thead { tr {
                    th { "verdict" } th { "scenario" } th { "goal" } th.figure { "reached" }
                } }
                tbody {
                    @for Judged { contest, verdict } in judged {
                        @let (class, sign) = mark(verdict.met);
                        tr {
                            td class=(class) { (sign) }
                            td { (contest.title) }
                            td { (verdict.goal) }
                            td.figure { (facts::reached(verdict)) }
                        }
                    }
                }
            }
        }
    }
}

/// The doubts about the figures, the absent contestants, and the skipped scenarios.
fn remarks(results: &Results) -> Markup {
    let doubts = facts::doubts(results);
    let doubts = doubts.iter().map(|doubt| item("limit", "doubtful", doubt));
    let absent = results.absent.iter();
    let absent = absent.map(|absent| item("absent", "absent", absent));
    let skipped = results.skipped.iter();
    let skipped = skipped.map(|skipped| item("absent", "skipped", skipped));
    let mut items = doubts.chain(absent).chain(skipped).peekable();
    html! {
        @if items.peek().is_some() {
            section #remarks { h2 { "To be known" } (list(items)) }
        }
    }
}

/// The colours of the contestants.
fn legend(results: &Results) -> Markup {
    const ROLES: [(Role, &str); 7] = [
        (Role::Server, "the server"),
        (Role::Variant, "the server run in another way"),
        (Role::Baseline, "the conventional server (baseline)"),
        (Role::Rival, "other servers"),
        (Role::Against, "servers given by their URL"),
        (Role::Floor, "floors: no server here can do much better"),
        (Role::Printed, "printed elsewhere, on another machine"),
    ];
    let entries = || results.contests.iter().flat_map(|contest| &contest.entries);
    let mut present = ROLES
        .iter()
        .filter(|(role, _)| entries().any(|entry| entry.role == *role))
        .peekable();
    html! {
        @if present.peek().is_some() {
            ul.legend {
                @for (role, words) in present {
                    li { span class={ "swatch " (charts::class(*role)) } {} (words) }
                }
                li { span.swatch.range {} "lowest to highest round; a bar is the median" }
            }
        }
    }
}

fn charts_of(contest: &Contest, id: &str) -> Markup {
    let title = &contest.title;
    let latencies = charts::latencies(contest);
    // Two charts of one scenario must be told apart.
    let rates_title = match latencies {
        Some(_) => format!("{title}: the rate"),
        None => title.clone(),
    };
    let kinds = [
        ("latency", title, latencies),
        ("rate", &rates_title, charts::rates(contest)),
        ("memory", title, charts::memory(contest)),
    ];
    html! {
        @for (kind, title, chart) in kinds {
            @if let Some(svg) = chart {
                (figure(&format!("{id}-{kind}"), title, &svg))
            }
        }
        @if !contest.note.is_empty() {
            p.note { (contest.name) ": " (contest.note) }
        }
    }
}

fn explanation(results: &Results) -> Markup {
    html! {
        @if results.contests.is_empty() {
            section { p { "Nothing was measured." } }
        } @else {
            section #reading {
                h2 { "How to read this" }
                p { (facts::EXPLANATION) }
                @if results.contests.iter().any(facts::is_idle) {
                    p { (facts::MEMORY_EXPLANATION) }
                }
            }
        }
    }
}

/// Limits and settings of the kernel, out of the way.
fn host(results: &Results) -> Markup {
    let host = &results.host;
    let governor = host.governor.as_deref().unwrap_or("unknown");
    let own = [
        ("open files a process may have", grouped(host.open_files)),
        ("processor", host.cpu.clone()),
        ("cores this run could use", host.cores.to_string()),
        ("memory", format!("{} MiB", grouped(host.memory_mib))),
        ("kernel", host.kernel.clone()),
        ("governor", governor.to_owned()),
    ];
    let own = own.map(|(name, value)| vec![name.to_owned(), value]);
    let sysctls = host.sysctls.iter();
    let sysctls = sysctls.map(|(name, value)| vec![name.clone(), value.clone()]);
    let rows: Vec<_> = own.into_iter().chain(sysctls).collect();
    html! {
        details #host {
            summary { "Limits and settings of the host" }
            (grid(&["setting", "value"], 0..0, &rows))
        }
    }
}

#[cfg(test)]
mod tests;
