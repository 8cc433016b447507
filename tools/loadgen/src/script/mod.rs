//! Scenario files: which users arrive when, and the behaviour of each.
//!
//! A script is written in TOML and has the contents of a Tsung file: phases in
//! which users arrive at a rate, one after the other, and sessions, of which
//! each arriving user gets one, by weight. [`Script::from_toml`] reads it; the
//! script it returns has been checked and can be run as it is. The modules
//! stand in the order of that way: the types as written (`raw`), their
//! conversion (`convert`), and the parts that are run: [`Arrivals`],
//! [`Program`] with its [`Cursor`], [`Template`], [`Expect`] and [`Think`].
//!
//! # Invariants worth naming
//!
//! - Every function here is pure: time and chance come in as arguments, so a
//!   script with a seed does the same again.
//! - An error names the file, the line and the column, says what is wrong there
//!   and what may be written instead. A key that does not exist is an error.
//! - A user costs a [`Cursor`]; everything else is shared by all of a session.
//!
//! # Every key
//!
//! This is `scenarios/every-key.toml`. The keys called optional may be left out.
//!
//! ```toml
#![doc = include_str!("../../scenarios/every-key.toml")]
//! ```
//!
//! # What is measured
//!
//! A `receive` is timed as `reply` from the user's last `send`, a `ping` as
//! `heartbeat`; a `receive` before the first `send` is not timed. An answer that
//! does not come in time fails the user's session: the connection is closed and
//! counts as lost.
//!
//! Messages that no step waits for are counted and passed over, whenever they
//! come. Steps that take no time are taken together with the one behind them, so
//! the answer to a `send` finds a `receive` that follows at once already waiting.
//! With a `think`, an `until` or a `ping` in between it may come before, and is
//! passed over. A user who sends hundreds of messages in a row, or more than the
//! server reads, pauses now and then; a thousand of the messages that come
//! meanwhile are kept for the `receive`s that follow, and are not timed, because
//! they came before the last `send`.
//!
//! A run ends when its last user has left, or after the script's `duration`.
//! Then nobody sends any more, and what is being waited for has the run's
//! patience left: what comes counts, what is overdue has failed, and what still
//! has time is neither.

mod arrivals;
mod convert;
mod error;
mod expect;
mod program;
mod raw;
mod template;
mod think;

use std::fs;
use std::path::Path;
use std::time::Duration;

pub use arrivals::{Arrival, Arrivals};
pub use error::ScriptError;
pub use expect::Expect;
pub use program::{Cursor, Instruction, MAX_DEPTH, Program, Step};
pub use template::{MAX_RANDOM, Template, TemplateError, Values};
pub use think::Think;

use crate::random::Random;
use crate::target::PathTemplate;
use error::Problem;

/// How long a connection, its handshake and a reply may take, unless a script
/// says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest time a script may name: a year. It catches a slipped unit.
pub const MAX_TIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The most users that may arrive per second.
pub const MAX_RATE: f64 = 10_000_000.0;

/// The largest weight of a session.
pub const MAX_WEIGHT: u64 = 1_000_000_000;

/// The most steps one user may take, repeats counted, unless it goes on forever.
pub const MAX_STEPS: u64 = 1_000_000_000;

/// A scenario file, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    /// The name of the run.
    pub name: String,
    /// The servers' URLs, checked but not resolved, since the command line may
    /// name others; possibly none.
    pub targets: Vec<String>,
    /// How long a connection, its opening handshake, and each reply may take.
    pub timeout: Duration,
    /// The end of the run, for users that are still connected; without it, when
    /// the last user has left.
    pub duration: Option<Duration>,
    /// Rooms the users are spread over; at least 1.
    pub rooms: u64,
    /// When users arrive; at least one phase.
    pub phases: Vec<Phase>,
    /// The sessions of the users; at least one has a weight above 0.
    pub sessions: Vec<Session>,
}

/// A time in which users arrive at one rate.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// Its name; `phase 1` and so on without one.
    pub name: String,
    /// How long it lasts; above 0.
    pub duration: Duration,
    /// How many users arrive per second, on average; above 0.
    pub users_per_second: f64,
    /// How their arrivals are distributed.
    pub arrival: Arrival,
    /// How many arrive in this phase at most.
    pub max_users: Option<u64>,
}

