//! The documents that tools keep as JSON, with the number of their format, and
//! read again.

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
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is not JSON at all.
    #[error("this is not JSON: {0}")]
    NotJson(#[source] serde_json::Error),
    /// It is JSON, but has no `format`.
    #[error("this is JSON, but no {} of {}: it has no 'format'", .0.name, .0.tool)]
    Foreign(Kind),
    /// It was written by another version of the tool, in this format.
    #[error("this has format {other}; this version of {} reads {}s in format {}",
        .wanted.tool, .wanted.name, .wanted.format)]
    OtherFormat {
        /// The kind that was wanted.
        wanted: Kind,
        /// The format that was found.
        other: u32,
    },
    /// It has the right format, but a field is missing or of another kind.
    #[error("this {} of {} is damaged, or is none: {source}", .wanted.name, .wanted.tool)]
    Damaged {
        /// The kind that was wanted.
        wanted: Kind,
        /// The first fault.
        source: serde_json::Error,
    },
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
    let value: serde_json::Value = serde_json::from_str(text).map_err(ReadError::NotJson)?;
    let head = Head::deserialize(&value).map_err(|_| ReadError::Foreign(wanted))?;
    if head.format != wanted.format {
        return Err(ReadError::OtherFormat {
            wanted,
            other: head.format,
        });
    }
    // Again from the text, so that an error names its line.
    serde_json::from_str(text).map_err(|source| ReadError::Damaged { wanted, source })
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
