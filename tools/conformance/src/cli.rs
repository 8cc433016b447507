//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use corecast_host::number;

use crate::configuration::Selector;
use crate::suite::Suite;

/// Runs Autobahn's cases against corecast and judges the verdicts.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    /// What is to be done.
    #[command(subcommand)]
    pub task: Task,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Install a suite, run its cases in every configuration, judge the verdicts
    Run(RunOptions),
    /// Be the client under test of a fuzzing server that is already running
    Client(ClientOptions),
    /// Judge the verdicts that runs have left behind
    Validate(ValidateOptions),
    /// Write the page with the results of all runs that are there
    Table(TableOptions),
}

/// Options of a run.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// The server's binary
    #[arg(long, value_name = "FILE")]
    pub server: PathBuf,
    /// Where the suites are installed and their results kept
    #[arg(long, value_name = "FOLDER")]
    pub directory: PathBuf,
    /// The file that names what may be NON-STRICT
    #[arg(long, value_name = "FILE")]
    pub excuses: PathBuf,
    /// The suite; without this, the original where it can be had
    #[arg(long)]
    pub suite: Option<Suite>,
    /// A configuration, or a part of the names of several; repeatable [default: all]
    #[arg(long, value_name = "NAME")]
    pub only: Vec<Selector>,
    /// Time each configuration has
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = number::time)]
    pub limit: Duration,
    /// More options for `corecast serve`
    #[arg(last = true, value_name = "OPTION")]
    pub server_options: Vec<String>,
}

/// Options of the client under test.
#[derive(Debug, Clone, Args)]
pub struct ClientOptions {
    /// Where the fuzzing server listens
    pub server: SocketAddr,
    /// The client's name in the report
    #[arg(long, default_value = "corecast")]
    pub agent: String,
    /// The most that one read takes, in bytes
    #[arg(long, value_name = "SIZE", default_value = "64KiB", value_parser = bytes)]
    pub max_read_bytes: usize,
}

/// Options of the validator.
#[derive(Debug, Args)]
pub struct ValidateOptions {
    /// The file that names what may be NON-STRICT
    #[arg(long, value_name = "FILE")]
    pub excuses: PathBuf,
    /// Folders with the verdicts of a run
    #[arg(required = true, value_name = "FOLDER")]
    pub results: Vec<PathBuf>,
}

/// Options of the table.
#[derive(Debug, Args)]
pub struct TableOptions {
    /// Where results are kept
    #[arg(long, value_name = "FOLDER")]
    pub directory: PathBuf,
    /// The file that names what may be NON-STRICT
    #[arg(long, value_name = "FILE")]
    pub excuses: PathBuf,
    /// The page
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
}

/// Reads a size; more than memory can hold is bounded where it is used.
fn bytes(text: &str) -> Result<usize, String> {
    number::size(text).map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
