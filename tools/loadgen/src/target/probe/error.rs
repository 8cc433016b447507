//! The obstacle that one connection has found.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use corecast::upgrade::client::ClientError;

use crate::sys::is_blackhole;

/// How much of a refusal's body is quoted, in characters.
const QUOTED: usize = 120;

/// Why the probe found no WebSocket server.
#[derive(Debug)]
pub enum ProbeError {
    /// No process listens there.
    Refused {
        /// The server's address.
        address: SocketAddr,
    },
    /// The TCP connection was not established in time.
    ConnectTimeout {
        /// The server's address.
        address: SocketAddr,
        /// How long was waited.
        timeout: Duration,
    },
    /// There is no way to the host or its network.
    Unreachable {
        /// The server's address.
        address: SocketAddr,
    },
    /// A firewall or a route of this host forbids it.
    Forbidden {
        /// The server's address.
        address: SocketAddr,
    },
    /// The source address cannot be used.
    Source {
        /// The source address.
        source: IpAddr,
        /// The error of the system.
        cause: io::Error,
    },
    /// The connection stood, but the request was not answered in time.
    HandshakeTimeout {
        /// The server's address.
        address: SocketAddr,
        /// How long was waited.
        timeout: Duration,
    },
    /// The server ended the connection instead of answering, or within its answer.
    Closed {
        /// The server's address.
        address: SocketAddr,
    },
    /// The server answered with an HTTP status other than 101.
    Status {
        /// The server's address.
        address: SocketAddr,
        /// The path that was asked for.
        path: String,
        /// The status.
        status: u16,
        /// The beginning of the answer's body.
        body: String,
    },
    /// The server speaks TLS.
    Tls {
        /// The server's address.
        address: SocketAddr,
    },
    /// The server speaks another protocol.
    NotHttp {
        /// The server's address.
        address: SocketAddr,
        /// The beginning of its answer, readable.
        beginning: String,
    },
    /// The server answered 101, but not as RFC 6455 wants it.
    NotWebSocket {
        /// The server's address.
        address: SocketAddr,
        /// The fault of its answer.
        problem: ClientError,
    },
    /// The server opened the connection without the subprotocol it was offered.
    Subprotocol {
        /// The server's address.
        address: SocketAddr,
        /// The subprotocol that was offered.
        offered: String,
        /// The subprotocol that it selected.
        selected: Option<String>,
    },
    /// Another error of the operating system.
    Os {
        /// The server's address.
        address: SocketAddr,
        /// The error of the system.
        cause: io::Error,
    },
}

impl ProbeError {
    /// The meaning of an error while connecting.
    pub(super) fn of_connect(address: SocketAddr, timeout: Duration, cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::ConnectionRefused => ProbeError::Refused { address },
            io::ErrorKind::TimedOut => ProbeError::ConnectTimeout { address, timeout },
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown => ProbeError::Unreachable { address },
            io::ErrorKind::PermissionDenied => ProbeError::Forbidden { address },
            _ if is_blackhole(&cause) => ProbeError::Unreachable { address },
            // The connection was accepted, and gone before the first look.
            _ => ProbeError::of_stream(address, cause),
        }
    }

    /// The meaning of an error while waiting for the answer.
    pub(super) fn of_stream(address: SocketAddr, cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => ProbeError::Closed { address },
            _ => ProbeError::Os { address, cause },
        }
    }

    /// The meaning of an answer that is not HTTP, or not all of it.
    pub(super) fn of_garbage(address: SocketAddr, received: &[u8]) -> Self {
        match received {
            // An alert or a handshake record of any version (RFC 8446 §5.1).
            [0x15 | 0x16, 0x03, ..] => ProbeError::Tls { address },
            _ => ProbeError::NotHttp {
                address,
                beginning: quote(&String::from_utf8_lossy(received)),
            },
        }
    }
}

