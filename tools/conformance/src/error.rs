//! The errors that keep a run from a verdict.

use std::{fmt, io};

/// The result of everything here that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// Why there is no verdict.
#[derive(Debug)]
pub enum Error {
    /// The operating system refused a call: the action that failed, and its answer.
    System {
        /// The action that failed, as a gerund phrase: 'connecting to …'.
        during: String,
        /// The operating system's answer.
        source: io::Error,
    },
    /// A process did not come up, did not end in time, or left no results.
    Process(String),
    /// A suite is not available here; the text names the missing parts.
    Missing(String),
    /// A file or an argument says something that cannot be.
    Usage(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::System { during, source } => write!(f, "{during}: {source}"),
            Error::Process(text) | Error::Missing(text) | Error::Usage(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

/// Adds the action that failed to an operating system's error.
pub(crate) trait During<T> {
    /// Turns the error into [`Error::System`].
    fn during(self, during: impl Into<String>) -> Result<T>;
}

impl<T> During<T> for io::Result<T> {
    fn during(self, during: impl Into<String>) -> Result<T> {
        self.map_err(|source| Error::System {
            during: during.into(),
            source,
        })
    }
}
