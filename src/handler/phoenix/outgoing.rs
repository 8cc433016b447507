//! Messages to clients, in either version.

use std::ops::Range;

use super::reference::Reference;
use super::version::Version;
use crate::json::{json_of_text, write_text};
use crate::publication::Data;
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

/// A publication as it is written for sessions of `version`, and the place of its data in
/// the frame. `None` if it cannot be said: the first version has no binary messages, and
/// the second none whose names are longer than 255 bytes.
pub(super) fn publication(
    version: Version,
    topic: &str,
    event: &str,
    data: Data<'_>,
    out: &mut String,
) -> Option<(PreparedFrame, Range<usize>)> {
    let quoted;
    let json = match (version, data) {
        (_, Data::Json(json)) => json,
        (_, Data::Text(text)) => {
            quoted = json_of_text(text);
            &quoted
        }
        (Version::V1, Data::Binary(_)) => return None,
        (Version::V2, Data::Binary(data)) => return binary_publication(topic, event, data),
    };
    let message = Outgoing {
        join_ref: Reference::None,
        reference: Reference::None,
        topic,
        event,
        payload: &[json],
    };
    message.write(version, out);
    let frame = PreparedFrame::text(out);
    let end = frame.len() - version.after_payload().len();
    Some((frame, end - json.len()..end))
}

fn binary_publication(
    topic: &str,
    event: &str,
    data: &[u8],
) -> Option<(PreparedFrame, Range<usize>)> {
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
    let frame = PreparedFrame::binary(&bytes);
    let place = frame.len() - data.len()..frame.len();
    Some((frame, place))
}

#[cfg(test)]
mod tests {
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
    fn publications_are_written_for_each_version_if_it_can_say_them() {
        let mut text = String::new();
        let mut frame = |version, data| {
            let (frame, place) = publication(version, "t", "e", data, &mut text)?;
            Some((frame.clone(), frame.as_bytes()[place].to_vec()))
        };
        let written = |text: &str, data: &str| Some((PreparedFrame::text(text), data.into()));
        let (json, text, bytes) = (
            Data::Json("{\"a\": 1}"),
            Data::Text("say \"hi\""),
            Data::Binary(&[9, 8]),
        );
        assert_eq!(
            frame(Version::V2, json),
            written(r#"[null,null,"t","e",{"a": 1}]"#, r#"{"a": 1}"#)
        );
        let object = r#"{"topic":"t","event":"e","payload":{"a": 1},"ref":null}"#;
        assert_eq!(frame(Version::V1, json), written(object, r#"{"a": 1}"#));
        assert_eq!(
            frame(Version::V2, text),
            written(r#"[null,null,"t","e","say \"hi\""]"#, r#""say \"hi\"""#)
        );
        let expected = PreparedFrame::binary(b"\x02\x01\x01te\x09\x08");
        assert_eq!(frame(Version::V2, bytes), Some((expected, vec![9, 8])));
        assert_eq!(frame(Version::V1, bytes), None);
    }
}
