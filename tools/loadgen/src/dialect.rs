//! The format of a message of ours for a server: as it is, as a chat message in
//! JSON, or as a push on a Phoenix channel.

use std::fmt;
use std::io::Write;
use std::str::FromStr;

use corecast::ws::{Message, OpCode};

use crate::stamp::{BINARY_BYTES, Stamp, TEXT_BYTES};

/// The message format that a server understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Dialect {
    /// Any bytes; they come back, or go to others, unchanged.
    Raw,
    /// Any text; it comes back, or goes to others, unchanged.
    Text,
    /// The JSON chat: `{"type":"chat_message","content":…}`.
    Chat,
    /// Phoenix Channels, version 2 of its JSON: `[join_ref,ref,topic,event,payload]`.
    Phoenix,
}

impl Dialect {
    /// The one that corecast speaks on a path; raw for paths it does not know.
    pub fn of_path(path: &str) -> Dialect {
        let path = path.split('?').next().unwrap_or_default();
        if path == "/ws" || path.starts_with("/ws/") {
            Dialect::Chat
        } else if path.ends_with("/websocket") {
            Dialect::Phoenix
        } else {
            Dialect::Raw
        }
    }

    /// The name on the command line.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The smallest payload a stamp fits in.
    pub fn min_payload_bytes(self) -> usize {
        match self {
            Dialect::Raw => BINARY_BYTES,
            _ => TEXT_BYTES,
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Dialect {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        [Dialect::Raw, Dialect::Text, Dialect::Chat, Dialect::Phoenix]
            .into_iter()
            .find(|dialect| dialect.as_str() == name)
            .ok_or_else(|| format!("'{name}' is none of raw, text, chat, phoenix"))
    }
}

/// The message being written.
///
/// It begins in the middle of a page. Frames are built in buffers that begin on
/// one, and some processors copy many times slower between two places that lie
/// almost a multiple of a page apart.
#[derive(Debug, Clone)]
pub struct Draft(Vec<u8>);

impl Draft {
    const OFFSET: usize = 2_048;

    /// The payload that was written.
    #[inline]
    pub fn payload(&self) -> &[u8] {
        &self.0[Self::OFFSET..]
    }

    fn is_empty(&self) -> bool {
        self.0.len() == Self::OFFSET
    }

    fn clear(&mut self) {
        self.0.truncate(Self::OFFSET);
    }
}

impl Default for Draft {
    fn default() -> Self {
        Draft(vec![0; Self::OFFSET])
    }
}

impl From<&[u8]> for Draft {
    fn from(payload: &[u8]) -> Self {
        let mut draft = Draft::default();
        draft.0.extend_from_slice(payload);
        draft
    }
}

/// Writes stamped messages of one size and reads them again.
#[derive(Debug, Clone)]
pub struct Wording {
    dialect: Dialect,
    /// The bytes that follow the stamp in every message.
    filler: Vec<u8>,
}

/// The content of a received message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A message of ours, as it was sent.
    Stamped(Stamp),
    /// A message of ours that was changed on its way.
    Corrupt,
    /// Something the server says of itself, such as a greeting.
    Other,
}

impl Wording {
    /// For messages of `payload_bytes`, not counting what the dialect puts
    /// around them.
    ///
    /// # Errors
    /// When a stamp does not fit in.
    pub fn new(dialect: Dialect, payload_bytes: usize) -> Result<Self, String> {
        let least = dialect.min_payload_bytes();
        let filler_bytes = payload_bytes.checked_sub(least).ok_or_else(|| {
            format!(
                "--size {payload_bytes} is too small: the time and number a {dialect} message \
                 carries take {least} bytes"
            )
        })?;
        let filler = (0..filler_bytes)
            .map(|place| b'a' + (place % 23) as u8)
            .collect();
        Ok(Wording { dialect, filler })
    }

