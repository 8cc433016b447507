//! The figures of contestants in columns, as the table and the page both show them.

use corecast_kit::units::{micros, significant};

use super::facts::{self, bytes, is_idle, part, ratio, spread, thousands};
use super::grid::{Column, Grid};
use crate::results::{Contest, Entry, IdleSample, Latency, Role, Sample, Spread};

/// A contestant in its scenario.
pub(super) struct Row<'a> {
    contest: &'a Contest,
    entry: &'a Entry,
}

/// Rates, CPU time and latency of all `contests` that were timed, each under
/// what `title` says.
pub(super) fn timed(contests: &[&Contest], title: fn(&Contest) -> String) -> Grid {
    let columns = [
        Column::words("contestant", |row: &Row| row.entry.name.clone()),
        Column::figures("thousand per s", Row::rate),
        Column::figures("÷ floor", |row| {
            spread_or_nothing(
                row.to(row.contest.fastest_floor(), Contest::rate_ratio),
                ratio,
            )
        }),
        Column::figures("÷ baseline", |row| {
            spread_or_nothing(row.to(row.contest.baseline(), Contest::rate_ratio), ratio)
        }),
        Column::figures("CPU µs each", |row| {
            median(row.entry.server_micros(), significant)
        }),
        Column::figures("CPU ÷ floor", |row| {
            median(
                row.to(row.contest.fastest_floor(), Contest::cpu_ratio),
                ratio,
            )
        }),
        Column::figures("server busy", |row| {
            let busy = row.entry.samples().filter_map(Sample::server_busy);
            median(Spread::of(busy), share)
        }),
        Column::figures("load busy", Row::load_busy),
        Column::figures("slowest core, thousand per CPU s", |row| {
            let rates = row.entry.samples().filter_map(|s| s.slowest_core_rate);
            median(Spread::of(rates), thousands)
        }),
        Column::figures("p50", |row| row.latency(|latency| latency.p50)),
        Column::figures("p99", |row| row.latency(|latency| latency.p99)),
    ];
    let contests = contests.iter().filter(|contest| !is_idle(contest));
    Grid::new(&columns, contests.map(|contest| section(contest, title)))
}

/// The memory of all `contests` in which sessions were idle, each under what
/// `title` says.
pub(super) fn idle(contests: &[&Contest], title: fn(&Contest) -> String) -> Grid {
    let columns = [
        Column::words("contestant", |row: &Row| row.entry.name.clone()),
        Column::figures("resident B per session", |row| match row.failed() {
            true => "failed".into(),
            false => spread_or_nothing(row.entry.resident_bytes(), bytes),
        }),
        Column::figures("proportional B", |row| {
            row.idle(|idle| idle.proportional_bytes, bytes)
        }),
        Column::figures("kernel B", |row| row.idle(|idle| idle.kernel_bytes, bytes)),
        Column::figures("server MiB before", |row| {
            row.idle(|idle| idle.base_bytes as f64 / 1_048_576.0, significant)
        }),
        Column::figures("÷ baseline", |row| {
            spread_or_nothing(row.to(row.contest.baseline(), Contest::memory_ratio), part)
        }),
    ];
    let contests = contests.iter().filter(|contest| is_idle(contest));
    Grid::new(&columns, contests.map(|contest| section(contest, title)))
}

fn section<'a>(contest: &'a Contest, title: fn(&Contest) -> String) -> (String, Vec<Row<'a>>) {
    let entries = contest.entries.iter();
    let rows = entries.map(|entry| Row { contest, entry }).collect();
    (title(contest), rows)
}

impl Row<'_> {
    fn failed(&self) -> bool {
        !self.entry.rounds.is_empty() && self.entry.rounds.iter().all(Option::is_none)
    }

    fn rate(&self) -> String {
        if self.failed() {
            return "failed".into();
        }
        let rate = spread_or_nothing(self.entry.rate(), thousands);
        if self.entry.is_client_bound() {
            format!("{}{rate}", facts::LOWER_BOUND)
        } else {
            rate
        }
    }

    /// The figure compared with `other`, unless it comes from another machine.
    fn to(
        &self,
        other: Option<&Entry>,
        figure: fn(&Contest, &Entry, &Entry) -> Option<Spread>,
    ) -> Option<Spread> {
        match self.entry.role {
            Role::Printed => None,
            _ => figure(self.contest, self.entry, other?),
        }
    }

    fn load_busy(&self) -> String {
        // A figure printed elsewhere says nothing about a load here.
        if self.entry.role == Role::Printed {
            return String::new();
        }
        let busy = median(
            Spread::of(self.entry.samples().map(Sample::load_busy)),
            share,
        );
        if self.entry.is_client_bound() {
            format!("{busy} client-bound")
        } else {
            busy
        }
    }

    fn latency(&self, figure: fn(&Latency) -> f64) -> String {
        let latencies = self.entry.samples().filter_map(|s| s.latency.as_ref());
        let times = Spread::of(latencies.map(figure));
        median(times, |time| micros(time.round() as u64))
    }

    fn idle(&self, figure: fn(&IdleSample) -> f64, shown: fn(f64) -> String) -> String {
        median(Spread::of(self.entry.idle_samples().map(figure)), shown)
    }
}

fn spread_or_nothing(figures: Option<Spread>, shown: impl Fn(f64) -> String) -> String {
    figures.map_or(String::new(), |figures| spread(figures, shown))
}

fn median(figures: Option<Spread>, shown: impl Fn(f64) -> String) -> String {
    let median = figures.map(|figures| figures.median);
    median
        .filter(|median| median.is_finite())
        .map_or(String::new(), shown)
}

fn share(share: f64) -> String {
    format!("{share:.2}")
}
