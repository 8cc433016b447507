//! The codes of the protocol: errors that answer a command, and disconnects that end a
//! session.

use crate::ws::CloseCode;

/// Why a command is answered with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    UnknownChannel,
    PermissionDenied,
    MethodNotFound,
    AlreadySubscribed,
    LimitExceeded,
    BadRequest,
    NotAvailable,
    TokenExpired,
    Expired,
    TooManyRequests,
}

impl Fault {
    #[cfg(test)]
    pub(super) const ALL: [Fault; 10] = [
        Fault::UnknownChannel,
        Fault::PermissionDenied,
        Fault::MethodNotFound,
        Fault::AlreadySubscribed,
        Fault::LimitExceeded,
        Fault::BadRequest,
        Fault::NotAvailable,
        Fault::TokenExpired,
        Fault::Expired,
        Fault::TooManyRequests,
    ];

    /// Its number.
    pub(super) fn code(self) -> u32 {
        match self {
            Fault::UnknownChannel => 102,
            Fault::PermissionDenied => 103,
            Fault::MethodNotFound => 104,
            Fault::AlreadySubscribed => 105,
            Fault::LimitExceeded => 106,
            Fault::BadRequest => 107,
            Fault::NotAvailable => 108,
            Fault::TokenExpired => 109,
            Fault::Expired => 110,
            Fault::TooManyRequests => 111,
        }
    }

    /// The message that goes with the number.
    pub(super) fn message(self) -> &'static str {
        match self {
            Fault::UnknownChannel => "unknown channel",
            Fault::PermissionDenied => "permission denied",
            Fault::MethodNotFound => "method not found",
            Fault::AlreadySubscribed => "already subscribed",
            Fault::LimitExceeded => "limit exceeded",
            Fault::BadRequest => "bad request",
            Fault::NotAvailable => "not available",
            Fault::TokenExpired => "token expired",
            Fault::Expired => "expired",
            Fault::TooManyRequests => "too many requests",
        }
    }

    /// Whether the same command may succeed later.
    pub(super) fn is_temporary(self) -> bool {
        self == Fault::TooManyRequests
    }
}

/// Why the server ends a session. A client comes back after the codes below 3500.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disconnect {
    /// The server restarts or goes away.
    Shutdown,
    /// The connection's token has run out and was not refreshed.
    Expired,
    /// More commands in one message than are taken.
    TooManyRequests,
    InvalidToken,
    BadRequest,
    /// No `connect` came in time.
    Stale,
    /// The token asks for more server-side subscriptions than a session may have.
    ChannelLimit,
    /// A message that no handler takes.
    NotAvailable,
}

impl Disconnect {
    #[cfg(test)]
    const ALL: [Disconnect; 8] = [
        Disconnect::Shutdown,
        Disconnect::Expired,
        Disconnect::TooManyRequests,
        Disconnect::InvalidToken,
        Disconnect::BadRequest,
        Disconnect::Stale,
        Disconnect::ChannelLimit,
        Disconnect::NotAvailable,
    ];

    /// The close code of the session.
    pub(super) const fn close_code(self) -> CloseCode {
        let number = match self {
            Disconnect::Shutdown => 3001,
            Disconnect::Expired => 3005,
            Disconnect::TooManyRequests => 3013,
            Disconnect::InvalidToken => 3500,
            Disconnect::BadRequest => 3501,
            Disconnect::Stale => 3502,
            Disconnect::ChannelLimit => 3505,
            Disconnect::NotAvailable => 3508,
        };
        match CloseCode::new(number) {
            Some(code) => code,
            None => unreachable!(),
        }
    }

    /// The reason that goes with it.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Disconnect::Shutdown => "shutdown",
            Disconnect::Expired => "connection expired",
            Disconnect::TooManyRequests => "too many requests",
            Disconnect::InvalidToken => "invalid token",
            Disconnect::BadRequest => "bad request",
            Disconnect::Stale => "stale",
            Disconnect::ChannelLimit => "channel limit",
            Disconnect::NotAvailable => "not available",
        }
    }
}

/// Why the server takes a session out of a topic. A client subscribes again, with a new
/// token, after the codes from 2500 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsubscribed {
    /// The subscription's token has run out and was not refreshed.
    Expired,
}

impl Unsubscribed {
    /// Its number.
    pub(super) fn code(self) -> u32 {
        match self {
            Unsubscribed::Expired => 2501,
        }
    }

    /// The reason that goes with it.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Unsubscribed::Expired => "subscription expired",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_is_one_of_its_kind_and_there_once() {
        let faults: BTreeSet<_> = Fault::ALL.iter().map(|fault| fault.code()).collect();
        assert_eq!(faults.len(), Fault::ALL.len());
        assert!(faults.iter().all(|code| (100..200).contains(code)));
        let codes = Disconnect::ALL.iter();
        let codes: BTreeSet<_> = codes.map(|it| it.close_code().as_u16()).collect();
        assert_eq!(codes.len(), Disconnect::ALL.len());
        assert!(codes.iter().all(|code| (3000..4000).contains(code)));
    }
}
