//! The rows of every setting of the program, and how a setting is called in each
//! of its sources.
//!
//! The server's rows are in `config/table.rs`. Those of the program are here: a library
//! does not choose its program's log, and serves no demo.

use tracing::level_filters::LevelFilter;

use super::ServeOptions;
use super::value::{read, show};
use crate::config::choice::refusal;
use crate::config::setting::{About, Field, Kind, Setting, setting};
use crate::config::{SETTINGS, nearest};
use crate::handover;
use crate::log::LogFormat;

/// The settings of the program, which are none of the server's.
static PROGRAM_SETTINGS: &[Setting<ServeOptions>] = &[
    setting!(
        ServeOptions,
        "Routes",
        [
            "Serve routes to try it with, and a page on /, which anybody may use: /echo, /broadcast,",
            "/ws, /ws/{user_id} and /socket/websocket."
        ],
        demo,
        Switch,
        Restart,
        default "true where there is no route and --listen is a loopback address"
    ),
    setting!(
        ServeOptions,
        "Logging",
        [
            "The log's form: human (coloured lines), json (an object a line), or auto",
            "(lines, coloured on a terminal)."
        ],
        log,
        Choice(LogFormat::WORDS),
        Restart
    ),
    setting!(
        ServeOptions,
        "Logging",
        ["The least that is logged: off, error, warn, info, debug or trace."],
        log_level,
        Choice(LEVELS),
        Live
    ),
];

/// The levels by their words. The filter itself would also read digits and capitals,
/// which are no second spelling here.
const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

impl Field<String> for LevelFilter {
    fn to_setting(&self) -> String {
        self.to_string()
    }

    fn from_setting(value: String) -> Result<Self, String> {
        let refuse = || refusal(&value, "a level", LEVELS);
        match LEVELS.contains(&value.as_str()) {
            true => value.parse().map_err(|_| refuse()),
            false => Err(refuse()),
        }
    }
}

/// One row of either table.
#[derive(Clone, Copy)]
pub(super) enum Row {
    Server(&'static Setting),
    Program(&'static Setting<ServeOptions>),
}

impl Row {
    /// All rows, in the order of the help.
    pub(super) fn all() -> impl Iterator<Item = Row> {
        let server = SETTINGS.iter().map(Row::Server);
        server.chain(PROGRAM_SETTINGS.iter().map(Row::Program))
    }

    /// The row with this key, if there is one.
    pub(super) fn find(key: &str) -> Option<Row> {
        Row::all().find(|row| row.key() == key)
    }

    /// The facts about it that do not depend on its type.
    pub(super) fn about(self) -> &'static About {
        match self {
            Row::Server(row) => &row.about,
            Row::Program(row) => &row.about,
        }
    }

    /// Its key in the file.
    pub(super) fn key(self) -> &'static str {
        self.about().key
    }

    /// The values it may have, where they are a range.
    pub(super) fn range(self) -> Option<String> {
        match self {
            Row::Server(row) => row.kind.range(),
            Row::Program(row) => row.kind.range(),
        }
    }

    /// The values it may have, in Markdown.
    pub(super) fn allowed(self) -> String {
        match self {
            Row::Server(row) => allowed(&row.kind),
            Row::Program(row) => allowed(&row.kind),
        }
    }

    /// Whether it takes several values.
    pub(super) fn is_list(self) -> bool {
        match self {
            Row::Server(row) => row.kind.is_list(),
            Row::Program(row) => row.kind.is_list(),
        }
    }

    /// Whether it is on or off, so that its flag needs no value.
    pub(super) fn is_switch(self) -> bool {
        match self {
            Row::Server(row) => matches!(row.kind, Kind::Switch(_)),
            Row::Program(row) => matches!(row.kind, Kind::Switch(_)),
        }
    }

    /// The placeholder of its value in the help.
    pub(super) fn value_name(self) -> String {
        match self {
            Row::Server(row) => value_name(&row.kind),
            Row::Program(row) => value_name(&row.kind),
        }
    }

    /// Puts the value that was written into the options.
    ///
    /// # Errors
    /// A sentence that says what was written and how a value is written.
    pub(super) fn read(self, texts: &[String], options: &mut ServeOptions) -> Result<(), String> {
        match self {
            Row::Server(row) => read(&row.kind, texts, &mut options.config),
            Row::Program(row) => read(&row.kind, texts, options),
        }
    }

    /// Makes its value in the second options that of the first.
    pub(super) fn copy(self, from: &ServeOptions, to: &mut ServeOptions) {
        match self {
            Row::Server(row) => (row.copy)(&from.config, &mut to.config),
            Row::Program(row) => (row.copy)(from, to),
        }
    }

    /// Its value as it would be written in the file.
    pub(super) fn show(self, options: &ServeOptions) -> toml::Value {
        match self {
            Row::Server(row) => show(&row.kind, &options.config),
            Row::Program(row) => show(&row.kind, options),
        }
    }

