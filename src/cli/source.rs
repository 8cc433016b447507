//! Where a setting was typed, so that an error can point there.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, FromArgMatches};

use super::options::Options;
use super::{CliError, setting_error};
use crate::config::{Range, nearest};
use crate::handover;

/// The place a setting came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// A key of the file, as `file:line`.
    File {
        /// The file and the line.
        place: String,
    },
    /// A variable of the environment.
    Variable,
    /// A flag of the command line.
    Flag,
}

/// The options of one source, and the source of each by its key.
#[derive(Debug, Default)]
pub(super) struct Layer {
    pub options: Options,
    pub sources: BTreeMap<String, Source>,
    /// What is to be said of old spellings.
    pub notes: Vec<String>,
}

impl Layer {
    /// This layer where it speaks, `below` where it is silent.
    pub(super) fn over(self, below: Layer) -> Layer {
        let mut sources = below.sources;
        sources.extend(self.sources);
        Layer {
            options: self.options.over(below.options),
            sources,
            notes: [below.notes, self.notes].concat(),
        }
    }

    /// The options that were given as flags.
    pub(super) fn of_flags(matches: &ArgMatches) -> Result<Layer, CliError> {
        let typed = |key: &String| matches.value_source(key) == Some(ValueSource::CommandLine);
        let options = Options::from_arg_matches(matches).map_err(CliError::Usage)?;
        if let Some((_, problem)) = options.repeated_route() {
            return Err(CliError::setting("--route", problem));
        }
        Ok(Layer {
            options,
            sources: keys()
                .into_iter()
                .filter(typed)
                .map(|key| (key, Source::Flag))
                .collect(),
            notes: Vec::new(),
        })
    }

