//! Who takes part, in which order, and what the rounds come to.
//!
//! Contestants are interleaved (server, floor, server, floor, …) because a
//! machine's speed drifts by more than the differences that matter here. Ratios
//! are taken within a round, then the median of the ratios.

use serde::Serialize;

use crate::floor::Floor;
use crate::load::Sample;
use crate::load::idle::IdleSample;
use crate::scenario::{Goal, Outcome, Scenario};

/// Median and range of some figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one; the mean of the middle two if their number is even.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// The spread of `figures`, `None` if there are none.
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            (sorted[middle - 1] + sorted[middle]) / 2.0
        };
        Some(Spread { median, min, max })
    }
}

/// What kind of contestant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The server the targets are for.
    Server,
    /// A server elsewhere, for comparison.
    Against,
    /// A floor.
    Floor,
}

/// One contestant's rounds.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its name in the report.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// What it achieved, by round; `None` if it failed.
    pub rounds: Vec<Option<Outcome>>,
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

    /// A floor that has not run yet.
    pub fn floor(floor: Floor) -> Entry {
        Entry::new(format!("floor {}", floor.as_str()), Role::Floor)
    }

    /// Its windows, in the order of the rounds.
    pub fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.rounds
            .iter()
            .flatten()
            .filter_map(|outcome| match outcome {
                Outcome::Timed(sample) => Some(sample),
                Outcome::Idle(_) => None,
            })
    }

    /// Its readings of memory, in the order of the rounds.
    pub fn idle_samples(&self) -> impl Iterator<Item = &IdleSample> {
        self.rounds
            .iter()
            .flatten()
            .filter_map(|outcome| match outcome {
                Outcome::Idle(sample) => Some(sample),
                Outcome::Timed(_) => None,
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

    /// Most of its rounds measured the load rather than the contestant.
    pub fn is_client_bound(&self) -> bool {
        let bound = self
            .samples()
            .filter(|sample| sample.is_client_bound())
            .count();
        bound * 2 > self.samples().count()
    }

    fn round(&self, round: usize) -> Option<&Sample> {
        match self.rounds.get(round)? {
            Some(Outcome::Timed(sample)) => Some(sample),
            _ => None,
        }
    }
}

/// A finished scenario.
pub struct Contest {
    /// What was measured.
    pub scenario: Scenario,
    /// Who took part, in order.
    pub entries: Vec<Entry>,
    /// What went wrong, a sentence each.
    pub failures: Vec<String>,
}

/// Whether a target was met, and by which figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// The target was met.
    pub met: bool,
    /// The figure that was compared with it.
    pub figure: f64,
    /// What that figure is.
    pub by: &'static str,
}

impl Contest {
    /// A contest that has not begun.
    pub fn new(scenario: Scenario, entries: Vec<Entry>) -> Contest {
        Contest {
            scenario,
            entries,
            failures: Vec::new(),
        }
    }

    fn floors(&self) -> impl Iterator<Item = &Entry> {
        self.entries
            .iter()
            .filter(|entry| entry.role == Role::Floor)
    }

    /// `entry`'s rate divided by the fastest floor's of the same round.
    pub fn rate_ratio(&self, entry: &Entry) -> Option<Spread> {
        let fastest = self
            .floors()
            .filter_map(|floor| Some((floor, floor.rate()?.median)))
            .max_by(|(_, one), (_, other)| one.total_cmp(other));
        ratio(entry, fastest?.0, |sample| Some(sample.rate()))
    }

    /// `entry`'s CPU time per message divided by the cheapest floor's of the
    /// same round.
    pub fn cpu_ratio(&self, entry: &Entry) -> Option<Spread> {
        let cheapest = self
            .floors()
            .filter_map(|floor| Some((floor, floor.server_micros()?.median)))
            .min_by(|(_, one), (_, other)| one.total_cmp(other));
        ratio(entry, cheapest?.0, Sample::server_micros)
    }

    /// Whether `entry`, if it is the server, met the scenario's target.
    pub fn verdict(&self, entry: &Entry) -> Option<Verdict> {
        if entry.role != Role::Server {
            return None;
        }
        match self.scenario.goal {
            Goal::PerSecond(goal) => {
                let figure = entry.rate()?.median;
                Some(Verdict {
                    met: figure >= goal,
                    figure,
                    by: "rate",
                })
            }
            Goal::Bytes { must, .. } => {
                let resident = entry.idle_samples().map(|sample| sample.resident_bytes);
                let figure = Spread::of(resident)?.median;
                Some(Verdict {
                    met: figure <= must,
                    figure,
                    by: "resident bytes",
                })
            }
            Goal::OfFloor(goal) => {
                // When either was held back by the load, the ratio of the rates
                // compares the load with itself.
                let by_cpu = entry.is_client_bound() || self.floors().any(Entry::is_client_bound);
                let (figure, by) = if by_cpu {
                    (1.0 / self.cpu_ratio(entry)?.median, "CPU per message")
                } else {
                    (self.rate_ratio(entry)?.median, "rate")
                };
                Some(Verdict {
                    met: figure >= goal,
                    figure,
                    by,
                })
            }
        }
    }
}

/// `entry`'s figure divided by `floor`'s, round by round. One floor for all
/// rounds: the best of several noisy ones in each would be better than any is.
fn ratio(entry: &Entry, floor: &Entry, figure: impl Fn(&Sample) -> Option<f64>) -> Option<Spread> {
    if entry.role == Role::Floor {
        return None;
    }
    Spread::of((0..entry.rounds.len()).filter_map(|round| {
        let own = figure(entry.round(round)?)?;
        Some(own / figure(floor.round(round)?)?)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        let spread = Spread::of([3.0, 1.0, 2.0]).unwrap();
        assert_eq!((spread.median, spread.min, spread.max), (2.0, 1.0, 3.0));
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).unwrap().median, 2.5);
        assert_eq!(Spread::of([7.0]).unwrap().median, 7.0);
        assert_eq!(Spread::of([]), None);
    }

    /// A window of one second with this rate, and busy shares of both sides.
    fn outcome(rate: u64, server: f64, load: f64) -> Option<Outcome> {
        Some(Outcome::Timed(Sample {
            messages: rate,
            seconds: 1.0,
            server_cpu_seconds: Some(server),
            load_cpu_seconds: load,
            other_cpu_seconds: Some(0.0),
        }))
    }

    fn contest(server: Vec<Option<Outcome>>, floors: Vec<Vec<Option<Outcome>>>) -> Contest {
        let mut entries = vec![Entry::new("server", Role::Server)];
        entries[0].rounds = server;
        for rounds in floors {
            let mut floor = Entry::floor(Floor::Epoll);
            floor.rounds = rounds;
            entries.push(floor);
        }
        Contest::new(Scenario::all().remove(0), entries)
    }

    #[test]
    fn ratios_are_taken_within_a_round_against_the_floor_that_is_best_overall() {
        let contest = contest(
            vec![outcome(100, 1.0, 0.5), outcome(50, 1.0, 0.5)],
            vec![
                vec![outcome(10, 1.0, 0.5), outcome(80, 1.0, 0.5)],
                vec![outcome(100, 1.0, 0.5), outcome(50, 1.0, 0.5)],
            ],
        );
        let ratio = contest.rate_ratio(&contest.entries[0]).unwrap();
        assert_eq!((ratio.min, ratio.max), (1.0, 1.0));
    }

    #[test]
    fn a_failed_round_is_left_out_on_both_sides() {
        let contest = contest(
            vec![None, outcome(50, 1.0, 0.5)],
            vec![vec![outcome(10, 1.0, 0.5), outcome(100, 1.0, 0.5)]],
        );
        let ratio = contest.rate_ratio(&contest.entries[0]).unwrap();
        assert_eq!((ratio.min, ratio.max), (0.5, 0.5));
    }

    #[test]
    fn the_rate_decides_unless_the_load_was_the_bottleneck() {
        let server_bound = contest(
            vec![outcome(98, 1.0, 0.9)],
            vec![vec![outcome(100, 1.0, 0.9)]],
        );
        let verdict = server_bound.verdict(&server_bound.entries[0]).unwrap();
        assert_eq!((verdict.met, verdict.by), (true, "rate"));

        let client_bound = contest(
            vec![outcome(100, 0.9, 1.0)],
            vec![vec![outcome(100, 0.8, 1.0)]],
        );
        let verdict = client_bound.verdict(&client_bound.entries[0]).unwrap();
        assert_eq!((verdict.met, verdict.by), (false, "CPU per message"));
        assert!((verdict.figure - 0.8 / 0.9).abs() < 1e-9);
    }
}
