//! Which message a user is waiting for.

use serde_json::Value;

use super::template::{Template, Values};

/// The message a step waits for. Others that come before it are counted and
/// passed over.
#[derive(Debug, Clone, PartialEq)]
pub enum Expect {
    /// The next one.
    Any,
    /// One with this text somewhere in it.
    Contains(Template),
    /// JSON with this value at this place.
    Json {
        /// The place, as a JSON pointer (RFC 6901): `/payload/status`.
        pointer: String,
        /// The value there.
        equals: Value,
    },
}

impl Expect {
    /// Whether this is the message. `scratch` is written over; reusing one
    /// saves an allocation for each message.
    pub fn matches(&self, message: &[u8], values: &Values, scratch: &mut Vec<u8>) -> bool {
        match self {
            Expect::Any => true,
            Expect::Contains(template) => match template.as_fixed() {
                Some(wanted) => contains(message, wanted),
                None => {
                    scratch.clear();
                    template.render(scratch, values);
                    contains(message, scratch)
                }
            },
            Expect::Json { pointer, equals } => serde_json::from_slice::<Value>(message)
                .is_ok_and(|message| message.pointer(pointer) == Some(equals)),
        }
    }
}

fn contains(message: &[u8], wanted: &[u8]) -> bool {
    let Some((first, rest)) = wanted.split_first() else {
        return true;
    };
    let mut from = message;
    while let Some(at) = from.iter().position(|byte| byte == first) {
        from = &from[at + 1..];
        if from.starts_with(rest) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(expect: &Expect, message: &str) -> bool {
        let values = Values {
            user: 7,
            ..Values::default()
        };
        expect.matches(message.as_bytes(), &values, &mut b"left over".to_vec())
    }

    #[test]
    fn a_text_may_have_placeholders() {
        let fixed = Expect::Contains(Template::parse("phx_reply").unwrap());
        assert!(matches(&fixed, r#"{"event":"phx_reply"}"#));
        assert!(!matches(&fixed, r#"{"event":"phx_repl"}"#));
        let own = Expect::Contains(Template::parse(r#""user":{user},"#).unwrap());
        assert!(matches(&own, r#"{"user":7,"x":1}"#));
        assert!(!matches(&own, r#"{"user":77,"x":1}"#));
        assert!(matches(&Expect::Any, ""));
    }

    #[test]
    fn json_is_compared_at_its_place() {
        let ok = Expect::Json {
            pointer: "/payload/status".into(),
            equals: "ok".into(),
        };
        assert!(matches(&ok, r#"{"payload": {"status":"ok"}}"#));
        assert!(!matches(&ok, r#"{"payload": {"status":"error"}}"#));
        assert!(!matches(&ok, r#"{"status":"ok"}"#));
        assert!(!matches(&ok, "status ok"));
    }

    proptest! {
        #[test]
        fn a_text_is_found_as_the_standard_library_finds_it(
            message in "[ab]{0,12}",
            wanted in "[ab]{0,4}",
        ) {
            prop_assert_eq!(
                contains(message.as_bytes(), wanted.as_bytes()),
                message.contains(&wanted)
            );
        }
    }
}
