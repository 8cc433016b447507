//! The changes between two runs.
//!
//! Two runs never have the same machine: its speed drifts by more than what a
//! change to the server does. Therefore rates and CPU times are judged as ratios
//! to the floor that ran beside them, and an absolute figure only where there is
//! no such ratio.
//!
//! # Invariants worth naming
//!
//! - Only the server and its variants are judged. The results of the others are
//!   shown, because they tell what the machine did.
//! - A figure has changed for worse or better when its median moved by more than
//!   5 % *and* the ranges of the two runs have nothing in common.
//! - A rate that the load held back is not judged; its CPU time is.

mod differences;
mod table;

use std::fmt;

use strum::IntoEnumIterator;

use crate::results::{Contest, Entry, Latency, Results, Role, Spread};

/// A median that moved less than this has not changed.
const TOLERANCE: f64 = 0.05;

/// The figures that two runs share, and the differences between the runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The figures that both have, in the order of the new run.
    pub changes: Vec<Change>,
    /// The scenarios and contestants that only one run has, a sentence each.
    pub unmatched: Vec<String>,
    /// Why the two may not be comparable, a sentence each.
    pub warnings: Vec<String>,
}

/// A figure of one contestant in both runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The scenario's name.
    pub contest: String,
    /// The contestant's name.
    pub contestant: String,
    /// The measured quantity.
    pub quantity: Quantity,
    /// The figure in the old run.
    pub old: Spread,
    /// The figure in the new run.
    pub new: Spread,
    /// Whether that is good; `None` for a figure that is only shown.
    pub judgement: Option<Judgement>,
}

/// A quantity that is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumIter)]
pub enum Quantity {
    /// Messages per second.
    Rate,
    /// The same as a multiple of the fastest floor's.
    RateToFloor,
    /// Microseconds of CPU time per message.
    CpuTime,
    /// The same as a multiple of the fastest floor's.
    CpuToFloor,
    /// The median of the time until the answer, in microseconds.
    MedianLatency,
    /// Its 99th percentile.
    TailLatency,
    /// Resident bytes per idle session.
    Memory,
}

/// How a figure changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// By 5 % or less.
    Same,
    /// By more, but the ranges of the two runs overlap: it may be noise. Also
    /// where a run has no such figure because it did nothing.
    Unclear,
    /// For the better.
    Improved,
    /// For the worse.
    Regressed,
}

/// The changes from `old` to `new`.
pub fn compare(old: &Results, new: &Results) -> Comparison {
    let mut comparison = Comparison {
        changes: Vec::new(),
        unmatched: differences::unmatched(old, new),
        warnings: differences::warnings(old, new),
    };
    for new_contest in &new.contests {
        let Some(old_contest) = named(old, &new_contest.name) else {
            continue;
        };
        for new_entry in &new_contest.entries {
            if let Some(old_entry) = old_contest.entry(&new_entry.name) {
                let (old, new) = ((old_contest, old_entry), (new_contest, new_entry));
                comparison.changes.extend(changes(old, new));
            }
        }
    }
    comparison
}

fn named<'a>(results: &'a Results, name: &str) -> Option<&'a Contest> {
    results.contests.iter().find(|contest| contest.name == name)
}

/// The figures that a contestant has in both runs.
fn changes(old: (&Contest, &Entry), new: (&Contest, &Entry)) -> Vec<Change> {
    let figures = Quantity::iter().filter_map(|quantity| {
        let (old, new) = (quantity.of(old)?, quantity.of(new)?);
        Some((quantity, old, new))
    });
    let figures: Vec<_> = figures.collect();
    let has = |quantity| figures.iter().any(|figure| figure.0 == quantity);
    let is_bound = [old, new].into_iter().any(|(contest, entry)| {
        let floor = contest.fastest_floor();
        entry.is_client_bound() || floor.is_some_and(Entry::is_client_bound)
    });
    let is_judged = |quantity| match quantity {
        Quantity::Rate => !has(Quantity::RateToFloor) && !is_bound,
        Quantity::RateToFloor => !is_bound,
        Quantity::CpuTime => !has(Quantity::CpuToFloor),
        _ => true,
    };
    let (contest, entry) = new;
    let is_ours = matches!(entry.role, Role::Server | Role::Variant);
    let change = |&(quantity, old, new): &(Quantity, Spread, Spread)| Change {
        contest: contest.name.clone(),
        contestant: entry.name.clone(),
        quantity,
        old,
        new,
        judgement: (is_ours && is_judged(quantity)).then(|| quantity.judge(old, new)),
    };
    figures.iter().map(change).collect()
}

impl Comparison {
    /// The changes for the worse.
    pub fn regressions(&self) -> impl Iterator<Item = &Change> {
        self.judged(Judgement::Regressed)
    }

    /// The changes for the better.
    pub fn improvements(&self) -> impl Iterator<Item = &Change> {
        self.judged(Judgement::Improved)
    }

    fn judged(&self, judgement: Judgement) -> impl Iterator<Item = &Change> {
        let changes = self.changes.iter();
        changes.filter(move |change| change.judgement == Some(judgement))
    }
}

impl Change {
    /// How many times the old figure the new one is.
    pub fn ratio(&self) -> f64 {
        self.new.median / self.old.median
    }
}

impl Quantity {
    /// The figure of an entry, unless it has none. A floor is not compared with
    /// floors, and the figures of another machine are not compared at all.
    fn of(self, (contest, entry): (&Contest, &Entry)) -> Option<Spread> {
        if entry.role == Role::Printed {
            return None;
        }
        let floor = || match entry.role {
            Role::Floor => None,
            _ => contest.fastest_floor(),
        };
        let latency = |figure: fn(&Latency) -> f64| {
            let latencies = entry.samples().filter_map(|s| s.latency.as_ref());
            Spread::of(latencies.map(figure))
        };
        match self {
            Quantity::Rate => entry.rate(),
            Quantity::RateToFloor => contest.rate_ratio(entry, floor()?),
            Quantity::CpuTime => entry.server_micros(),
            Quantity::CpuToFloor => contest.cpu_ratio(entry, floor()?),
            Quantity::MedianLatency => latency(|latency| latency.p50),
            Quantity::TailLatency => latency(|latency| latency.p99),
            Quantity::Memory => entry.resident_bytes(),
        }
    }

    fn judge(self, old: Spread, new: Spread) -> Judgement {
        let more = match self {
            Quantity::Rate | Quantity::RateToFloor => Judgement::Improved,
            _ => Judgement::Regressed,
        };
        let less = match more {
            Judgement::Improved => Judgement::Regressed,
            _ => Judgement::Improved,
        };
        // Not by the ratio: the old figure may be zero.
        let difference = new.median - old.median;
        if !difference.is_finite() {
            return Judgement::Unclear;
        }
        if difference.abs() <= old.median.abs() * TOLERANCE {
            Judgement::Same
        } else if old.min <= new.max && new.min <= old.max {
            Judgement::Unclear
        } else if difference > 0.0 {
            more
        } else {
            less
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Quantity::Rate => "rate (absolute)",
            Quantity::RateToFloor => "rate ÷ floor",
            Quantity::CpuTime => "CPU time each (absolute)",
            Quantity::CpuToFloor => "CPU ÷ floor",
            Quantity::MedianLatency => "p50 (absolute)",
            Quantity::TailLatency => "p99 (absolute)",
            Quantity::Memory => "memory per session",
        })
    }
}

#[cfg(test)]
mod tests;
