//! The faults of a server's URL.

use std::fmt;

use super::PathError;

/// Why a text is not a server that can be connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetError {
    /// No `://`.
    NoScheme {
        /// The text that was written.
        url: String,
    },
    /// `wss://` or `https://`.
    Tls {
        /// The text that was written.
        url: String,
    },
    /// `http://`.
    Http {
        /// The text after `http://`.
        rest: String,
    },
    /// Another scheme.
    Scheme {
        /// The scheme.
        scheme: String,
        /// The text after it.
        rest: String,
    },
    /// Nothing between `ws://` and the path.
    NoHost {
        /// The text that was written.
        url: String,
    },
    /// A host that cannot be one.
    Host {
        /// The text that was written.
        url: String,
        /// Why not.
        problem: &'static str,
    },
    /// A port that is not a number from 1 to 65535.
    Port {
        /// The text that was written.
        url: String,
    },
    /// A user's name or a password before the host. Neither is repeated here:
    /// errors end up in logs.
    UserInfo,
    /// A part after `#`.
    Fragment {
        /// The text that was written.
        url: String,
    },
    /// A path that cannot be sent.
    Path {
        /// The text that was written.
        url: String,
        /// Why not.
        problem: PathError,
    },
    /// The host's name has no address.
    Unresolvable {
        /// The name.
        name: String,
        /// The error of the system.
        cause: String,
    },
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TargetError::NoScheme { url } if url.is_empty() => {
                write!(f, "the URL is empty; write ws://HOST:PORT/PATH")
            }
            TargetError::NoScheme { url } if url.starts_with('/') => {
                write!(f, "'{url}' names no server; write ws://HOST:PORT{url}")
            }
            TargetError::NoScheme { url } => {
                write!(f, "'{url}' is not a WebSocket URL; write ws://{url}")
            }
            TargetError::Tls { url } => write!(
                f,
                "'{url}' asks for TLS, which this tool does not speak; use ws:// and a port \
                 without TLS, or put a TLS tunnel such as stunnel between"
            ),
            TargetError::Http { rest } => {
                write!(
                    f,
                    "'http://{rest}' is not a WebSocket URL; did you mean ws://{rest}?"
                )
            }
            TargetError::Scheme { scheme, rest } => write!(
                f,
                "'{scheme}://' is not a WebSocket URL's scheme; write ws://{rest}"
            ),
            TargetError::NoHost { url } => write!(
                f,
                "'{url}' has no host; write ws://HOST:PORT/PATH, as in ws://127.0.0.1:8080/ws"
            ),
            TargetError::Host { url, problem } => {
                write!(f, "the host in '{url}' cannot be one: {problem}")
            }
            TargetError::Port { url } => write!(
                f,
                "the port in '{url}' is not a number from 1 to 65535; write it as in \
                 ws://127.0.0.1:8080/ws"
            ),
            TargetError::UserInfo => write!(
                f,
                "a WebSocket URL with a user's name before '@' sends it nowhere; take it out and \
                 add an Authorization header instead"
            ),
            TargetError::Fragment { url } => write!(
                f,
                "'{url}' has a part behind '#', which is never sent to a server; take it out, \
                 or write %23 for the character"
            ),
            TargetError::Path { url, problem } => write!(f, "the path in '{url}': {problem}"),
            TargetError::Unresolvable { name, cause } => write!(
                f,
                "the host '{name}' cannot be resolved: {cause}; check its spelling, or write \
                 its address"
            ),
        }
    }
}

impl std::error::Error for TargetError {}
