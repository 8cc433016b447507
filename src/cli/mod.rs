//! The command line, the environment and the configuration file: what a person
//! *typed*, and how it becomes the [`Config`] that is *resolved*.
//!
//! typed: flags and variables (`source`), file (`file`)
//! → one layer over the other → resolved with the defaults (`resolve`) → validated.
//! Each value is read by the row of its setting (`settings`).
//!
//! # Invariants worth naming
//!
//! - A flag wins over a variable, a variable over the file, the file over the default.
//! - Every option exists in all three, and is read by the same words in each.
//! - An error names the option as the person wrote it: `--shards`,
//!   `CORECAST_SHARDS`, or `corecast.toml:3: shards`.
//! - Nothing here reads the process's environment but [`parse`]; tests bring their own.

mod doctor;
mod file;
mod handlers;
mod help;
mod host;
mod page;
mod plan;
mod print;
mod resolve;
mod routes;
mod settings;
mod source;
#[cfg(test)]
mod tests;
mod text;
mod value;

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, FromArgMatches, Parser, Subcommand};
use corecast_host::plan::Question;
use tracing::level_filters::LevelFilter;

use crate::access::AccessSettings;
use crate::config::setting::Reload;
use crate::config::{Config, ConfigError, RouteSetting, UnreadTable};
use crate::handler::built_in;
use crate::log::LogFormat;
pub use doctor::DoctorOptions;
use settings::{HANDLERS, PHOENIX, ROUTES, Row, key_of};
use source::Layer;

/// The task the program was asked to do.
#[expect(clippy::large_enum_variant, reason = "a process has one, for a moment")]
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Run the server.
    Serve(ServeOptions),
    /// Print this text, the resolved configuration, and exit.
    PrintConfig(String),
    /// Print this text, the page of all options, and exit.
    PrintOptions(String),
    /// Print the budget of a load.
    Plan {
        /// The load that is planned for.
        question: Question,
        /// As JSON instead of a table.
        json: bool,
    },
    /// Look at what the host allows.
    Doctor(DoctorOptions),
}

/// The options of `corecast serve`, validated.
#[derive(Debug, Clone, PartialEq)]
pub struct ServeOptions {
    /// The server's settings.
    pub config: Config,
    /// Whether the demo is served (`--demo`), but for what is off.
    pub demo: bool,
    /// Old spellings in what was typed, which still count.
    pub notes: Vec<String>,
    /// The log's form.
    pub log: LogFormat,
    /// The least severe level that is logged.
    pub log_level: LevelFilter,
}

impl Default for ServeOptions {
    /// The options of `corecast serve` alone: it serves the demo to its own host.
    fn default() -> Self {
        ServeOptions {
            config: Config {
                routes: RouteSetting::demo(),
                home_page: true,
                handlers: built_in::check(&Config::default()).unwrap_or_default(),
                ..Config::default()
            },
            demo: true,
            notes: Vec::new(),
            log: LogFormat::Auto,
            log_level: LevelFilter::INFO,
        }
    }
}

impl ServeOptions {
    /// The settings that differ from those of `before`.
    pub fn changed_from(&self, before: &ServeOptions) -> Vec<Change> {
        let rows = Row::all().filter(|row| row.show(self) != row.show(before));
        let mut changes: Vec<_> = rows
            .map(|row| Change {
                key: row.key().to_owned(),
                values: Some([row.show_plain(before), row.show_plain(self)]),
                is_live: row.about().reload == Reload::Live,
            })
            .collect();
        let (after, before) = (&self.config, &before.config);
        let [phoenix_after, phoenix_before] =
            [after, before].map(|config| config.handlers.get(PHOENIX));
        let others = |config: &Config| {
            let mut others = config.handlers.clone();
            others.remove(PHOENIX);
            others
        };
        for (key, differs, is_live) in [
            (ROUTES, after.routes != before.routes, false),
            (HANDLERS, others(after) != others(before), false),
            ("handlers.phoenix", phoenix_after != phoenix_before, true),
            ("topics", after.access != before.access, true),
        ] {
            changes.extend(differs.then(|| Change {
                key: key.to_owned(),
                values: None,
                is_live,
            }));
        }
        changes
    }

    /// Whether a key for tokens of Phoenix is named, whose file a reload reads again.
    pub fn has_token_key(&self) -> bool {
        let tables = [Some(&self.config.access), self.config.handlers.get(PHOENIX)];
        let has_key = |table: &UnreadTable| table.iter().any(|(key, _)| key == "token");
        tables.into_iter().flatten().any(has_key)
    }

    /// Takes up the settings of `after` that a running server takes anew.
    pub fn take_up(&mut self, after: &ServeOptions) {
        for row in Row::all().filter(|row| row.about().reload == Reload::Live) {
            row.copy(after, self);
        }
        self.config.access.clone_from(&after.config.access);
        match after.config.handlers.get(PHOENIX).cloned() {
            Some(table) => self.config.handlers.insert(PHOENIX.to_owned(), table),
            None => self.config.handlers.remove(PHOENIX),
        };
    }
}

/// A setting that has another value than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its key in the file.
    pub key: String,
    /// The values before and after in words, where they are no tables.
    pub values: Option<[String; 2]>,
    /// Whether a running server takes it; otherwise it takes a hand-over or a restart.
    pub is_live: bool,
}

/// Why there is nothing to run.
#[derive(Debug)]
pub enum CliError {
    /// The command line does not parse, or asked for help or the version.
    Usage(clap::Error),
    /// A setting cannot stand.
    Setting {
        /// The option as it was written, wherever that was.
        name: String,
        /// The fault, and what is allowed instead.
        problem: String,
    },
}

