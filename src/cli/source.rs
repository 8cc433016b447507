//! The place at which a setting was typed, so that an error can point there.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches};

use super::routes::repeated_route;
use super::settings::{HANDLERS, PHOENIX, ROUTES, Row, key_of, option_of, variable_of};
use super::value::Route;
use super::{CliError, ServeOptions};
use crate::config::UnreadTable;
use crate::handler::built_in;

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

impl Source {
    /// The setting with this key, as the person wrote it.
    pub(super) fn name_of(&self, key: &str) -> String {
        match self {
            Source::File { place } => format!("{place}: {key}"),
            Source::Variable => variable_of(&option_of(key)),
            Source::Flag => format!("--{}", option_of(key)),
        }
    }
}

/// The options of one source, each as it was written, and the source of each by
/// its key.
#[derive(Debug, Default)]
pub(super) struct Layer {
    /// The texts of each row's setting, by its key. They can be read.
    pub values: BTreeMap<&'static str, Vec<String>>,
    pub routes: Option<Vec<Route>>,
    /// The tables of handlers' settings, by the handlers' names.
    pub handlers: Option<BTreeMap<String, UnreadTable>>,
    /// The tables of the rights of clients.
    pub access: Option<UnreadTable>,
    pub sources: BTreeMap<String, Source>,
    /// Old spellings that still count.
    pub notes: Vec<String>,
}

impl Layer {
    /// This layer where it speaks, `below` where it is silent. Routes of both
    /// layers count, because each is about its own path.
    pub(super) fn over(self, below: Layer) -> Layer {
        let mut values = below.values;
        values.extend(self.values);
        let mut sources = below.sources;
        sources.extend(self.sources);
        Layer {
            values,
            routes: match (below.routes, self.routes) {
                (Some(below), Some(above)) => Some([below, above].concat()),
                (below, above) => above.or(below),
            },
            handlers: self.handlers.or(below.handlers),
            access: self.access.or(below.access),
            sources,
            notes: [below.notes, self.notes].concat(),
        }
    }

