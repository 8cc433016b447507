//! A finished scenario: its contestants, and how they compare.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Goal, IdleSample, Reading, Sample, Spread};
use crate::Cause;

/// The kind of a contestant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Role {
    /// The server the goals are for.
    Server,
    /// The same server run in another way, for comparison.
    Variant,
    /// The conventional server.
    Baseline,
    /// A server by other authors that was started here.
    Rival,
    /// A server that was running already, given by its URL.
    Against,
    /// The least a server on this kernel can do.
    Floor,
    /// A figure printed elsewhere, on another machine.
    Printed,
}

/// One contestant's rounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name in the report.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Its reading in each round; `None` if it failed.
    pub rounds: Vec<Option<Reading>>,
}

/// A finished scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contest {
    /// Its name on the command line: `echo-20B-c10000`.
    pub name: String,
    /// The work of its clients, for people: `Echo of 20 B, 10,000 connections`.
    pub title: String,
    /// The family it belongs to: `Echo`, `Broadcast`, …
    pub group: String,
    /// The unit that is counted, in the plural: `messages`, `deliveries`.
    pub unit: String,
    /// A note without which the figures cannot be read, or nothing.
    pub note: String,
    /// The goals.
    pub goals: Vec<Goal>,
    /// The contestants, in order.
    pub entries: Vec<Entry>,
    /// The rounds that have no figure.
    pub failures: Vec<Failure>,
}

/// A round in which a contestant has no figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The name of its entry.
    pub contestant: String,
    /// Which round, from 1.
    pub round: usize,
    /// The side that is at fault.
    pub cause: Cause,
    /// The fault, with the last lines of the contestant's output.
    pub reason: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure {
            contestant,
            round,
            reason,
            ..
        } = self;
        write!(f, "{contestant}, round {round}: {reason}")
    }
}

impl Role {
    /// Whether it is the server itself, in one of its ways.
    pub fn is_own(self) -> bool {
        matches!(self, Role::Server | Role::Variant)
    }
}

impl Entry {
    /// A contestant that has not run yet.
    pub fn new(name: impl Into<String>, role: Role) -> Entry {
        Entry {
            name: name.into(),
            role,
            rounds: Vec::new(),
        }
    }

    /// Its windows, in the order of the rounds.
    pub fn samples(&self) -> impl Iterator<Item = &Sample> {
        let readings = self.rounds.iter().flatten();
        readings.filter_map(|reading| match reading {
            Reading::Timed(sample) => Some(sample),
            Reading::Idle(_) => None,
        })
    }

    /// Its readings of memory, in the order of the rounds.
    pub fn idle_samples(&self) -> impl Iterator<Item = &IdleSample> {
        let readings = self.rounds.iter().flatten();
        readings.filter_map(|reading| match reading {
            Reading::Idle(idle) => Some(idle),
            Reading::Timed(_) => None,
        })
    }

    /// Messages per second.
    pub fn rate(&self) -> Option<Spread> {
        Spread::of(self.samples().map(Sample::rate))
    }

    /// Microseconds of server CPU time per message.
    pub fn server_micros(&self) -> Option<Spread> {
        Spread::of(self.samples().filter_map(Sample::server_micros))
    }

    /// Bytes of resident memory per idle session.
    pub fn resident_bytes(&self) -> Option<Spread> {
        Spread::of(self.idle_samples().map(|idle| idle.resident_bytes))
    }

    /// Most of its rounds measured the load rather than the contestant.
    pub fn is_client_bound(&self) -> bool {
        let bound = self.samples().filter(|sample| sample.is_client_bound());
        bound.count() * 2 > self.samples().count()
    }

    fn sample(&self, round: usize) -> Option<&Sample> {
        match self.rounds.get(round)? {
            Some(Reading::Timed(sample)) => Some(sample),
            _ => None,
        }
    }

    fn idle(&self, round: usize) -> Option<&IdleSample> {
        match self.rounds.get(round)? {
            Some(Reading::Idle(idle)) => Some(idle),
            _ => None,
        }
    }
}

impl Contest {
    /// The entry with this name.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// The rounds in which the server itself went wrong, whatever others did
    /// and this host could not.
    pub fn own_failures(&self) -> impl Iterator<Item = &Failure> {
        let is_own = |failure: &&Failure| {
            let entry = self.entry(&failure.contestant);
            entry.is_some_and(|entry| entry.role.is_own()) && failure.cause == Cause::Contestant
        };
        self.failures.iter().filter(is_own)
    }

    /// The server the goals are for.
    pub fn server(&self) -> Option<&Entry> {
        self.of_role(Role::Server).next()
    }

    /// The conventional server.
    pub fn baseline(&self) -> Option<&Entry> {
        self.of_role(Role::Baseline).next()
    }

    /// The floor with the highest median, or the least CPU time per message if
    /// the load held one of them back. One floor for all rounds: the best of
    /// several noisy ones in each would be better than any is.
    pub fn fastest_floor(&self) -> Option<&Entry> {
        let by_cpu = self.of_role(Role::Floor).any(Entry::is_client_bound);
        let merit = |entry: &Entry| match entry.server_micros() {
            Some(micros) if by_cpu => -micros.median,
            _ => entry.rate().map_or(0.0, |rate| rate.median),
        };
        self.of_role(Role::Floor)
            .max_by(|one, other| merit(one).total_cmp(&merit(other)))
    }

