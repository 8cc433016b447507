//! `/socket/websocket`: Phoenix Channels, so that their clients work unchanged.
//!
//! A session joins topics. What it pushes to a topic that it has joined goes to
//! all who have, and is answered `ok`; everything about the topics themselves
//! (join, leave, heartbeat) is answered as a Phoenix server would.
//!
//! message → `incoming` → what is to be done, here → `outgoing` → hub.
//!
//! # Invariants worth naming
//!
//! - A publication is written at most once for each version of the protocol,
//!   and only for versions that a session of this process has spoken. Each
//!   version has a topic of its own in the hub.
//! - A binary push goes to sessions of version 2 only: version 1 cannot say it.
//! - References go back with the type they came with.
//! - A session's entry in a topic is 32 bytes here and 24 in the hub.

mod channels;
mod incoming;
mod outgoing;
mod reference;
mod version;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use channels::{Channel, Channels};
use incoming::Incoming;
use outgoing::Outgoing;
use reference::{JoinRef, Reference};
pub use version::Version;

use super::{Acceptance, Context, Handler};
use crate::hub::Topic;
use crate::upgrade::{Refusal, Request};
use crate::ws::{CloseCode, Message};

/// Longest name of a topic that may be joined, in bytes.
const MAX_TOPIC_BYTES: usize = 1_024;
/// The topic of what concerns the connection itself. Nobody joins it.
const SYSTEM_TOPIC: &str = "phoenix";
/// The subprotocol that clients offer together with their token.
const SUBPROTOCOL: &str = "phoenix";

/// What sessions of Phoenix clients may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhoenixConfig {
    /// Topics one session may be in at a time.
    pub max_topics: usize,
}

impl Default for PhoenixConfig {
    fn default() -> Self {
        PhoenixConfig { max_topics: 100 }
    }
}

/// Phoenix Channels on one route: what the handlers of its shards share.
#[derive(Debug, Clone)]
pub struct Phoenix(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: PhoenixConfig,
    /// What the topics' names begin with in the hub, for each version; equally long.
    prefixes: [String; 2],
    /// The versions that any session has spoken.
    spoken: [AtomicBool; 2],
}

impl Phoenix {
    /// Channels whose topics are their own: those of another `name` do not hear
    /// of them.
    pub fn new(name: &str, config: PhoenixConfig) -> Self {
        Phoenix(Arc::new(Shared {
            config,
            prefixes: [format!("phoenix1:{name}:"), format!("phoenix2:{name}:")],
            spoken: Default::default(),
        }))
    }

    /// The handler of one shard.
    pub fn handler(&self) -> PhoenixHandler {
        PhoenixHandler {
            shared: Arc::clone(&self.0),
            name: String::new(),
            text: String::new(),
        }
    }
}

/// What a shard does with the sessions of Phoenix clients.
#[derive(Debug)]
pub struct PhoenixHandler {
    shared: Arc<Shared>,
    /// A topic's name in the hub, while one is looked for.
    name: String,
    /// The message being written.
    text: String,
}

/// What is remembered of a session.
#[derive(Debug)]
pub struct PhoenixSession {
    version: Version,
    channels: Channels,
}

/// Why a join or a push is answered with an error.
#[derive(Debug, Clone, Copy)]
enum Denied {
    UnmatchedTopic,
    TopicTooLong,
    TooManyTopics,
    ReservedEvent,
}

impl Denied {
    /// What the client reads. The first three are the words of a Phoenix server.
    fn reason(self) -> &'static str {
        match self {
            Denied::UnmatchedTopic => "unmatched topic",
            Denied::TooManyTopics => "too many channels joined",
            Denied::TopicTooLong => "topic too long",
            Denied::ReservedEvent => "reserved event",
        }
    }
}

impl Handler for PhoenixHandler {
    type State = PhoenixSession;

    fn accept(&mut self, request: &Request) -> Result<Acceptance, Refusal> {
        Version::asked_for(request)?;
        // Another one that is offered carries a token, and must not be answered.
        let offered = request.subprotocols().any(|name| name == SUBPROTOCOL);
        Ok(Acceptance {
            subprotocol: offered.then(|| SUBPROTOCOL.to_owned()),
        })
    }

    fn open(&mut self, request: &Request, _ctx: &mut Context<'_>) -> PhoenixSession {
        let version = Version::asked_for(request).unwrap_or(Version::V1);
        let spoken = &self.shared.spoken[version.index()];
        // Written once; read for each publication.
        if !spoken.load(Ordering::Relaxed) {
            spoken.store(true, Ordering::SeqCst);
        }
        PhoenixSession {
            version,
            channels: Channels::default(),
        }
    }

    fn message(
        &mut self,
        session: &mut PhoenixSession,
        message: Message<'_>,
        ctx: &mut Context<'_>,
    ) {
        match Incoming::parse(session.version, message) {
            Ok(message) => self.serve(session, &message, ctx),
            Err(malformed) => ctx.close(CloseCode::INTERNAL_ERROR, malformed.0),
        }
    }

    /// A restart is what clients come back from at once; after 1000 they would stay away.
    fn drain_code(&self) -> CloseCode {
        CloseCode::SERVICE_RESTART
    }

    /// Clients send heartbeats.
    fn server_pings(&self) -> bool {
        false
    }
}

