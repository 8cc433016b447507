//! The handlers that the program has built in, by name.
//!
//! A handler becomes one of them with an implementation of [`BuiltIn`] in its own file
//! or folder, and a line in [`ALL`]. Its settings are the table `[handlers.NAME]` of
//! the configuration, which nothing else reads.
//!
//! # Invariants worth naming
//!
//! - The settings in what has passed [`check`] can stand: a factory fails then only
//!   where a file with a key has changed in between.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::broadcast::BroadcastRoute;
use super::centrifuge::Centrifuge;
use super::chat::ChatRoute;
use super::echo::Echo;
use super::phoenix::Phoenix;
use super::route::RouteFactory;
use super::topics::TopicsRoute;
use crate::access::AccessSettings;
use crate::config::{Config, ConfigError, RouteSetting, TableError, UnreadTable};

/// All built-in handlers, in the order in which they are listed.
const ALL: &[Entry] = &[
    Entry::of::<Echo>(),
    Entry::of::<BroadcastRoute>(),
    Entry::of::<ChatRoute>(),
    Entry::of::<Phoenix>(),
    Entry::of::<Centrifuge>(),
    Entry::of::<TopicsRoute>(),
];

/// A handler that a route of the configuration can name.
pub(crate) trait BuiltIn {
    /// Its name in routes, and of its table of settings.
    const NAME: &'static str;
    /// A description in one sentence, for the page that lists the routes.
    const SUMMARY: &'static str;
    /// Whether the chat client of the page at `/` can talk to it.
    const IS_CHAT: bool = false;
    /// Whether a running server takes its settings anew: then its factories have
    /// [`RouteFactory::renew`] where a setting matters.
    const IS_LIVE: bool = false;
    /// Its settings, which count for all of its routes.
    type Settings: Settings;

    /// Checks what a route says beside its handler's name: by default that it does not
    /// say who may publish, because nothing is published.
    ///
    /// # Errors
    /// The reason why the route cannot stand, as a sentence.
    fn check_route(
        route: &RouteSetting,
        _settings: &Self::Settings,
        _access: &AccessSettings,
    ) -> Result<(), String> {
        match route.publish {
            Some(policy) => Err(format!(
                "'{}' cannot have publish={}, because nothing is published with {}; leave it out",
                route.path,
                policy.as_str(),
                Self::NAME
            )),
            None => Ok(()),
        }
    }

    /// Makes what makes the handlers of one route.
    ///
    /// # Errors
    /// The setting that cannot stand.
    fn factory(
        route: &RouteSetting,
        settings: &Self::Settings,
        access: &AccessSettings,
    ) -> Result<RouteFactory, TableError>;
}

/// The settings of a built-in handler.
pub(crate) trait Settings: Default + DeserializeOwned {
    /// Checks what their types do not say. `access` is what counts for all handlers.
    ///
    /// # Errors
    /// The first setting that cannot stand.
    fn check(&self, _access: &AccessSettings) -> Result<(), TableError> {
        Ok(())
    }

    /// A note for the log, if a setting of the table is in its old spelling.
    fn note(_table: &UnreadTable) -> Option<String> {
        None
    }

    /// The whole table as it would be typed, with its defaults.
    fn to_table(&self) -> UnreadTable {
        UnreadTable::default()
    }
}

/// The settings of a handler that has none.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoSettings {}

impl Settings for NoSettings {}

/// Reads and checks a handler's table and its routes, and returns the whole table.
type Resolve = fn(&UnreadTable, &[&RouteSetting], &AccessSettings) -> Result<UnreadTable, Problem>;

/// Makes what makes the handlers of a route.
type Make = fn(&RouteSetting, &UnreadTable, &AccessSettings) -> Result<RouteFactory, TableError>;

/// A fault in the settings or in a route.
enum Problem {
    Settings(TableError),
    Route(String),
}

/// A built-in handler without its type.
struct Entry {
    name: &'static str,
    summary: &'static str,
    is_chat: bool,
    is_live: bool,
    note: fn(&UnreadTable) -> Option<String>,
    resolve: Resolve,
    factory: Make,
}

impl Entry {
    const fn of<B: BuiltIn>() -> Self {
        Entry {
            name: B::NAME,
            summary: B::SUMMARY,
            is_chat: B::IS_CHAT,
            is_live: B::IS_LIVE,
            note: B::Settings::note,
            resolve: resolve::<B>,
            factory: |route, table, access| B::factory(route, &read::<B>(table, access)?, access),
        }
    }

