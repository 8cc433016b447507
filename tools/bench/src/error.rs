//! What can go wrong in a benchmark. Each variant says whose fault it is.

use std::{fmt, io};

/// The result of everything here that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a scenario has no figure.
#[derive(Debug)]
pub enum Error {
    /// The operating system refused something: what was being done, and its answer.
    System {
        /// What was being done, as a gerund phrase: 'connecting to …'.
        during: String,
        /// The operating system's answer.
        source: io::Error,
    },
    /// A process did not come up, or ended before its time.
    Process(String),
    /// The server answered with something else than the protocol demands.
    Wrong(String),
    /// What was due did not come in time.
    Stalled(String),
    /// The command line asks for something that cannot be.
    Usage(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::System { during, source } => write!(f, "{during}: {source}"),
            Error::Process(text) | Error::Usage(text) => f.write_str(text),
            Error::Wrong(text) => write!(f, "wrong answer: {text}"),
            Error::Stalled(text) => write!(f, "stalled: {text}"),
        }
    }
}

impl std::error::Error for Error {}

/// Adds to an operating system's error what was being done.
pub trait During<T> {
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
