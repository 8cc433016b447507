//! Messages to clients, in either version.

use super::incoming::Payload;
use super::reference::Reference;
use super::version::Version;
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

/// Writes text as JSON.
pub(super) fn write_text(text: &str, out: &mut String) {
    // Most names have nothing to escape.
    let is_plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::to_string(text).expect("text is always valid JSON"));
    }
}

/// A message to all in a topic, as a frame for those who speak `version`.
/// `None` if it cannot be said in it: the first has no binary messages.
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
