//! Commands from clients, whichever encoding they came in.

use std::borrow::Cow;

use crate::publication::Data;

/// A command from a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command<'a> {
    /// The number that its reply repeats; 0 where none is expected.
    pub(super) id: u32,
    pub(super) request: Request<'a>,
}

impl<'a> Command<'a> {
    /// A command has a number, unless no reply is expected: a pong has none, and a
    /// message to the server may have one.
    pub(super) fn new(id: u32, request: Request<'a>) -> Result<Self, Malformed> {
        let is_numbered = match request {
            Request::Pong => id == 0,
            Request::Send => true,
            _ => id != 0,
        };
        match is_numbered {
            true => Ok(Command { id, request }),
            false => Err(Malformed),
        }
    }
}

/// The request of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request<'a> {
    /// None at all: the answer to a ping of the server.
    Pong,
    Connect {
        token: Cow<'a, str>,
    },
    Subscribe {
        channel: Cow<'a, str>,
        token: Cow<'a, str>,
        /// What was published since the last subscription is asked for.
        recover: bool,
    },
    Unsubscribe {
        channel: Cow<'a, str>,
    },
    Publish {
        channel: Cow<'a, str>,
        payload: Option<Payload<'a>>,
    },
    Presence {
        channel: Cow<'a, str>,
    },
    PresenceStats {
        channel: Cow<'a, str>,
    },
    History {
        channel: Cow<'a, str>,
    },
    Ping,
    /// A message to the server itself.
    Send,
    Rpc,
    Refresh {
        token: Cow<'a, str>,
    },
    SubRefresh {
        channel: Cow<'a, str>,
        token: Cow<'a, str>,
    },
}

/// The data of a publication by a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Payload<'a> {
    /// JSON, without line ends where it came in JSON.
    Json(Cow<'a, str>),
    #[cfg_attr(
        not(feature = "protobuf"),
        expect(dead_code, reason = "JSON holds no bytes")
    )]
    Binary(Cow<'a, [u8]>),
}

impl Payload<'_> {
    /// The same as what is published.
    pub(super) fn data(&self) -> Data<'_> {
        match self {
            Payload::Json(json) => Data::Json(json),
            Payload::Binary(bytes) => Data::Binary(bytes),
        }
    }
}

/// A message that is not made of commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;
