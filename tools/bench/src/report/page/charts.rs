//! The charts of the page.

use corecast_kit::chart::{Axis, BarChart, Mark, Row, Shape};
use corecast_kit::units::{micros, plain, tick_micros};

use crate::report::facts::{self, bytes, part, ratio, thousands};
use crate::results::{Contest, Entry, Latency, Role, Spread};

/// The class that colours the figures of an entry of this role.
pub(super) fn class(role: Role) -> &'static str {
    role.into()
}

/// The results of the server and the baseline in each scenario that has a floor.
pub(super) fn overview(contests: &[Contest]) -> Option<String> {
    let rows: Vec<Row> = contests.iter().filter_map(compared_with_floor).collect();
    let chart = chart(
        "Compared with the fastest floor, by scenario".into(),
        rows,
        |figures| Axis::logarithmic(figures, "times the rate of the fastest floor", plain),
    )?;
    Some(
        BarChart {
            line_at: Some(1.0),
            ..chart
        }
        .svg(),
    )
}

fn compared_with_floor(contest: &Contest) -> Option<Row> {
    let floor = contest.fastest_floor()?;
    let mut marks = Vec::new();
    let mut label = Vec::new();
    for entry in [contest.server(), contest.baseline()].into_iter().flatten() {
        let Some((figure, words)) = times_floor(contest, entry, floor) else {
            continue;
        };
        marks.push(Mark {
            shape: Shape::Dot,
            class: class(entry.role),
            figure,
        });
        label.push(match entry.role {
            Role::Baseline => format!("baseline {words}"),
            _ => words,
        });
    }
    if marks.is_empty() {
        return None;
    }
    Some(Row {
        name: contest.title.clone(),
        class: "",
        marks,
        label: label.join(", "),
    })
}

/// How many times the floor the entry is: by CPU time if the load held either back.
fn times_floor(contest: &Contest, entry: &Entry, floor: &Entry) -> Option<(Spread, String)> {
    let is_figure = |spread: &Spread| spread.median.is_finite();
    if facts::is_client_bound(entry, floor) {
        let cpu = contest.cpu_ratio(entry, floor).filter(is_figure)?;
        let inverse = Spread {
            median: 1.0 / cpu.median,
            min: 1.0 / cpu.max,
            max: 1.0 / cpu.min,
        };
        return Some((inverse, format!("{} by CPU", ratio(inverse.median))));
    }
    let rate = contest.rate_ratio(entry, floor).filter(is_figure)?;
    Some((rate, ratio(rate.median)))
}

/// The rate of each contestant.
pub(super) fn rates(contest: &Contest) -> Option<String> {
    let rows = contest.entries.iter().filter_map(|entry| {
        let figure = entry.rate()?;
        let thousand = Spread {
            median: figure.median / 1e3,
            min: figure.min / 1e3,
            max: figure.max / 1e3,
        };
        Some(row(
            entry,
            vec![bar(entry, thousand)],
            rate_label(contest, entry, figure),
        ))
    });
    let title = format!("thousand {} per second", contest.unit);
    let aria = format!("{}: {title}", contest.title);
    let chart = chart(aria, rows.collect(), |figures| {
        Axis::of(figures, &title, plain)
    })?;
    Some(chart.svg())
}

/// `68.6 · 0.94 × floor · 1.31 × baseline`.
fn rate_label(contest: &Contest, entry: &Entry, rate: Spread) -> String {
    let bound = if entry.is_client_bound() {
        facts::LOWER_BOUND
    } else {
        ""
    };
    let mut label = vec![format!("{bound}{}", thousands(rate.median))];
    match contest.fastest_floor() {
        Some(floor) if floor.name == entry.name => label.push("fastest floor".into()),
        Some(floor) => label.extend(facts::times(contest, entry, floor, "floor")),
        None => {}
    }
    let baseline = contest.baseline();
    let baseline = baseline.filter(|baseline| {
        baseline.name != entry.name && matches!(entry.role, Role::Server | Role::Variant)
    });
    label.extend(baseline.and_then(|other| facts::times(contest, entry, other, "baseline")));
    label.join(" · ")
}

