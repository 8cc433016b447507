//! The figures as tables for people and as JSON for programs.

use std::fmt;
use std::io::{self, Write};

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::RunArgs;
use crate::contest::{Contest, Entry, Role, Spread, Verdict};
use crate::host::Host;
use crate::load::Sample;
use crate::scenario::{Goal, Load};

/// Other work on the two cores above this share of the window makes a figure doubtful.
const TOLERATED_OTHER_WORK: f64 = 0.05;

/// Everything a run found out.
pub struct Report<'a> {
    args: &'a RunArgs,
    host: Host,
    contests: &'a [Contest],
}

impl<'a> Report<'a> {
    /// A report on `contests`.
    pub fn new(args: &'a RunArgs, host: Host, contests: &'a [Contest]) -> Report<'a> {
        Report {
            args,
            host,
            contests,
        }
    }

    /// Writes every sample and every ratio.
    pub fn write_json(&self, mut writer: impl Write) -> io::Result<()> {
        let window = self.args.window();
        let value = json!({
            "host": &self.host,
            "server_cpu": self.args.server_cpu,
            "load_cpu": self.args.load_cpu,
            "driver": self.args.driver.as_str(),
            "rounds": self.args.rounds(),
            "warm_up_seconds": window.warm_up.as_secs_f64(),
            "measured_seconds": window.measured.as_secs_f64(),
            "scenarios": self.contests.iter().map(contest_json).collect::<Vec<_>>(),
        });
        serde_json::to_writer_pretty(&mut writer, &value)?;
        writer.write_all(b"\n")
    }

    /// The largest share of the two cores that neither side accounts for.
    fn other_work(&self) -> f64 {
        self.contests
            .iter()
            .flat_map(|contest| &contest.entries)
            .flat_map(Entry::samples)
            .filter_map(|sample| Some(sample.other_cpu_seconds? / sample.seconds))
            .fold(0.0, f64::max)
    }
}

fn contest_json(contest: &Contest) -> Value {
    #[derive(Serialize)]
    struct Line<'a> {
        name: &'a str,
        role: Role,
        per_second: Option<Spread>,
        server_micros_per_message: Option<Spread>,
        client_bound: bool,
        rate_to_floor: Option<Spread>,
        cpu_to_floor: Option<Spread>,
        verdict: Option<Verdict>,
        windows: Vec<&'a Sample>,
        idle: Vec<&'a crate::load::idle::IdleSample>,
    }
    let lines: Vec<_> = contest
        .entries
        .iter()
        .map(|entry| Line {
            name: &entry.name,
            role: entry.role,
            per_second: entry.rate(),
            server_micros_per_message: entry.server_micros(),
            client_bound: entry.is_client_bound(),
            rate_to_floor: contest.rate_ratio(entry),
            cpu_to_floor: contest.cpu_ratio(entry),
            verdict: contest.verdict(entry),
            windows: entry.samples().collect(),
            idle: entry.idle_samples().collect(),
        })
        .collect();
    json!({
        "name": contest.scenario.name,
        "unit": contest.scenario.unit,
        "target": target(contest.scenario.goal),
        "contestants": lines,
        "failures": contest.failures,
    })
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.host;
        writeln!(
            f,
            "\n{}, Linux {}, {}, {} cores, {} MiB",
            host.date, host.kernel, host.cpu, host.cores, host.memory_mib
        )?;
        writeln!(
            f,
            "server and floors on core {}, load on core {}; rounds of {} s after {} s of \
             warm-up, interleaved, {} in all; median (min to max)",
            self.args.server_cpu,
            self.args.load_cpu,
            self.args.window().measured.as_secs_f64(),
            self.args.window().warm_up.as_secs_f64(),
            self.args.rounds(),
        )?;
        if self.args.server_cpu == self.args.load_cpu {
            writeln!(
                f,
                "WARNING: server and load share a core; only CPU per message means much"
            )?;
        }
        let is_idle = |contest: &&Contest| matches!(contest.scenario.load, Load::Idle(_));
        let (idle, timed): (Vec<_>, Vec<_>) = self.contests.iter().partition(is_idle);
        if !timed.is_empty() {
            writeln!(f, "\n{}", timed_table(&timed))?;
            writeln!(
                f,
                "÷ floor: to the best floor, within each round. CPU is that of the contestant's \
                 process.\nclient-bound: the load's core was full and the server's was not, so \
                 CPU ÷ floor decides."
            )?;
        }
        if !idle.is_empty() {
            writeln!(f, "\n{}", idle_table(&idle))?;
            writeln!(
                f,
                "Growth from a server warmed up by 200 sessions with one message echoed on each, \
                 which stay open;\ntransparent huge pages are off here, so that growth shows to \
                 the page. Kernel memory is the growth\nof all slabs, halved for the two ends of \
                 a loopback connection."
            )?;
        }
        let other = self.other_work();
        if other > TOLERATED_OTHER_WORK {
            writeln!(
                f,
                "\nDOUBTFUL: other work (or interrupts this kernel accounts apart) took up to \
                 {:.0} % of a core during a window",
                other * 100.0
            )?;
        }
        for failure in self.contests.iter().flat_map(|contest| &contest.failures) {
            writeln!(f, "\nFAILED {failure}")?;
        }
        Ok(())
    }
}

