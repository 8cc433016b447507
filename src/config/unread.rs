//! Tables of the configuration that only their owner can read.
//!
//! The settings of a built-in handler are known to it alone: the configuration carries
//! them as a tree of values, and the handler turns its tree into a type of its own with
//! serde. An error there names its path in the tree, from which the command line finds
//! the line in the file.
//!
//! # Invariants worth naming
//!
//! - Text, numbers and switches are read as text where text is wanted, as a flag is.
//! - A table is not shown by `Debug`: it may hold a secret.

use std::fmt;
use std::str::FromStr;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, Expected, IntoDeserializer,
    MapAccess, SeqAccess, Unexpected, Visitor,
};

/// A table that was not read yet, in the order in which it was written.
#[derive(Clone, Default)]
pub struct UnreadTable(Vec<(String, UnreadValue)>);

/// A value that was not read yet.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum UnreadValue {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Float(f64),
    /// Text.
    Text(String),
    /// Text that must not be shown.
    Secret(String),
    /// A list.
    List(Vec<UnreadValue>),
    /// A table.
    Table(UnreadTable),
}

impl UnreadTable {
    /// Adds a key, or gives it another value.
    ///
    /// ```
    /// use corecast::config::{UnreadTable, UnreadValue};
    ///
    /// let mut table = UnreadTable::default();
    /// table.set("max_topics_per_socket", UnreadValue::Integer(10));
    /// assert_eq!(table.iter().count(), 1);
    /// ```
    pub fn set(&mut self, key: &str, value: impl Into<UnreadValue>) {
        let value = value.into();
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some((_, known)) => *known = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }

    /// Its keys and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &UnreadValue)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads it.
    ///
    /// # Errors
    /// The first key that is wrong.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, TableError> {
        T::deserialize(TableReader(self))
    }
}

/// Tables are the same whose keys have the same values, in whatever order.
impl PartialEq for UnreadTable {
    fn eq(&self, other: &Self) -> bool {
        let is_there = |(key, value): &(String, UnreadValue)| {
            let mut others = other.0.iter();
            others.any(|(name, other)| name == key && other == value)
        };
        self.0.len() == other.0.len() && self.0.iter().all(is_there)
    }
}

impl From<bool> for UnreadValue {
    fn from(value: bool) -> Self {
        UnreadValue::Boolean(value)
    }
}

impl From<&str> for UnreadValue {
    fn from(text: &str) -> Self {
        UnreadValue::Text(text.to_owned())
    }
}

impl From<usize> for UnreadValue {
    fn from(number: usize) -> Self {
        UnreadValue::Integer(number.try_into().unwrap_or(i64::MAX))
    }
}

impl From<UnreadTable> for UnreadValue {
    fn from(table: UnreadTable) -> Self {
        UnreadValue::Table(table)
    }
}

impl fmt::Debug for UnreadTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.0.iter().map(|(key, _)| key))
            .finish()
    }
}

impl fmt::Debug for UnreadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

/// Reads a value as the flags are read: from text.
///
/// # Errors
/// The fault of the text.
pub(crate) fn parsed<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr,
    T::Err: fmt::Display,
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(de::Error::custom)
}

/// A fault in a table, and its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}{}{problem}", if path.is_empty() { "" } else { ": " })]
pub(crate) struct TableError {
    /// The path to it, as in `topics[1].pattern`; empty for the table itself.
    pub(crate) path: String,
    /// The fault and what is allowed instead.
    pub(crate) problem: String,
}

impl TableError {
    pub(crate) fn new(path: &str, problem: impl Into<String>) -> Self {
        TableError {
            path: path.to_owned(),
            problem: problem.into(),
        }
    }

    fn under_key(self, key: &str) -> Self {
        let path = match &self.path[..] {
            "" => key.to_owned(),
            rest if rest.starts_with('[') => format!("{key}{rest}"),
            rest => format!("{key}.{rest}"),
        };
        TableError { path, ..self }
    }

    fn under_place(self, place: usize) -> Self {
        let path = match &self.path[..] {
            "" => format!("[{place}]"),
            rest if rest.starts_with('[') => format!("[{place}]{rest}"),
            rest => format!("[{place}].{rest}"),
        };
        TableError { path, ..self }
    }
}

impl de::Error for TableError {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        TableError::new("", problem.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        TableError::new(
            "",
            format!("{found} cannot stand here; expected {expected}"),
        )
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        let keys = known.iter().copied();
        let problem = match known {
            [] => format!("'{key}' is not a key; there are none here"),
            _ => format!(
                "'{key}' is not a key; the nearest is '{}'",
                nearest(key, keys)
            ),
        };
        TableError::new("", problem)
    }

    fn missing_field(key: &'static str) -> Self {
        TableError::new("", format!("the key '{key}' is missing"))
    }
}

/// The known name that a typed one resembles most.
pub(crate) fn nearest<'k>(typed: &str, known: impl Iterator<Item = &'k str>) -> &'k str {
    // Dashes for underscores are the likeliest slip of all.
    let typed = typed.replace('-', "_");
    known
        .max_by(|a, b| {
            let resemblance = |known| strsim::jaro_winkler(&typed, known);
            resemblance(a).total_cmp(&resemblance(b))
        })
        .unwrap_or_default()
}

