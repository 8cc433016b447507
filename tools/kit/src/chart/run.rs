//! The charts of a run.

use super::axis::Unit;
use super::lines::{Line, LineChart};
use super::{Chart, histogram, thin};
use crate::outcome::{Outcome, Percentiles, Sample, latency_title, per_second};

/// So many points of a line tell apart what a screen can show.
const MAX_POINTS: usize = 400;
/// More cores than this are shown as their busiest, mean and idlest.
const MAX_CORE_LINES: usize = 6;

/// All charts for which there are figures.
pub fn charts(outcome: &Outcome) -> Vec<Chart> {
    let series = thin::thin(&outcome.series, MAX_POINTS);
    let mut charts = vec![
        users(&series),
        openings(&series),
        messages(&series),
        payload(&series),
    ];
    for (index, (name, latency)) in outcome.latencies_in_order().into_iter().enumerate() {
        if latency.is_empty() {
            continue;
        }
        charts.push(percentiles(&series, index, name));
        charts.push(Some(histogram::histogram(
            format!("histogram-{}", id(index, name)),
            format!("{}: how often it took how long", latency_title(name)),
            latency,
        )));
    }
    charts.extend([
        cpu(&series),
        cores(&series),
        memory(&series),
        server(&series),
    ]);
    charts.into_iter().flatten().collect()
}

fn users(series: &[Sample]) -> Option<Chart> {
    LineChart::new(
        "users",
        "Users and connections",
        "number at once",
        Unit::Count,
    )
    .line(Line::of("users", series, |s| Some(s.users as f64)))
    .line(Line::of("connected", series, |s| Some(s.connected as f64)))
    .draw()
}

fn openings(series: &[Sample]) -> Option<Chart> {
    let rate = |count: fn(&Sample) -> u64| move |s: &Sample| Some(per_second(count(s), s.seconds));
    LineChart::new(
        "openings",
        "Connections opened and failed",
        "per second",
        Unit::Count,
    )
    .line(Line::of("opened", series, rate(|s| s.opened)))
    .line(Line::of("failed", series, rate(|s| s.failed)))
    .draw()
}

fn messages(series: &[Sample]) -> Option<Chart> {
    let rate = |count: fn(&Sample) -> u64| move |s: &Sample| Some(per_second(count(s), s.seconds));
    if series.iter().all(|s| s.sent == 0 && s.received == 0) {
        return None;
    }
    LineChart::new(
        "messages",
        "Messages sent and received",
        "per second",
        Unit::Count,
    )
    .line(Line::of("sent", series, rate(|s| s.sent)))
    .line(Line::of("received", series, rate(|s| s.received)))
    .draw()
}

fn payload(series: &[Sample]) -> Option<Chart> {
    let rate =
        |bytes: fn(&Sample) -> u64| move |s: &Sample| Some(per_second(bytes(s), s.seconds) / 1e6);
    if series
        .iter()
        .all(|s| s.sent_bytes == 0 && s.received_bytes == 0)
    {
        return None;
    }
    LineChart::new(
        "payload",
        "Payload sent and received",
        "MB per second",
        Unit::Count,
    )
    .line(Line::of("sent", series, rate(|s| s.sent_bytes)))
    .line(Line::of("received", series, rate(|s| s.received_bytes)))
    .draw()
}

fn percentiles(series: &[Sample], index: usize, name: &str) -> Option<Chart> {
    let line = |label: &str, of: fn(&Percentiles) -> u64| {
        Line::of(label, series, |s| {
            let timed = s.latencies.get(name).filter(|p| p.count > 0)?;
            Some(of(timed) as f64)
        })
    };
    LineChart::new(
        &format!("latency-{}", id(index, name)),
        &format!("{}: percentiles over time", latency_title(name)),
        "time taken",
        Unit::Micros,
    )
    .line(line("longest", |p| p.max))
    .line(line("99.9 %", |p| p.p99_9))
    .line(line("99 %", |p| p.p99))
    .line(line("90 %", |p| p.p90))
    .line(line("median", |p| p.p50))
    .draw()
}

fn cpu(series: &[Sample]) -> Option<Chart> {
    if series
        .iter()
        .all(|s| s.client_cpu == 0.0 && s.server_cpu.is_none())
    {
        return None;
    }
    LineChart::new("cpu", "Processor time", "full cores", Unit::Count)
        .line(Line::of("client", series, |s| Some(s.client_cpu)))
        .line(Line::of("server", series, |s| s.server_cpu))
        .draw()
}

