//! The page: a run as one HTML file, to read on a screen or to print.

mod charts;
mod tables;

use std::fmt::Write as _;

use corecast_kit::html::{Document, escape, figure, list};
use corecast_kit::units::grouped;

use super::facts::{self, Judged};
use super::figures;
use crate::results::{Contest, Results, Role};

/// The whole run as one HTML file without any external resource.
pub fn page(results: &Results) -> String {
    let title = format!("Benchmark of corecast {}", results.version);
    let mut body = String::from("<main>\n");
    // Writing to a string does not fail.
    let _ = write(results, &title, &mut body);
    body.push_str("</main>\n");
    Document {
        title: &title,
        program: "corecast-bench",
        style: include_str!("page.css"),
        body: &body,
    }
    .html()
}

fn write(results: &Results, title: &str, html: &mut String) -> std::fmt::Result {
    let settings = &results.settings;
    writeln!(
        html,
        "<header id=\"head\"><h1>{}</h1>\n<p>{}</p>\n<p>{}</p>\n<p>{}; {}</p></header>",
        escape(title),
        escape(&facts::host(&results.host)),
        escape(&facts::settings(results)),
        escape(&facts::cores(settings)),
        escape(&settings.cores),
    )?;
    verdict(results, html)?;
    remarks(results, html)?;
    legend(results, html)?;
    if let Some(overview) = charts::overview(&results.contests) {
        html.push_str(&figure(
            "overview",
            "Compared with the fastest floor",
            &overview,
        ));
    }
    for (index, (group, contests)) in facts::groups(results).into_iter().enumerate() {
        writeln!(
            html,
            "<h2 class=\"group\" id=\"group-{index}\">{}</h2>",
            escape(group)
        )?;
        for (place, contest) in contests.iter().enumerate() {
            charts_of(contest, &format!("chart-{index}-{place}"), html)?;
        }
        for grid in [
            figures::timed(&contests, title_and_name),
            figures::idle(&contests, title_and_name),
        ] {
            html.push_str(&tables::html(&grid));
        }
    }
    explanation(results, html)?;
    host(results, html)
}

fn title_and_name(contest: &Contest) -> String {
    format!("{} – {}", contest.title, contest.name)
}

/// The goals, the figures that were reached, and the failures.
fn verdict(results: &Results, html: &mut String) -> std::fmt::Result {
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
    writeln!(
        html,
        "<section id=\"verdict\" class=\"verdict {class}\"><h2>{words}</h2>"
    )?;
    let failures = facts::failures(results).into_iter();
    html.push_str(&list(failures.map(|failure| {
        let failure = escape(&failure);
        format!("<strong class=\"failure\">failed</strong>: {failure}")
    })));
    html.push_str(&goals(&judged));
    writeln!(html, "</section>")
}