    /// The handler's table, and how an error about it is to be named.
    fn table(&self, config: &Config) -> (UnreadTable, impl Fn(TableError) -> ConfigError) {
        let table = config.handlers.get(self.name).cloned();
        let name = self.name;
        let named = move |TableError { path, problem }| {
            let dot = if path.is_empty() { "" } else { "." };
            ConfigError::new(format!("handlers.{name}{dot}{path}"), problem)
        };
        (table.unwrap_or_default(), named)
    }
}

fn read<B: BuiltIn>(
    table: &UnreadTable,
    access: &AccessSettings,
) -> Result<B::Settings, TableError> {
    let settings: B::Settings = table.read()?;
    settings.check(access)?;
    Ok(settings)
}

fn resolve<B: BuiltIn>(
    table: &UnreadTable,
    routes: &[&RouteSetting],
    access: &AccessSettings,
) -> Result<UnreadTable, Problem> {
    let settings = read::<B>(table, access).map_err(Problem::Settings)?;
    for route in routes {
        B::check_route(route, &settings, access).map_err(Problem::Route)?;
    }
    Ok(settings.to_table())
}

/// Notes for the log about settings in their old spelling.
pub(crate) fn notes(config: &Config) -> impl Iterator<Item = String> {
    let note = |entry: &Entry| (entry.note)(config.handlers.get(entry.name)?);
    ALL.iter().filter_map(note)
}

/// The handler that a route names.
fn find(route: &RouteSetting) -> Result<&'static Entry, ConfigError> {
    let RouteSetting { path, handler, .. } = route;
    let entry = ALL.iter().find(|entry| entry.name == handler);
    entry.ok_or_else(|| {
        let problem = format!(
            "'{handler}' (for {path}) is not a handler; allowed: {}",
            listed()
        );
        ConfigError::new("route", problem)
    })
}

fn listed() -> String {
    names().collect::<Vec<_>>().join(", ")
}

/// The names of all built-in handlers.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|entry| entry.name)
}

/// The names of those whose settings a running server takes anew.
#[cfg(feature = "cli")]
pub(crate) fn live_names() -> impl Iterator<Item = &'static str> {
    ALL.iter()
        .filter(|entry| entry.is_live)
        .map(|entry| entry.name)
}

/// Checks that the handlers of a configuration are there, and their settings. Returns
/// the whole tables of those that have any, with their defaults.
///
/// # Errors
/// The first that cannot stand.
pub(crate) fn check(config: &Config) -> Result<BTreeMap<String, UnreadTable>, ConfigError> {
    for route in &config.routes {
        find(route)?;
    }
    let unknown = |name: &&String| !names().any(|known| known == *name);
    if let Some(name) = config.handlers.keys().find(unknown) {
        return Err(ConfigError::new(
            format!("handlers.{name}"),
            format!(
                "'{name}' is not a handler; there are settings of {}",
                listed()
            ),
        ));
    }
    let access = AccessSettings::of(config)?;
    let mut tables = BTreeMap::new();
    for entry in ALL {
        let (table, named) = entry.table(config);
        let routes = config.routes.iter();
        let routes: Vec<_> = routes.filter(|route| route.handler == entry.name).collect();
        let table = (entry.resolve)(&table, &routes, &access).map_err(|problem| match problem {
            Problem::Settings(error) => named(error),
            Problem::Route(problem) => ConfigError::new("route", problem),
        })?;
        if !table.is_empty() {
            tables.insert(entry.name.to_owned(), table);
        }
    }
    Ok(tables)
}

/// Makes what makes the handlers of a route.
///
/// # Errors
/// When there is no such handler, or its settings cannot stand.
pub(crate) fn factory(route: &RouteSetting, config: &Config) -> Result<RouteFactory, ConfigError> {
    let entry = find(route)?;
    let (table, named) = entry.table(config);
    let access = AccessSettings::of(config)?;
    let mut factory = (entry.factory)(route, &table, &access).map_err(named)?;
    debug_assert!(entry.is_live || factory.renew.is_none(), "{}", entry.name);
    factory.slow_consumer = route.slow_consumer;
    factory.summary = entry.summary;
    factory.is_chat = entry.is_chat;
    Ok(factory)
}