    fn of_role(&self, role: Role) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.role == role)
    }

    /// `entry`'s rate divided by `other`'s, round by round.
    pub fn rate_ratio(&self, entry: &Entry, other: &Entry) -> Option<Spread> {
        ratio(entry, other, |entry, round| {
            Some(entry.sample(round)?.rate())
        })
    }

    /// `entry`'s CPU time per message divided by `other`'s, round by round.
    pub fn cpu_ratio(&self, entry: &Entry, other: &Entry) -> Option<Spread> {
        ratio(entry, other, |entry, round| {
            entry.sample(round)?.server_micros()
        })
    }

    /// `entry`'s resident memory per session divided by `other`'s, round by round.
    pub fn memory_ratio(&self, entry: &Entry, other: &Entry) -> Option<Spread> {
        ratio(entry, other, |entry, round| {
            Some(entry.idle(round)?.resident_bytes)
        })
    }

    /// The work of `entry`'s slowest core per CPU time divided by that of
    /// `other`, round by round.
    pub fn slowest_core_ratio(&self, entry: &Entry, other: &Entry) -> Option<Spread> {
        ratio(entry, other, |entry, round| {
            entry.sample(round)?.slowest_core_rate
        })
    }
}

fn ratio(
    entry: &Entry,
    other: &Entry,
    figure: impl Fn(&Entry, usize) -> Option<f64>,
) -> Option<Spread> {
    let rounds = 0..entry.rounds.len();
    Spread::of(rounds.filter_map(|round| Some(figure(entry, round)? / figure(other, round)?)))
}

#[cfg(test)]
mod tests {
    use super::super::Figure;
    use super::*;
    use crate::report::sample::window;

    /// A round with such a window.
    fn sample(rate: u64, server: f64, load: f64) -> Option<Reading> {
        Some(Reading::Timed(window(rate, server, load)))
    }

    fn contest(server: Vec<Option<Reading>>, floors: Vec<Vec<Option<Reading>>>) -> Contest {
        let mut entries = vec![Entry::new("server", Role::Server)];
        entries[0].rounds = server;
        for rounds in floors {
            let mut floor = Entry::new("floor", Role::Floor);
            floor.rounds = rounds;
            entries.push(floor);
        }
        Contest {
            name: "echo".into(),
            title: "Echo".into(),
            group: "Echo".into(),
            unit: "messages".into(),
            note: String::new(),
            goals: vec![Goal::OfFloor(0.97)],
            entries,
            failures: Vec::new(),
        }
    }

    fn ratio_to_floor(contest: &Contest) -> Spread {
        let floor = contest.fastest_floor().unwrap();
        contest.rate_ratio(&contest.entries[0], floor).unwrap()
    }

    #[test]
    fn ratios_are_taken_within_a_round_against_the_floor_that_is_best_overall() {
        let contest = contest(
            vec![sample(100, 1.0, 0.5), sample(50, 1.0, 0.5)],
            vec![
                vec![sample(10, 1.0, 0.5), sample(80, 1.0, 0.5)],
                vec![sample(100, 1.0, 0.5), sample(50, 1.0, 0.5)],
            ],
        );
        let ratio = ratio_to_floor(&contest);
        assert_eq!((ratio.min, ratio.max), (1.0, 1.0));
    }

    #[test]
    fn a_failed_round_is_left_out_on_both_sides() {
        let contest = contest(
            vec![None, sample(50, 1.0, 0.5)],
            vec![vec![sample(10, 1.0, 0.5), sample(100, 1.0, 0.5)]],
        );
        let ratio = ratio_to_floor(&contest);
        assert_eq!((ratio.min, ratio.max), (0.5, 0.5));
    }

    #[test]
    fn the_rate_decides_unless_the_load_was_the_bottleneck() {
        let verdict = |contest: &Contest| contest.verdicts(&contest.entries[0]).remove(0);
        let server_bound = contest(
            vec![sample(98, 1.0, 0.9)],
            vec![vec![sample(100, 1.0, 0.9)]],
        );
        let verdict_of_server = verdict(&server_bound);
        assert_eq!(verdict_of_server.met, Some(true));
        assert_eq!(verdict_of_server.by, Figure::Rate);

        let client_bound = contest(
            vec![sample(100, 0.9, 1.0)],
            vec![vec![sample(100, 0.8, 1.0)]],
        );
        let verdict_of_client = verdict(&client_bound);
        assert_eq!(verdict_of_client.met, Some(false));
        assert_eq!(verdict_of_client.by, Figure::CpuTime);
        assert!((verdict_of_client.figure.unwrap() - 0.8 / 0.9).abs() < 1e-9);
    }

    #[test]
    fn without_anything_to_compare_with_there_is_no_verdict() {
        let alone = contest(vec![sample(98, 1.0, 0.9)], Vec::new());
        let verdict = alone.verdicts(&alone.entries[0]).remove(0);
        assert_eq!((verdict.met, verdict.figure), (None, None));
    }
}
