//! The configuration file: TOML with the options' names in underscores.
//!
//! Every error names the file, the line and the key, and an unknown key comes
//! with the known one it resembles most.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::CliError;
use super::handlers;
use super::routes::repeated_route;
use super::settings::{FILE_ONLY, HANDLERS, PHOENIX, ROUTES, Row, keys};
use super::source::{Layer, Source};
use super::value::Route;
use crate::config::nearest;

/// Reads a file; `option` is how it was named, for the error if it cannot be read.
pub(super) fn read(path: &Path, option: &str) -> Result<Layer, CliError> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path)
        .map_err(|cause| CliError::setting(option, format!("'{name}' cannot be read: {cause}")))?;
    parse(&name, &text)
}

/// Reads a file's text; `name` stands for the file in errors.
pub(super) fn parse(name: &str, text: &str) -> Result<Layer, CliError> {
    let at = |offset: usize| format!("{name}:{}", line_of(text, offset));
    let document = DeTable::parse(text).map_err(|error| {
        let place = error.span().map_or(name.to_owned(), |span| at(span.start));
        CliError::setting(place, error.message())
    })?;
    let table = document.get_ref();

    check_keys(table, keys(), &at)?;
    for route in tables(table, ROUTES) {
        check_keys(route, Route::KEYS.iter().copied(), &at)?;
    }

    let place_of = |key: &Spanned<DeString<'_>>| Source::File {
        place: at(key.span().start),
    };
    let mut layer = Layer::default();
    let mut settings: Vec<_> = table.iter().collect();
    settings.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in settings {
        let source = place_of(key);
        // A key without a row is a table, whose keys have places of their own.
        if let Some(row) = Row::find(key.get_ref()) {
            let texts = texts_of(value.get_ref(), row.is_list()).map_err(|problem| {
                CliError::setting(source.name_of(row.key()), row.with_range(&problem))
            })?;
            layer.insert(row, texts, source)?;
        }
    }

    let typed: Tables = toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        // A value's own error does not know its key. An error outside of all values is
        // about the header of a table.
        let key = key_at(table, offset).unwrap_or_else(|| {
            let header = text[offset.min(text.len())..].lines().next();
            let name = header.map(|line| line.trim_matches(['[', ']', ' ']));
            name.filter(|name| !name.is_empty())
                .unwrap_or(ROUTES)
                .to_owned()
        });
        CliError::setting(format!("{}: {key}", at(offset)), in_words(error.message()))
    })?;

    let repeated = repeated_route(typed.routes.as_deref().unwrap_or_default());
    if let Some((place, problem)) = repeated {
        let route = tables(table, ROUTES).nth(place);
        let path = route.and_then(|route| route.get("path"));
        let offset = path.map_or(0, |path| path.span().start);
        return Err(CliError::setting(
            format!("{}: {ROUTES}", at(offset)),
            problem,
        ));
    }
    layer.routes = typed.routes;
    take_handlers(name, text, table, &at, &mut layer)?;
    Ok(layer)
}

/// Takes up the tables of handlers' settings, and the places of all that is in tables.
fn take_handlers(
    name: &str,
    text: &str,
    table: &DeTable<'_>,
    at: &impl Fn(usize) -> String,
    layer: &mut Layer,
) -> Result<(), CliError> {
    let places = &mut layer.sources;
    for key in [ROUTES].into_iter().chain(FILE_ONLY) {
        if let Some((key, value)) = table.get_key_value(key) {
            collect_place(key, value, "", at, places);
        }
    }
    let has_old_name = table.contains_key(PHOENIX);
    if has_old_name {
        // Errors are about the table as it is called now.
        let new_name = format!("{HANDLERS}.{PHOENIX}");
        for phoenix in tables(table, PHOENIX) {
            collect_places(phoenix, &new_name, at, places);
        }
        if let Some(source) = places.get(PHOENIX).cloned() {
            places.insert(new_name, source);
        }
    }
    let values: toml::Table = toml::from_str(text).unwrap_or_default();
    layer.access = handlers::take_access(&values);
    let handlers = handlers::take(&values).map_err(|(key, problem)| {
        let place = match places.get(&key) {
            Some(Source::File { place }) => place.clone(),
            _ => name.to_owned(),
        };
        CliError::setting(format!("{place}: {key}"), problem)
    })?;
    layer.handlers = Some(handlers).filter(|handlers| !handlers.is_empty());
    let note = format!(
        "{name}: the table [phoenix] is called [handlers.phoenix] now, and [[phoenix.topics]] \
         [[handlers.phoenix.topics]]; the old names still count"
    );
    layer.notes.extend(has_old_name.then_some(note));
    Ok(())
}

