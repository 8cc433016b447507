//! Where a setting was typed, so that an error can point there.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, FromArgMatches};

use super::options::Options;
use super::{CliError, setting_error};
use crate::config::Range;

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
}

impl Layer {
    /// This layer where it speaks, `below` where it is silent.
    pub(super) fn over(self, below: Layer) -> Layer {
        let mut sources = below.sources;
        sources.extend(self.sources);
        Layer {
            options: self.options.over(below.options),
            sources,
        }
    }

    /// The options that were given as flags.
    pub(super) fn of_flags(matches: &ArgMatches) -> Result<Layer, clap::Error> {
        let typed = |key: &String| matches.value_source(key) == Some(ValueSource::CommandLine);
        Ok(Layer {
            options: Options::from_arg_matches(matches)?,
            sources: keys()
                .into_iter()
                .filter(typed)
                .map(|key| (key, Source::Flag))
                .collect(),
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
        Ok(Layer {
            options: Options::from_arg_matches(&matches).map_err(CliError::Usage)?,
            sources,
        })
    }

    /// How an error should call an option: as the person wrote it.
    pub(super) fn name_of(&self, option: &str) -> String {
        let key = key_of(option);
        match self.sources.get(&key) {
            Some(Source::File { place }) => format!("{place}: {key}"),
            Some(Source::Variable) => variable_of(option),
            Some(Source::Flag) | None => format!("--{option}"),
        }
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
    fn a_key_and_its_option_name_each_other() {
        let command = options_command();
        for arg in command.get_arguments() {
            let key = arg.get_id().as_str();
            assert_eq!(arg.get_long(), Some(option_of(key).as_str()));
            assert_eq!(key_of(&option_of(key)), key);
        }
    }
}
