//! The data that a client sends about itself when it joins.

use std::fmt::Write;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::incoming::Payload;

/// The fields of a join's payload that are for the server. Others, and those of another
/// form, are ignored.
#[derive(Debug, Default)]
pub(super) struct JoinPayload {
    pub(super) token: Option<String>,
    /// The user that joins, where no token says.
    pub(super) user_id: Option<String>,
    /// The fields about the user that the others are told.
    meta: Map<String, Value>,
}

#[derive(Deserialize)]
struct Typed {
    token: Option<Value>,
    user_id: Option<Value>,
    meta: Option<Value>,
}

impl JoinPayload {
    /// Longest key of a presence, and most that is told beside it, in bytes:
    /// every shard keeps both.
    const MAX_KEY_BYTES: usize = 255;
    const MAX_META_BYTES: usize = 4_096;

    pub(super) fn parse(payload: Payload<'_>) -> Self {
        let Payload::Json(json) = payload else {
            return JoinPayload::default();
        };
        let Ok(typed) = serde_json::from_str::<Typed>(json.get()) else {
            return JoinPayload::default();
        };
        JoinPayload {
            token: match typed.token {
                Some(Value::String(token)) => Some(token),
                _ => None,
            },
            user_id: match typed.user_id {
                Some(Value::String(id)) => Some(id),
                Some(Value::Number(id)) => Some(id.to_string()),
                _ => None,
            },
            meta: match typed.meta {
                Some(Value::Object(meta)) => meta,
                _ => Map::new(),
            },
        }
    }

    /// The fields of a presence that begins at `online_at`, in seconds since
    /// the Unix epoch. `None` if key or fields are too long to be kept.
    pub(super) fn presence_fields(&self, key: &str, online_at: u64) -> Option<String> {
        let mut fields = format!("\"online_at\":{online_at}");
        for (name, value) in &self.meta {
            // These two are the server's to say.
            if name != "online_at" && name != "phx_ref" {
                let name = Value::from(name.as_str());
                // Writing to a string cannot fail.
                let _ = write!(fields, ",{name}:{value}");
            }
        }
        let fits = key.len() <= Self::MAX_KEY_BYTES && fields.len() <= Self::MAX_META_BYTES;
        fits.then_some(fields)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn parse(json: &str) -> JoinPayload {
        JoinPayload::parse(Payload::Json(
            serde_json::from_str::<&RawValue>(json).unwrap(),
        ))
    }

    #[test]
    fn what_has_another_form_is_not_there() {
        for json in [
            "null",
            "7",
            "[]",
            "{}",
            r#"{"token":1,"user_id":[],"meta":"x"}"#,
        ] {
            let payload = parse(json);
            assert!(
                payload.token.is_none() && payload.user_id.is_none(),
                "{json}"
            );
            assert_eq!(payload.presence_fields("k", 5).unwrap(), "\"online_at\":5");
        }
        let payload = parse(r#"{"token":"t","user_id":7,"more":1}"#);
        assert_eq!(payload.token.as_deref(), Some("t"));
        assert_eq!(payload.user_id.as_deref(), Some("7"));
    }

    #[test]
    fn fields_are_json_and_the_servers_own_are_its_own() {
        let payload = parse(r#"{"meta":{"a\"b":{"c":[1]},"online_at":0,"phx_ref":"x"}}"#);
        let fields = payload.presence_fields("k", 5).unwrap();
        assert_eq!(fields, r#""online_at":5,"a\"b":{"c":[1]}"#);
    }

    #[test]
    fn what_is_too_long_is_refused() {
        let payload = parse("{}");
        assert!(payload.presence_fields(&"k".repeat(255), 5).is_some());
        assert!(payload.presence_fields(&"k".repeat(256), 5).is_none());
        let payload = parse(&format!(r#"{{"meta":{{"a":"{}"}}}}"#, "x".repeat(4_096)));
        assert!(payload.presence_fields("k", 5).is_none());
    }
}