fn cores(series: &[Sample]) -> Option<Chart> {
    let count = series.iter().map(|s| s.cores.len()).max().unwrap_or(0);
    let chart = LineChart::new("cores", "Each core", "busy", Unit::Percent);
    if count <= MAX_CORE_LINES {
        return (0..count)
            .fold(chart, |chart, core| {
                let busy = |s: &Sample| Some(s.cores.get(core)? * 100.0);
                chart.line(Line::of(&format!("core {core}"), series, busy))
            })
            .draw();
    }
    let of_all = |label: &str, of: fn(&[f64]) -> f64| {
        Line::of(label, series, |s| {
            (!s.cores.is_empty()).then(|| of(&s.cores) * 100.0)
        })
    };
    chart
        .line(of_all("busiest", |cores| {
            cores.iter().copied().fold(0.0, f64::max)
        }))
        .line(of_all("mean", |cores| {
            cores.iter().sum::<f64>() / cores.len() as f64
        }))
        .line(of_all("idlest", |cores| {
            cores.iter().copied().fold(1.0, f64::min)
        }))
        .draw()
}

fn memory(series: &[Sample]) -> Option<Chart> {
    LineChart::new("memory", "Memory", "MiB", Unit::Count)
        .line(Line::of("client", series, |s| {
            (s.client_memory_bytes > 0).then(|| mebibytes(s.client_memory_bytes))
        }))
        .line(Line::of("server", series, |s| {
            s.server_memory_bytes.map(mebibytes)
        }))
        .line(Line::of("kernel", series, |s| {
            s.kernel_memory_bytes.map(mebibytes)
        }))
        .draw()
}

fn server(series: &[Sample]) -> Option<Chart> {
    LineChart::new(
        "server",
        "What the server holds",
        "number at once",
        Unit::Count,
    )
    .line(Line::of("sessions", series, |s| {
        s.server_sessions.map(|count| count as f64)
    }))
    .line(Line::of("descriptors", series, |s| {
        s.server_descriptors.map(|count| count as f64)
    }))
    .draw()
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// A latency's name as part of an `id`: the known names as they are; others
/// come from a file and could hold anything, so they are numbered.
fn id(index: usize, name: &str) -> String {
    if name.chars().all(|c| c.is_ascii_lowercase()) {
        name.to_owned()
    } else {
        index.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::sample::{empty_outcome, outcome_of, sample_outcome};

    #[test]
    fn a_full_run_has_every_chart() {
        let charts = charts(&sample_outcome());
        let ids: Vec<_> = charts.iter().map(|chart| chart.id.as_str()).collect();
        assert_eq!(
            ids,
            [
                "users",
                "openings",
                "messages",
                "payload",
                "latency-handshake",
                "histogram-handshake",
                "latency-echo",
                "histogram-echo",
                "cpu",
                "cores",
                "memory",
                "server"
            ]
        );
    }

    #[test]
    fn every_chart_has_a_role_a_name_and_leaves_colours_to_the_page() {
        for chart in charts(&sample_outcome()) {
            let svg = &chart.svg;
            assert!(svg.starts_with("<svg viewBox=") && svg.ends_with("</svg>"));
            assert!(svg.contains("role=\"img\" aria-label=\"") && !svg.contains("xmlns"));
            for attribute in ["fill=", "stroke=", "style="] {
                assert!(!svg.contains(attribute), "{attribute} in {}", chart.id);
            }
        }
    }

    #[test]
    fn no_samples_one_and_thousands_all_draw() {
        assert!(charts(&empty_outcome()).is_empty());
        let one = charts(&outcome_of(1));
        assert!(one.iter().any(|chart| chart.svg.contains("<circle")));
        let many: usize = charts(&outcome_of(4_000)).iter().map(|c| c.svg.len()).sum();
        assert!(many < 1_000_000, "{many} bytes");
    }

    #[test]
    fn figures_that_are_no_numbers_do_not_stop_a_chart() {
        let mut outcome = outcome_of(3);
        outcome.series[0].at = f64::NAN;
        outcome.series[1].client_cpu = f64::INFINITY;
        outcome.series[2].at = -1.0;
        charts(&outcome);
    }

    #[test]
    fn names_from_outside_do_not_reach_an_id() {
        let mut outcome = sample_outcome();
        let echo = outcome.latencies["echo"].clone();
        for name in ["\"><script>", "a b", "a-b", ""] {
            outcome.latencies.insert(name.into(), echo.clone());
        }
        let charts = charts(&outcome);
        let ids: BTreeSet<_> = charts.iter().map(|chart| &chart.id).collect();
        assert_eq!(ids.len(), charts.len());
        assert!(charts.iter().all(|chart| !chart.svg.contains("<script>")));
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        assert!(ids.iter().all(|id| id.chars().all(plain)), "{ids:?}");
    }
}
