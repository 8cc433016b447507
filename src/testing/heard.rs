//! The messages that a session of a test has been sent.

use std::fmt;

/// A message that a session has been sent. It compares with text, so that
/// `assert_eq!(route.heard(ann), ["hello"])` does.
#[derive(Clone, PartialEq, Eq)]
pub enum Heard {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
}

impl PartialEq<&str> for Heard {
    fn eq(&self, text: &&str) -> bool {
        matches!(self, Heard::Text(heard) if heard == text)
    }
}

impl PartialEq<String> for Heard {
    fn eq(&self, text: &String) -> bool {
        *self == text.as_str()
    }
}

impl fmt::Debug for Heard {
    /// As it would be written in a test.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Heard::Text(text) => text.fmt(f),
            Heard::Binary(bytes) => bytes.fmt(f),
        }
    }
}
