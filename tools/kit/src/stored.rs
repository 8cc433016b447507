//! The documents that tools keep as JSON, with the number of their format, and
//! read again.

use std::fmt;

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The kind of document that a tool keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// The tool that writes and reads it.
    pub tool: &'static str,
    /// The number of its format, in a field `format`; others are refused.
    pub format: u32,
}

/// The reason why a text is not such a document.
#[derive(Debug)]
pub struct ReadError {
    wanted: Kind,
    fault: Fault,
}

#[derive(Debug)]
enum Fault {
    /// It is not JSON at all.
    NotJson(serde_json::Error),
    /// It is JSON, but has no `format`.
    Foreign,
    /// It was written by another version of the tool, in this format.
    OtherFormat(u32),
    /// It has the right format, but a field is missing or of another kind.
    Damaged(serde_json::Error),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Kind { name, tool, format } = self.wanted;
        match &self.fault {
            Fault::NotJson(error) => write!(f, "this is not JSON: {error}"),
            Fault::Foreign => {
                write!(
                    f,
                    "this is JSON, but no {name} of {tool}: it has no 'format'"
                )
            }
            Fault::OtherFormat(other) => write!(
                f,
                "this has format {other}; this version of {tool} reads {name}s in format {format}"
            ),
            Fault::Damaged(error) => {
                write!(f, "this {name} of {tool} is damaged, or is none: {error}")
            }
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            Fault::NotJson(error) | Fault::Damaged(error) => Some(error),
            Fault::Foreign | Fault::OtherFormat(_) => None,
        }
    }
}

/// Reads a document of the kind `wanted`.
///
/// # Errors
///
/// The text is not JSON, nothing of this kind, of another format, or damaged.
pub fn read<T: DeserializeOwned>(text: &str, wanted: Kind) -> Result<T, ReadError> {
    /// Read first, because another format may lack any other field.
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    let because = |fault| ReadError { wanted, fault };
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|error| because(Fault::NotJson(error)))?;
    let head = Head::deserialize(&value).map_err(|_| because(Fault::Foreign))?;
    if head.format != wanted.format {
        return Err(because(Fault::OtherFormat(head.format)));
    }
    // Again from the text, so that an error names its line.
    serde_json::from_str(text).map_err(|error| because(Fault::Damaged(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mistake_has_its_own_message() {
        #[derive(Debug, Deserialize)]
        struct Note {
            text: String,
        }
        let wanted = Kind {
            name: "note",
            tool: "notes",
            format: 2,
        };
        let note: Note = read("{\"format\": 2, \"text\": \"a\"}", wanted).unwrap();
        assert_eq!(note.text, "a");
        for (text, words) in [
            ("at_seconds,connected", "not JSON"),
            ("{\"opened\": 3}", "no note of notes: it has no 'format'"),
            ("[1, 2]", "no 'format'"),
            (
                "{\"format\": 7}",
                "format 7; this version of notes reads notes in format 2",
            ),
            ("{\"format\": 2}", "damaged, or is none: missing field"),
        ] {
            let error = read::<Note>(text, wanted).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