/// Notes the place of each key of a table, and of those in it: `handlers.a.b[0].c`.
fn collect_places(
    table: &DeTable<'_>,
    path: &str,
    at: &impl Fn(usize) -> String,
    places: &mut BTreeMap<String, Source>,
) {
    for (key, value) in table {
        collect_place(key, value, path, at, places);
    }
}

fn collect_place(
    key: &Spanned<DeString<'_>>,
    value: &Spanned<DeValue<'_>>,
    path: &str,
    at: &impl Fn(usize) -> String,
    places: &mut BTreeMap<String, Source>,
) {
    let path = match path {
        "" => key.get_ref().to_string(),
        path => format!("{path}.{}", key.get_ref()),
    };
    collect_value_places(value.get_ref(), &path, at, places);
    let place = at(key.span().start);
    places.insert(path, Source::File { place });
}

fn collect_value_places(
    value: &DeValue<'_>,
    path: &str,
    at: &impl Fn(usize) -> String,
    places: &mut BTreeMap<String, Source>,
) {
    match value {
        DeValue::Table(table) => collect_places(table, path, at, places),
        DeValue::Array(elements) => {
            for (number, element) in elements.iter().enumerate() {
                let path = format!("{path}[{number}]");
                collect_value_places(element.get_ref(), &path, at, places);
                let place = at(element.span().start);
                places.insert(path, Source::File { place });
            }
        }
        _ => {}
    }
}

/// The tables of the file, which have no rows.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tables {
    routes: Option<Vec<Route>>,
}

/// A value as the text that a flag would have: a number stands for its digits, and a
/// list for its elements where the setting takes several.
fn texts_of(value: &DeValue<'_>, takes_several: bool) -> Result<Vec<String>, String> {
    let one = |value: &DeValue<'_>| match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => {
            let digits = number.as_str();
            // A number that does not fit an `i64` is passed on as its digits and
            // refused later.
            Ok(i64::from_str_radix(digits, number.radix())
                .map_or(digits.to_owned(), |number| number.to_string()))
        }
        DeValue::Float(number) => Ok(number.as_str().to_owned()),
        DeValue::Boolean(value) => Ok(value.to_string()),
        DeValue::Datetime(moment) => Ok(moment.to_string()),
        DeValue::Array(_) => Err("a list"),
        DeValue::Table(_) => Err("a table"),
    };
    match value {
        DeValue::Array(elements) if takes_several => elements
            .iter()
            .map(|element| {
                one(element.get_ref()).map_err(|kind| {
                    format!("{kind} is no element of this list; write text or numbers")
                })
            })
            .collect(),
        value => match (one(value), takes_several) {
            (Ok(text), _) => Ok(vec![text]),
            (Err(kind), true) => Err(format!("{kind} is given; write a list, or one value")),
            (Err(kind), false) => Err(format!("{kind} is given; write one value")),
        },
    }
}

