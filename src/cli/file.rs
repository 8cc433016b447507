//! The configuration file: TOML with the options' names in underscores.
//!
//! Every error names the file, the line and the key, and an unknown key comes
//! with the known one it resembles most.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::CliError;
use super::handlers::{self, PHOENIX};
use super::options::Options;
use super::source::{Layer, Source, keys, option_of, with_range};
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
fn parse(name: &str, text: &str) -> Result<Layer, CliError> {
    let at = |offset: usize| format!("{name}:{}", line_of(text, offset));
    let document = DeTable::parse(text).map_err(|error| {
        let place = error.span().map_or(name.to_owned(), |span| at(span.start));
        CliError::setting(place, error.message())
    })?;
    let table = document.get_ref();

    let known = keys();
    // The settings of handlers are only in the file.
    let known = known
        .iter()
        .map(String::as_str)
        .chain(["handlers", PHOENIX]);
    check_keys(table, known, &at)?;
    for route in tables(table, "routes") {
        check_keys(route, Route::KEYS.iter().copied(), &at)?;
    }

    let mut options: Options = toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        // A value's own error does not know its key. What is not inside a value is
        // about the header of a table.
        let key = key_at(table, offset).unwrap_or_else(|| {
            let header = text[offset.min(text.len())..].lines().next();
            let name = header.map(|line| line.trim_matches(['[', ']', ' ']));
            name.filter(|name| !name.is_empty())
                .unwrap_or("routes")
                .to_owned()
        });
        CliError::setting(
            format!("{}: {key}", at(offset)),
            with_range(&option_of(&key), error.message()),
        )
    })?;

    if let Some((place, problem)) = options.repeated_route() {
        let route = tables(table, "routes").nth(place);
        let path = route.and_then(|route| route.get("path"));
        let offset = path.map_or(0, |path| path.span().start);
        return Err(CliError::setting(
            format!("{}: routes", at(offset)),
            problem,
        ));
    }

    let mut sources = BTreeMap::new();
    collect_places(table, "", &at, &mut sources);
    let has_old_name = table.contains_key(PHOENIX);
    if has_old_name {
        // Its errors are about the table as it is called now.
        for phoenix in tables(table, PHOENIX) {
            collect_places(phoenix, "handlers.phoenix", &at, &mut sources);
        }
        if let Some(source) = sources.get(PHOENIX).cloned() {
            sources.insert("handlers.phoenix".to_owned(), source);
        }
    }
    let values: toml::Table = toml::from_str(text).unwrap_or_default();
    let handlers = handlers::take(&values).map_err(|(key, problem)| {
        let place = match sources.get(&key) {
            Some(Source::File { place }) => place.clone(),
            _ => name.to_owned(),
        };
        CliError::setting(format!("{place}: {key}"), problem)
    })?;
    options.handlers = Some(handlers).filter(|handlers| !handlers.is_empty());
    let note = format!(
        "{name}: the table [phoenix] is called [handlers.phoenix] now, and [[phoenix.topics]] \
         [[handlers.phoenix.topics]]; the old names still count"
    );
    Ok(Layer {
        options,
        sources,
        notes: has_old_name.then_some(note).into_iter().collect(),
    })
}

/// Notes the place of each key of a table, and of those in it: `handlers.a.b[0].c`.
fn collect_places(
    table: &DeTable<'_>,
    path: &str,
    at: &impl Fn(usize) -> String,
    places: &mut BTreeMap<String, Source>,
) {
    for (key, value) in table {
        let path = match path {
            "" => key.get_ref().to_string(),
            path => format!("{path}.{}", key.get_ref()),
        };
        collect_value_places(value.get_ref(), &path, at, places);
        let place = at(key.span().start);
        places.insert(path, Source::File { place });
    }
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
            "corecast.toml:2: routes: missing field `handler`"
        );
        assert!(complaint("shards = 1\nshards =").starts_with("corecast.toml:2: "));
    }

    #[test]
    fn numbers_and_lists_need_no_quotes() {
        let layer = parse(
            "f",
            "shards = 2\ncpus = [0, 1]\nbusy_poll = 50\norigin = ['https://a', 'https://b']",
        )
        .unwrap();
        assert_eq!(layer.options.shards.unwrap().0, 2);
        assert_eq!(layer.options.cpus.unwrap().0, [0, 1]);
        assert_eq!(layer.options.busy_poll.unwrap().0.as_micros(), 50);
        assert_eq!(layer.options.origin.unwrap().len(), 2);
        assert!(matches!(&layer.sources["cpus"], Source::File { place } if place == "f:2"));
    }
}
