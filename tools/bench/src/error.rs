//! The errors of a benchmark. Each variant says whose fault it is.

use std::{fmt, io};

use serde::{Deserialize, Serialize};

/// The result of everything here that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a scenario has no figure.
#[derive(Debug)]
pub enum Error {
    /// The operating system refused a call: the action that failed, and its answer.
    System {
        /// The action that failed, as a gerund phrase: 'connecting to …'.
        during: String,
        /// The operating system's answer.
        source: io::Error,
    },
    /// A process did not come up, or ended before its time.
    Process(String),
    /// The server answered with something else than the protocol demands.
    Wrong(String),
    /// An event that was due did not come in time.
    Stalled(String),
    /// The driver's own side could not do its part.
    Driver(String),
    /// The command line asks for something that cannot be.
    Usage(String),
    /// Another error, and how the contestant fared meanwhile.
    Explained(Box<Error>, String),
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
            Error::Driver(_) | Error::Usage(_) => Cause::Host,
            Error::Explained(error, _) => error.cause(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::System { during, source } => write!(f, "{during}: {source}"),
            Error::Process(text) | Error::Driver(text) | Error::Usage(text) => f.write_str(text),
            Error::Explained(error, text) => write!(f, "{error}\n  {text}"),
            Error::Wrong(text) => write!(f, "wrong answer: {text}"),
            Error::Stalled(text) => write!(f, "stalled: {text}"),
        }
    }
}

impl std::error::Error for Error {}

/// Adds the action that failed to an operating system's error.
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
