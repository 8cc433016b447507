//! Messages from clients, read where they lie.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::reference::Reference;
use super::version::Version;
use crate::ws::Message;

/// A message from a client.
#[derive(Debug)]
pub(super) struct Incoming<'a> {
    /// The join it belongs to, if the client says.
    pub(super) join_ref: Reference<'a>,
    /// What its answer refers to.
    pub(super) reference: Reference<'a>,
    pub(super) topic: Cow<'a, str>,
    pub(super) event: Cow<'a, str>,
    pub(super) payload: Payload<'a>,
}

/// What a message carries.
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
        // What a later version may add is not for us.
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(array)
    }
}
