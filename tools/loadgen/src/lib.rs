//! # corecast-load
//!
//! Loads WebSocket servers with any number of clients from one machine, checks
//! what comes back, and says what stopped it: the server, the kernel, or itself.
//!
//! `corecast-load --help` is the tool. This library is the same with scenarios of
//! your own:
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use corecast::plane::ResolvedDriver;
//! use corecast::ws::{Message, OpCode};
//! use corecast_load::engine::{
//!     Context, Dialing, Observer, Pace, Plan, Scenario, Stop, Timed, run,
//! };
//! use corecast_load::outcome::Outcome;
//! use corecast_load::target::Target;
//!
//! /// Each connection asks for the time and asks again when it is told.
//! struct Clock;
//!
//! impl Scenario for Clock {
//!     /// When the question left.
//!     type State = u64;
//!
//!     fn connect(&mut self, _number: u32) -> u64 {
//!         0
//!     }
//!
//!     fn start(&mut self, asked: &mut u64, cx: &mut Context<'_>) {
//!         *asked = cx.now;
//!         cx.send(OpCode::Text, b"what time is it?");
//!     }
//!
//!     fn message(&mut self, asked: &mut u64, _: Message<'_>, cx: &mut Context<'_>) {
//!         cx.record(Timed::Reply, *asked);
//!         if cx.phase.is_running() {
//!             self.start(asked, cx);
//!         }
//!     }
//! }
//!
//! /// Shows nothing while it runs.
//! struct Silent;
//! impl Observer for Silent {}
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let plan = Plan {
//!     dialing: Dialing {
//!         targets: vec![Target::parse("ws://127.0.0.1:8080/time")?],
//!         sources: Vec::new(),
//!         headers: Vec::new(),
//!         timeout: Duration::from_secs(10),
//!         users_per_room: 0,
//!         close_frames: true,
//!     },
//!     connections: 1_000,
//!     pace: Pace::Maximum { parallel: 256 },
//!     threads: 2,
//!     cores: vec![0, 1],
//!     driver: ResolvedDriver::Uring,
//!     opens_first: true,
//!     warm_up: Duration::ZERO,
//!     measured: Some(Duration::from_secs(10)),
//!     patience: Duration::from_secs(10),
//!     publishers: 0,
//! };
//! let outcome = Outcome::new("clock");
//! let outcome = run(plan, outcome, |_thread| Clock, &Stop::default(), &mut Silent)?;
//! println!("{}", corecast_load::report::table(&outcome));
//! # Ok(())
//! # }
//! ```
//!
//! # The way of a run
//!
//! The modules in the order in which a run meets them:
//!
//! 1. [`cli`] reads the command line, [`script`] a scenario file, [`target`] and
//!    [`sources`] where connections go and come from; [`app`] makes a plan of it.
//! 2. [`engine`] opens the connections, serves them on one thread per core or
//!    more, and counts.
//! 3. [`scenario`] says what they do: messages carry a [`stamp`] in the server's
//!    [`dialect`], and [`order`] tells which are lost, late or there twice.
//! 4. [`host`] looks at this machine and the server meanwhile, [`progress`] and
//!    [`live`] show how it goes.
//! 5. [`outcome`] has the results, [`diagnosis`] the limit that stopped it,
//!    [`trend`] the values that climbed, [`report`] the form for people.
//!
//! Around them: [`cause`] (why connections fail), [`random`], [`sys`] (system calls).

pub mod app;
pub mod cli;
pub mod diagnosis;
pub mod dialect;
pub mod engine;
pub mod live;
pub mod order;
pub mod progress;
pub mod random;
pub mod report;
pub mod scenario;
pub mod script;
pub mod sources;
pub mod stamp;
pub mod sys;
pub mod target;
pub mod trend;

pub use corecast_kit::{cause, host, outcome};
