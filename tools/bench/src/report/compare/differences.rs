//! The scenarios, contestants and conditions that two runs do not share.

use super::named;
use crate::results::{Contest, Results};

/// The scenarios and contestants that only one of the two has, a sentence each.
pub(super) fn unmatched(old: &Results, new: &Results) -> Vec<String> {
    let mut unmatched = only_in(new, old, "new");
    unmatched.extend(only_in(old, new, "old"));
    unmatched
}

fn only_in(results: &Results, other: &Results, which: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    for contest in &results.contests {
        let Some(match_) = named(other, &contest.name) else {
            sentences.push(format!("{} is only in the {which} run", contest.name));
            continue;
        };
        for name in measured(contest) {
            if !measured(match_).any(|other| other == name) {
                sentences.push(format!(
                    "{}, {name} has figures only in the {which} run",
                    contest.name
                ));
            }
        }
    }
    sentences
}

/// The names of the contestants that have at least one reading.
fn measured(contest: &Contest) -> impl Iterator<Item = &str> {
    let entries = contest.entries.iter();
    let measured = entries.filter(|entry| entry.rounds.iter().any(Option::is_some));
    measured.map(|entry| entry.name.as_str())
}

/// Shows something of a run.
type Show = fn(&Results) -> String;

/// The conditions that must be the same in both, and how each is shown.
const CONDITIONS: [(&str, Show); 10] = [
    ("processor", |run| run.host.cpu.clone()),
    ("number of cores", |run| run.host.cores.to_string()),
    ("memory", |run| format!("{} MiB", run.host.memory_mib)),
    ("kernel", |run| run.host.kernel.clone()),
    ("governor", |run| {
        run.host.governor.clone().unwrap_or("unknown".into())
    }),
    ("driver", |run| run.settings.driver.clone()),
    ("choice of cores for the server", |run| {
        format!("{:?}", run.settings.server_cpus)
    }),
    ("choice of cores for the load", |run| {
        format!("{:?}", run.settings.load_cpus)
    }),
    ("length of a window", |run| {
        format!("{} s", run.settings.measured_seconds)
    }),
    ("warm-up", |run| {
        format!("{} s", run.settings.warm_up_seconds)
    }),
];

/// Why the two may not be comparable, a sentence each.
pub(super) fn warnings(old: &Results, new: &Results) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut differs = |what: &str, old: String, new: String| {
        if old != new {
            warnings.push(format!(
                "the {what} differs: {old} in the old run, {new} in the new"
            ));
        }
    };
    for (what, show) in CONDITIONS {
        differs(what, show(old), show(new));
    }
    for (name, value) in &old.host.sysctls {
        if let Some(other) = new.host.sysctls.get(name) {
            differs(&format!("setting {name}"), value.clone(), other.clone());
        }
    }
    if old.settings.rounds < 2 || new.settings.rounds < 2 {
        warnings.push(
            "one of the runs has a single round: it has no range, so that noise looks like a \
             change"
                .into(),
        );
    }
    warnings
}
