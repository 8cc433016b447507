//! The driver behind `make conformance`: Autobahn's cases against the server and
//! against the client side of the codec, and the judgement on the verdicts.
//!
//! The modules in the order of a run:
//!
//! [`cli`] → [`python`] and [`install`] (which suite is available) →
//! [`installed`] (how it is started) → [`configuration`] (the tested
//! configuration) → [`run`] (one configuration after the other) → [`corecast_kit::process`]
//! (servers and suites, bounded in time) → [`client`] (the client under test) →
//! [`report`] (the verdicts of a suite) → [`validate`], with [`cases`] (the
//! cases that must be there) and [`excuses`] (the NON-STRICT verdicts that may
//! be) → [`table`].
//!
//! # Invariants worth naming
//!
//! - Nothing passes by being absent: the cases that must be there are listed
//!   here, not taken from the suite.
//! - Children are ended by the id they were started with, and die with the driver.

pub mod cases;
pub mod cli;
pub mod client;
pub mod configuration;
pub mod excuses;
pub mod install;
pub mod installed;
pub mod python;
pub mod report;
pub mod run;
pub mod suite;
pub mod table;
pub mod validate;

pub use corecast_kit::{Error, Result};

use corecast_kit::During;

use std::fs;
use std::process::ExitCode;

use clap::Parser;

use cli::Task;
use excuses::Excuses;
use report::Run;

/// Everything the binary does, with the exit status it ends with: 0 when all
/// went as it should, 1 when a case did not, 2 when there is no verdict.
pub fn main() -> ExitCode {
    let outcome = match cli::Cli::parse().task {
        Task::Run(options) => run::run(&options),
        Task::Client(options) => {
            client::run(&options, |case, count| println!("case {case} of {count}")).map(|()| true)
        }
        Task::Validate(options) => validate(&options),
        Task::Table(options) => write_table(&options).map(|()| true),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("corecast-conformance: {error}");
            ExitCode::from(2)
        }
    }
}

fn validate(options: &cli::ValidateOptions) -> Result<bool> {
    let excuses = Excuses::read(&options.excuses)?;
    let mut all_passed = true;
    for directory in &options.results {
        let run = Run::read(directory)?;
        let problems = validate::problems(&run, &excuses);
        println!("{}", validate::summary(&run, &problems));
        all_passed &= problems.is_empty();
    }
    Ok(all_passed)
}

fn write_table(options: &cli::TableOptions) -> Result<()> {
    let runs = Run::read_all(&options.directory.join(run::RESULTS))?;
    let excuses = Excuses::read(&options.excuses)?;
    let page = table::page(&runs, &excuses)?;
    let path = options.output.display();
    if let Some(parent) = options.output.parent() {
        fs::create_dir_all(parent).during(format!("making the folder of {path}"))?;
    }
    fs::write(&options.output, page).during(format!("writing {path}"))
}
