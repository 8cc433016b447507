//! The results of a run: one value that the table, the page, the JSON, the
//! Markdown and the comparison all read, and nothing else.
//!
//! # Invariants worth naming
//!
//! - Only readings are stored. Medians, ratios and verdicts are computed from
//!   them where they are shown, so that nothing can disagree.
//! - Ratios are taken within a round, then the median of the ratios: a machine's
//!   speed drifts by more than the differences that matter.
//! - An entry has a reading or a `None` for each round, in the same order for
//!   all entries of a contest.

mod contest;
mod goal;
mod reading;

use serde::{Deserialize, Serialize};

pub use contest::{Contest, Entry, Failure, Role};
pub use corecast_kit::spread::Spread;
pub use goal::{Figure, Goal, Verdict};
pub use reading::{IdleSample, Latency, Reading, Sample};

use crate::host::Host;

/// The version of this format; others are refused.
pub const FORMAT: u32 = 2;

/// Everything a run found out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// [`FORMAT`].
    pub format: u32,
    /// The version of corecast this was measured with.
    pub version: String,
    /// The machine.
    pub host: Host,
    /// How it was measured.
    pub settings: Settings,
    /// The scenarios, in the order in which they ran.
    pub contests: Vec<Contest>,
    /// Contestants that did not take part, and why, a sentence each.
    pub absent: Vec<String>,
    /// Scenarios that this host makes impossible, and the means they need, a
    /// sentence each.
    #[serde(default)]
    pub skipped: Vec<String>,
}

/// How a run measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The set of scenarios: `standard`, `full`, `seeds`.
    pub set: String,
    /// The command line, as it was typed.
    pub command: Vec<String>,
    /// Only a part of the set was measured, or for too short a time to tell
    /// anything but that it works.
    pub is_partial: bool,
    /// The kernel interface the server was told to use.
    pub driver: String,
    /// Cores of the servers and floors.
    pub server_cpus: Vec<usize>,
    /// Cores of the load.
    pub load_cpus: Vec<usize>,
    /// How the cores were split, a sentence.
    pub cores: String,
    /// How many times each contestant ran.
    pub rounds: usize,
    /// Load before each window that does not count, in seconds.
    pub warm_up_seconds: f64,
    /// The window, in seconds.
    pub measured_seconds: f64,
}

impl Results {
    /// The rounds without a figure, with their scenarios.
    pub fn failures(&self) -> impl Iterator<Item = (&Contest, &Failure)> {
        self.contests.iter().flat_map(|contest| {
            let failures = contest.failures.iter();
            failures.map(move |failure| (contest, failure))
        })
    }

    /// Rounds in which the server itself answered wrongly, lost something, or
    /// could not run.
    pub fn own_failures(&self) -> usize {
        let own = |contest| Contest::own_failures(contest).count();
        self.contests.iter().map(own).sum()
    }

    /// The server itself has at least one figure.
    pub fn has_own_figures(&self) -> bool {
        let mut entries = self.contests.iter().flat_map(|contest| &contest.entries);
        entries.any(|entry| entry.role.is_own() && entry.rounds.iter().any(Option::is_some))
    }
}