/// Reads a table.
struct TableReader<'t>(&'t UnreadTable);

impl<'de> Deserializer<'de> for TableReader<'de> {
    type Error = TableError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TableError> {
        visitor.visit_map(Entries {
            entries: self.0.0.iter(),
            value: None,
        })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

/// Reads a value.
struct ValueReader<'t>(&'t UnreadValue);

impl<'de> Deserializer<'de> for ValueReader<'de> {
    type Error = TableError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TableError> {
        match self.0 {
            UnreadValue::Boolean(value) => visitor.visit_bool(*value),
            UnreadValue::Integer(number) => visitor.visit_i64(*number),
            UnreadValue::Float(number) => visitor.visit_f64(*number),
            UnreadValue::Text(text) | UnreadValue::Secret(text) => visitor.visit_str(text),
            UnreadValue::List(elements) => visitor.visit_seq(Elements {
                elements: elements.iter().enumerate(),
            }),
            UnreadValue::Table(table) => TableReader(table).deserialize_any(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TableError> {
        match self.0 {
            UnreadValue::Boolean(value) => visitor.visit_string(value.to_string()),
            UnreadValue::Integer(number) => visitor.visit_string(number.to_string()),
            UnreadValue::Float(number) => visitor.visit_string(number.to_string()),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TableError> {
        self.deserialize_str(visitor)
    }

    /// A value that is there is something: a table has no `null`.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TableError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, TableError> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Entries<'t> {
    entries: std::slice::Iter<'t, (String, UnreadValue)>,
    /// Of the key that was read last.
    value: Option<&'t (String, UnreadValue)>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = TableError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, TableError> {
        self.value = self.entries.next();
        let Some((key, _)) = self.value else {
            return Ok(None);
        };
        let reader: StrDeserializer<'_, TableError> = key.as_str().into_deserializer();
        let read = seed.deserialize(reader);
        read.map(Some).map_err(|error| error.under_key(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, TableError> {
        let (key, value) = self.value.expect("a key comes before its value");
        let read = seed.deserialize(ValueReader(value));
        read.map_err(|error| error.under_key(key))
    }
}

struct Elements<'t> {
    elements: std::iter::Enumerate<std::slice::Iter<'t, UnreadValue>>,
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = TableError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, TableError> {
        let Some((place, value)) = self.elements.next() else {
            return Ok(None);
        };
        let read = seed.deserialize(ValueReader(value));
        read.map(Some).map_err(|error| error.under_place(place))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Typed {
        count: u8,
        #[serde(default)]
        rules: Vec<Rule>,
        text: Option<String>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Rule {
        #[serde(deserialize_with = "parsed")]
        policy: crate::config::JoinPolicy,
    }

    fn table<const N: usize>(entries: [(&str, UnreadValue); N]) -> UnreadTable {
        let mut table = UnreadTable::default();
        for (key, value) in entries {
            table.set(key, value);
        }
        table
    }

    fn rules<const N: usize>(policies: [&str; N]) -> UnreadValue {
        let rule = |policy: &str| table([("policy", policy.into())]).into();
        UnreadValue::List(policies.map(rule).to_vec())
    }

    #[test]
    fn a_table_becomes_a_type() {
        let read = table([
            ("count", 7_usize.into()),
            ("rules", rules(["nobody", "token"])),
            ("text", 5_usize.into()),
        ])
        .read::<Typed>()
        .unwrap();
        assert_eq!(read.count, 7);
        assert_eq!(read.rules.len(), 2);
        assert_eq!(read.text.as_deref(), Some("5"), "as it was typed");
        let little = table([("count", 0_usize.into())]);
        assert_eq!(little.read::<Typed>().unwrap().text, None);
    }

    #[test]
    fn what_is_wrong_has_a_path_and_a_sentence() {
        let one = || ("count", UnreadValue::Integer(1));
        for (table, path, problem) in [
            (table([]), "", "the key 'count' is missing"),
            (
                table([("cuont", true.into())]),
                "cuont",
                "'cuont' is not a key; the nearest is 'count'",
            ),
            (
                table([("count", UnreadValue::Integer(-1))]),
                "count",
                "integer `-1` cannot stand here; expected u8",
            ),
            (
                table([one(), ("rules", rules(["token", "all"]))]),
                "rules[1].policy",
                "'all' is not an answer to who may join; use everyone, token or nobody",
            ),
            (
                table([one(), ("rules", UnreadValue::List(vec![true.into()]))]),
                "rules[0]",
                "boolean `true` cannot stand here; expected struct Rule",
            ),
        ] {
            let error = table.read::<Typed>().unwrap_err();
            assert_eq!((&*error.path, &*error.problem), (path, problem));
        }
    }

    #[test]
    fn a_key_that_is_set_again_has_the_later_value() {
        let mut table = table([("a", true.into()), ("b", true.into())]);
        table.set("a", "x");
        let keys: Vec<_> = table.iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["a", "b"]);
        assert!(format!("{table:?}").contains("\"a\"") && !format!("{table:?}").contains('x'));
    }
}