    /// Its value in words.
    pub(super) fn show_plain(self, options: &ServeOptions) -> String {
        let plain = |value: &toml::Value| match value {
            toml::Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        match self.show(options) {
            toml::Value::Array(values) if values.is_empty() => "none".to_owned(),
            toml::Value::Array(values) => {
                let words: Vec<_> = values.iter().map(plain).collect();
                words.join(", ")
            }
            value => plain(&value),
        }
    }

    /// A problem with the range of the value, if it has one.
    pub(super) fn with_range(self, problem: &str) -> String {
        match self.range() {
            Some(range) => format!("{problem}; allowed: {range}"),
            None => problem.to_owned(),
        }
    }
}

fn value_name<C>(kind: &Kind<C>) -> String {
    match kind {
        Kind::Count(..) => "N".to_owned(),
        Kind::Size(..) => "SIZE".to_owned(),
        Kind::Time(..) => "TIME".to_owned(),
        Kind::Microseconds(..) => "US".to_owned(),
        Kind::Choice(_, words) => words.join("|"),
        Kind::Switch(_) => "true|false".to_owned(),
        Kind::Addresses(_) | Kind::AddressOrOff(_) => "ADDR".to_owned(),
        Kind::Cpus(_) => "LIST".to_owned(),
        Kind::Origins(_) => "ORIGIN".to_owned(),
        Kind::Networks(_) => "NETWORK".to_owned(),
    }
}

fn allowed<C>(kind: &Kind<C>) -> String {
    let quoted = |words: &[&str]| {
        let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
        words.join(", ")
    };
    match kind {
        Kind::Choice(_, words) => quoted(words),
        Kind::Switch(_) => quoted(&["true", "false"]),
        Kind::Addresses(_) => "IP:PORT, a list".to_owned(),
        Kind::AddressOrOff(_) => "IP:PORT, `off`".to_owned(),
        Kind::Cpus(_) => "numbers and ranges, `all`".to_owned(),
        Kind::Origins(_) => "SCHEME://HOST\\[:PORT], `null`, `*`, a list".to_owned(),
        Kind::Networks(_) => "IP, IP/BITS, a list".to_owned(),
        kind => kind.range().unwrap_or_default(),
    }
}

/// The key of the list of routes, which is a table in the file and has no row.
pub(super) const ROUTES: &str = "routes";
/// The key of the tables of handlers' settings, which are in the file only.
pub(super) const HANDLERS: &str = "handlers";
/// The one handler whose table had a name of its own at first.
pub(super) const PHOENIX: &str = "phoenix";

/// The keys of the rights of clients, which are tables and in the file only.
pub(super) const ACCESS: [&str; 2] = ["token", "topics"];
/// The keys that are tables in the file and neither flags nor variables.
pub(super) const FILE_ONLY: [&str; 4] = ["token", "topics", HANDLERS, PHOENIX];

/// The keys of the file, in the order of the help.
pub(super) fn keys() -> impl Iterator<Item = &'static str> + Clone {
    let server = SETTINGS.iter().map(|row| row.about.key);
    let program = PROGRAM_SETTINGS.iter().map(|row| row.about.key);
    server.chain(program).chain([ROUTES]).chain(FILE_ONLY)
}

/// The option's name without dashes, from its key in the file. Only the list
/// of routes is called differently, because there it is a list.
pub(super) fn option_of(key: &str) -> String {
    match key {
        ROUTES => "route".to_owned(),
        key => key.replace('_', "-"),
    }
}

/// The key in the file, from the option's name.
pub(super) fn key_of(option: &str) -> String {
    match option {
        "route" => ROUTES.to_owned(),
        option => option.replace('-', "_"),
    }
}

/// The variable's name, from the option's.
pub(super) fn variable_of(option: &str) -> String {
    format!("CORECAST_{}", option.replace('-', "_").to_uppercase())
}

/// A warning about a variable whose name looks like that of an option and is
/// none's. It is no error: variables come from elsewhere too.
pub(super) fn ignored_variable(name: &str) -> Option<String> {
    let options = keys().filter(|key| !FILE_ONLY.contains(key));
    let variables = options.map(|key| variable_of(&option_of(key)));
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
    fn a_key_and_its_option_name_each_other_and_no_other() {
        let keys: Vec<_> = keys().collect();
        for (place, key) in keys.iter().enumerate() {
            assert_eq!(key_of(&option_of(key)), *key);
            assert!(!keys[..place].contains(key), "{key} is there twice");
        }
    }

    #[test]
    fn a_row_shows_what_it_has_read() {
        for row in Row::all() {
            let mut options = ServeOptions::default();
            let shown = row.show_plain(&options);
            if shown == "none" {
                continue;
            }
            row.read(&[shown], &mut options)
                .unwrap_or_else(|problem| panic!("{}: {problem}", row.key()));
            assert_eq!(options, ServeOptions::default(), "{}", row.key());
        }
    }

    #[test]
    fn levels_are_words() {
        let level = |text: &str| LevelFilter::from_setting(text.to_owned());
        assert_eq!(level("debug"), Ok(LevelFilter::DEBUG));
        for text in ["", "loud", "3", "INFO"] {
            assert_eq!(
                level(text),
                Err(format!(
                    "'{text}' is not a level; use off, error, warn, info, debug or trace"
                ))
            );
        }
    }
}
