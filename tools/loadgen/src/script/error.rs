//! The errors of a script: the place, and the problem.

use std::fmt;
use std::ops::Range;

/// Why a text is not a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptError {
    /// The file, as it was named.
    pub file: String,
    /// The line and column, both from 1, the column in characters; none when
    /// the file could not be read at all.
    pub place: Option<(usize, usize)>,
    /// The problem there, and the allowed values.
    pub problem: String,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for ScriptError {}

/// An error on its way out, with its place only as an offset.
#[derive(Debug)]
pub(super) struct Problem {
    at: usize,
    text: String,
}

impl Problem {
    pub(super) fn new(span: Range<usize>, text: impl Into<String>) -> Problem {
        Problem {
            at: span.start,
            text: text.into(),
        }
    }

    /// An error of the TOML parser or of the raw types.
    pub(super) fn of_toml(error: &toml::de::Error) -> Problem {
        Problem {
            at: error.span().map_or(0, |span| span.start),
            // Some messages have one line for the text found and one for the
            // text expected.
            text: error.message().trim().replace('\n', "; "),
        }
    }

    pub(super) fn in_file(self, file: &str, text: &str) -> ScriptError {
        // Spans lie between characters; an offset that does not is no reason to panic.
        let before = text.get(..self.at).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        ScriptError {
            file: file.to_owned(),
            place: Some((
                1 + before.matches('\n').count(),
                1 + before[line_start..].chars().count(),
            )),
            problem: self.text,
        }
    }
}
