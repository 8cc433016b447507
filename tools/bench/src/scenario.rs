//! What is measured, against which floors, and what would be good.

use std::time::Duration;

use crate::floor::Floor;
use crate::load::broadcast::Broadcast;
use crate::load::echo::Echo;
use crate::load::handshake::Handshakes;
use crate::load::idle::{Idle, IdleSample};
use crate::load::{Account, Peer, Sample, Window};
use crate::process::Pages;
use crate::{Error, Result};

/// The kinds of load.
#[derive(Debug, Clone, Copy)]
pub enum Load {
    /// See [`Echo`].
    Echo(Echo),
    /// See [`Broadcast`].
    Broadcast(Broadcast),
    /// See [`Handshakes`].
    Handshakes(Handshakes),
    /// See [`Idle`].
    Idle(Idle),
}

/// What the server should reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// At least this share of the best floor's rate, or of its CPU time per
    /// message when the load was the bottleneck.
    OfFloor(f64),
    /// At least this many messages a second.
    PerSecond(f64),
    /// At most `must` bytes per session in user space; `hope` would be better.
    Bytes {
        /// The target.
        must: f64,
        /// The stretch target.
        hope: f64,
    },
}

/// One row of the report.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What one message is, in the plural.
    pub unit: &'static str,
    /// What the clients do.
    pub load: Load,
    /// What it is compared with; ratios are to the best of them.
    pub floors: &'static [Floor],
    /// The target.
    pub goal: Goal,
}

/// What one contestant achieved in one round.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// A rate over a window.
    Timed(Sample),
    /// Memory per session.
    Idle(IdleSample),
}

impl Scenario {
    /// All scenarios in the order of the report.
    pub fn all() -> Vec<Scenario> {
        let echo = |connections, outstanding, payload_bytes| {
            Load::Echo(Echo {
                connections,
                outstanding,
                payload_bytes,
            })
        };
        let broadcast = |subscribers, outstanding| {
            Load::Broadcast(Broadcast {
                subscribers,
                outstanding,
                payload_bytes: 20,
            })
        };
        vec![
            Scenario {
                name: "echo-20B-c10000",
                unit: "messages",
                load: echo(10_000, 1, 20),
                floors: &[Floor::Uring, Floor::UringQueued],
                goal: Goal::OfFloor(0.97),
            },
            Scenario {
                name: "echo-20B-p16-c100",
                unit: "messages",
                load: echo(100, 16, 20),
                floors: &[Floor::Epoll, Floor::Uring, Floor::UringQueued],
                goal: Goal::OfFloor(0.95),
            },
            Scenario {
                name: "echo-16KiB-c100",
                unit: "messages",
                load: echo(100, 1, 16 * 1024),
                floors: &[Floor::Epoll],
                goal: Goal::OfFloor(0.95),
            },
            Scenario {
                name: "broadcast-20B-s10000",
                unit: "deliveries",
                load: broadcast(10_000, 1),
                floors: &[Floor::Sendloop],
                goal: Goal::OfFloor(0.95),
            },
            Scenario {
                name: "broadcast-20B-s18000",
                unit: "deliveries",
                load: broadcast(18_000, 1),
                floors: &[Floor::Sendloop],
                goal: Goal::OfFloor(0.95),
            },
            Scenario {
                name: "broadcast-20B-p16-s10000",
                unit: "deliveries",
                load: broadcast(10_000, 16),
                floors: &[Floor::Sendloop],
                goal: Goal::PerSecond(2_000_000.0),
            },
            Scenario {
                name: "handshakes",
                unit: "handshakes",
                load: Load::Handshakes(Handshakes { in_flight: 64 }),
                floors: &[Floor::Accept],
                goal: Goal::PerSecond(55_000.0),
            },
            Scenario {
                name: "idle-memory",
                unit: "sessions",
                load: Load::Idle(Idle {
                    warm_up_sessions: 200,
                    sessions: 18_000,
                }),
                floors: &[Floor::Epoll],
                goal: Goal::Bytes {
                    must: 256.0,
                    hope: 128.0,
                },
            },
        ]
    }

    /// Bytes of one publication on the wire towards `peer`, for the broadcast floor.
    pub fn unit_bytes(&self, peer: &Peer) -> usize {
        match self.load {
            Load::Broadcast(broadcast) => broadcast.unit_bytes(peer),
            _ => 1,
        }
    }

    /// The memory pages the contestants may use.
    pub fn pages(&self) -> Pages {
        match self.load {
            Load::Idle(_) => Pages::Small,
            _ => Pages::Any,
        }
    }

    /// Puts the load on `peer` once.
    pub fn measure(&self, peer: &Peer, window: Window, account: Account) -> Result<Outcome> {
        match self.load {
            Load::Echo(echo) => echo.measure(peer, window, account).map(Outcome::Timed),
            Load::Broadcast(broadcast) => {
                broadcast.measure(peer, window, account).map(Outcome::Timed)
            }
            Load::Handshakes(handshakes) => handshakes
                .measure(peer, window, account)
                .map(Outcome::Timed),
            Load::Idle(idle) => {
                let server = account.server.ok_or_else(|| {
                    Error::Usage("the memory of a server elsewhere cannot be read".into())
                })?;
                idle.measure(peer, server).map(Outcome::Idle)
            }
        }
    }

    /// Time after which one measurement, with start and end of the contestant,
    /// has certainly gone wrong: the sum of all deadlines on its way.
    pub fn limit(&self, window: Window) -> Duration {
        window.warm_up + window.measured + Duration::from_secs(90)
    }
}