/// The sentence of the library that reads the tables in the words of this program.
fn in_words(message: &str) -> String {
    if let Some(field) = message.strip_prefix("missing field ") {
        return format!("the key {} is missing", field.replace('`', "'"));
    }
    let wrong = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "));
    let Some((given, wanted)) = wrong.and_then(|wrong| wrong.split_once(", expected ")) else {
        return message.to_owned();
    };
    let (kind, value) = given.split_once(' ').unwrap_or((given, ""));
    let value = value.trim_matches(['`', '"']);
    let given = match kind {
        "sequence" => "a list is given".to_owned(),
        "map" => "a table is given".to_owned(),
        "string" => format!("the text '{value}' is given"),
        "integer" => format!("the number {value} is given"),
        "boolean" => format!("{value} is given"),
        _ => format!("{given} is given"),
    };
    let wanted = match wanted {
        "a string" | "path string" => "text in quotes",
        "a boolean" => "true or false",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number",
        "a sequence" => "a list of tables, as in [[routes]]",
        wanted if wanted.starts_with("struct ") || wanted == "a map" => "a table",
        wanted => wanted,
    };
    format!("{given}; write {wanted}")
}

/// The key, with dots between those of tables, whose value is at this place.
fn key_at(table: &DeTable<'_>, offset: usize) -> Option<String> {
    table.iter().find_map(|(key, value)| {
        let inner = match value.get_ref() {
            DeValue::Table(table) => key_at(table, offset),
            DeValue::Array(array) => array.iter().find_map(|element| match element.get_ref() {
                DeValue::Table(table) => key_at(table, offset),
                _ => None,
            }),
            _ => None,
        };
        match inner {
            // A route's own keys have long been called by the list's name.
            Some(_) if key.get_ref() == "routes" => Some("routes".to_owned()),
            Some(inner) => Some(format!("{}.{inner}", key.get_ref())),
            None => value
                .span()
                .contains(&offset)
                .then(|| key.get_ref().to_string()),
        }
    })
}

/// The tables under a key: one, or those of a list.
fn tables<'t, 'i>(
    table: &'t DeTable<'i>,
    key: &str,
) -> impl Iterator<Item = &'t DeTable<'i>> + use<'t, 'i> {
    let (one, list) = match table.get(key).map(Spanned::get_ref) {
        Some(DeValue::Table(table)) => (Some(table), None),
        Some(DeValue::Array(array)) => (None, Some(array)),
        _ => (None, None),
    };
    let elements = list.into_iter().flat_map(|array| array.iter());
    let listed = elements.filter_map(|element| match element.get_ref() {
        DeValue::Table(table) => Some(table),
        _ => None,
    });
    one.into_iter().chain(listed)
}

