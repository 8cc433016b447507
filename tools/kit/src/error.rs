//! The error of every tool. Each variant says whose fault it is.

use std::io;

use serde::{Deserialize, Serialize};

/// The result of everything here that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a tool has no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused a call: the action that failed, and its answer.
    #[error("{during}: {source}")]
    System {
        /// The action that failed, as a gerund phrase: 'connecting to …'.
        during: String,
        /// The operating system's answer.
        source: io::Error,
    },
    /// A process did not come up, did not end in time, or left no results.
    #[error("{0}")]
    Process(String),
    /// The other side answered with something else than the protocol demands.
    #[error("wrong answer: {0}")]
    Wrong(String),
    /// An event that was due did not come in time.
    #[error("stalled: {0}")]
    Stalled(String),
    /// The tool's own side could not do its part.
    #[error("{0}")]
    Driver(String),
    /// A program or package is not available here; the text names the missing parts.
    #[error("{0}")]
    Missing(String),
    /// The command line or a file asks for something that cannot be.
    #[error("{0}")]
    Usage(String),
    /// Another error, and how the measured process fared meanwhile.
    #[error("{0}\n  {1}")]
    Explained(#[source] Box<Error>, String),
}

/// The side that is at fault where there is no figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The contestant's: it answered wrongly, ended, or did not answer.
    Contestant,
    /// That of this host or of the load: the contestant was not measured.
    Host,
}

impl Error {
    /// The side that is at fault.
    pub fn cause(&self) -> Cause {
        use io::ErrorKind::{
            BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, TimedOut,
        };
        match self {
            Error::Process(_) | Error::Wrong(_) | Error::Stalled(_) => Cause::Contestant,
            // The other end of a connection does these; the rest are limits of this host.
            Error::System { source, .. } => match source.kind() {
                BrokenPipe | ConnectionAborted | ConnectionRefused | ConnectionReset | TimedOut => {
                    Cause::Contestant
                }
                _ => Cause::Host,
            },
            Error::Driver(_) | Error::Missing(_) | Error::Usage(_) => Cause::Host,
            Error::Explained(error, _) => error.cause(),
        }
    }
}

/// Adds the action that failed to an operating system's error.
pub trait During<T> {
    /// Turns the error into [`Error::System`].
    ///
    /// # Errors
    ///
    /// The same one, with the action.
    fn during(self, during: impl Into<String>) -> Result<T>;
}

impl<T, E: Into<io::Error>> During<T> for std::result::Result<T, E> {
    fn during(self, during: impl Into<String>) -> Result<T> {
        self.map_err(|source| Error::System {
            during: during.into(),
            source: source.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_the_host_is_not_the_fault_of_the_contestant() {
        let system = |errno| {
            let outcome: io::Result<()> = Err(io::Error::from_raw_os_error(errno));
            outcome.during("connecting").unwrap_err()
        };
        for errno in [libc::ECONNRESET, libc::EPIPE, libc::ECONNREFUSED] {
            assert_eq!(system(errno).cause(), Cause::Contestant);
        }
        for errno in [libc::EMFILE, libc::ENOBUFS, libc::EADDRNOTAVAIL] {
            let explained = Error::Explained(Box::new(system(errno)), "it wrote".into());
            assert_eq!(explained.cause(), Cause::Host);
        }
    }
}
