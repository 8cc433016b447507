//! The tables `[handlers.NAME]` of the configuration file: taken out of it unread, and
//! printed as their handlers have read them.

use std::collections::BTreeMap;
use std::fmt::Write;

use toml::Value;

use super::ServeOptions;
use super::settings::{ACCESS, PHOENIX};
use super::source::Layer;
use crate::config::{UnreadTable, UnreadValue};

/// The tables of a file, by the names of their handlers.
///
/// # Errors
/// The key that is wrong, and how.
pub(super) fn take(file: &toml::Table) -> Result<BTreeMap<String, UnreadTable>, (String, String)> {
    let mut tables = BTreeMap::new();
    let not_one = |key: String| (key, "is a table, as in [handlers.phoenix]".to_owned());
    if let Some(handlers) = file.get("handlers") {
        let handlers = handlers
            .as_table()
            .ok_or_else(|| not_one("handlers".to_owned()))?;
        for (name, table) in handlers {
            let table = table.as_table();
            let table = table.ok_or_else(|| not_one(format!("handlers.{name}")))?;
            tables.insert(name.clone(), unread_table(table));
        }
    }
    if let Some(table) = file.get(PHOENIX) {
        let table = table
            .as_table()
            .ok_or_else(|| not_one(PHOENIX.to_owned()))?;
        if tables
            .insert(PHOENIX.to_owned(), unread_table(table))
            .is_some()
        {
            let problem = "is there twice, as [phoenix] and as [handlers.phoenix]; keep the second";
            return Err((PHOENIX.to_owned(), problem.to_owned()));
        }
    }
    Ok(tables)
}

/// The tables of the rights of clients, if the file has any.
pub(super) fn take_access(file: &toml::Table) -> Option<UnreadTable> {
    let mut access = UnreadTable::default();
    for key in ACCESS {
        if let Some(value) = file.get(key) {
            access.set(key, unread_value(value));
        }
    }
    (!access.is_empty()).then_some(access)
}

fn unread_table(table: &toml::Table) -> UnreadTable {
    let mut unread = UnreadTable::default();
    for (key, value) in table {
        unread.set(key, unread_value(value));
    }
    unread
}

fn unread_value(value: &Value) -> UnreadValue {
    match value {
        Value::String(text) => UnreadValue::Text(text.clone()),
        Value::Integer(number) => UnreadValue::Integer(*number),
        Value::Float(number) => UnreadValue::Float(*number),
        Value::Boolean(value) => UnreadValue::Boolean(*value),
        Value::Datetime(time) => UnreadValue::Text(time.to_string()),
        Value::Array(elements) => UnreadValue::List(elements.iter().map(unread_value).collect()),
        Value::Table(table) => UnreadValue::Table(unread_table(table)),
    }
}

/// Writes the tables as they would be typed.
pub(super) fn print(text: &mut String, resolved: &ServeOptions, typed: &Layer) {
    for (key, value) in resolved.config.access.iter() {
        let _ = write!(text, "\n# Rights of clients: {}\n", typed.origin_of(key));
        print_tables(text, key, value);
    }
    for (name, table) in &resolved.config.handlers {
        let keys = [format!("handlers.{name}"), name.clone()];
        let origin = keys.iter().map(|key| typed.origin_of(key));
        let origin = origin.reduce(|new, old| if new == "default" { old } else { new });
        let _ = write!(
            text,
            "\n# Settings of {name}: {}\n",
            origin.unwrap_or_default()
        );
        print_table(text, &format!("handlers.{name}"), "[", "]", table);
    }
}

/// Writes a table; those in it come last, because every key after one would belong to
/// it.
fn print_table(text: &mut String, name: &str, open: &str, close: &str, table: &UnreadTable) {
    let _ = writeln!(text, "{open}{name}{close}");
    for (key, value) in table.iter() {
        let _ = match value {
            UnreadValue::Secret(_) => writeln!(text, "# {key} is not shown"),
            value if is_of_tables(value) => Ok(()),
            value => writeln!(text, "{key} = {}", value_of(value)),
        };
    }
    for (key, value) in table.iter() {
        print_tables(text, &format!("{name}.{key}"), value);
    }
}

/// Writes a value that is a table or a list of tables.
fn print_tables(text: &mut String, name: &str, value: &UnreadValue) {
    match value {
        UnreadValue::Table(table) => print_table(text, name, "[", "]", table),
        UnreadValue::List(elements) if is_of_tables(value) => {
            for element in elements {
                if let UnreadValue::Table(table) = element {
                    print_table(text, name, "[[", "]]", table);
                }
            }
        }
        _ => {}
    }
}

fn is_of_tables(value: &UnreadValue) -> bool {
    match value {
        UnreadValue::Table(_) => true,
        UnreadValue::List(elements) => matches!(elements.first(), Some(UnreadValue::Table(_))),
        _ => false,
    }
}

