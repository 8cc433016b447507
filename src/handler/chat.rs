//! `/ws` and `/ws/{user_id}`: the raw JSON chat.
//!
//! On open the server sends `{"type":"connected","user_id":…,"timestamp":ms}`.
//! A `chat_message` goes to everyone as a `message`, a `benchmark_test` is
//! counted and not answered, anything else is answered with an `error` and the
//! session lives on.

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::built_in::BuiltIn;
use super::gated::{PublishSettings, Publishes};
use super::{Acceptance, Context, Handler, RouteFactory, accept_naming_path};
use crate::access::AccessSettings;
use crate::config::{RouteSetting, TableError};
use crate::hub::Topic;
use crate::json::is_object;
use crate::router::params_of;
use crate::upgrade::{Refusal, Request};
use crate::ws::{Message, PreparedFrame};

/// A message that a client may send. The content is passed on as it was written.
#[derive(Deserialize)]
struct ClientMessage<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "written")]
    content: Option<&'a RawValue>,
}

/// A value that is there, `null` included, which serde takes for none.
fn written<'de, D: Deserializer<'de>>(value: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(value).map(Some)
}

/// A message that the server sends.
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

/// One chat for all its sessions, whatever their paths.
pub struct Chat {
    topic: Topic,
    /// Numbers for sessions that did not name themselves.
    random: RandomState,
}

impl Chat {
    /// A chat among the sessions of all routes with this topic name. The param
    /// `user_id` of a route's pattern is the user's name; for a pattern with
    /// other params, see [`ChatPerPath`].
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
        let user_id = welcome(&self.random, request, ctx);
        ctx.subscribe(&self.topic);
        user_id
    }

    fn message(&mut self, user_id: &mut Box<str>, message: Message<'_>, ctx: &mut Context<'_>) {
        serve(Some(&self.topic), user_id, message, ctx);
    }
}

/// One chat for each path, in which the param `user_id` does not count: with
/// the patterns `/chat/{room}` and `/chat/{room}/{user_id}`, `/chat/kitchen` and
/// `/chat/kitchen/ann` are one chat, and `/chat/garage` is another.
pub struct ChatPerPath {
    prefix: Box<str>,
    /// The place of the user's name among the path's segments, and whether the
    /// name is all that follows.
    user_id: Option<(usize, bool)>,
    /// Numbers for sessions that did not name themselves.
    random: RandomState,
}

impl ChatPerPath {
    /// Chats whose topics are named by the prefix and the
    /// [routing path](Request::routing_path); `pattern` is that of their route.
    pub fn new(prefix: &str, pattern: &str) -> Self {
        let place = |name: &str| pattern.split('/').position(|part| part.ends_with(name));
        ChatPerPath {
            prefix: prefix.into(),
            user_id: place("{user_id}")
                .map(|place| (place, false))
                .or_else(|| place("{*user_id}").map(|place| (place, true))),
            random: RandomState::new(),
        }
    }

    /// The name of a path's topic.
    fn topic_name(&self, path: &str) -> String {
        let is_kept = |place: usize| match self.user_id {
            Some((user_id, true)) => place < user_id,
            Some((user_id, false)) => place != user_id,
            None => true,
        };
        let segments = path.split('/').enumerate();
        let kept: Vec<&str> = segments
            .filter(|(place, _)| is_kept(*place))
            .map(|(_, segment)| segment)
            .collect();
        [&self.prefix, &*kept.join("/")].concat()
    }
}

impl Handler for ChatPerPath {
    /// The path's topic and the user's name.
    type State = (Topic, Box<str>);

    fn accept(&mut self, request: &Request) -> Result<Acceptance, Refusal> {
        accept_naming_path(request)
    }

    fn open(&mut self, request: &Request, ctx: &mut Context<'_>) -> (Topic, Box<str>) {
        let user_id = welcome(&self.random, request, ctx);
        let topic = ctx.topic(&self.topic_name(request.routing_path()));
        ctx.subscribe(&topic);
        (topic, user_id)
    }

