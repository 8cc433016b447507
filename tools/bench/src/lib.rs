//! The benchmark driver behind `make bench`: a WebSocket server's binary, the
//! floors that no server on this kernel can get under, and the load that
//! measures both, interleaved in one run.
//!
//! Its own load ([`load`]) shares no code with the server it measures, so that a
//! mistake in the server's codec cannot hide in the checker.
//!
//! The modules in the order of a run:
//!
//! [`cli`] → [`run`] → [`scenario`] (the load, and the goals) → [`contestant`]
//! (the contestants) → [`cores`] (their cores) → [`measure`] (one contestant,
//! one round) → [`corecast_kit::process`] (starts it; the floors themselves are in [`floor`])
//! → [`load`] or [`tool`] (drives it and checks what comes back) → [`host`],
//! [`shards`] (whose CPU time it was) → [`results`] → [`report`].
//!
//! # Invariants worth naming
//!
//! - A figure is only printed after the contestant has proved, in the same
//!   connections, that it answers correctly; during timing every byte is counted.
//! - Every loop has a deadline, and a [`watchdog`] stands behind the deadlines.
//! - A contestant that fails is a line in the report and ends nothing. Only the
//!   server's own faults decide the exit status.
//! - Children are ended by the id they were started with, and die with the driver.

pub mod cli;
pub mod contestant;
pub mod cores;
pub mod floor;
pub mod host;
pub mod load;
pub mod measure;
pub mod progress;
pub mod report;
pub mod results;
pub mod run;
pub mod scenario;
pub mod shards;
pub mod tool;
pub mod watchdog;

pub use corecast_kit::{Cause, During, Error, Result};

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use corecast_kit::markdown::quote_in;

use results::Results;
use scenario::{Scenario, Set};

/// The command line asks for the impossible, or there was nothing to measure;
/// `clap` ends with the same.
const NOTHING_TO_MEASURE: u8 = 2;

/// Everything the binary does, with the exit status it ends with. `run --help`
/// says what each means.
pub fn main() -> ExitCode {
    let outcome = match cli::Cli::parse().resolve() {
        cli::Task::Floor(args) => args.serve().map(|_: std::convert::Infallible| true),
        cli::Task::Run(args) => run::run(*args),
        cli::Task::List(set) => {
            list(set);
            Ok(true)
        }
        cli::Task::Compare(args) => compare(&args),
        cli::Task::Quote(args) => quote(&args).map(|()| true),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            progress::note(&format!("corecast-bench: {error}"));
            ExitCode::from(NOTHING_TO_MEASURE)
        }
    }
}

fn list(set: Set) {
    for scenario in Scenario::all(set) {
        println!(
            "{:28} {}: {}",
            scenario.name, scenario.group, scenario.title
        );
    }
}

/// True when nothing became slower or larger.
fn compare(args: &cli::CompareArgs) -> Result<bool> {
    let comparison = report::compare(&read_results(&args.old)?, &read_results(&args.new)?);
    println!("{comparison}");
    Ok(comparison.regressions().next().is_none())
}

fn quote(args: &cli::QuoteArgs) -> Result<()> {
    let results = read_results(&args.report)?;
    if results.settings.is_partial || results.own_failures() > 0 {
        return Err(Error::Usage(format!(
            "{} is of a run that was quick, partial or failed; measure again without --quick \
             and --only",
            args.report.display()
        )));
    }
    let markdown = report::markdown(&results);
    let path = args.document.display();
    let document = fs::read_to_string(&args.document).during(format!("reading {path}"))?;
    let document =
        quote_in(&document, &markdown).map_err(|error| Error::Usage(format!("{path}: {error}")))?;
    fs::write(&args.document, document).during(format!("writing {path}"))
}

fn read_results(path: &Path) -> Result<Results> {
    let text = fs::read_to_string(path).during(format!("reading {}", path.display()))?;
    report::read_json(&text).map_err(|error| Error::Usage(format!("{}: {error}", path.display())))
}
