//! The outcome as JSON, and back.

use super::stored::{self, Kind, ReadError};
use crate::outcome::{FORMAT, Outcome};

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
    fn another_format_is_refused() {
        let other = json(&sample_outcome()).replace("\"format\": 1", "\"format\": 7");
        let error = read_json(&other).unwrap_err().to_string();
        assert!(error.contains("format 7"), "{error}");
    }
}
