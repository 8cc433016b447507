//! What two runs do not have in common.

use super::named;
use crate::results::{Contest, Results};

/// What only one of the two has, a sentence each.
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

/// The names of those who have at least one reading.
fn measured(contest: &Contest) -> impl Iterator<Item = &str> {
    let entries = contest.entries.iter();
    let measured = entries.filter(|entry| entry.rounds.iter().any(Option::is_some));
    measured.map(|entry| entry.name.as_str())
}

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
    let governor = |results: &Results| results.host.governor.clone().unwrap_or("unknown".into());
    differs("processor", old.host.cpu.clone(), new.host.cpu.clone());
    differs(
        "number of cores",
        old.host.cores.to_string(),
        new.host.cores.to_string(),
    );
    differs(
        "memory",
        format!("{} MiB", old.host.memory_mib),
        format!("{} MiB", new.host.memory_mib),
    );
    differs("kernel", old.host.kernel.clone(), new.host.kernel.clone());
    differs("governor", governor(old), governor(new));
    let (was, is) = (&old.settings, &new.settings);
    differs("driver", was.driver.clone(), is.driver.clone());
    differs(
        "choice of cores for the server",
        format!("{:?}", was.server_cpus),
        format!("{:?}", is.server_cpus),
    );
    differs(
        "choice of cores for the load",
        format!("{:?}", was.load_cpus),
        format!("{:?}", is.load_cpus),
    );
    differs(
        "length of a window",
        format!("{} s", was.measured_seconds),
        format!("{} s", is.measured_seconds),
    );
    differs(
        "warm-up",
        format!("{} s", was.warm_up_seconds),
        format!("{} s", is.warm_up_seconds),
    );
    for (name, value) in &old.host.sysctls {
        if let Some(other) = new.host.sysctls.get(name) {
            differs(&format!("setting {name}"), value.clone(), other.clone());
        }
    }
    if was.rounds < 2 || is.rounds < 2 {
        warnings.push(
            "one of the runs has a single round: it has no range, so that noise looks like a \
             change"
                .into(),
        );
    }
    warnings
}
