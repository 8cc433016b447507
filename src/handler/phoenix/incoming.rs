//! Messages from clients, read where they lie.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::reference::Reference;
use super::version::Version;
use crate::json::is_object;
use crate::ws::Message;

/// A message from a client.
#[derive(Debug)]
pub(super) struct Incoming<'a> {
    /// The join it belongs to, if the client says.
    pub(super) join_ref: Reference<'a>,
    /// The reference that its answer repeats.
    pub(super) reference: Reference<'a>,
    pub(super) topic: Cow<'a, str>,
    pub(super) event: Cow<'a, str>,
    pub(super) payload: Payload<'a>,
}

/// The payload of a message.
#[derive(Debug, Clone, Copy)]
pub(super) enum Payload<'a> {
    /// JSON, as it was written.
    Json(&'a RawValue),
    /// Any bytes.
    Binary(&'a [u8]),
}

/// Why a message could not be read, for the close frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

impl<'a> Incoming<'a> {
    /// Reads a message of a session that speaks `version`.
    pub(super) fn parse(version: Version, message: Message<'a>) -> Result<Self, Malformed> {
        match (version, message) {
            (Version::V1, Message::Text(text)) => Self::from_object(text),
            (Version::V2, Message::Text(text)) => Self::from_array(text),
            (Version::V2, Message::Binary(bytes)) => Self::from_binary(bytes),
            // Tsung sends its JSON so, and a Phoenix server does not mind.
            (Version::V1, Message::Binary(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) => Self::from_object(text),
                Err(_) => Err(Malformed("not JSON in UTF-8")),
            },
        }
    }

    fn from_object(text: &'a str) -> Result<Self, Malformed> {
        const WHAT: Malformed = Malformed("not a JSON object with topic, event, payload and ref");
        if !is_object(text) {
            return Err(WHAT);
        }
        let object: Object<'_> = serde_json::from_str(text).map_err(|_| WHAT)?;
        Ok(Incoming {
            join_ref: object.join_ref.map_or(Ok(Reference::None), reference)?,
            reference: reference(object.reference)?,
            topic: object.topic.0,
            event: object.event.0,
            payload: Payload::Json(object.payload),
        })
    }

    fn from_array(text: &'a str) -> Result<Self, Malformed> {
        const WHAT: Malformed =
            Malformed("not a JSON array of join_ref, ref, topic, event and payload");
        let array: Array<'_> = serde_json::from_str(text).map_err(|_| WHAT)?;
        Ok(Incoming {
            join_ref: reference(array.join_ref)?,
            reference: reference(array.reference)?,
            topic: array.topic.0,
            event: array.event.0,
            payload: Payload::Json(array.payload),
        })
    }

    fn from_binary(bytes: &'a [u8]) -> Result<Self, Malformed> {
        const WHAT: Malformed = Malformed("not a binary push");
        let [PUSH, join_ref, reference, topic, event, rest @ ..] = bytes else {
            return Err(WHAT);
        };
        let mut rest = rest;
        let mut take = |len: u8| {
            let (text, after) = rest.split_at_checked(len.into()).ok_or(WHAT)?;
            rest = after;
            std::str::from_utf8(text).map_err(|_| WHAT)
        };
        let join_ref = take(*join_ref)?;
        let reference = take(*reference)?;
        let (topic, event) = (take(*topic)?, take(*event)?);
        Ok(Incoming {
            join_ref: match join_ref {
                "" => Reference::None,
                text => Reference::from_text(text),
            },
            reference: Reference::from_text(reference),
            topic: topic.into(),
            event: event.into(),
            payload: Payload::Binary(rest),
        })
    }
}

/// The first byte of a client's binary message.
const PUSH: u8 = 0;

fn reference(json: &RawValue) -> Result<Reference<'_>, Malformed> {
    Reference::from_json(json.get()).ok_or(Malformed("a reference of more than 255 bytes"))
}

/// Text that is copied only if it has escapes to undo.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    topic: Text<'a>,
    #[serde(borrow)]
    event: Text<'a>,
    #[serde(borrow)]
    payload: &'a RawValue,
    #[serde(borrow, rename = "ref")]
    reference: &'a RawValue,
    #[serde(borrow)]
    join_ref: Option<&'a RawValue>,
}

struct Array<'a> {
    join_ref: &'a RawValue,
    reference: &'a RawValue,
    topic: Text<'a>,
    event: Text<'a>,
    payload: &'a RawValue,
}

impl<'de: 'a, 'a> Deserialize<'de> for Array<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ArrayVisitor)
    }
}

struct ArrayVisitor;

