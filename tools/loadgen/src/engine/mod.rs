//! The engine: threads that hold connections, and the coordinator that leads
//! them through a run.
//!
//! ```text
//!   coordinator ── phase ──► thread 0, pinned to core 0      thread 1 …
//!        ▲                   arrivals → open → serve → Scenario
//!        └──── reports ─────  (counts and distributions, four times a second)
//! ```
//!
//! The modules stand in the order in which a connection meets them:
//! `arrivals` says when it begins, `open` connects and shakes hands, `serve`
//! reads it and calls the [`Scenario`], `end` lets it go. `worker` is a
//! thread's turn, `thread` the loop around it, `coordinator` the run.
//!
//! # Invariants worth naming
//!
//! - Threads share nothing but the phase, the wakers and the publishers'
//!   progress ([`Shared`]).
//! - Each thread has its own descriptor table, because `RLIMIT_NOFILE` bounds a
//!   table: more threads hold more connections.
//! - All times of a run are nanoseconds since one moment, on every thread.

mod arrivals;
mod assembly;
mod connection;
mod coordinator;
mod end;
mod net;
mod open;
mod report;
mod scenario;
mod serve;
mod shared;
mod tally;
mod thread;
mod timers;
mod worker;

pub use arrivals::{Pace, PlannedTimes};
pub use connection::End;
pub use coordinator::{Observer, Plan, RunError, Stop, run};
pub use net::{Dialing, Net};
pub use scenario::{Context, Route, Scenario};
pub use shared::{Phase, Shared};
pub use tally::{PublicationPart, Tally, Timed, Traffic};
pub use thread::StartError;