fn goals(judged: &[Judged<'_>]) -> String {
    if judged.is_empty() {
        return String::new();
    }
    let mut rows = String::new();
    for Judged { contest, verdict } in judged {
        let (class, sign) = match verdict.met {
            Some(true) => ("met", "✓ met"),
            Some(false) => ("missed", "✗ missed"),
            None => ("unjudged", "not judged"),
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            rows,
            "<tr><td class=\"{class}\">{sign}</td><td>{}</td><td>{}</td>\
             <td class=\"figure\">{}</td></tr>",
            escape(&contest.title),
            escape(&verdict.goal.to_string()),
            escape(&facts::reached(verdict)),
        );
    }
    format!(
        "<div class=\"table\" tabindex=\"0\"><table class=\"goals\"><thead><tr><th>verdict</th>\
         <th>scenario</th><th>goal</th><th class=\"figure\">reached</th></tr></thead>\n\
         <tbody>\n{rows}</tbody></table></div>\n"
    )
}

/// The doubts about the figures, the absent contestants, and the skipped scenarios.
fn remarks(results: &Results, html: &mut String) -> std::fmt::Result {
    let doubts = facts::doubts(results);
    if doubts.is_empty() && results.absent.is_empty() && results.skipped.is_empty() {
        return Ok(());
    }
    let item = |class: &str, word: &str, text: &str| {
        format!(
            "<strong class=\"{class}\">{word}</strong>: {}",
            escape(text)
        )
    };
    let doubts = doubts.iter().map(|doubt| item("limit", "doubtful", doubt));
    let absent = results.absent.iter();
    let absent = absent.map(|absent| item("absent", "absent", absent));
    let skipped = results.skipped.iter();
    let skipped = skipped.map(|skipped| item("absent", "skipped", skipped));
    writeln!(
        html,
        "<section id=\"remarks\"><h2>To be known</h2>\n{}</section>",
        list(doubts.chain(absent).chain(skipped))
    )
}

/// The colours of the contestants.
fn legend(results: &Results, html: &mut String) -> std::fmt::Result {
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
    let present = ROLES
        .iter()
        .filter(|(role, _)| entries().any(|entry| entry.role == *role));
    let items: String = present
        .map(|(role, words)| {
            let class = charts::class(*role);
            format!("<li><span class=\"swatch {class}\"></span>{words}</li>\n")
        })
        .collect();
    if items.is_empty() {
        return Ok(());
    }
    writeln!(
        html,
        "<ul class=\"legend\">\n{items}<li><span class=\"swatch range\"></span>lowest to highest \
         round; a bar is the median</li>\n</ul>"
    )
}

fn charts_of(contest: &Contest, id: &str, html: &mut String) -> std::fmt::Result {
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
    for (kind, title, chart) in kinds {
        if let Some(svg) = chart {
            html.push_str(&figure(&format!("{id}-{kind}"), title, &svg));
        }
    }
    if !contest.note.is_empty() {
        writeln!(
            html,
            "<p class=\"note\">{}: {}</p>",
            escape(&contest.name),
            escape(&contest.note)
        )?;
    }
    Ok(())
}

fn explanation(results: &Results, html: &mut String) -> std::fmt::Result {
    if results.contests.is_empty() {
        return writeln!(html, "<section><p>Nothing was measured.</p></section>");
    }
    write!(
        html,
        "<section id=\"reading\"><h2>How to read this</h2><p>{}</p>",
        facts::EXPLANATION
    )?;
    if results.contests.iter().any(facts::is_idle) {
        write!(html, "<p>{}</p>", facts::MEMORY_EXPLANATION)?;
    }
    writeln!(html, "</section>")
}

/// Limits and settings of the kernel, out of the way.
fn host(results: &Results, html: &mut String) -> std::fmt::Result {
    let host = &results.host;
    let mut rows = vec![
        (
            "open files a process may have".to_owned(),
            grouped(host.open_files),
        ),
        ("processor".into(), host.cpu.clone()),
        ("cores this run could use".into(), host.cores.to_string()),
        ("memory".into(), format!("{} MiB", grouped(host.memory_mib))),
        ("kernel".into(), host.kernel.clone()),
        (
            "governor".into(),
            host.governor.clone().unwrap_or_else(|| "unknown".into()),
        ),
    ];
    let sysctls = host.sysctls.iter();
    rows.extend(sysctls.map(|(name, value)| (name.clone(), value.clone())));
    let rows: String = rows
        .iter()
        .map(|(name, value)| {
            format!(
                "<tr><td>{}</td><td>{}</td></tr>\n",
                escape(name),
                escape(value)
            )
        })
        .collect();
    writeln!(
        html,
        "<details id=\"host\"><summary>Limits and settings of the host</summary>\n\
         <div class=\"table\" tabindex=\"0\"><table><thead><tr><th>setting</th><th>value</th></tr>\
         </thead>\n<tbody>\n{rows}</tbody></table></div></details>"
    )
}

#[cfg(test)]
mod tests;
