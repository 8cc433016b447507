//! The benchmark driver behind `make bench`: a WebSocket server's binary, the
//! floors that no server on this kernel can get under, and the load that
//! measures both, interleaved in one run.
//!
//! It shares no code with the server it measures, so that a mistake in the
//! server's codec cannot hide in the checker.
//!
//! The modules in the order of a run:
//!
//! [`cli`] → [`run`] → [`scenario`] (what is measured, and the targets) →
//! [`contest`] (who takes part, in which order, the medians) → [`process`]
//! (starts a contestant; the floors themselves are in [`floor`]) → [`load`]
//! (drives it and checks every byte) → [`host`] (whose CPU time it was) →
//! [`report`].
//!
//! # Invariants worth naming
//!
//! - A figure is only printed after the contestant has proved, in the same
//!   connections, that it answers correctly; during timing every byte is counted.
//! - Every loop has a deadline, and a [`watchdog`] stands behind the deadlines.
//! - Children are ended by the id they were started with, and die with the driver.

pub mod cli;
pub mod contest;
mod error;
pub mod floor;
pub mod host;
pub mod load;
pub mod process;
pub mod report;
pub mod run;
pub mod scenario;
pub mod sys;
pub mod watchdog;

pub use error::{Error, Result};

use std::process::ExitCode;

use clap::Parser;

/// Everything the binary does, with the exit status it ends with: 0 when every
/// scenario ran (whether or not it met its target), 1 when one failed.
pub fn main() -> ExitCode {
    let outcome = match cli::Cli::parse().resolve() {
        cli::Task::Floor(args) => args.serve().map(|_: std::convert::Infallible| true),
        cli::Task::Run(args) => run::run(&args),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("corecast-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