fn check_keys<'k>(
    table: &DeTable<'_>,
    known: impl Iterator<Item = &'k str> + Clone,
    at: &impl Fn(usize) -> String,
) -> Result<(), CliError> {
    let unknown = table
        .keys()
        .filter(|key| !known.clone().any(|known| known == *key.get_ref()))
        .min_by_key(|key| key.span().start);
    let Some(key) = unknown else { return Ok(()) };
    let nearest = nearest(key.get_ref(), known);
    Err(CliError::setting(
        at(key.span().start),
        format!(
            "'{}' is not a key; the nearest is '{nearest}'",
            key.get_ref()
        ),
    ))
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = &text.as_bytes()[..offset.min(text.len())];
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::super::resolve::resolve;
    use super::*;

    fn complaint(text: &str) -> String {
        match parse("corecast.toml", text) {
            Err(error) => error.to_string(),
            Ok(layer) => panic!("accepted: {layer:?}"),
        }
    }

    #[test]
    fn a_path_is_there_once() {
        let route = |path: &str| format!("[[routes]]\npath = '{path}'\nhandler = 'echo'\n");
        for again in ["/x", "/%78"] {
            assert_eq!(
                complaint(&[route("/x"), route("/y"), route(again)].concat()),
                format!(
                    "corecast.toml:8: routes: the path '{again}' is there twice, with echo and \
                     echo; keep one of them"
                )
            );
        }
    }

    #[test]
    fn an_unknown_key_comes_with_the_nearest_known_one() {
        for (text, message) in [
            (
                "shards = 2\nmax_session = 5",
                "corecast.toml:2: 'max_session' is not a key; the nearest is 'max_sessions'",
            ),
            (
                "max-pending-bytes = 5",
                "corecast.toml:1: 'max-pending-bytes' is not a key; the nearest is 'max_pending_bytes'",
            ),
            (
                "[[routes]]\npath = '/x'\nhandle = 'echo'",
                "corecast.toml:3: 'handle' is not a key; the nearest is 'handler'",
            ),
        ] {
            assert_eq!(complaint(text), message);
        }
    }

    #[test]
    fn a_bad_value_names_line_key_and_range() {
        assert_eq!(
            complaint("\n\nmax_frame_bytes = 'large'"),
            "corecast.toml:3: max_frame_bytes: 'large' is not a size; write bytes, as in 65536, or 64KiB or 1MiB; allowed: 125B to 1GiB"
        );
        assert_eq!(
            complaint("shards = ''\nlisten = '0.0.0.0:1'"),
            "corecast.toml:1: shards: '' is not a whole number; allowed: 1 to 1024"
        );
        assert_eq!(
            complaint("shards = 1\n[[routes]]\npath = '/x'\n"),
            "corecast.toml:2: routes: the key 'handler' is missing"
        );
        assert!(complaint("shards = 1\nshards =").starts_with("corecast.toml:2: "));
    }

    #[test]
    fn a_value_of_the_wrong_type_is_named_in_our_words() {
        for (text, message) in [
            (
                "shards = true",
                "corecast.toml:1: shards: 'true' is not a whole number; allowed: 1 to 1024",
            ),
            (
                "shards = 1.5",
                "corecast.toml:1: shards: '1.5' is not a whole number; allowed: 1 to 1024",
            ),
            (
                "shards = [1, 2]",
                "corecast.toml:1: shards: a list is given; write one value; allowed: 1 to 1024",
            ),
            (
                "\n[driver]\nname = 'uring'",
                "corecast.toml:2: driver: a table is given; write one value",
            ),
            (
                "origin = [['https://a.example']]",
                "corecast.toml:1: origin: a list is no element of this list; write text or numbers",
            ),
            (
                "idle_timeout = 30",
                "corecast.toml:1: idle_timeout: '30' is not a time; write a number and a unit, \
                 as in 500ms, 10s or 2m; allowed: 0 (off) or 10ms to 7days",
            ),
            (
                "max_frame_bytes = '64K'",
                "corecast.toml:1: max_frame_bytes: '64K' could be 64kB or 64KiB; write the one \
                 that is meant; allowed: 125B to 1GiB",
            ),
            (
                "[[routes]]\npath = 5\nhandler = 'echo'",
                "corecast.toml:2: routes: the number 5 is given; write text in quotes",
            ),
            (
                "routes = 'echo'",
                "corecast.toml:1: routes: the text 'echo' is given; write a list of tables, as in \
                 [[routes]]",
            ),
        ] {
            assert_eq!(complaint(text), message);
        }
    }

    #[test]
    fn numbers_and_lists_need_no_quotes() {
        let layer = parse(
            "f",
            "shards = 0x02\ncpus = [0, 1]\nbusy_poll = 5_0\n\
             origin = ['https://a', 'https://b']\nlisten = '127.0.0.1:1, [::1]:1'",
        )
        .unwrap();
        let options = resolve(&layer).unwrap();
        assert_eq!(options.config.shards, 2);
        assert_eq!(options.config.cpus, [0, 1]);
        assert_eq!(options.config.busy_poll.as_micros(), 50);
        assert_eq!(options.config.allowed_origins.len(), 2);
        assert_eq!(options.config.listen.len(), 2);
        assert!(matches!(&layer.sources["cpus"], Source::File { place } if place == "f:2"));
    }

    /// Of every row: a key that is almost its own leads to it.
    #[test]
    fn every_key_is_found_from_a_misspelling() {
        for row in Row::all() {
            let key = row.key();
            let misspelt = format!("{key}x");
            assert_eq!(
                complaint(&format!("{misspelt} = 1")),
                format!("corecast.toml:1: '{misspelt}' is not a key; the nearest is '{key}'")
            );
        }
    }
}
