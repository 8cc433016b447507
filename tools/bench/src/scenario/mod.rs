//! The measured scenarios, their contestants and their goals.

mod table;

use std::time::Duration;

use corecast_kit::process::Pages;
use corecast_kit::units::grouped;

use crate::contestant::{Field, SPARE_FILES};
use crate::floor::Floor;
use crate::load::broadcast::Broadcast;
use crate::load::echo::Echo;
use crate::load::handshake::Handshakes;
use crate::load::idle::Idle;
use crate::load::lobby::{Joins, Lobby};
use crate::load::part_load::PartLoad;
use crate::load::{Peer, Window};
use crate::results::Goal;
use crate::tool::ToolLoad;

/// The sets a run can measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Set {
    /// The scenarios that tell servers apart, in a few minutes.
    Standard,
    /// Every size, number of connections and depth.
    Full,
    /// The load tests of the documents this project began with.
    Seeds,
}

impl Set {
    /// The word on the command line and in the report.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The work of the clients.
#[derive(Debug, Clone)]
pub enum Load {
    /// See [`Echo`].
    Echo(Echo),
    /// See [`PartLoad`].
    PartLoad(PartLoad),
    /// See [`Broadcast`].
    Broadcast(Broadcast),
    /// See [`Handshakes`].
    Handshakes(Handshakes),
    /// See [`Idle`].
    Idle(Idle),
    /// See [`Lobby`].
    Lobby(Lobby),
    /// See [`Joins`].
    Joins(Joins),
    /// Finds the highest rate of echoes, then offers this share of it in an
    /// open loop and times the answers.
    Latency {
        /// The echo whose highest rate is found.
        echo: Echo,
        /// The share of it that is offered.
        share: f64,
    },
    /// See [`ToolLoad`].
    Tool(ToolLoad),
}

/// One contest of a run.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: String,
    /// The work of its clients, for people.
    pub title: String,
    /// Its family.
    pub group: &'static str,
    /// The unit that is counted, in the plural.
    pub unit: &'static str,
    /// A note for the reader, or nothing.
    pub note: &'static str,
    /// The work of the clients.
    pub load: Load,
    /// The contestants, besides the floors.
    pub field: Field,
    /// The floors it is compared with; ratios are to the fastest of them.
    pub floors: &'static [Floor],
    /// The goals for the server.
    pub goals: Vec<Goal>,
    /// It belongs to [`Set::Standard`] too.
    pub is_standard: bool,
}

impl Scenario {
    /// The scenarios of a set in the order of the report.
    pub fn all(set: Set) -> Vec<Scenario> {
        match set {
            Set::Seeds => table::seeds(),
            Set::Full => table::full(),
            Set::Standard => {
                let mut scenarios = table::full();
                scenarios.retain(|scenario| scenario.is_standard);
                scenarios
            }
        }
    }

    /// Bytes of one publication on the wire towards `peer`, for the broadcast floor.
    pub fn unit_bytes(&self, peer: &Peer) -> usize {
        match &self.load {
            Load::Broadcast(broadcast) => broadcast.unit_bytes(peer),
            Load::Lobby(lobby) => lobby.unit_bytes(),
            _ => 1,
        }
    }

    /// Whether `corecast-load` is part of the load.
    pub fn needs_tool(&self) -> bool {
        matches!(self.load, Load::Tool(_) | Load::Latency { .. })
            || matches!(self.field, Field::TwoGenerators(_))
    }

    /// The memory pages the contestants may use.
    pub fn pages(&self) -> Pages {
        match self.load {
            Load::Idle(_) => Pages::Small,
            _ => Pages::Any,
        }
    }

    /// The most connections that are open at one time.
    pub fn connections(&self) -> usize {
        match &self.load {
            Load::Echo(echo) | Load::Latency { echo, .. } => echo.connections,
            Load::PartLoad(part_load) => part_load.echo.connections,
            Load::Broadcast(broadcast) => broadcast.subscribers,
            Load::Handshakes(handshakes) => handshakes.in_flight,
            Load::Idle(idle) => idle.warm_up_sessions + idle.sessions,
            Load::Lobby(lobby) => lobby.members,
            Load::Joins(joins) => joins.members,
            Load::Tool(tool) => tool.connections,
        }
    }

    /// Whether this process may open as many files as the built-in load holds
    /// connections; if not, a sentence with what is needed. `corecast-load`
    /// spreads its own over several tables of descriptors.
    pub fn possible_with(&self, open_files: u64) -> Result<(), String> {
        let needed = self.connections() as u64 + SPARE_FILES;
        if matches!(self.load, Load::Tool(_)) || needed <= open_files {
            return Ok(());
        }
        Err(format!(
            "{}: its load and each contestant hold {} connections in one process, and \
             {open_files} open files are allowed; it needs: ulimit -Hn {needed}",
            self.name,
            grouped(self.connections() as u64)
        ))
    }

    /// Time after which one measurement, with start and end of the contestant,
    /// has certainly gone wrong: more than all deadlines on its way together.
    pub fn limit(&self, window: Window) -> Duration {
        let own = match &self.load {
            Load::Tool(tool) => tool.limit(window),
            Load::PartLoad(_) => 4 * (window.warm_up + window.measured),
            _ => 2 * (window.warm_up + window.measured),
        };
        own + Duration::from_secs(1200)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_scenario_has_a_name_of_its_own() {
        for set in [Set::Standard, Set::Full, Set::Seeds] {
            let scenarios = Scenario::all(set);
            let names: BTreeSet<_> = scenarios.iter().map(|scenario| &scenario.name).collect();
            assert_eq!(names.len(), scenarios.len());
            assert!(!names.is_empty());
        }
    }

    #[test]
    fn what_needs_more_open_files_than_there_may_be_is_impossible() {
        let scenarios = Scenario::all(Set::Full);
        let named = |name: &str| scenarios.iter().find(|it| it.name == name).unwrap();
        assert_eq!(named("echo-20B-c100").possible_with(1_024), Ok(()));
        assert_eq!(named("chat-two-shards").possible_with(1_024), Ok(()));
        let sentence = named("idle-memory").possible_with(1_024).unwrap_err();
        assert!(sentence.ends_with("ulimit -Hn 18400"), "{sentence}");
        assert_eq!(named("idle-memory").possible_with(18_400), Ok(()));
    }

    #[test]
    fn goals_name_contestants_that_take_part() {
        for scenario in Scenario::all(Set::Full) {
            for goal in &scenario.goals {
                if let Goal::SlowestCore { of, .. } | Goal::Within { of, .. } = goal {
                    let names = scenario.field.own_names();
                    assert!(names.contains(&of.as_str()), "{of}");
                }
            }
        }
    }
}
