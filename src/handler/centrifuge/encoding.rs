//! The two encodings behind one face.

use std::ops::Range;

use super::code::{Disconnect, Unsubscribed};
use super::command::{Command, Malformed, Payload};
use super::json;
use super::presence::{Info, Member};
#[cfg(feature = "protobuf")]
use super::protobuf;
use super::reply::{Movement, Reply};
use crate::handler::Context;
use crate::publication::{Content, Form};
use crate::upgrade::{Refusal, Request};
use crate::ws::{Message, PreparedFrame};

/// The subprotocol that asks for Protobuf, and the one that asks for JSON.
const PROTOBUF: &str = "centrifuge-protobuf";
const JSON: &str = "centrifuge-json";

/// How a session's messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Json,
    #[cfg(feature = "protobuf")]
    Protobuf,
}

impl Encoding {
    pub(super) const ALL: &[Encoding] = &[
        Encoding::Json,
        #[cfg(feature = "protobuf")]
        Encoding::Protobuf,
    ];

    /// The encoding that a client asks for, and the subprotocol that answers it.
    ///
    /// # Errors
    /// The refusal of Protobuf in a program that has none.
    pub(super) fn asked_for(
        request: &Request,
    ) -> Result<(Encoding, Option<&'static str>), Refusal> {
        let offers = |name| request.subprotocols().any(|offered| offered == name);
        if offers(PROTOBUF) {
            return Ok((Encoding::protobuf()?, Some(PROTOBUF)));
        }
        let asks = |name| {
            request
                .last_query_param(name)
                .is_some_and(|it| it == "protobuf")
        };
        if asks("format") || asks("cf_protocol") {
            return Ok((Encoding::protobuf()?, None));
        }
        Ok((Encoding::Json, offers(JSON).then_some(JSON)))
    }

    #[cfg(feature = "protobuf")]
    #[allow(
        clippy::unnecessary_wraps,
        reason = "without the feature it is refused"
    )]
    fn protobuf() -> Result<Encoding, Refusal> {
        Ok(Encoding::Protobuf)
    }

    #[cfg(not(feature = "protobuf"))]
    fn protobuf() -> Result<Encoding, Refusal> {
        Err(Refusal::forbidden(
            "This server does not speak Protobuf: it was built without the feature 'protobuf'. \
             Use JSON.",
        ))
    }

    /// The form in which sessions of this encoding get publications.
    pub(super) fn form(self) -> Form {
        match self {
            Encoding::Json => Form::CentrifugeJson,
            #[cfg(feature = "protobuf")]
            Encoding::Protobuf => Form::CentrifugeProtobuf,
        }
    }

    /// The encoding whose form this is.
    fn of(form: Form) -> Option<Encoding> {
        let mut all = Encoding::ALL.iter().copied();
        all.find(|encoding| encoding.form() == form)
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
            #[cfg(feature = "protobuf")]
            Encoding::Protobuf => protobuf::commands(message.as_bytes()).try_for_each(serve),
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
            #[cfg(feature = "protobuf")]
            Encoding::Protobuf => {
                let bytes = protobuf::reply(id, reply);
                ctx.send_binary(&bytes);
                bytes.len()
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
            #[cfg(feature = "protobuf")]
            Encoding::Protobuf => protobuf::movement(topic, movement, info),
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
            #[cfg(feature = "protobuf")]
            Encoding::Protobuf => protobuf::publication(topic, payload, info),
        }
    }

    /// A publication that came in another form. Of one in the other encoding, the client
    /// that made it is told as well.
    pub(super) fn foreign(self, topic: &str, content: &Content, out: &mut String) -> PreparedFrame {
        let from = Encoding::of(content.form());
        let publisher = from.and_then(|from| from.publisher(content.frame().payload_bytes()));
        let info = publisher.as_ref().map(Member::info);
        match self {
            Encoding::Json => json::foreign(topic, content, info, out),
            #[cfg(feature = "protobuf")]
            Encoding::Protobuf => protobuf::foreign(topic, content, info),
        }
    }

    /// The client that made a publication in this encoding.
    fn publisher(self, message: &[u8]) -> Option<Member> {
        match self {
            Encoding::Json => json::publisher(message),
            #[cfg(feature = "protobuf")]
            Encoding::Protobuf => protobuf::publisher(message),
        }
    }

    /// Pings.
    pub(super) fn ping(self, ctx: &mut Context<'_>) {
        match self {
            Encoding::Json => ctx.send_text(json::PING),
            #[cfg(feature = "protobuf")]
            Encoding::Protobuf => ctx.send_binary(protobuf::PING),
        }
    }

    /// That the server has taken a session out of a topic.
    pub(super) fn unsubscribed(
        self,
        topic: &str,
        unsubscribed: Unsubscribed,
        out: &mut String,
        ctx: &mut Context<'_>,
    ) {
        match self {
            Encoding::Json => {
                json::write_unsubscribed(topic, unsubscribed, out);
                ctx.send_text(out);
            }
            #[cfg(feature = "protobuf")]
            Encoding::Protobuf => ctx.send_binary(&protobuf::unsubscribed(topic, unsubscribed)),
        }
    }
}
