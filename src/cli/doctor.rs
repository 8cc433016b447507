//! `corecast doctor`: its options.

use std::collections::HashMap;
use std::ffi::OsString;

use clap::Args;
use corecast_host::doctor::{Asked, Report, Role, Running, Told, examine, find_running, render};
use corecast_host::number::positive;
use corecast_host::{Reading, Root, Settings, Unread, cpus};

use super::{Command, host, try_parse_from};
use crate::config::Config;

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

    /// Which ends of the connections are on this host: server, client or both
    #[arg(long, value_name = "ROLE", default_value = "server")]
    role: Role,

    /// Shards of the server [default: those of the running server, or one per core]
    #[arg(long, value_name = "N", value_parser = shards)]
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

/// As many shards as a server may have.
fn shards(text: &str) -> Result<u64, String> {
    let shards = positive(text)?;
    let config = Config {
        shards: usize::try_from(shards).unwrap_or(usize::MAX),
        ..Config::of_program()
    };
    let checked = config.validate().map_err(|error| error.problem);
    checked.map(|()| shards)
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
        let running = match self.pid {
            _ if !self.role.serves() => None,
            Some(PidArg::None) => None,
            Some(PidArg::Pid(pid)) => {
                Some(Running::read(root, pid).map_err(|error| format!("--pid: {error}"))?)
            }
            None => find_running(root)?,
        };
        let cores = cpus::usable().len().max(1) as u64;
        let shards = self.shards.unwrap_or_else(|| {
            running
                .as_ref()
                .map_or(cores, |running| running.shards.max(1))
        });
        let asked = Asked {
            connections: self.connections,
            sources: self.sources,
            targets: self.targets,
            role: self.role,
            shards,
            open: running.as_ref().map_or(0, Running::sessions),
        };
        let defaults = Settings::from(&Config::of_program());
        let settings = match &running {
            Some(running) => settings_of(root, running.pid),
            None => Ok(defaults.clone()),
        };
        let told = Told {
            settings,
            defaults,
            ring: host::ring(root),
        };
        Ok(examine(root, asked, running, &told))
    }
}

/// The settings of a running server: its command line and environment are read
/// as it has read them itself.
fn settings_of(root: &Root, pid: u32) -> Reading<Settings> {
    let process = format!("/proc/{pid}");
    let directory = root.path(format!("{process}/cwd"));
    // An absolute path stays as it is.
    let file = |path: &str| directory.join(path).into_os_string();
    let mut words: Vec<OsString> = Vec::new();
    for word in split(&root.text(format!("{process}/cmdline"))?) {
        let follows = words.last().is_some_and(|last| last == "--config");
        let word = match word.strip_prefix("--config=") {
            _ if follows => file(word),
            Some(path) => {
                words.push("--config".into());
                file(path)
            }
            None => word.into(),
        };
        words.push(word);
    }
    let environment = root.text(format!("{process}/environ"))?;
    let variables: HashMap<&str, &str> = split(&environment)
        .filter_map(|variable| variable.split_once('='))
        .collect();
    let variable = |name: &str| -> Option<OsString> {
        let value = variables.get(name)?;
        Some(match name {
            "CORECAST_CONFIG" => file(value),
            _ => (*value).into(),
        })
    };
    match try_parse_from(words, &variable) {
        Ok(Command::Serve(options)) => Ok(Settings::from(&options.config)),
        Ok(_) => Err(Unread::new(format!("process {pid} does not serve"))),
        Err(error) => Err(Unread::new(format!(
            "the options of process {pid} cannot be read: {error}"
        ))),
    }
}

/// The strings of a file in which each ends with a zero.
fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split_terminator('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(cmdline: &[&str], environ: &[&str]) -> Reading<Settings> {
        let directory = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let path = directory.path().join("proc/7").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let zeros = |words: &[&str]| {
            words
                .iter()
                .map(|word| format!("{word}\0"))
                .collect::<String>()
        };
        put("cmdline", &zeros(cmdline));
        put("environ", &zeros(environ));
        put("cwd/own.toml", "backlog = 77\n");
        settings_of(&Root::at(directory.path()), 7)
    }

    #[test]
    fn a_servers_settings_are_read_as_it_read_them() {
        let flags = [
            "corecast",
            "serve",
            "--max-sessions",
            "5",
            "--listen=0.0.0.0:81",
            "--demo",
        ];
        let read = settings(&flags, &["CORECAST_ADMIN=off", "CORECAST_MAX_SESSIONS=9"]).unwrap();
        assert_eq!((read.max_sessions, read.ports), (5, vec![81]));
        for words in [&["--config", "own.toml"][..], &["--config=own.toml"]] {
            let read = settings(&[&["corecast", "serve"], words].concat(), &[]).unwrap();
            assert_eq!(read.backlog, 77, "{words:?}");
        }
        let read = settings(&["corecast", "serve"], &["CORECAST_CONFIG=own.toml"]).unwrap();
        assert_eq!(read.backlog, 77);
    }

    #[test]
    fn what_cannot_be_read_has_a_reason() {
        let error = settings(&["corecast", "serve", "--shards", "none"], &[]).unwrap_err();
        assert!(error.to_string().contains("--shards"), "{error}");
        let error = settings(&["corecast", "doctor"], &[]).unwrap_err();
        assert_eq!(error.to_string(), "process 7 does not serve");
    }
}
