//! The goals, and whether they were reached.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Contest, Entry, Role, Spread};

/// A goal for the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// At least this share of the fastest floor's rate, or of its CPU time per
    /// message when the load was the bottleneck.
    OfFloor(f64),
    /// At least so many times the baseline's rate, or of its work per CPU time
    /// when the load was the bottleneck.
    OfBaseline(f64),
    /// At most this part of the baseline's memory per session.
    MemoryOfBaseline(f64),
    /// At least so many times another entry's rate, or of its work per CPU time
    /// when the load was the bottleneck.
    Times {
        /// The name of the other entry.
        of: String,
        /// How many times.
        times: f64,
    },
    /// At most so many bytes per session in user space.
    Bytes(f64),
    /// At least this share of the work per CPU time of another entry's core, on
    /// the slowest core.
    SlowestCore {
        /// The name of the other entry.
        of: String,
        /// The share.
        share: f64,
    },
    /// The rate differs from another entry's by no more than this share.
    Within {
        /// The name of the other entry.
        of: String,
        /// The share.
        share: f64,
    },
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Goal::OfFloor(share) => write!(f, "≥ {share} × floor"),
            Goal::OfBaseline(times) => write!(f, "≥ {times} × baseline"),
            Goal::MemoryOfBaseline(part) => write!(f, "≤ 1/{:.0} of baseline", 1.0 / part),
            Goal::Times { of, times } => write!(f, "≥ {times} × {of}"),
            Goal::Bytes(bytes) => write!(f, "≤ {bytes} B"),
            Goal::SlowestCore { of, share } => write!(f, "each core ≥ {share} × {of}"),
            Goal::Within { of, share } => write!(f, "within {:.0} % of {of}", share * 100.0),
        }
    }
}

/// The kind of figure a verdict rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Messages per second.
    Rate,
    /// CPU time per message, because the load was the bottleneck.
    CpuTime,
    /// Resident bytes per session.
    Memory,
}

/// Whether a goal was reached, and by which figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// The goal.
    pub goal: Goal,
    /// It was reached; `None` if there is nothing to judge by.
    pub met: Option<bool>,
    /// The figure that was compared with it.
    pub figure: Option<f64>,
    /// The kind of that figure.
    pub by: Figure,
}

impl Contest {
    /// Which goals `entry`, if it is the server, reached.
    pub fn verdicts(&self, entry: &Entry) -> Vec<Verdict> {
        if entry.role != Role::Server {
            return Vec::new();
        }
        let goals = self.goals.iter();
        goals.map(|goal| self.verdict(entry, goal)).collect()
    }

    fn verdict(&self, entry: &Entry, goal: &Goal) -> Verdict {
        let at_least = |(figure, by): (Option<f64>, Figure), goal: f64| {
            (figure, by, figure.map(|figure| figure >= goal))
        };
        let median = |spread: Option<Spread>| spread.map(|spread| spread.median);
        let (figure, by, met) = match goal {
            Goal::OfFloor(share) => at_least(self.times(entry, self.fastest_floor()), *share),
            Goal::OfBaseline(times) => at_least(self.times(entry, self.baseline()), *times),
            Goal::Times { of, times } => at_least(self.times(entry, self.entry(of)), *times),
            Goal::MemoryOfBaseline(part) => {
                let baseline = self.baseline();
                let ratio = baseline.and_then(|baseline| self.memory_ratio(entry, baseline));
                let figure = median(ratio).filter(|ratio| *ratio > 0.0);
                (figure, Figure::Memory, figure.map(|ratio| ratio <= *part))
            }
            Goal::Bytes(bytes) => {
                // Less than nothing is a reading that failed.
                let figure = median(entry.resident_bytes()).filter(|bytes| *bytes > 0.0);
                (figure, Figure::Memory, figure.map(|own| own <= *bytes))
            }
            Goal::SlowestCore { of, share } => {
                let other = self.entry(of);
                let ratio = other.and_then(|other| self.slowest_core_ratio(entry, other));
                at_least((median(ratio), Figure::CpuTime), *share)
            }
            Goal::Within { of, share } => {
                // Rates that a load held back are not the server's.
                let other = self.entry(of).filter(|other| !other.is_client_bound());
                let other = other.filter(|_| !entry.is_client_bound());
                let figure = median(other.and_then(|other| self.rate_ratio(entry, other)));
                let met = figure.map(|ratio| (ratio - 1.0).abs() <= *share);
                (figure, Figure::Rate, met)
            }
        };
        Verdict {
            goal: goal.clone(),
            met,
            figure,
            by,
        }
    }

    /// How many times `other` the entry is. When either was held back by the
    /// load, the ratio of the rates compares the load with itself, so the CPU
    /// time decides.
    fn times(&self, entry: &Entry, other: Option<&Entry>) -> (Option<f64>, Figure) {
        let Some(other) = other else {
            return (None, Figure::Rate);
        };
        if entry.is_client_bound() || other.is_client_bound() {
            let ratio = self.cpu_ratio(entry, other);
            (ratio.map(|cpu| 1.0 / cpu.median), Figure::CpuTime)
        } else {
            let ratio = self.rate_ratio(entry, other);
            (ratio.map(|rate| rate.median), Figure::Rate)
        }
    }
}