impl<'de> Visitor<'de> for ArrayVisitor {
    type Value = Array<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array of five")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Array<'de>, A::Error> {
        fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(
            seq: &mut A,
            place: usize,
        ) -> Result<T, A::Error> {
            let missing = || A::Error::invalid_length(place, &"five elements");
            seq.next_element()?.ok_or_else(missing)
        }
        let array = Array {
            join_ref: next(&mut seq, 0)?,
            reference: next(&mut seq, 1)?,
            topic: next(&mut seq, 2)?,
            event: next(&mut seq, 3)?,
            payload: next(&mut seq, 4)?,
        };
        // Elements that a later version may add are ignored.
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(array)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn cases() -> ProptestConfig {
        ProptestConfig {
            cases: if cfg!(miri) { 16 } else { 1024 },
            failure_persistence: None,
            ..ProptestConfig::default()
        }
    }

    fn written(reference: Reference<'_>) -> String {
        let mut out = String::new();
        reference.write(&mut out);
        out
    }

    #[test]
    fn a_message_of_version_2_is_none_of_version_1() {
        let text = r#"["room:a","new_msg",{},"1",null]"#;
        assert!(!Version::V1.understands(Message::Text(text)));
        assert!(!Version::V2.understands(Message::Text(text)));
    }

    #[test]
    fn what_needs_no_change_is_not_copied() {
        let text = r#"["1","2","room:a","new_msg",{"a": [ 1 ]}]"#;
        let message = Incoming::parse(Version::V2, Message::Text(text)).unwrap();
        assert!(matches!(message.topic, Cow::Borrowed("room:a")));
        assert!(matches!(message.event, Cow::Borrowed("new_msg")));
        assert!(matches!(message.payload, Payload::Json(json) if json.get() == r#"{"a": [ 1 ]}"#));
        let text = r#"["1","2","r\u00e9","e",{}]"#;
        let message = Incoming::parse(Version::V2, Message::Text(text)).unwrap();
        assert_eq!(message.topic, "ré");
    }

    proptest! {
        #![proptest_config(cases())]

        /// Any text at all is read or refused.
        #[test]
        fn text_never_panics(text in ".*") {
            for version in Version::ALL {
                version.understands(Message::Text(&text));
            }
        }

        /// So is what looks nearly like a message.
        #[test]
        fn near_json_never_panics(text in "[\\[\\]{},:\"tre0-9nul \\\\]{0,60}") {
            for version in Version::ALL {
                version.understands(Message::Text(&text));
            }
        }

        /// So are any bytes, of which many begin like a push.
        #[test]
        fn bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..64), push: bool) {
            if push && bytes.len() >= 5 {
                bytes[0] = 0;
                bytes[1..5].iter_mut().for_each(|len| *len %= 16);
            }
            for version in Version::ALL {
                version.understands(Message::Binary(&bytes));
            }
        }

        /// A message written in either version, or in binary, is read back as it was.
        #[test]
        fn what_was_meant_is_read(
            topic in "\\PC{0,20}",
            event in "\\PC{0,20}",
            number: u32,
            text in "\\PC{0,10}",
            data in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let payload = json!({"text": text, "number": number});
            let array = json!([number, text, topic, event, payload]).to_string();
            let object = json!({
                "topic": topic, "event": event, "payload": payload, "ref": text, "join_ref": number,
            })
            .to_string();
            for (version, json) in [(Version::V2, &array), (Version::V1, &object)] {
                let message = Incoming::parse(version, Message::Text(json)).unwrap();
                prop_assert_eq!((&*message.topic, &*message.event), (&*topic, &*event));
                prop_assert_eq!(message.join_ref, Reference::Number(number));
                prop_assert_eq!(written(message.reference), Value::from(text.as_str()).to_string());
                let Payload::Json(read) = message.payload else {
                    return Err(TestCaseError::fail("JSON became binary"));
                };
                prop_assert_eq!(serde_json::from_str::<Value>(read.get()).unwrap(), payload.clone());
            }
            let join_ref = number.to_string();
            let texts = [&*join_ref, &*text, &*topic, &*event];
            let mut bytes = vec![PUSH];
            bytes.extend(texts.iter().map(|text| text.len() as u8));
            texts.iter().for_each(|text| bytes.extend_from_slice(text.as_bytes()));
            bytes.extend_from_slice(&data);
            let message = Incoming::parse(Version::V2, Message::Binary(&bytes)).unwrap();
            prop_assert_eq!((&*message.topic, &*message.event), (&*topic, &*event));
            prop_assert_eq!(message.join_ref, Reference::Digits(number));
            prop_assert_eq!(written(message.reference), Value::from(text.as_str()).to_string());
            prop_assert!(matches!(message.payload, Payload::Binary(read) if read == data));
        }
    }
}
