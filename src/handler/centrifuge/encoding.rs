//! The two encodings behind one face.

use std::ops::Range;

use super::code::Disconnect;
use super::command::{Command, Malformed, Payload};
use super::json;
use super::presence::Info;
use super::reply::{Movement, Reply};
use crate::handler::Context;
use crate::publication::{Content, Form};
use crate::ws::{Message, PreparedFrame};

/// How a session's messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Json,
}

impl Encoding {
    pub(super) const ALL: &[Encoding] = &[Encoding::Json];

    /// The form in which sessions of this encoding get publications.
    pub(super) fn form(self) -> Form {
        match self {
            Encoding::Json => Form::CentrifugeJson,
        }
    }

    /// Hands over the commands of a message one after the other, until one is not served.
    pub(super) fn commands(
        self,
        message: Message<'_>,
        serve: impl FnMut(Result<Command<'_>, Malformed>) -> Result<(), Disconnect>,
    ) -> Result<(), Disconnect> {
        match self {
            Encoding::Json => {
                let text = std::str::from_utf8(message.as_bytes()).map_err(|_| Malformed)?;
                json::commands(text).try_for_each(serve)
            }
        }
    }

    /// Sends a reply, and returns its length.
    pub(super) fn reply(
        self,
        id: u32,
        reply: &Reply<'_>,
        out: &mut String,
        ctx: &mut Context<'_>,
    ) -> usize {
        match self {
            Encoding::Json => {
                json::write_reply(id, reply, out);
                ctx.send_text(out);
                out.len()
            }
        }
    }

    /// A member that came or went, for all in the topic.
    pub(super) fn movement(
        self,
        topic: &str,
        movement: Movement,
        info: Info<'_>,
        out: &mut String,
    ) -> PreparedFrame {
        match self {
            Encoding::Json => json::movement(topic, movement, info, out),
        }
    }

    /// A publication by a client, and the place of its data in the frame.
    pub(super) fn publication(
        self,
        topic: &str,
        payload: &Payload<'_>,
        info: Info<'_>,
        out: &mut String,
    ) -> (PreparedFrame, Range<usize>) {
        match self {
            Encoding::Json => json::publication(topic, payload, info, out),
        }
    }

    /// A publication that came in another form.
    pub(super) fn foreign(self, topic: &str, content: &Content, out: &mut String) -> PreparedFrame {
        match self {
            Encoding::Json => json::foreign(topic, content, None, out),
        }
    }

    /// The message with which the server pings.
    pub(super) fn ping(self) -> PreparedFrame {
        match self {
            Encoding::Json => PreparedFrame::text(json::PING),
        }
    }
}
