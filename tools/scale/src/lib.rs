//! The driver behind `make scale`: opens as many connections on one machine as
//! asked for, both ends of each, and tells what one of them costs as their
//! number grows.
//!
//! The load is `corecast-load`, which checks that every subscriber has every
//! publication once and in order. [`measure`] takes the server and the [`floor`]
//! in turns through growing sizes; [`hold`] keeps one size for minutes while
//! heartbeats, broadcasts and newcomers go on.
//!
//! [`cli`] → [`measure`] or [`hold`] → [`network`] (with a table of connections
//! that is large enough) → [`contestant`] (server or floor, started and looked at)
//! → [`load`] (runs of `corecast-load`) and [`slabs`] (the kernel's memory
//! meanwhile) → [`reading`] (the results of a run) → [`report`] (tables and
//! charts).
//!
//! # Invariants worth naming
//!
//! - The cores are not split: thousands of connections of both ends share them.
//!   Costs are therefore processor time per delivery and bytes per connection,
//!   which do not depend on which end had the core; rates by the clock are
//!   those of both ends together.
//! - Every run ends by itself, and the host's former settings are restored, unless
//!   the driver is killed; when it changes one, it says how to put it back.

pub mod cli;
pub mod contestant;
pub mod floor;
pub mod hold;
pub mod host;
pub mod load;
pub mod measure;
pub mod network;
pub mod newcomers;
pub mod reading;
pub mod report;
pub mod slabs;

use std::process::ExitCode;

use clap::Parser;

/// Everything the binary does. The exit status is 0 when every run succeeded,
/// else 1.
pub fn main() -> ExitCode {
    let outcome = match cli::Cli::parse().command {
        cli::Command::Measure(args) => measure::run(&args),
        cli::Command::Hold(args) => hold::run(&args),
        cli::Command::Report(args) => report::run(&args),
        cli::Command::Floor(args) => args.serve().map(|_: std::convert::Infallible| true),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("corecast-scale: {error}");
            ExitCode::FAILURE
        }
    }
}
