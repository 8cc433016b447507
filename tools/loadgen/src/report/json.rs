//! The outcome as JSON, and back.

use std::fmt;

use serde::Deserialize;

use crate::outcome::{FORMAT, Outcome};

/// The outcome as JSON for scripts, for the page and for joining runs.
pub fn json(outcome: &Outcome) -> String {
    serde_json::to_string_pretty(outcome).expect("an outcome has only string keys and no readers")
}

/// Why a text is not an outcome.
#[derive(Debug)]
pub enum ReadError {
    /// It is not JSON at all.
    NotJson(serde_json::Error),
    /// It is JSON, but not of this tool: it has no `format`.
    NotAnOutcome,
    /// It was written by another version of this tool, in this format.
    OtherFormat(u32),
    /// It has the right format, but a field is missing or of another kind.
    Damaged(serde_json::Error),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::NotJson(error) => write!(f, "this is not JSON: {error}"),
            ReadError::NotAnOutcome => {
                f.write_str("this is JSON, but no outcome of corecast-load: it has no 'format'")
            }
            ReadError::OtherFormat(format) => write!(
                f,
                "this is an outcome in format {format}; this version of corecast-load reads format {FORMAT}"
            ),
            ReadError::Damaged(error) => write!(f, "this outcome is damaged: {error}"),
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ReadError::NotJson(error) | ReadError::Damaged(error) => Some(error),
            ReadError::NotAnOutcome | ReadError::OtherFormat(_) => None,
        }
    }
}

/// Reads what [`json`] has written.
///
/// # Errors
///
/// The text is not JSON, no outcome, of another format, or damaged.
pub fn read_json(text: &str) -> Result<Outcome, ReadError> {
    /// Read first, because another format may lack any other field.
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    let value: serde_json::Value = serde_json::from_str(text).map_err(ReadError::NotJson)?;
    let head = Head::deserialize(&value).map_err(|_| ReadError::NotAnOutcome)?;
    if head.format != FORMAT {
        return Err(ReadError::OtherFormat(head.format));
    }
    // Again from the text, so that an error names its line.
    serde_json::from_str(text).map_err(ReadError::Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{empty_outcome, sample_outcome};
    use crate::report::{table, write_csv};

    #[test]
    fn what_is_written_is_read_back() {
        for outcome in [sample_outcome(), empty_outcome()] {
            let read = read_json(&json(&outcome)).unwrap();
            assert!(read.latencies == outcome.latencies);
            assert!(table(&read) == table(&outcome));
            // Compared as CSV, because a fraction may differ in its last bit.
            let csv = |outcome| {
                let mut text = Vec::new();
                write_csv(outcome, &mut text).unwrap();
                text
            };
            assert!(csv(&read) == csv(&outcome));
        }
    }

    #[test]
    fn each_mistake_has_its_own_message() {
        let other = json(&sample_outcome()).replace("\"format\": 1", "\"format\": 7");
        for (text, wanted) in [
            ("at_seconds,connected", "not JSON"),
            ("{\"opened\": 3}", "no 'format'"),
            ("[1, 2]", "no 'format'"),
            (other.as_str(), "format 7"),
            ("{\"format\": 1}", "damaged: missing field"),
        ] {
            let error = read_json(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