fn value_of(value: &UnreadValue) -> Value {
    match value {
        UnreadValue::Boolean(value) => Value::Boolean(*value),
        UnreadValue::Integer(number) => Value::Integer(*number),
        UnreadValue::Float(number) => Value::Float(*number),
        UnreadValue::Text(text) => Value::String(text.clone()),
        // In a list, where no handler has one.
        UnreadValue::Secret(_) => Value::String(String::new()),
        UnreadValue::List(elements) => Value::Array(elements.iter().map(value_of).collect()),
        UnreadValue::Table(table) => {
            let entries = table
                .iter()
                .map(|(key, value)| (key.to_owned(), value_of(value)));
            Value::Table(entries.collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::cli::{CliError, Command, ServeOptions, try_parse_from};

    /// The options that a file resolves to; its path is `FILE` in errors.
    fn serve(text: &str) -> Result<ServeOptions, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        let path = file.path().to_str().unwrap();
        let words = ["corecast", "serve", "--config", path];
        match try_parse_from(words, &|_| None) {
            Ok(Command::Serve(options)) => Ok(options),
            Ok(_) => unreachable!("it was asked to serve"),
            Err(CliError::Usage(error)) => panic!("{error}"),
            Err(error) => Err(error.to_string().replace(path, "FILE")),
        }
    }

    #[test]
    fn what_a_handler_does_not_like_has_its_line_and_key() {
        for (text, message) in [
            (
                "[handlers.phoenix]\nmax_topics = 5",
                "FILE:2: handlers.phoenix.max_topics: 'max_topics' is not a key; the nearest is \
                 'max_topics_per_socket'",
            ),
            (
                "[handlers.phoenix]\nmax_topics_per_socket = 0",
                "FILE:2: handlers.phoenix.max_topics_per_socket: 0 is out of range; allowed: 1 to \
                 100000",
            ),
            (
                "[[handlers.phoenix.topics]]\npattern = 'a'\n[[handlers.phoenix.topics]]\n\
                 pattern = '*:b'",
                "FILE:4: handlers.phoenix.topics.pattern: '*:b' is not a pattern of topics: * may \
                 only stand at the end; write room:lobby, room:* or user:{id}",
            ),
            (
                "[handlers.phoenix.token]\nalgorithm = 'none'\nsecret = 's'",
                "FILE:2: handlers.phoenix.token.algorithm: 'none' is not a way to sign tokens; use \
                 HS256, RS256 or EdDSA",
            ),
            (
                "[handlers.phoenix.token]\nalgorithm = 'HS256'",
                "FILE:1: handlers.phoenix.token: give one of secret_file, secret and \
                 public_key_file",
            ),
            (
                "shards = 1\n[handlers.echo]\nloud = true",
                "FILE:3: handlers.echo.loud: 'loud' is not a key; the nearest is 'subprotocol'",
            ),
            (
                "[handlers.phenix]\n",
                "FILE:1: handlers.phenix: 'phenix' is not a handler; there are settings of echo, \
                 broadcast, chat, phoenix, centrifuge, topics",
            ),
            (
                "[handlers]\nphoenix = 5",
                "FILE:2: handlers.phoenix: is a table, as in [handlers.phoenix]",
            ),
        ] {
            assert_eq!(serve(text).unwrap_err(), message);
        }
    }

    #[test]
    fn the_table_of_phoenix_has_its_old_name_too() {
        let text = "[phoenix]\nmax_topics_per_socket = 3\n[[phoenix.topics]]\npattern = 'a'\n";
        let old = serve(text).unwrap();
        let new = serve(&text.replace("phoenix", "handlers.phoenix")).unwrap();
        assert_eq!(old.config, new.config);
        // The rules have another place, whatever the table's name.
        assert!(matches!(&new.notes[..], [note] if note.contains("[[topics]]")));
        assert!(
            old.notes[0].contains("[handlers.phoenix]"),
            "{:?}",
            old.notes
        );

        let error = serve("[[phoenix.topics]]\npattern = 'a'\njoin = 'all'").unwrap_err();
        assert_eq!(
            error,
            "FILE:3: phoenix.topics.join: 'all' is not an answer to who may join; use everyone, \
             token or nobody"
        );
        let error = serve("[[phoenix.topics]]\njoin = 'nobody'").unwrap_err();
        assert_eq!(
            error,
            "FILE:1: phoenix.topics: the key 'pattern' is missing"
        );
        let error = serve("[handlers.phoenix]\n[phoenix]\n").unwrap_err();
        assert_eq!(
            error,
            "FILE:2: phoenix: is there twice, as [phoenix] and as [handlers.phoenix]; keep the \
             second"
        );
    }

    #[test]
    fn the_rights_of_clients_are_printed_and_their_mistakes_have_a_line() {
        let text = "[token]\nalgorithm = 'HS256'\nsecret_file = 'KEY'\n[[topics]]\n\
                    pattern = 'a'\njoin = 'token'\n";
        let key = tempfile::NamedTempFile::new().unwrap();
        fs::write(key.path(), "a secret of at least thirty-two bytes").unwrap();
        let options = serve(&text.replace("KEY", key.path().to_str().unwrap())).unwrap();
        let access: Vec<_> = options.config.access.iter().map(|(key, _)| key).collect();
        assert_eq!(access, ["token", "topics"]);
        for (text, message) in [
            (
                "shards = 1\n[[topics]]\npattern = 'a'\njoin = 'token'",
                "FILE:4: topics.join: 'a' asks for a token, but there is no table [token] to say \
                 which are good",
            ),
            (
                "[[topics]]\npattern = 'a'\njoins = 'nobody'",
                "FILE:3: topics.joins: 'joins' is not a key; the nearest is 'join'",
            ),
            (
                "[token]\nalgorithm = 'none'\nsecret = 's'",
                "FILE:2: token.algorithm: 'none' is not a way to sign tokens; use ",
            ),
            ("topics = 5", "FILE:1: topics: "),
        ] {
            let error = serve(text).unwrap_err();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