/// The behaviour of one kind of user.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Its name; `session 1` and so on without one. No two have the same.
    pub name: String,
    /// How many users get this session, in relation to the other weights.
    pub weight: u64,
    /// The path to ask for instead of the target's.
    pub path: Option<PathTemplate>,
    /// Headers of the opening handshake, by name.
    pub headers: Vec<(String, String)>,
    /// The subprotocol to offer.
    pub subprotocol: Option<String>,
    /// The steps of its users once connected; possibly none.
    pub program: Program,
}

impl Script {
    /// Reads a script. `file` stands for it in errors.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with its line and column.
    pub fn from_toml(text: &str, file: &str) -> Result<Script, ScriptError> {
        toml::from_str(text)
            .map_err(|error| Problem::of_toml(&error))
            .and_then(Script::of_raw)
            .map_err(|problem| problem.in_file(file, text))
    }

    /// Reads a script's file.
    ///
    /// # Errors
    ///
    /// As [`Script::from_toml`], and that the file cannot be read.
    pub fn read(path: &Path) -> Result<Script, ScriptError> {
        let file = path.display().to_string();
        match fs::read_to_string(path) {
            Ok(text) => Script::from_toml(&text, &file),
            Err(cause) => Err(ScriptError {
                file,
                place: None,
                problem: format!("the scenario file cannot be read: {cause}"),
            }),
        }
    }

    /// The index of the session a user gets for this random number: each session
    /// in proportion to its weight.
    pub fn pick_session(&self, random: u64) -> usize {
        let total: u64 = self.sessions.iter().map(|session| session.weight).sum();
        // The upper half of the product is even over 0..total, as a remainder is not.
        let mut drawn = ((u128::from(random) * u128::from(total)) >> 64) as u64;
        for (index, session) in self.sessions.iter().enumerate() {
            match drawn.checked_sub(session.weight) {
                None => return index,
                Some(rest) => drawn = rest,
            }
        }
        unreachable!("the number drawn is below the sum of all weights")
    }

    /// The index of the session of a user. The same seed gives every user the
    /// same session, whichever thread or machine it is on.
    pub fn session_of(&self, user: u64, seed: u64) -> usize {
        // Another series than that of the arrivals, or users that come after a
        // long pause would be more often of one kind.
        self.pick_session(Random::nth(!seed, user))
    }

    /// The room of a user.
    pub fn room(&self, user: u64) -> u64 {
        user % self.rooms
    }

    /// When each user arrives, over all phases, in nanoseconds since the start.
    /// The same seed gives the same times.
    pub fn arrivals(&self, seed: u64) -> impl Iterator<Item = u64> + Send + use<> {
        let mut start = 0;
        let mut phases = Vec::new();
        for (phase, number) in self.phases.iter().zip(0u64..) {
            phases.push((start, number, phase.clone()));
            start += nanoseconds(phase.duration);
        }
        phases.into_iter().flat_map(move |(start, number, phase)| {
            let end = nanoseconds(phase.duration);
            // Another seed for each phase, or two alike would repeat each other.
            let seed = seed.wrapping_add(number);
            let most = phase.max_users.unwrap_or(u64::MAX);
            Arrivals::new(phase.users_per_second, phase.arrival, seed)
                .zip(0..most)
                .map(|(at, _)| at)
                .take_while(move |&at| at < end)
                .map(move |at| start + at)
        })
    }

    /// How many users arrive over all phases: exactly when the arrivals are
    /// even, on average when they are exponential. `arrivals(seed).count()` is
    /// exact for either, and takes as long as there are users.
    pub fn expected_users(&self) -> u64 {
        let users = |phase: &Phase| {
            let users = phase.users_per_second * phase.duration.as_secs_f64();
            // The first of even arrivals comes at once, so a begun interval counts.
            // The error of floating point above a whole number of them does not.
            let users = (users - 1e-6).ceil() as u64;
            users.min(phase.max_users.unwrap_or(u64::MAX))
        };
        self.phases.iter().map(users).fold(0, u64::saturating_add)
    }

    /// How long users arrive: all phases together.
    pub fn arrival_time(&self) -> Duration {
        self.phases.iter().map(|phase| phase.duration).sum()
    }
}

/// A time of a script; [`MAX_TIME`] keeps it in range.
fn nanoseconds(time: Duration) -> u64 {
    time.as_nanos() as u64
}

#[cfg(test)]
mod tests;