/// How long answers took, where that was timed: the median before the 99th percentile.
pub(super) fn latencies(contest: &Contest) -> Option<String> {
    let rows = contest.entries.iter().filter_map(|entry| {
        let of = |figure: fn(&Latency) -> f64| {
            let latencies = entry.samples().filter_map(|s| s.latency.as_ref());
            Spread::of(latencies.map(figure))
        };
        let (p50, p99) = (of(|latency| latency.p50)?, of(|latency| latency.p99)?);
        let tail = Mark {
            shape: Shape::Tail,
            ..bar(entry, p99)
        };
        // A message that waited in a full generator waited for it, not for the
        // server.
        let bound = if entry.is_client_bound() { "≤ " } else { "" };
        let [p50_shown, p99_shown] = [p50, p99].map(|it| format!("{bound}{}", time(it.median)));
        let label = format!("p50 {p50_shown} · p99 {p99_shown}");
        Some(row(entry, vec![tail, bar(entry, p50)], label))
    });
    let title = "time until the answer: median, and 99th percentile behind it in pale";
    let aria = format!("{}: {title}", contest.title);
    let chart = chart(aria, rows.collect(), |figures| {
        Axis::of(figures, title, tick_micros)
    })?;
    Some(chart.svg())
}

/// The memory that an idle session takes of each contestant.
pub(super) fn memory(contest: &Contest) -> Option<String> {
    let baseline = contest.baseline();
    let rows = contest.entries.iter().filter_map(|entry| {
        let figure = entry.resident_bytes()?;
        let mut label = vec![format!("{} B", bytes(figure.median))];
        let baseline = baseline.filter(|baseline| baseline.name != entry.name);
        let ratio = baseline.and_then(|baseline| contest.memory_ratio(entry, baseline));
        label.extend(ratio.and_then(|ratio| compared(ratio.median)));
        let kernel = Spread::of(entry.idle_samples().map(|idle| idle.kernel_bytes))?;
        label.push(format!("kernel {} B", bytes(kernel.median)));
        Some(row(entry, vec![bar(entry, figure)], label.join(" · ")))
    });
    let title = "resident bytes per idle session";
    let aria = format!("{}: {title}", contest.title);
    let chart = chart(aria, rows.collect(), |figures| {
        Axis::of(figures, title, plain)
    })?;
    Some(chart.svg())
}

/// `1/169 of baseline`, `1.45 × baseline`, or nothing for no memory at all.
fn compared(times_baseline: f64) -> Option<String> {
    match part(times_baseline) {
        _ if times_baseline <= 0.0 => None,
        part if part.starts_with("1/") => Some(format!("{part} of baseline")),
        times => Some(format!("{times} × baseline")),
    }
}

/// A chart of these rows over the axis that their figures need, unless there are none.
fn chart(
    title: String,
    rows: Vec<Row>,
    axis: impl FnOnce(Vec<Spread>) -> Axis,
) -> Option<BarChart> {
    if rows.is_empty() {
        return None;
    }
    let marks = rows.iter().flat_map(|row| &row.marks);
    Some(BarChart {
        title,
        axis: axis(marks.map(|mark| mark.figure).collect()),
        line_at: None,
        rows,
    })
}

fn row(entry: &Entry, marks: Vec<Mark>, label: String) -> Row {
    Row {
        name: entry.name.clone(),
        class: class(entry.role),
        marks,
        label,
    }
}

fn bar(entry: &Entry, figure: Spread) -> Mark {
    Mark {
        shape: Shape::Bar,
        class: class(entry.role),
        figure,
    }
}

fn time(time: f64) -> String {
    micros(time.round() as u64)
}
