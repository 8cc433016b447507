//! The JSON chat of `/ws`: the messages of a client, and the server's answers.

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::Message;

/// A message from a client. The content is passed on as it was written.
#[derive(Deserialize)]
struct ClientMessage<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

/// A message from the server.
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

impl From<ServerMessage<'_>> for Message {
    fn from(message: ServerMessage<'_>) -> Message {
        let json = serde_json::to_string(&message);
        Message::text(json.expect("strings and numbers are always valid JSON"))
    }
}

/// The effect of a message.
#[derive(Debug, PartialEq)]
pub enum Reaction {
    /// Everyone gets this.
    Publish(Message),
    /// The sender gets this.
    Answer(Message),
    /// No session gets anything; it was counted.
    Nothing,
}

/// The greeting of a user.
pub fn connected(user_id: &str) -> Message {
    let timestamp = timestamp_ms();
    ServerMessage::Connected { user_id, timestamp }.into()
}

/// The effect of a user's message.
pub fn react(user_id: &str, message: &Message) -> Reaction {
    try_react(user_id, message).unwrap_or_else(|reason| {
        let error = ServerMessage::Error { reason: &reason };
        Reaction::Answer(error.into())
    })
}

fn try_react(user_id: &str, message: &Message) -> Result<Reaction, Cow<'static, str>> {
    let Message::Text(text) = message else {
        return Err("send JSON as a text message, not as a binary one".into());
    };
    let message: ClientMessage<'_> =
        serde_json::from_str(text).map_err(|error| format!("not a chat message: {error}"))?;
    match (&*message.kind, message.content) {
        ("chat_message", Some(content)) => {
            let message = ServerMessage::Message {
                user_id,
                content,
                timestamp: timestamp_ms(),
            };
            Ok(Reaction::Publish(message.into()))
        }
        ("chat_message", None) => Err("a chat_message needs a 'content'".into()),
        ("benchmark_test", _) => Ok(Reaction::Nothing),
        (kind, _) => Err(format!(
            "'{kind}' is not a type of message here; send chat_message or benchmark_test"
        )
        .into()),
    }
}

fn timestamp_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

/// Names for users that gave none.
#[derive(Debug, Default)]
pub struct Names {
    random: RandomState,
    given: AtomicU64,
}

impl Names {
    /// `user_` and a number that cannot be guessed.
    pub fn next(&self) -> String {
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        format!("user_{}", self.random.hash_one(number) % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_is_passed_on_as_it_was_written() {
        let content = r#"{"b": 1,  "a": [1.50, null]}"#;
        let message = format!(r#"{{"content":{content}, "type":"chat_message"}}"#);
        let Reaction::Publish(Message::Text(heard)) = react("a \"b\"", &Message::text(message))
        else {
            panic!("no publication");
        };
        let heard = heard.as_str();
        let start = format!(r#"{{"type":"message","user_id":"a \"b\"","content":{content},"#);
        assert!(heard.starts_with(&start), "{heard}");
    }

    #[test]
    fn a_benchmark_test_is_not_answered() {
        let message = Message::text(r#"{"type":"benchmark_test","content":{"a":[1]}}"#);
        assert_eq!(react("ann", &message), Reaction::Nothing);
    }

    #[test]
    fn anything_else_is_an_error() {
        for bad in [
            "",
            "not JSON",
            "[]",
            "null",
            "{}",
            r#"{"type":"chat_message"}"#,
            r#"{"type":"unknown","content":"x"}"#,
            r#"{"type":7,"content":"x"}"#,
            r#"{"type":"chat_message","content":"x"} trailing"#,
        ] {
            let Reaction::Answer(Message::Text(answer)) = react("ann", &Message::text(bad)) else {
                panic!("no answer to {bad}");
            };
            assert!(
                answer.starts_with(r#"{"type":"error","reason":""#),
                "{answer}"
            );
        }
        let binary = react("ann", &Message::binary(&b"{}"[..]));
        assert!(matches!(binary, Reaction::Answer(_)));
    }
}