    /// Takes up a setting of which this was written.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn insert(
        &mut self,
        row: Row,
        texts: Vec<String>,
        source: Source,
    ) -> Result<(), CliError> {
        let key = row.key();
        row.read(&texts, &mut ServeOptions::default())
            .map_err(|problem| CliError::setting(source.name_of(key), row.with_range(&problem)))?;
        self.values.insert(key, texts);
        self.sources.insert(key.to_owned(), source);
        Ok(())
    }

    /// Takes up the routes of a flag or variable, each as `PATH=HANDLER`.
    fn insert_routes(&mut self, texts: &[String], source: Source) -> Result<(), CliError> {
        let refuse = |problem: String| CliError::setting(source.name_of(ROUTES), problem);
        let routes = texts.iter().flat_map(|text| text.split(','));
        let routes: Vec<Route> = routes
            .map(|text| text.parse().map_err(refuse))
            .collect::<Result<_, _>>()?;
        if let Some((_, problem)) = repeated_route(&routes) {
            return Err(refuse(problem));
        }
        self.routes = Some(routes);
        self.sources.insert(ROUTES.to_owned(), source);
        Ok(())
    }

    /// The options that were given as flags.
    pub(super) fn of_flags(matches: &ArgMatches) -> Result<Layer, CliError> {
        let typed = |key: &str| -> Option<Vec<String>> {
            let is_typed = matches.value_source(key) == Some(ValueSource::CommandLine);
            let texts = matches.get_many::<String>(key)?;
            is_typed.then(|| texts.cloned().collect())
        };
        let mut layer = Layer::default();
        for row in Row::all() {
            if let Some(texts) = typed(row.key()) {
                layer.insert(row, texts, Source::Flag)?;
            }
        }
        if let Some(texts) = typed(ROUTES) {
            layer.insert_routes(&texts, Source::Flag)?;
        }
        Ok(layer)
    }

    /// The options that were given as variables.
    pub(super) fn of_environment(
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Layer, CliError> {
        let typed = |key: &str| -> Result<Option<Vec<String>>, CliError> {
            let name = variable_of(&option_of(key));
            let Some(value) = variable(&name) else {
                return Ok(None);
            };
            if value.is_empty() {
                let problem = "is empty; give it a value or unset it";
                let problem =
                    Row::find(key).map_or(problem.to_owned(), |row| row.with_range(problem));
                return Err(CliError::setting(name, problem));
            }
            let text = value.into_string();
            let text = text.map_err(|_| CliError::setting(name, "is not UTF-8"))?;
            Ok(Some(vec![text]))
        };
        let mut layer = Layer::default();
        for row in Row::all() {
            if let Some(texts) = typed(row.key())? {
                layer.insert(row, texts, Source::Variable)?;
            }
        }
        if let Some(texts) = typed(ROUTES)? {
            layer.insert_routes(&texts, Source::Variable)?;
        }
        Ok(layer)
    }

    /// How an error should call a setting: as the person wrote it.
    pub(super) fn name_of(&self, option: &str) -> String {
        let key = key_of(option);
        // A key that is missing in a handler's table has the line of the nearest table
        // around it that is in the file.
        let mut around = std::iter::successors(Some(&*key), |key| {
            let end = key.rfind(['.', '['])?;
            Some(&key[..end])
        });
        match around.find_map(|key| self.sources.get(key)) {
            Some(source) => source.name_of(&self.shown(&key)),
            // A table that is not there has no place, and is no flag.
            None if option.contains('.') => option.to_owned(),
            None => Source::Flag.name_of(&key),
        }
    }

    /// A key as it stands in the file: without places in lists, and as a table was
    /// called there.
    fn shown(&self, key: &str) -> String {
        let new_name = format!("{HANDLERS}.");
        let key = match self.sources.contains_key(PHOENIX) {
            true => key.strip_prefix(&new_name).unwrap_or(key),
            false => key,
        };
        let mut shown = String::new();
        for part in key.split('[') {
            let after = part.split_once(']').map(|(_, after)| after);
            shown.push_str(after.unwrap_or(part));
        }
        shown
    }

    /// The source of a key, for the comments of `--print-config`.
    pub(super) fn origin_of(&self, key: &str) -> String {
        match self.sources.get(key) {
            Some(Source::File { place }) => place.clone(),
            Some(source) => source.name_of(key),
            None => "default".to_owned(),
        }
    }
}

/// The flag of every setting, each with its default and range in its help.
pub(super) fn flags() -> Vec<Arg> {
    let defaults = ServeOptions::default();
    let mut flags: Vec<Arg> = Row::all().map(|row| flag(row, &defaults)).collect();
    let demo = flags.iter().position(|flag| flag.get_id() == "demo");
    flags.insert(demo.unwrap_or(flags.len()), route_flag());
    flags
}

fn flag(row: Row, defaults: &ServeOptions) -> Arg {
    let about = row.about();
    let default = about
        .default
        .map_or_else(|| row.show_plain(defaults), str::to_owned);
    let range = row
        .range()
        .map_or(String::new(), |range| format!("; {range}"));
    let action = match row.is_list() {
        true => ArgAction::Append,
        false => ArgAction::Set,
    };
    let flag = Arg::new(about.key)
        .long(option_of(about.key))
        .value_name(row.value_name())
        .action(action)
        .help_heading(about.group)
        .help(format!("{} [default: {default}{range}]", about.help()));
    match row.is_switch() {
        true => flag.num_args(0..=1).default_missing_value("true"),
        false => flag,
    }
}

/// The flag of the routes, which are tables in the file and so have no row.
fn route_flag() -> Arg {
    Arg::new(ROUTES)
        .long(option_of(ROUTES))
        .value_name("PATH=HANDLER")
        .action(ArgAction::Append)
        .help_heading("Routes")
        .help(format!(
            "A path and what answers it: {}, or off for a path that another source or --demo \
             serves; repeatable. Policies may follow, as in /news=broadcast:drop:publish=nobody \
             [default: none]",
            built_in::names().collect::<Vec<_>>().join(", ")
        ))
}