impl CliError {
    fn setting(name: impl Into<String>, problem: impl fmt::Display) -> Self {
        CliError::Setting {
            name: name.into(),
            problem: problem.to_string(),
        }
    }

    /// The process's exit code: 2 for a mistake, 0 for help and version.
    pub fn exit_code(&self) -> i32 {
        match self {
            CliError::Usage(error) => error.exit_code(),
            CliError::Setting { .. } => 2,
        }
    }

    /// Says it where it belongs: help on standard output, mistakes on standard error.
    pub fn print(&self) {
        match self {
            CliError::Usage(error) => {
                // When the terminal itself is gone, no way is left to report it.
                let _ = error.print();
            }
            CliError::Setting { .. } => eprintln!("error: {self}"),
        }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CliError::Usage(error) => error.fmt(f),
            CliError::Setting { name, problem } => write!(f, "{name}: {problem}"),
        }
    }
}

impl Error for CliError {}

/// Reads this process's command line and environment. On a mistake, and for
/// `--help` and `--version`, it prints what there is to say and exits. Of
/// variables that look like options and are none it warns on standard error.
pub fn parse() -> Command {
    let command = try_parse_from(std::env::args_os(), &|name| std::env::var_os(name))
        .unwrap_or_else(|error| {
            error.print();
            process::exit(error.exit_code())
        });
    if matches!(command, Command::Serve(_) | Command::PrintConfig(_)) {
        for (name, _) in std::env::vars_os() {
            if let Some(warning) = name.to_str().and_then(settings::ignored_variable) {
                // As on a mistake, no way is left to report a failure of this.
                let _ = writeln!(io::stderr(), "warning: {warning}");
            }
        }
    }
    command
}

/// Reads a command line, whose first word is the program's name, and an
/// environment, given as the function from a variable's name to its value.
///
/// # Errors
///
/// A command line that does not parse, a configuration file that cannot be
/// read, and the first setting that cannot stand.
pub fn try_parse_from<I, W>(
    words: I,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Command, CliError>
where
    I: IntoIterator<Item = W>,
    W: Into<OsString> + Clone,
{
    let matches = help::command()
        .try_get_matches_from(words)
        .map_err(setting_error)?;
    let Typed { command } = Typed::from_arg_matches(&matches).map_err(CliError::Usage)?;
    let serve = match command {
        TypedCommand::Serve(serve) => serve,
        TypedCommand::Options => return Ok(Command::PrintOptions(page::page())),
        TypedCommand::Plan(plan) => return plan.resolve(),
        TypedCommand::Doctor(options) => return Ok(Command::Doctor(options)),
    };
    let (_, matches) = matches
        .subcommand()
        .expect("a subcommand is required, so one was given");

    let flags = Layer::of_flags(matches)?;
    let environment = Layer::of_environment(variable)?;
    let file = match (serve.config, variable("CORECAST_CONFIG")) {
        (Some(path), _) => file::read(&path, "--config")?,
        (None, Some(path)) => file::read(path.as_ref(), "CORECAST_CONFIG")?,
        (None, None) => Layer::default(),
    };

    let typed = flags.over(environment.over(file));
    let named = |error: ConfigError| CliError::setting(typed.name_of(&error.option), error.problem);
    let mut resolved = resolve::resolve(&typed).map_err(named)?;
    resolved.config.validate().map_err(named)?;
    resolved.notes.extend(built_in::notes(&resolved.config));
    resolved.config.handlers = built_in::check(&resolved.config).map_err(named)?;
    resolved.config.access = AccessSettings::of(&resolved.config).map_err(named)?.into();
    routes::check(&resolved.config).map_err(named)?;
    Ok(if serve.print_config {
        Command::PrintConfig(print::print(&resolved, &typed))
    } else {
        Command::Serve(resolved)
    })
}

/// A WebSocket server for millions of connections on one Linux host.
#[derive(Debug, Parser)]
#[command(
    name = "corecast",
    version,
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Typed {
    #[command(subcommand)]
    command: TypedCommand,
}

#[derive(Debug, Subcommand)]
enum TypedCommand {
    /// Run the server
    Serve(ServeArgs),
    /// Print docs/options.md, the page of all options
    #[command(hide = true)]
    Options,
    /// Print what a load needs of memory, descriptors, ports, network and cores
    Plan(plan::PlanArgs),
    /// Say what this host allows, and what stops it first
    Doctor(DoctorOptions),
}

#[derive(Debug, Args)]
#[command(after_help = help::SERVE)]
struct ServeArgs {
    /// Read options from a TOML file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Print the resolved options as TOML, each with its source, and exit
    #[arg(long)]
    print_config: bool,
}

/// Turns the parser's error about a value into the same sentence that the file
/// and the environment would get.
fn setting_error(error: clap::Error) -> CliError {
    let problem = match (error.kind(), error.source()) {
        (ErrorKind::ValueValidation, Some(cause)) => cause.to_string(),
        (ErrorKind::InvalidValue, _) => "a value is missing".to_owned(),
        (ErrorKind::InvalidUtf8, _) => "is not UTF-8".to_owned(),
        _ => return CliError::Usage(error),
    };
    // The parser calls it '--shards <N>'.
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else {
        return CliError::Usage(error);
    };
    let flag = shown.split([' ', '=']).next().unwrap_or_default();
    let row = Row::find(&key_of(flag.trim_start_matches("--")));
    let problem = row.map_or(problem.clone(), |row| row.with_range(&problem));
    CliError::setting(flag, problem)
}