/// The first line of a text, cut to a length that fits into a sentence.
fn quote(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty());
    let line = line.unwrap_or_default().trim();
    let mut quoted: String = line
        .chars()
        .take(QUOTED)
        .map(|character| match character.is_control() {
            true => '\u{fffd}',
            false => character,
        })
        .collect();
    if line.chars().nth(QUOTED).is_some() {
        quoted.push('…');
    }
    quoted
}

/// The most likely meaning of a status for an attempt to open a WebSocket.
fn hint(status: u16, body: &str) -> &'static str {
    match status {
        400 if body.contains("HTTPS") => "this port speaks TLS; use one that does not",
        400 => "it did not understand the request",
        401 | 403 => "it wants another Origin, Authorization or cookie header",
        404 => "no such path",
        405 | 426 | 501 => "this path is not a WebSocket",
        408 | 504 => "it, or what is behind it, was too slow",
        421 => "it serves another host name",
        429 | 503 => "it has no room now, or limits how fast connections may come",
        200..=299 => "this path is an ordinary page, not a WebSocket",
        300..=399 => "the path is elsewhere, and a WebSocket does not follow",
        500.. => "it failed",
        _ => "it refused",
    }
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |timeout: &Duration| humantime::format_duration(*timeout).to_string();
        match self {
            ProbeError::Refused { address } => {
                write!(f, "nobody listens on {address}; is the server running?")
            }
            ProbeError::ConnectTimeout { address, timeout } => write!(
                f,
                "{address} did not accept a connection within {}; a firewall may drop the \
                 packets, or the server's queue of new connections is full",
                time(timeout)
            ),
            ProbeError::Unreachable { address } => write!(
                f,
                "there is no way from here to {address}; check the address and 'ip route get {}'",
                address.ip()
            ),
            ProbeError::Forbidden { address } => write!(
                f,
                "a firewall or a route of this host forbids connections to {address}; see its \
                 rules with 'nft list ruleset', and 'ip route get {}'",
                address.ip()
            ),
            ProbeError::Source { source, cause } => {
                write!(
                    f,
                    "no connection can be opened from the source address {source}: {cause}"
                )
            }
            ProbeError::HandshakeTimeout { address, timeout } => write!(
                f,
                "{address} accepted a connection but did not answer the opening handshake within \
                 {}; the server may be stuck, or speak another protocol",
                time(timeout)
            ),
            ProbeError::Closed { address } => write!(
                f,
                "{address} ended the connection instead of answering the opening handshake; it \
                 may speak TLS or another protocol"
            ),
            ProbeError::Status {
                address,
                path,
                status,
                body,
            } => {
                write!(
                    f,
                    "{address} answered {path} with HTTP {status}: {}",
                    hint(*status, body)
                )?;
                match quote(body) {
                    said if said.is_empty() || said.starts_with('<') => Ok(()),
                    said => write!(f, "; it says: {said}"),
                }
            }
            ProbeError::Tls { address } => write!(
                f,
                "{address} speaks TLS, which this tool does not; use a port without it"
            ),
            ProbeError::NotHttp { address, beginning } => write!(
                f,
                "{address} does not speak HTTP; its answer begins with '{beginning}'"
            ),
            ProbeError::NotWebSocket { address, problem } => {
                write!(f, "{address} is not a WebSocket server: {problem}")
            }
            ProbeError::Subprotocol {
                address,
                offered,
                selected,
            } => {
                let selected = selected.as_deref().unwrap_or("none");
                write!(
                    f,
                    "{address} was offered the subprotocol '{offered}' and selected {}",
                    quote(selected)
                )
            }
            ProbeError::Os { address, cause } => {
                write!(f, "no connection to {address}: {cause}")
            }
        }
    }
}

impl std::error::Error for ProbeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ProbeError::Source { cause, .. } | ProbeError::Os { cause, .. } => Some(cause),
            ProbeError::NotWebSocket { problem, .. } => Some(problem),
            _ => None,
        }
    }
}
