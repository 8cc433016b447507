//! Messages to one session: replies, closes, and the reasons for a denial.

use super::PhoenixHandler;
use super::incoming::Incoming;
use super::outgoing::Outgoing;
use super::reference::Reference;
use super::version::Version;
use crate::handler::Context;

/// Why a join or a push is answered with an error.
#[derive(Debug, Clone, Copy)]
pub(super) enum Denied {
    UnmatchedTopic,
    TooManyTopics,
    Unauthorized,
    TopicTooLong,
    PresenceTooLong,
    ReservedEvent,
}

impl Denied {
    /// The reason as the client reads it. The first three are the words of a Phoenix
    /// server.
    fn reason(self) -> &'static str {
        match self {
            Denied::UnmatchedTopic => "unmatched topic",
            Denied::TooManyTopics => "too many channels joined",
            Denied::Unauthorized => "unauthorized",
            Denied::TopicTooLong => "topic too long",
            Denied::PresenceTooLong => "user_id or meta too long",
            Denied::ReservedEvent => "reserved event",
        }
    }
}

impl PhoenixHandler {
    pub(super) fn reply(
        &mut self,
        version: Version,
        join_ref: Reference<'_>,
        message: &Incoming<'_>,
        answer: Result<(), Denied>,
        ctx: &mut Context<'_>,
    ) {
        let payload = match answer {
            Ok(()) => [r#"{"status":"ok","response":{"#, "", "}}"],
            Err(denied) => [
                r#"{"status":"error","response":{"reason":""#,
                denied.reason(),
                r#""}}"#,
            ],
        };
        Outgoing {
            join_ref,
            reference: message.reference,
            topic: &message.topic,
            event: "phx_reply",
            payload: &payload,
        }
        .write(version, &mut self.text);
        ctx.send_text(&self.text);
    }

    /// Tells a client that its join is over.
    pub(super) fn say_close(
        &mut self,
        version: Version,
        join_ref: Reference<'_>,
        topic: &str,
        ctx: &mut Context<'_>,
    ) {
        Outgoing {
            join_ref,
            reference: join_ref,
            topic,
            event: "phx_close",
            payload: &["{}"],
        }
        .write(version, &mut self.text);
        ctx.send_text(&self.text);
    }

    /// Tells a client the members of the topic it has joined.
    pub(super) fn say_who_is_there(
        &mut self,
        version: Version,
        message: &Incoming<'_>,
        ctx: &mut Context<'_>,
    ) {
        let mut state = String::new();
        self.presences.write_state(&message.topic, &mut state);
        Outgoing {
            join_ref: message.join_ref,
            reference: Reference::None,
            topic: &message.topic,
            event: "presence_state",
            payload: &[&state],
        }
        .write(version, &mut self.text);
        ctx.send_text(&self.text);
    }
}
