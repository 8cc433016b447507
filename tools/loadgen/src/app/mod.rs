//! The work of the binary: the command line becomes a run, the run is watched,
//! and its outcome becomes tables, files and an exit status.
//!
//! The modules stand in that order: `setup` resolves what all scenarios share,
//! `scenarios` turns each command into a plan, `watcher` looks at the host
//! while it runs, `verdict` says what stopped it, `results` shows it.

mod results;
mod scenarios;
mod setup;
mod signals;
mod verdict;
mod watcher;

use std::process::ExitCode;

use anyhow::Error;
use clap::Parser;
use corecast::log::{self, LogFormat};
use tracing::level_filters::LevelFilter;

use crate::cli::{Cli, Command};
use crate::engine::Stop;

/// The exit status of a run that found something wrong.
const FAILED: u8 = 1;
/// The exit status when there was nothing to measure.
const UNUSABLE: u8 = 2;

/// Does what the command line says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // The log is for the messages of the engine and the library; a run's own
    // messages are not logged.
    log::init(LogFormat::Auto, LevelFilter::WARN);
    match execute(cli.command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err(error) => {
            eprintln!("corecast-load: {error}");
            ExitCode::from(UNUSABLE)
        }
    }
}

/// Returns whether everything went well.
fn execute(command: Command) -> Result<bool, Error> {
    if let Command::Merge(args) = command {
        return results::merge_files(&args);
    }
    let stop = Stop::default();
    signals::stop_on_ctrl_c(&stop);
    scenarios::run(command, &stop)
}
