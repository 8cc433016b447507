//! The facts that the table, the page and the Markdown say in the same words.

use corecast_kit::units::{grouped, significant};

use crate::contestant::PLAIN;
use crate::host::Host;
use crate::results::{
    Contest, Entry, Figure, Goal, Results, Role, Sample, Settings, Spread, Verdict,
};

/// Other work on the cores above this share of one makes a figure doubtful.
const TOLERATED_OTHER_WORK: f64 = 0.05;

/// Stands in front of a rate that the contestant might have exceeded.
pub(super) const LOWER_BOUND: &str = "≥ ";

/// The meaning of the tables' columns.
pub(super) const EXPLANATION: &str = "÷ floor: compared with the fastest floor, within each round. \
     CPU is that of the contestant's process. client-bound: the load's cores were full and the \
     contestant's were not, so its rate is a lower bound and CPU ÷ floor decides.";

/// The meaning of the figures of memory.
pub(super) const MEMORY_EXPLANATION: &str = "Memory is growth per idle session; kernel memory is \
     the growth of all slabs, halved for the two ends of a loopback connection.";

/// Stands where there is no figure.
pub(super) const NONE: &str = "–";

/// `median (min to max)`, or the median alone when they look the same.
pub(super) fn spread(spread: Spread, shown: impl Fn(f64) -> String) -> String {
    // A window without a single message has no CPU time per message.
    if ![spread.median, spread.min, spread.max]
        .iter()
        .all(|figure| figure.is_finite())
    {
        return NONE.into();
    }
    let (median, min, max) = (shown(spread.median), shown(spread.min), shown(spread.max));
    if min == max {
        return median;
    }
    format!("{median} ({min} to {max})")
}

/// A rate in thousands: `68.6`, `1,696`.
pub(super) fn thousands(per_second: f64) -> String {
    significant(per_second / 1e3)
}

/// How many times another figure: `0.94`, `13.3`.
pub(super) fn ratio(times: f64) -> String {
    match times {
        _ if !times.is_finite() => NONE.into(),
        _ if times >= 9.995 || times == 0.0 => significant(times),
        _ if times.abs() < 0.0995 => format!("{times:.3}"),
        _ => format!("{times:.2}"),
    }
}

/// One figure as a part of another: `0.94`, `1/169`.
pub(super) fn part(part: f64) -> String {
    match part {
        _ if part > 0.0 && part < 0.0995 => format!("1/{}", grouped((1.0 / part).round() as u64)),
        _ => ratio(part),
    }
}

/// Bytes per session, which may also have become fewer: `4,020`, `-3`.
pub(super) fn bytes(bytes: f64) -> String {
    let sign = if bytes <= -0.5 { "-" } else { "" };
    format!("{sign}{}", grouped(bytes.abs().round() as u64))
}

/// Whether the comparison of two by their rates would compare the load with itself.
pub(super) fn is_client_bound(entry: &Entry, other: &Entry) -> bool {
    entry.is_client_bound() || other.is_client_bound()
}

/// `0.94 × floor`, or `CPU 1.10 × floor` when the load held either back; nothing
/// for a figure from another machine.
pub(super) fn times(contest: &Contest, entry: &Entry, other: &Entry, name: &str) -> Option<String> {
    if entry.role == Role::Printed {
        return None;
    }
    if is_client_bound(entry, other) {
        let cpu = contest.cpu_ratio(entry, other)?;
        return Some(format!("CPU {} × {name}", ratio(cpu.median)));
    }
    let rate = contest.rate_ratio(entry, other)?;
    Some(format!("{} × {name}", ratio(rate.median)))
}

/// The scenarios of each family, both in the order in which they ran.
pub(super) fn groups(results: &Results) -> Vec<(&str, Vec<&Contest>)> {
    let mut groups: Vec<(&str, Vec<&Contest>)> = Vec::new();
    for contest in &results.contests {
        match groups.iter_mut().find(|(name, _)| *name == contest.group) {
            Some((_, contests)) => contests.push(contest),
            None => groups.push((&contest.group, vec![contest])),
        }
    }
    groups
}

/// Whether memory was measured, and not time.
pub(super) fn is_idle(contest: &Contest) -> bool {
    let mut entries = contest.entries.iter();
    entries.any(|entry| entry.idle_samples().next().is_some())
}

/// A goal and its result.
pub(super) struct Judged<'a> {
    pub contest: &'a Contest,
    pub verdict: Verdict,
}