    fn message(
        &mut self,
        (topic, user_id): &mut (Topic, Box<str>),
        message: Message<'_>,
        ctx: &mut Context<'_>,
    ) {
        serve(Some(topic), user_id, message, ctx);
    }
}

impl Publishes for Chat {
    fn deny(&mut self, user_id: &mut Box<str>, message: Message<'_>, ctx: &mut Context<'_>) {
        serve(None, user_id, message, ctx);
    }
}

impl Publishes for ChatPerPath {
    fn deny(
        &mut self,
        (_, user_id): &mut (Topic, Box<str>),
        message: Message<'_>,
        ctx: &mut Context<'_>,
    ) {
        serve(None, user_id, message, ctx);
    }
}

/// Tells a new session its name, which is returned.
fn welcome(random: &RandomState, request: &Request, ctx: &mut Context<'_>) -> Box<str> {
    let user_id: Box<str> = match request.param("user_id") {
        Some(user_id) => user_id.into(),
        None => format!("user_{}", random.hash_one(ctx.session_id()) % 1_000_000).into(),
    };
    let connected = ServerMessage::Connected {
        user_id: &user_id,
        timestamp: ctx.timestamp_ms(),
    };
    ctx.send_text(&connected.to_json());
    user_id
}

/// Does what a message asks for, or tells its sender why it cannot be done. Without a
/// topic the sender may not publish.
fn serve(topic: Option<&Topic>, user_id: &str, message: Message<'_>, ctx: &mut Context<'_>) {
    if let Err(reason) = answer(topic, user_id, message, ctx) {
        ctx.send_text(&ServerMessage::Error { reason: &reason }.to_json());
    }
}

fn answer(
    topic: Option<&Topic>,
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
            let Some(topic) = topic else {
                ctx.count_denied();
                return Err("unauthorized: publishing is not allowed here".into());
            };
            let timestamp = ctx.timestamp_ms();
            let message = ServerMessage::Message {
                user_id,
                content,
                timestamp,
            };
            ctx.publish(topic, PreparedFrame::text(&message.to_json()));
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

/// A route with `chat`. The prefixes of topics keep them apart from those of other
/// handlers.
pub(super) struct ChatRoute;

impl BuiltIn for ChatRoute {
    const NAME: &'static str = "chat";
    const SUMMARY: &'static str = "Chat; {user_id} in the path is the user's name.";
    const IS_CHAT: bool = true;
    type Settings = PublishSettings;

    fn check_route(
        route: &RouteSetting,
        settings: &PublishSettings,
        access: &AccessSettings,
    ) -> Result<(), String> {
        settings.check_route(route, access)
    }

    fn factory(
        route: &RouteSetting,
        settings: &PublishSettings,
        access: &AccessSettings,
    ) -> Result<RouteFactory, TableError> {
        // A name in a chat is no room of its own.
        if params_of(&route.path).any(|name| name != "user_id") {
            let pattern = route.path.clone();
            let make = move || ChatPerPath::new("corecast:chat:", &pattern);
            return settings.factory(route, access, make);
        }
        settings.factory(route, access, || Chat::new("corecast:chat"))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_users_name_is_no_part_of_the_chats() {
        for (pattern, path, topic) in [
            ("/chat/{room}", "/chat/kitchen", "c:/chat/kitchen"),
            (
                "/chat/{room}/{user_id}",
                "/chat/kitchen/ann",
                "c:/chat/kitchen",
            ),
            ("/{user_id}/in/{room}", "/ann/in/ann", "c:/in/ann"),
            ("/chat/{room}/{*user_id}", "/chat/a/b/c", "c:/chat/a"),
            ("/chat/{room}/u-{user_id}", "/chat/a/u-b", "c:/chat/a"),
            ("/chat/{*rest}", "/chat/a/b", "c:/chat/a/b"),
        ] {
            let chats = ChatPerPath::new("c:", pattern);
            assert_eq!(chats.topic_name(path), topic, "{pattern}");
        }
    }
}