fn timed_table(contests: &[&Contest]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header([
        "scenario",
        "contestant",
        "thousand per s",
        "rate ÷ floor",
        "CPU µs each",
        "CPU ÷ floor",
        "server busy",
        "load busy",
        "target",
        "met",
    ]);
    for contest in contests {
        for (index, entry) in contest.entries.iter().enumerate() {
            let busy = Spread::of(entry.samples().filter_map(Sample::server_busy));
            let load = Spread::of(entry.samples().map(Sample::load_busy));
            table.add_row([
                if index == 0 {
                    contest.scenario.name.to_owned()
                } else {
                    String::new()
                },
                entry.name.clone(),
                spread(entry.rate(), 1e-3, 1),
                spread(contest.rate_ratio(entry), 1.0, 3),
                spread(entry.server_micros(), 1.0, 2),
                spread(contest.cpu_ratio(entry), 1.0, 3),
                busy.map_or("–".into(), |busy| format!("{:.2}", busy.median)),
                load.map_or("–".into(), |load| {
                    let mark = if entry.is_client_bound() {
                        " client-bound"
                    } else {
                        ""
                    };
                    format!("{:.2}{mark}", load.median)
                }),
                if entry.role == Role::Server {
                    target(contest.scenario.goal)
                } else {
                    String::new()
                },
                met(contest, entry),
            ]);
        }
    }
    align_right(&mut table, 2..8);
    table
}

fn idle_table(contests: &[&Contest]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header([
        "scenario",
        "contestant",
        "resident B per session",
        "proportional B",
        "kernel B",
        "server MiB before",
        "target",
        "met",
    ]);
    for contest in contests {
        for (index, entry) in contest.entries.iter().enumerate() {
            let bytes = |of: fn(&crate::load::idle::IdleSample) -> f64| {
                spread(Spread::of(entry.idle_samples().map(of)), 1.0, 0)
            };
            table.add_row([
                if index == 0 {
                    contest.scenario.name.to_owned()
                } else {
                    String::new()
                },
                entry.name.clone(),
                bytes(|sample| sample.resident_bytes),
                bytes(|sample| sample.proportional_bytes),
                bytes(|sample| sample.kernel_bytes),
                spread(
                    Spread::of(entry.idle_samples().map(|sample| sample.base_bytes as f64)),
                    1.0 / 1_048_576.0,
                    1,
                ),
                if entry.role == Role::Server {
                    target(contest.scenario.goal)
                } else {
                    String::new()
                },
                met(contest, entry),
            ]);
        }
    }
    align_right(&mut table, 2..6);
    table
}

fn align_right(table: &mut Table, columns: std::ops::Range<usize>) {
    for index in columns {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

fn target(goal: Goal) -> String {
    match goal {
        Goal::OfFloor(share) => format!("≥ {share} of floor"),
        Goal::PerSecond(rate) => format!("≥ {:.0} k/s", rate / 1e3),
        Goal::Bytes { must, hope } => format!("≤ {must} B (stretch {hope} B)"),
    }
}

/// Whether the server met the target; nothing for the others.
fn met(contest: &Contest, entry: &Entry) -> String {
    match contest.verdict(entry) {
        Some(verdict) => verdict_words(&verdict),
        None if entry.role == Role::Server => "NO FIGURE".into(),
        None => String::new(),
    }
}

fn verdict_words(verdict: &Verdict) -> String {
    match (verdict.met, verdict.by) {
        (true, "CPU per message") => format!("yes, by CPU: {:.3}", verdict.figure),
        (false, "CPU per message") => format!("NO, by CPU: {:.3}", verdict.figure),
        (true, _) => "yes".into(),
        (false, _) => "NO".into(),
    }
}

/// `median (min to max)`, or the median alone when there was one round.
fn spread(spread: Option<Spread>, scale: f64, digits: usize) -> String {
    let Some(Spread { median, min, max }) = spread else {
        return "–".into();
    };
    let shown = |figure: f64| format!("{:.*}", digits, figure * scale);
    if min == max {
        shown(median)
    } else {
        format!("{} ({} to {})", shown(median), shown(min), shown(max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_shown_when_there_is_one() {
        assert_eq!(
            spread(Spread::of([1.0, 2.0, 4.0]), 1.0, 1),
            "2.0 (1.0 to 4.0)"
        );
        assert_eq!(spread(Spread::of([1500.0]), 1e-3, 1), "1.5");
        assert_eq!(spread(None, 1.0, 1), "–");
    }
}