/// All goals of a run, in the order of its scenarios.
pub(super) fn judged(results: &Results) -> Vec<Judged<'_>> {
    let of_contest = |contest| {
        let server = Contest::server(contest);
        let verdicts = server.map_or_else(Vec::new, |server| contest.verdicts(server));
        let judged = move |verdict| Judged { contest, verdict };
        verdicts.into_iter().map(judged)
    };
    results.contests.iter().flat_map(of_contest).collect()
}

/// The figure that was reached, in the terms of the goal: `0.935`, `0.991 by
/// CPU`, `58 B`.
pub(super) fn reached(verdict: &Verdict) -> String {
    let Some(figure) = verdict.figure.filter(|figure| figure.is_finite()) else {
        return NONE.into();
    };
    let shown = match verdict.goal {
        Goal::Bytes(_) => format!("{} B", bytes(figure)),
        Goal::MemoryOfBaseline(_) => part(figure),
        _ if figure.abs() < 9.9995 => format!("{figure:.3}"),
        _ => significant(figure),
    };
    match verdict.by {
        Figure::CpuTime => format!("{shown} by CPU"),
        Figure::Rate | Figure::Memory => shown,
    }
}

/// Whether the goal was met.
pub(super) fn met(verdict: &Verdict) -> &'static str {
    match verdict.met {
        Some(true) => "met",
        Some(false) => "MISSED",
        None => "not judged",
    }
}