impl PhoenixHandler {
    /// Does what a message asks for.
    fn serve(
        &mut self,
        session: &mut PhoenixSession,
        message: &Incoming<'_>,
        ctx: &mut Context<'_>,
    ) {
        if message.topic == SYSTEM_TOPIC && message.event == "heartbeat" {
            return self.reply(session.version, Reference::None, message, Ok(()), ctx);
        }
        self.set_name(session.version, &message.topic);
        if message.event == "phx_join" {
            return self.join(session, message, ctx);
        }
        let Some(channel) = session.channels.get(&self.name) else {
            return self.serve_unjoined(session, message, ctx);
        };
        // Said to a join that is over; its answer would confuse the next one.
        let join_ref = channel.join_ref.get();
        if message.join_ref != Reference::None && !message.join_ref.is_same(join_ref) {
            return;
        }
        if message.event == "phx_leave" {
            return self.leave(session, message, ctx);
        }
        let answer = if is_reserved(&message.event) {
            Err(Denied::ReservedEvent)
        } else {
            self.publish(session.version, &channel.topic, message, ctx);
            Ok(())
        };
        self.reply(session.version, join_ref, message, answer, ctx);
    }

    /// Answers a message on a topic that the session is not in.
    fn serve_unjoined(
        &mut self,
        session: &PhoenixSession,
        message: &Incoming<'_>,
        ctx: &mut Context<'_>,
    ) {
        // Who leaves what it is not in has what it wants.
        let (join_ref, answer) = match &*message.event {
            "phx_leave" => (message.join_ref, Ok(())),
            _ => (Reference::None, Err(Denied::UnmatchedTopic)),
        };
        self.reply(session.version, join_ref, message, answer, ctx);
    }

    /// Joins the session to a topic, anew if it has joined it before.
    fn join(
        &mut self,
        session: &mut PhoenixSession,
        message: &Incoming<'_>,
        ctx: &mut Context<'_>,
    ) {
        let before = session.channels.remove(&self.name);
        let answer = self.may_join(session, message);
        match (&answer, &before) {
            (Ok(()), Some(before)) => session.channels.insert(Channel {
                topic: before.topic.clone(),
                join_ref: JoinRef::new(message.join_ref),
            }),
            (Ok(()), None) => {
                let topic = ctx.topic(&self.name);
                ctx.subscribe(&topic);
                session.channels.insert(Channel {
                    topic,
                    join_ref: JoinRef::new(message.join_ref),
                });
            }
            (Err(_), Some(before)) => {
                ctx.unsubscribe(&before.topic);
            }
            (Err(_), None) => {}
        }
        let join_ref = match answer {
            Err(Denied::UnmatchedTopic) => Reference::None,
            _ => message.join_ref,
        };
        self.reply(session.version, join_ref, message, answer, ctx);
        if let Some(before) = before {
            self.say_close(session.version, before.join_ref.get(), &message.topic, ctx);
        }
    }

    fn may_join(&self, session: &PhoenixSession, message: &Incoming<'_>) -> Result<(), Denied> {
        if message.topic == SYSTEM_TOPIC {
            Err(Denied::UnmatchedTopic)
        } else if message.topic.len() > MAX_TOPIC_BYTES {
            Err(Denied::TopicTooLong)
        } else if session.channels.len() >= self.shared.config.max_topics {
            Err(Denied::TooManyTopics)
        } else {
            Ok(())
        }
    }

    fn leave(
        &mut self,
        session: &mut PhoenixSession,
        message: &Incoming<'_>,
        ctx: &mut Context<'_>,
    ) {
        let Some(channel) = session.channels.remove(&self.name) else {
            return;
        };
        ctx.unsubscribe(&channel.topic);
        let join_ref = channel.join_ref.get();
        self.reply(session.version, join_ref, message, Ok(()), ctx);
        self.say_close(session.version, join_ref, &message.topic, ctx);
    }

    /// Sends what a session has pushed to all in the topic.
    fn publish(
        &mut self,
        version: Version,
        own: &Topic,
        message: &Incoming<'_>,
        ctx: &mut Context<'_>,
    ) {
        for to in Version::ALL {
            if !self.shared.spoken[to.index()].load(Ordering::Relaxed) {
                continue;
            }
            let (topic, event) = (&message.topic, &message.event);
            let Some(frame) =
                outgoing::broadcast(to, topic, event, message.payload, &mut self.text)
            else {
                continue;
            };
            if to == version {
                ctx.publish(own, frame);
            } else {
                self.set_name(to, topic);
                let topic = ctx.topic(&self.name);
                ctx.publish(&topic, frame);
            }
        }
    }

    fn reply(
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
    fn say_close(
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

    /// Notes what a topic is called in the hub.
    fn set_name(&mut self, version: Version, topic: &str) {
        self.name.clear();
        self.name.push_str(&self.shared.prefixes[version.index()]);
        self.name.push_str(topic);
    }
}

/// Whether only the server may say this: others would take it for the truth.
fn is_reserved(event: &str) -> bool {
    // phoenix.js hands a reply on as an event whose name begins like the second.
    event.starts_with("phx_")
        || event.starts_with("chan_reply_")
        || event == "presence_state"
        || event == "presence_diff"
}
