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
use super::options::Options;
use super::source::{Layer, Source, keys, option_of, with_range};
use super::value::Route;

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
    check_keys(table, known.iter().map(String::as_str), &at)?;
    for route in routes(table) {
        check_keys(route, Route::KEYS.iter().copied(), &at)?;
    }

    let options: Options = toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        // A value's own error does not know its key. What is not inside a value is
        // about the header of a table, and the only tables are the routes.
        let key = table
            .iter()
            .find(|(_, value)| value.span().contains(&offset))
            .map_or("routes", |(key, _)| key.get_ref());
        CliError::setting(
            format!("{}: {key}", at(offset)),
            with_range(&option_of(key), error.message()),
        )
    })?;

    let sources: BTreeMap<_, _> = table
        .keys()
        .map(|key| {
            let place = at(key.span().start);
            (key.get_ref().to_string(), Source::File { place })
        })
        .collect();
    Ok(Layer { options, sources })
}

/// The `[[routes]]` tables.
fn routes<'t, 'i>(table: &'t DeTable<'i>) -> impl Iterator<Item = &'t DeTable<'i>> {
    let array = match table.get("routes").map(Spanned::get_ref) {
        Some(DeValue::Array(array)) => Some(array),
        _ => None,
    };
    let elements = array.into_iter().flat_map(|array| array.iter());
    elements.filter_map(|element| match element.get_ref() {
        DeValue::Table(table) => Some(table),
        _ => None,
    })
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
    let nearest = known
        .max_by(|a, b| resemblance(key.get_ref(), a).total_cmp(&resemblance(key.get_ref(), b)))
        .unwrap_or_default();
    Err(CliError::setting(
        at(key.span().start),
        format!(
            "'{}' is not a key; the nearest is '{nearest}'",
            key.get_ref()
        ),
    ))
}

fn resemblance(typed: &str, known: &str) -> f64 {
    // Dashes for underscores are the likeliest slip of all.
    strsim::jaro_winkler(&typed.replace('-', "_"), known)
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