/// `7 of 9 goals met, 1 missed, 1 not judged`.
pub(super) fn tally(judged: &[Judged<'_>]) -> String {
    let count = |met| judged.iter().filter(|goal| goal.verdict.met == met).count();
    let mut words = format!("{} of {} goals met", count(Some(true)), judged.len());
    for (number, what) in [(count(Some(false)), "missed"), (count(None), "not judged")] {
        if number > 0 {
            words.push_str(&format!(", {number} {what}"));
        }
    }
    words
}

/// When and where: date, processor, memory, kernel.
pub(super) fn host(host: &Host) -> String {
    let cores = if host.cores == 1 { "core" } else { "cores" };
    let memory = significant(host.memory_mib as f64 / 1024.0);
    let mut words = format!(
        "{}, {}, {} {cores}, {memory} GiB, Linux {}",
        host.date, host.cpu, host.cores, host.kernel
    );
    if let Some(governor) = &host.governor {
        words.push_str(&format!(", governor {governor}"));
    }
    words
}

/// The subject and the method of the measurement.
pub(super) fn settings(results: &Results) -> String {
    let settings = &results.settings;
    let rounds = match settings.rounds {
        1 => "1 round".into(),
        rounds => format!("{rounds} interleaved rounds"),
    };
    format!(
        "corecast {}, driver {}, {} set; {rounds} of {} s after {} s of warm-up; median (min to max)",
        results.version,
        settings.driver,
        settings.set,
        settings.measured_seconds,
        settings.warm_up_seconds,
    )
}

/// The use of the cores: `server on core 0, load on core 1`.
pub(super) fn cores(settings: &Settings) -> String {
    let list = |cores: &[usize]| {
        let noun = if cores.len() == 1 { "core" } else { "cores" };
        let cores: Vec<_> = cores.iter().map(usize::to_string).collect();
        format!("{noun} {}", cores.join(", "))
    };
    format!(
        "server on {}, load on {}",
        list(&settings.server_cpus),
        list(&settings.load_cpus)
    )
}

/// The rounds without a figure, a sentence each.
pub(super) fn failures(results: &Results) -> Vec<String> {
    let failures = results.failures();
    let words = failures.map(|(contest, failure)| format!("{}, {failure}", contest.name));
    words.collect()
}

/// The reasons to doubt the figures, a sentence each.
pub(super) fn doubts(results: &Results) -> Vec<String> {
    let settings = &results.settings;
    let mut doubts = Vec::new();
    if settings
        .server_cpus
        .iter()
        .any(|cpu| settings.load_cpus.contains(cpu))
    {
        doubts
            .push("server and load share a core: only the CPU time per message means much".into());
    }
    doubts.extend(other_work(results));
    doubts
}

fn other_work(results: &Results) -> Option<String> {
    let share = |sample: &Sample| Some(sample.other_cpu_seconds? / sample.seconds);
    let windows: Vec<(f64, &Contest, &Entry)> = results
        .contests
        .iter()
        .flat_map(|contest| contest.entries.iter().map(move |entry| (contest, entry)))
        .flat_map(|(contest, entry)| {
            let shares = entry.samples().filter_map(share);
            shares.map(move |share| (share, contest, entry))
        })
        .collect();
    let disturbed = windows
        .iter()
        .filter(|(share, ..)| *share > TOLERATED_OTHER_WORK);
    let count = disturbed.clone().count();
    let (share, contest, entry) = disturbed.max_by(|one, other| one.0.total_cmp(&other.0))?;
    Some(format!(
        "other work (or interrupts this kernel accounts apart) took more than {:.0} % of a core \
         in {count} of {} windows, at most {:.0} % in {}, {}",
        TOLERATED_OTHER_WORK * 100.0,
        windows.len(),
        share * 100.0,
        contest.name,
        entry.name,
    ))
}

/// The best contestant that is neither ours, nor a baseline, nor a floor.
pub(super) fn best_rival(contest: &Contest) -> Option<&Entry> {
    let rivals = contest.entries.iter();
    rivals
        .filter(|entry| matches!(entry.role, Role::Rival | Role::Against))
        .filter(|entry| entry.name != PLAIN)
        .filter_map(|entry| {
            let figure = match entry.rate() {
                Some(rate) => rate.median,
                // Little memory is good.
                None => -entry.resident_bytes()?.median,
            };
            Some((figure, entry))
        })
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, entry)| entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{contest, entry, results, sample_results, window};

    #[test]
    fn a_range_is_shown_when_there_is_one() {
        let shown = |figures: &[f64]| spread(Spread::of(figures.to_vec()).unwrap(), ratio);
        assert_eq!(shown(&[1.0, 2.0, 4.0]), "2.00 (1.00 to 4.00)");
        assert_eq!(shown(&[1.5, 1.501]), "1.50");
        assert_eq!(shown(&[f64::NAN, 1.0]), "–");
    }

    #[test]
    fn figures_have_as_many_digits_as_they_deserve() {
        for (shown, wanted) in [
            (thousands(68_573.1), "68.6"),
            (thousands(1_695_756.0), "1,696"),
            (ratio(0.935), "0.94"),
            (ratio(13.34), "13.3"),
            (ratio(0.0123), "0.012"),
            (ratio(0.0), "0"),
            (part(0.5), "0.50"),
            (part(0.0059), "1/169"),
            (part(0.0), "0"),
            (bytes(4_020.3), "4,020"),
            (bytes(-3.2), "-3"),
            (bytes(-0.2), "0"),
        ] {
            assert_eq!(shown, wanted);
        }
    }

    #[test]
    fn a_goal_is_reported_in_its_own_terms() {
        let verdict = |goal, figure, by| Verdict {
            goal,
            met: Some(true),
            figure,
            by,
        };
        let of_floor = Goal::OfFloor(0.97);
        for (verdict, wanted) in [
            (
                verdict(of_floor.clone(), Some(0.9682), Figure::Rate),
                "0.968",
            ),
            (
                verdict(of_floor.clone(), Some(0.99), Figure::CpuTime),
                "0.990 by CPU",
            ),
            (verdict(of_floor, None, Figure::Rate), "–"),
            (
                verdict(Goal::Bytes(256.0), Some(58.03), Figure::Memory),
                "58 B",
            ),
            (
                verdict(Goal::MemoryOfBaseline(0.02), Some(0.0125), Figure::Memory),
                "1/80",
            ),
        ] {
            assert_eq!(reached(&verdict), wanted);
        }
    }

    #[test]
    fn disturbed_windows_are_counted_and_the_worst_is_named() {
        let mut quiet = window(100, 0.9, 0.9);
        quiet.other_cpu_seconds = Some(0.01);
        let mut loud = quiet.clone();
        loud.other_cpu_seconds = Some(0.2);
        let server = entry("corecast", Role::Server, [quiet.clone(), loud]);
        let floor = entry("floor", Role::Floor, [quiet.clone(), quiet]);
        let results = results(vec![contest("echo", vec![server, floor])]);
        let doubts = doubts(&results);
        assert_eq!(doubts.len(), 1);
        assert!(
            doubts[0].contains("in 1 of 4 windows, at most 20 % in echo, corecast"),
            "{doubts:?}"
        );
    }

    #[test]
    fn a_shared_core_is_a_doubt() {
        let mut results = results(Vec::new());
        assert!(doubts(&results).is_empty());
        results.settings.load_cpus = results.settings.server_cpus.clone();
        assert!(doubts(&results)[0].contains("share a core"));
    }

    #[test]
    fn groups_keep_the_order_in_which_they_ran() {
        let results = sample_results();
        let names: Vec<_> = groups(&results).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["Echo", "Broadcast", "Opening", "Latency", "Memory"]);
    }
}