    /// The format of the messages.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Puts a stamped message into `draft` and says as what it is to be sent. On a
    /// Phoenix channel, `topic` is the topic.
    ///
    /// The draft is empty or holds the message before, by the same wording, and the
    /// parts that stay the same are kept.
    #[inline]
    pub fn write(&self, stamp: Stamp, topic: u64, draft: &mut Draft) -> OpCode {
        if self.dialect == Dialect::Raw {
            if draft.is_empty() {
                draft.0.extend_from_slice(&[0; BINARY_BYTES]);
                draft.0.extend_from_slice(&self.filler);
            }
            let stamped = Draft::OFFSET..Draft::OFFSET + BINARY_BYTES;
            draft.0[stamped].copy_from_slice(&stamp.to_binary());
            return OpCode::Binary;
        }
        draft.clear();
        let out = &mut draft.0;
        match self.dialect {
            Dialect::Raw | Dialect::Text => {}
            Dialect::Chat => out.extend_from_slice(br#"{"type":"chat_message","content":""#),
            Dialect::Phoenix => {
                let sequence = stamp.sequence;
                // Writing to a vector cannot fail.
                let _ = write!(
                    out,
                    r#"["1","{sequence}","room:{topic}","new_msg",{{"body":""#
                );
            }
        }
        stamp.write_text(out);
        out.extend_from_slice(&self.filler);
        match self.dialect {
            Dialect::Raw | Dialect::Text => {}
            Dialect::Chat => out.extend_from_slice(br#""}"#),
            Dialect::Phoenix => out.extend_from_slice(br#""}]"#),
        }
        OpCode::Text
    }

    /// Reads a received message.
    #[inline]
    pub fn read(&self, message: Message<'_>) -> Content {
        match (self.dialect, message) {
            (Dialect::Raw, Message::Binary(bytes)) => match Stamp::from_binary(bytes) {
                Some(stamp) if bytes[BINARY_BYTES..] == self.filler => Content::Stamped(stamp),
                _ => Content::Corrupt,
            },
            // A greeting, or an answer to another message than ours.
            (Dialect::Raw, Message::Text(_)) => Content::Other,
            (_, Message::Binary(_)) => Content::Other,
            (_, Message::Text(text)) => match Stamp::find_text(text.as_bytes()) {
                Some((stamp, end)) => match text.as_bytes()[end..].starts_with(&self.filler) {
                    true => Content::Stamped(stamp),
                    false => Content::Corrupt,
                },
                None => Content::Other,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        planned: 5,
        sender: 6,
        sequence: 7,
    };

    fn read(wording: &Wording, opcode: OpCode, bytes: &[u8]) -> Content {
        wording.read(match opcode {
            OpCode::Binary => Message::Binary(bytes),
            _ => Message::Text(std::str::from_utf8(bytes).unwrap()),
        })
    }

    #[test]
    fn what_is_written_is_read_and_a_changed_byte_is_noticed() {
        for dialect in [Dialect::Raw, Dialect::Text, Dialect::Chat, Dialect::Phoenix] {
            let wording = Wording::new(dialect, 64).unwrap();
            let mut draft = Draft::default();
            wording.write(STAMP, 3, &mut draft);
            let opcode = wording.write(STAMP, 3, &mut draft);
            let mut out = draft.payload().to_vec();
            assert_eq!(
                read(&wording, opcode, &out),
                Content::Stamped(STAMP),
                "{dialect}"
            );
            let place = out.iter().rposition(|&byte| byte == b'b').unwrap();
            out[place] = b'?';
            assert_eq!(read(&wording, opcode, &out), Content::Corrupt, "{dialect}");
        }
    }

    #[test]
    fn a_stamp_that_does_not_fit_is_refused() {
        let error = Wording::new(Dialect::Raw, 15).unwrap_err();
        assert!(error.contains("16 bytes"), "{error}");
    }

    #[test]
    fn a_greeting_is_not_ours() {
        let wording = Wording::new(Dialect::Chat, 40).unwrap();
        let greeting = Message::Text(r#"{"type":"connected","user_id":"u","timestamp":1}"#);
        assert_eq!(wording.read(greeting), Content::Other);
    }
}
