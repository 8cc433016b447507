//! The outcome as JSON, and back.

use super::{FORMAT, Outcome};
use crate::stored::{self, Kind, ReadError};

/// The kind of document that this tool keeps.
const OUTCOME: Kind = Kind {
    name: "outcome",
    tool: "corecast-load",
    format: FORMAT,
};

/// The outcome as JSON for scripts, for the page and for joining runs.
pub fn json(outcome: &Outcome) -> String {
    serde_json::to_string_pretty(outcome).expect("an outcome has only string keys and no readers")
}

/// Reads a text that [`json`] has written.
///
/// # Errors
///
/// The text is not JSON, no outcome, of another format, or damaged.
pub fn read_json(text: &str) -> Result<Outcome, ReadError> {
    stored::read(text, OUTCOME)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::sample_outcome;

    #[test]
    fn another_format_is_refused() {
        let other = json(&sample_outcome()).replace("\"format\": 1", "\"format\": 7");
        let error = read_json(&other).unwrap_err().to_string();
        assert!(error.contains("format 7"), "{error}");
    }
}
