//! `/ws` and `/ws/{user_id}`: the raw JSON chat.
//!
//! On open the server sends `{"type":"connected","user_id":…,"timestamp":ms}`.
//! A `chat_message` goes to everyone as a `message`, a `benchmark_test` is
//! counted and not answered, anything else is answered with an `error` and the
//! session lives on.

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Context, Handler, is_object};
use crate::hub::Topic;
use crate::upgrade::Request;
use crate::ws::{Message, PreparedFrame};

/// What a client may send. The content is passed on as it was written.
#[derive(Deserialize)]
struct ClientMessage<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

/// What the server sends.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ServerMessage<'a> {
    Connected {
        user_id: &'a str,
        timestamp: u64,
    },
    Message {
        user_id: &'a str,
        content: &'a RawValue,
        timestamp: u64,
    },
    Error {
        reason: &'a str,
    },
}

impl ServerMessage<'_> {
    fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers are always valid JSON")
    }
}

/// The chat of all sessions on `/ws`.
pub struct Chat {
    topic: Topic,
    /// Numbers for sessions that did not name themselves.
    random: RandomState,
}

impl Chat {
    /// A chat among the sessions of all routes with this topic name.
    pub fn new(topic: &str) -> Self {
        Chat {
            topic: Topic::new(topic),
            random: RandomState::new(),
        }
    }
}

impl Handler for Chat {
    /// The user's name, as a JSON client sees it.
    type State = Box<str>;

    fn open(&mut self, request: &Request, ctx: &mut Context<'_>) -> Box<str> {
        let user_id: Box<str> = match request.param("user_id") {
            Some(user_id) => user_id.into(),
            None => format!(
                "user_{}",
                self.random.hash_one(ctx.session_id()) % 1_000_000
            )
            .into(),
        };
        let connected = ServerMessage::Connected {
            user_id: &user_id,
            timestamp: ctx.timestamp_ms(),
        };
        ctx.send_text(&connected.to_json());
        ctx.subscribe(&self.topic);
        user_id
    }

    fn message(&mut self, user_id: &mut Box<str>, message: Message<'_>, ctx: &mut Context<'_>) {
        match self.answer(user_id, message, ctx) {
            Ok(()) => {}
            Err(reason) => ctx.send_text(&ServerMessage::Error { reason: &reason }.to_json()),
        }
    }
}

impl Chat {
    /// Does what the message asks for, or says why it cannot be done.
    fn answer(
        &self,
        user_id: &str,
        message: Message<'_>,
        ctx: &mut Context<'_>,
    ) -> Result<(), Cow<'static, str>> {
        let Message::Text(text) = message else {
            return Err("send JSON as a text message, not as a binary one".into());
        };
        if !is_object(text) {
            return Err("not a chat message: send a JSON object".into());
        }
        let message: ClientMessage<'_> =
            serde_json::from_str(text).map_err(|error| format!("not a chat message: {error}"))?;
        match (&*message.kind, message.content) {
            ("chat_message", Some(content)) => {
                let timestamp = ctx.timestamp_ms();
                let message = ServerMessage::Message {
                    user_id,
                    content,
                    timestamp,
                };
                ctx.publish(&self.topic, PreparedFrame::text(&message.to_json()));
                Ok(())
            }
            ("chat_message", None) => Err("a chat_message needs a 'content'".into()),
            // The shard has counted the message, which is all it is for.
            ("benchmark_test", _) => Ok(()),
            (kind, _) => Err(format!(
                "'{kind}' is not a type of message here; send chat_message or benchmark_test"
            )
            .into()),
        }
    }
}