    /// The options that were given as variables. They are read by the parser of
    /// the flags, so both accept the same words.
    pub(super) fn of_environment(
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Layer, CliError> {
        let command = options_command().no_binary_name(true);
        let mut words = Vec::new();
        let mut sources = BTreeMap::new();
        for key in keys() {
            let option = option_of(&key);
            let name = variable_of(&option);
            let Some(value) = variable(&name) else {
                continue;
            };
            if value.is_empty() {
                let problem = "is empty; give it a value or unset it";
                return Err(CliError::setting(name, with_range(&option, problem)));
            }
            if value.to_str().is_none() {
                return Err(CliError::setting(name, "is not UTF-8"));
            }
            let mut word = OsString::from(format!("--{option}="));
            word.push(value);
            words.push(word);
            sources.insert(key, Source::Variable);
        }
        let matches = command
            .try_get_matches_from(words)
            .map_err(|error| setting_error(error, variable_of))?;
        let options = Options::from_arg_matches(&matches).map_err(CliError::Usage)?;
        if let Some((_, problem)) = options.repeated_route() {
            return Err(CliError::setting(variable_of("route"), problem));
        }
        Ok(Layer {
            options,
            sources,
            notes: Vec::new(),
        })
    }

    /// How an error should call an option: as the person wrote it.
    pub(super) fn name_of(&self, option: &str) -> String {
        let key = key_of(option);
        // A key that is missing in a handler's table has the line of the nearest table
        // around it that is in the file.
        let around = std::iter::successors(Some(&*key), |key| {
            let end = key.rfind(['.', '['])?;
            Some(&key[..end])
        });
        let source = around.filter_map(|key| self.sources.get(key)).next();
        match source {
            Some(Source::File { place }) => format!("{place}: {}", self.shown(&key)),
            Some(Source::Variable) => variable_of(option),
            // A table that is not there has no place, and is no flag.
            None if option.contains('.') => option.to_owned(),
            Some(Source::Flag) | None => format!("--{option}"),
        }
    }

    /// A key as it stands in the file: without places in lists, and as a table was
    /// called there.
    fn shown(&self, key: &str) -> String {
        let key = match self.sources.contains_key("phoenix") {
            true => key.strip_prefix("handlers.").unwrap_or(key),
            false => key,
        };
        let mut shown = String::new();
        for part in key.split('[') {
            let after = part.split_once(']').map(|(_, after)| after);
            shown.push_str(after.unwrap_or(part));
        }
        shown
    }

    /// Where a key came from, for the comments of `--print-config`.
    pub(super) fn origin_of(&self, key: &str) -> String {
        match self.sources.get(key) {
            Some(Source::File { place }) => place.clone(),
            Some(Source::Variable) => variable_of(&option_of(key)),
            Some(Source::Flag) => format!("--{}", option_of(key)),
            None => "default".to_owned(),
        }
    }
}

/// A command with the options and nothing else.
pub(super) fn options_command() -> clap::Command {
    Options::augment_args(clap::Command::new("options"))
}

/// The keys of the file, in the order of the help.
pub(super) fn keys() -> Vec<String> {
    let command = options_command();
    command
        .get_arguments()
        .map(|arg| arg.get_id().to_string())
        .collect()
}

/// The option's name without dashes, from its key in the file. Only the list
/// of routes is called differently, because there it is a list.
pub(super) fn option_of(key: &str) -> String {
    match key {
        "routes" => "route".to_owned(),
        key => key.replace('_', "-"),
    }
}

/// The key in the file, from the option's name.
fn key_of(option: &str) -> String {
    match option {
        "route" => "routes".to_owned(),
        option => option.replace('-', "_"),
    }
}

/// The variable's name, from the option's.
pub(super) fn variable_of(option: &str) -> String {
    format!("CORECAST_{}", option.replace('-', "_").to_uppercase())
}

/// What is to be said of a variable whose name looks like that of an option and
/// is none's. It is no error: variables come from elsewhere too.
pub(super) fn ignored_variable(name: &str) -> Option<String> {
    let options = keys();
    let variables = options.iter().map(|key| variable_of(&option_of(key)));
    let others = ["CORECAST_CONFIG", handover::VARIABLE];
    let known: Vec<String> = variables.chain(others.map(str::to_owned)).collect();
    let is_known = known.iter().any(|known| known == name);
    if !name.starts_with("CORECAST_") || is_known || is_service_link(name) {
        return None;
    }
    let options = known.iter().map(String::as_str);
    let nearest = nearest(name, options.filter(|name| *name != handover::VARIABLE));
    Some(format!(
        "the variable {name} is no option and is ignored; the nearest is {nearest}"
    ))
}

/// Whether Kubernetes makes this variable for a service with the name
/// `corecast` or one that begins so, such as `CORECAST_PORT_8080_TCP_ADDR`.
fn is_service_link(name: &str) -> bool {
    let ends = ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT"];
    ends.iter().any(|end| name.ends_with(end))
        || name.contains("_SERVICE_PORT_")
        || ["_TCP", "_UDP", "_SCTP"].iter().any(|protocol| {
            name.rsplit_once("_PORT_")
                .is_some_and(|(_, port)| port.contains(protocol))
        })
}

/// A problem with the range of the option behind it, if it has one.
pub(super) fn with_range(option: &str, problem: &str) -> String {
    match Range::of(option) {
        Some(range) => format!("{problem}; allowed: {range}"),
        None => problem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_is_no_option_is_told() {
        for (name, nearest) in [
            ("CORECAST_SHARD", "CORECAST_SHARDS"),
            ("CORECAST_MAX_SESSION", "CORECAST_MAX_SESSIONS"),
            ("CORECAST_ROUTES", "CORECAST_ROUTE"),
            ("CORECAST_IDLE-TIMEOUT", "CORECAST_IDLE_TIMEOUT"),
        ] {
            let warning = ignored_variable(name).unwrap();
            assert!(warning.contains(name), "{warning}");
            assert!(warning.ends_with(&format!(" {nearest}")), "{warning}");
        }
        for name in [
            "CORECAST_SHARDS",
            "CORECAST_CONFIG",
            "CORECAST_HAND_OVER",
            "PATH",
            "CORECAST",
            // Kubernetes tells each container of the services there are.
            "CORECAST_SERVICE_HOST",
            "CORECAST_SERVICE_PORT",
            "CORECAST_SERVICE_PORT_WS",
            "CORECAST_PORT",
            "CORECAST_PORT_8080_TCP",
            "CORECAST_PORT_8080_TCP_ADDR",
            "CORECAST_ADMIN_SERVICE_HOST",
            "CORECAST_ADMIN_PORT_9090_TCP_PROTO",
        ] {
            assert_eq!(ignored_variable(name), None);
        }
    }

    #[test]
    fn a_key_and_its_option_name_each_other() {
        let command = options_command();
        for arg in command.get_arguments() {
            let key = arg.get_id().as_str();
            assert_eq!(arg.get_long(), Some(option_of(key).as_str()));
            assert_eq!(key_of(&option_of(key)), key);
        }
    }
}
