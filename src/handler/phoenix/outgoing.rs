//! Messages to clients, in either version.

use super::incoming::Payload;
use super::reference::Reference;
use super::version::Version;
use crate::json::write_text;
use crate::ws::PreparedFrame;

/// The first byte of a binary broadcast.
const BROADCAST: u8 = 2;

/// A message to one client, whose payload is JSON.
pub(super) struct Outgoing<'a> {
    pub(super) join_ref: Reference<'a>,
    pub(super) reference: Reference<'a>,
    pub(super) topic: &'a str,
    pub(super) event: &'a str,
    /// Pieces of JSON that together are one value.
    pub(super) payload: &'a [&'a str],
}

impl Outgoing<'_> {
    /// Writes the message in place of what `out` holds.
    pub(super) fn write(&self, version: Version, out: &mut String) {
        out.clear();
        match version {
            Version::V1 => self.write_object(out),
            Version::V2 => self.write_array(out),
        }
    }

    fn write_array(&self, out: &mut String) {
        out.push('[');
        self.join_ref.write(out);
        out.push(',');
        self.reference.write(out);
        out.push(',');
        write_text(self.topic, out);
        out.push(',');
        write_text(self.event, out);
        out.push(',');
        out.extend(self.payload.iter().copied());
        out.push(']');
    }

    fn write_object(&self, out: &mut String) {
        out.push_str("{\"topic\":");
        write_text(self.topic, out);
        out.push_str(",\"event\":");
        write_text(self.event, out);
        out.push_str(",\"payload\":");
        out.extend(self.payload.iter().copied());
        out.push_str(",\"ref\":");
        self.reference.write(out);
        out.push('}');
    }
}

/// A message to all in a topic, as a frame for those that speak `version`. `None` if it
/// cannot be said in it: the first has no binary messages.
pub(super) fn broadcast(
    version: Version,
    topic: &str,
    event: &str,
    payload: Payload<'_>,
    out: &mut String,
) -> Option<PreparedFrame> {
    match (version, payload) {
        (_, Payload::Json(json)) => {
            Outgoing {
                join_ref: Reference::None,
                reference: Reference::None,
                topic,
                event,
                payload: &[json.get()],
            }
            .write(version, out);
            Some(PreparedFrame::text(out))
        }
        (Version::V1, Payload::Binary(_)) => None,
        (Version::V2, Payload::Binary(data)) => {
            // Both came in a binary push, where they have lengths of one byte.
            let (topic_len, event_len) = (
                u8::try_from(topic.len()).ok()?,
                u8::try_from(event.len()).ok()?,
            );
            let bytes = [
                &[BROADCAST, topic_len, event_len],
                topic.as_bytes(),
                event.as_bytes(),
                data,
            ]
            .concat();
            Some(PreparedFrame::binary(&bytes))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn reply(version: Version) -> String {
        let mut out = "before".to_owned();
        Outgoing {
            join_ref: Reference::Digits(1),
            reference: Reference::Number(2),
            topic: "a \"b\"",
            event: "phx_reply",
            payload: &["{", "}"],
        }
        .write(version, &mut out);
        out
    }

    #[test]
    fn messages_are_exactly_those_of_the_protocol() {
        assert_eq!(reply(Version::V2), r#"["1",2,"a \"b\"","phx_reply",{}]"#);
        assert_eq!(
            reply(Version::V1),
            r#"{"topic":"a \"b\"","event":"phx_reply","payload":{},"ref":2}"#
        );
    }

    #[test]
    fn broadcasts_are_written_for_each_version_if_it_can_say_them() {
        let json: &RawValue = serde_json::from_str("{\"a\": 1}").unwrap();
        let mut text = String::new();
        let mut frame = |version, payload| broadcast(version, "t", "e", payload, &mut text);
        let json = Payload::Json(json);
        let expected = PreparedFrame::text(r#"[null,null,"t","e",{"a": 1}]"#);
        assert_eq!(frame(Version::V2, json), Some(expected));
        let expected =
            PreparedFrame::text(r#"{"topic":"t","event":"e","payload":{"a": 1},"ref":null}"#);
        assert_eq!(frame(Version::V1, json), Some(expected));
        let bytes = Payload::Binary(&[9, 8]);
        let expected = PreparedFrame::binary(b"\x02\x01\x01te\x09\x08");
        assert_eq!(frame(Version::V2, bytes), Some(expected));
        assert_eq!(frame(Version::V1, bytes), None);
    }
}
