//! `corecast doctor`: what may be asked of it.

use clap::{Args, ValueEnum};

use super::number::positive;
use crate::doctor::{Asked, Report, Role, Running, examine, find_running, render};
use crate::host::Root;

/// What was typed.
#[derive(Debug, Clone, PartialEq, Args)]
#[command(after_help = HELP)]
pub struct DoctorOptions {
    /// Connections that are to be open together, as in 100k or 1M
    #[arg(long, value_name = "N", default_value = "100k", value_parser = positive)]
    connections: u64,

    /// Addresses they come from
    #[arg(long, value_name = "S", default_value = "1", value_parser = positive)]
    sources: u64,

    /// Addresses and ports of servers they go to
    #[arg(long, value_name = "T", default_value = "1", value_parser = positive)]
    targets: u64,

    /// Which ends of the connections are on this host
    #[arg(long, value_enum, default_value = "server")]
    role: RoleArg,

    /// Shards of the server [default: those of the running server, or one per core]
    #[arg(long, value_name = "N", value_parser = positive)]
    shards: Option<u64>,

    /// The running server whose limits count, or none [default: the one that is found]
    #[arg(long, value_name = "PID")]
    pid: Option<PidArg>,

    /// Show the limits that fit, too
    #[arg(long)]
    all: bool,

    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

/// How `corecast doctor --help` ends.
const HELP: &str = "\
Exit status: 0 when what is asked fits, 1 when it does not, 2 when there is nothing to judge, \
such as a process that is no server.

Nothing on the host is changed: fixes are printed, not made.";

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum RoleArg {
    /// The server's
    Server,
    /// The clients', as corecast-load opens them
    Client,
    /// Both, as in a test on one machine
    Both,
}

/// A process id, or `none`.
#[derive(Debug, Clone, Copy, PartialEq)]
enum PidArg {
    None,
    Pid(u32),
}

impl std::str::FromStr for PidArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(PidArg::None),
            text => text
                .parse()
                .map(PidArg::Pid)
                .map_err(|_| format!("'{text}' is not a process id; write a number, or none")),
        }
    }
}

impl DoctorOptions {
    /// Examines the host; the text to print, and whether what is asked fits.
    ///
    /// # Errors
    /// A sentence that says which running server cannot be judged.
    pub fn run(&self, root: &Root) -> Result<(String, bool), String> {
        let report = self.examine(root)?;
        let text = if self.json {
            let json = serde_json::to_string_pretty(&report);
            json.map_err(|error| error.to_string())? + "\n"
        } else {
            render(&report, self.all)
        };
        Ok((text, report.fits))
    }

    fn examine(&self, root: &Root) -> Result<Report, String> {
        let role = match self.role {
            RoleArg::Server => Role::Server,
            RoleArg::Client => Role::Client,
            RoleArg::Both => Role::Both,
        };
        let running = match self.pid {
            _ if !role.serves() => None,
            Some(PidArg::None) => None,
            Some(PidArg::Pid(pid)) => {
                Some(Running::read(root, pid).map_err(|error| format!("--pid: {error}"))?)
            }
            None => find_running(root)?,
        };
        let cores = crate::cpus::usable().len().max(1) as u64;
        let shards = self.shards.unwrap_or_else(|| {
            running
                .as_ref()
                .map_or(cores, |running| running.shards.max(1))
        });
        let asked = Asked {
            connections: self.connections,
            sources: self.sources,
            targets: self.targets,
            role,
            shards,
            open: running.as_ref().map_or(0, Running::sessions),
        };
        Ok(examine(root, asked, running))
    }
}
