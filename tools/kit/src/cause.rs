//! Why a connection could not be opened, or ended before it should.

use std::fmt;
use std::io;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a connection failed. Each has a name for JSON and a phrase for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Cause {
    /// No ephemeral port was left for any source address (`EADDRNOTAVAIL`).
    PortsUsedUp,
    /// This process may open no more descriptors (`EMFILE`, `ENFILE`).
    Descriptors,
    /// The kernel had no memory for a socket or a watch (`ENOBUFS`, `ENOMEM`).
    Memory,
    /// No process listens there (`ECONNREFUSED`).
    Refused,
    /// The host or network cannot be reached.
    Unreachable,
    /// A local firewall forbids it (`EPERM`, `EACCES`).
    Forbidden,
    /// The TCP connection was not established in time.
    ConnectTimeout,
    /// The TCP connection stood, but the opening handshake was not answered in time.
    HandshakeTimeout,
    /// The peer reset the connection (`ECONNRESET`, `EPIPE`).
    Reset,
    /// The server ended the stream without a close frame.
    EndOfStream,
    /// The server answered the handshake with this HTTP status instead of 101.
    Status(u16),
    /// The server answered the handshake with something that is not a
    /// WebSocket upgrade.
    NotWebSocket,
    /// The server selected a subprotocol that was not offered, or none although
    /// one was.
    Subprotocol,
    /// The server sent a close frame with this code; 1005 is none.
    Closed(u16),
    /// The server broke RFC 6455.
    Protocol,
    /// An answer did not come in time.
    AnswerTimeout,
    /// The server refused what the scenario asked for, such as a channel join.
    RefusedByApplication,
    /// Another error of the operating system.
    Os(i32),
}

impl Cause {
    /// The cause that an error of the operating system stands for.
    pub fn of_error(error: &io::Error) -> Cause {
        match error.raw_os_error() {
            Some(libc::EADDRNOTAVAIL | libc::EADDRINUSE) => Cause::PortsUsedUp,
            Some(libc::EMFILE | libc::ENFILE) => Cause::Descriptors,
            Some(libc::ENOBUFS | libc::ENOMEM) => Cause::Memory,
            Some(libc::ECONNREFUSED) => Cause::Refused,
            Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::ENETDOWN | libc::EHOSTDOWN) => {
                Cause::Unreachable
            }
            Some(libc::EPERM | libc::EACCES) => Cause::Forbidden,
            Some(libc::ETIMEDOUT) => Cause::ConnectTimeout,
            Some(libc::ECONNRESET | libc::EPIPE | libc::ECONNABORTED) => Cause::Reset,
            Some(other) => Cause::Os(other),
            None => Cause::Os(0),
        }
    }

    /// A phrase that fits after a number: "3 refused".
    pub fn describe(self) -> String {
        match self {
            Cause::PortsUsedUp => "without a free port (EADDRNOTAVAIL)".into(),
            Cause::Descriptors => "without a free descriptor (EMFILE)".into(),
            Cause::Memory => "for want of kernel memory".into(),
            Cause::Refused => "refused (ECONNREFUSED)".into(),
            Cause::Unreachable => "unreachable".into(),
            Cause::Forbidden => "forbidden by this host".into(),
            Cause::ConnectTimeout => "not connected in time".into(),
            Cause::HandshakeTimeout => "not answered in time".into(),
            Cause::Reset => "reset by the server".into(),
            Cause::EndOfStream => "ended by the server without a close frame".into(),
            Cause::Status(status) => format!("answered with HTTP {status}"),
            Cause::NotWebSocket => "answered without a WebSocket upgrade".into(),
            Cause::Subprotocol => "without agreement on the subprotocol".into(),
            Cause::Closed(code) => format!("closed by the server with {code}"),
            Cause::Protocol => "with a violation of RFC 6455 by the server".into(),
            Cause::AnswerTimeout => "without an answer in time".into(),
            Cause::RefusedByApplication => "refused by the application".into(),
            Cause::Os(code) => io::Error::from_raw_os_error(code).to_string(),
        }
    }
}

/// The names of those without a number.
const NAMES: &[(Cause, &str)] = &[
    (Cause::PortsUsedUp, "ports_used_up"),
    (Cause::Descriptors, "descriptors"),
    (Cause::Memory, "memory"),
    (Cause::Refused, "refused"),
    (Cause::Unreachable, "unreachable"),
    (Cause::Forbidden, "forbidden"),
    (Cause::ConnectTimeout, "connect_timeout"),
    (Cause::HandshakeTimeout, "handshake_timeout"),
    (Cause::Reset, "reset"),
    (Cause::EndOfStream, "end_of_stream"),
    (Cause::NotWebSocket, "not_websocket"),
    (Cause::Subprotocol, "subprotocol"),
    (Cause::Protocol, "protocol"),
    (Cause::AnswerTimeout, "answer_timeout"),
    (Cause::RefusedByApplication, "refused_by_application"),
];

impl fmt::Display for Cause {
    /// The name used in JSON and CSV.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Status(status) => write!(f, "status_{status}"),
            Cause::Closed(code) => write!(f, "closed_{code}"),
            Cause::Os(code) => write!(f, "errno_{code}"),
            plain => {
                let name = NAMES.iter().find(|(cause, _)| cause == plain);
                f.write_str(name.map_or("unknown", |(_, name)| name))
            }
        }
    }
}

impl FromStr for Cause {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let unknown = || format!("'{name}' is no cause this version knows");
        if let Some((cause, _)) = NAMES.iter().find(|(_, known)| *known == name) {
            return Ok(*cause);
        }
        let (kind, number) = name.rsplit_once('_').ok_or_else(unknown)?;
        match kind {
            "status" => number.parse().map(Cause::Status).map_err(|_| unknown()),
            "closed" => number.parse().map(Cause::Closed).map_err(|_| unknown()),
            "errno" => number.parse().map(Cause::Os).map_err(|_| unknown()),
            _ => Err(unknown()),
        }
    }
}

impl From<Cause> for String {
    fn from(cause: Cause) -> String {
        cause.to_string()
    }
}

impl TryFrom<String> for Cause {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        name.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back() {
        let plain = NAMES.iter().map(|(cause, _)| *cause);
        let numbered = [Cause::Status(503), Cause::Closed(1013), Cause::Os(5)];
        for cause in plain.chain(numbered) {
            assert_eq!(cause.to_string().parse(), Ok(cause));
            assert_ne!(cause.to_string(), "unknown");
        }
        assert!("status_x".parse::<Cause>().is_err());
    }
}
