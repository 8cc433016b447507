//! `batch`: several commands in one request, done in their order. The answer has a
//! reply for each; those after one that failed are done all the same.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{Call, parse, unless_all_full};
use crate::api::error::{Problem, to_json};
use crate::api::limits;

pub(super) const NAME: &str = "batch";

/// Answers with `{"replies": …}`, in which a reply is `{"METHOD": RESULT}` or an error.
pub(super) async fn run(call: &Call<'_>, params: &str) -> Result<String, Problem> {
    let Params { commands } = parse(params)?;
    if commands.len() > limits::COMMANDS {
        let (count, most) = (commands.len(), limits::COMMANDS);
        return Err(Problem::BadRequest(
            format!("there are {count} 'commands'; allowed: up to {most}").into(),
        ));
    }
    call.key.take(commands.len().saturating_sub(1));
    let mut parts = Vec::with_capacity(commands.len());
    for Command { method, params } in &commands {
        let done = call.run(method, params.get()).await;
        parts.push(call.part(method, done));
    }
    unless_all_full(&parts)?;
    Ok(format!("{{\"replies\":{}}}", to_json(&parts)))
}

/// That they are to be done in parallel has no effect: it would save nothing here.
#[derive(Deserialize)]
struct Params<'p> {
    #[serde(borrow)]
    commands: Vec<Command<'p>>,
}

/// A command: an object of one method with its parameters.
struct Command<'p> {
    method: Cow<'p, str>,
    params: &'p RawValue,
}

impl<'de: 'p, 'p> Deserialize<'de> for Command<'p> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfOneEntry;

        impl<'de> Visitor<'de> for OfOneEntry {
            type Value = Command<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of one method, as in {\"publish\": {…}}")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Command<'de>, A::Error> {
                let entry = map.next_entry::<Cow<'de, str>, &'de RawValue>()?;
                let (method, params) = entry.ok_or_else(|| de::Error::invalid_length(0, &self))?;
                match map.next_entry::<de::IgnoredAny, de::IgnoredAny>()? {
                    None => Ok(Command { method, params }),
                    Some(_) => Err(de::Error::invalid_length(2, &self)),
                }
            }
        }

        deserializer.deserialize_map(OfOneEntry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_one_method_with_its_parameters() {
        let Params { commands } =
            parse(r#"{"commands": [{"publish": {"a": 1}}, {"info":{}}]}"#).unwrap();
        let command = |at: usize| (&*commands[at].method, commands[at].params.get());
        assert_eq!(command(0), ("publish", r#"{"a": 1}"#));
        assert_eq!(command(1), ("info", "{}"));
        for params in [
            "{}",
            r#"{"commands": {}}"#,
            r#"{"commands": [{}]}"#,
            r#"{"commands": [{"a": 1, "b": 2}]}"#,
            r#"{"commands": [1]}"#,
        ] {
            assert!(parse::<Params>(params).is_err(), "{params}");
        }
    }
}
