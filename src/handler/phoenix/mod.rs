//! `/socket/websocket`: Phoenix Channels, so that their clients work unchanged.
//!
//! A session joins topics. A push to a topic that it has joined goes to all sessions in
//! the topic, and is answered `ok`; everything about the topics themselves (join,
//! leave, heartbeat) is answered as a Phoenix server would. Rules say which clients may
//! do what in a topic ([`PhoenixConfig`]).
//!
//! message → `incoming` → `serve` → `answer` to the session, `outgoing` → hub
//! for all.
//!
//! # Invariants worth naming
//!
//! - A push is written once, in the version of the session it comes from; for the other
//!   one, and for other protocols, the hub of each shard writes it where a session there
//!   has subscribed in that form.
//! - A binary push goes to sessions of version 2 only: version 1 cannot say it.
//! - References go back with the type they came with.
//! - A session's entry in a topic is 24 bytes here and 24 in the hub.
//! - Presences cost nothing where no rule asks for them: no tick, no notice.

mod answer;
mod channels;
mod incoming;
mod join_payload;
mod outgoing;
mod reference;
mod serve;
mod settings;
mod version;

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use channels::Channels;
use incoming::Incoming;
pub use settings::PhoenixConfig;
pub use version::Version;

use super::built_in::{BuiltIn, Settings};
use super::gated::check_token;
use super::{Acceptance, Context, Ended, Handler, RouteFactory, RoutePolicy};
use crate::access::{Access, AccessSettings};
use crate::config::{Config, ConfigError, PublishPolicy, RouteSetting, TableError};
use crate::latest::{Latest, View};
use crate::presence::{Change, Presences};
use crate::publication::{Content, Form, Topic};
use crate::upgrade::{Refusal, Request};
use crate::ws::{CloseCode, Message, PreparedFrame};

/// The subprotocol that clients offer together with their token.
const SUBPROTOCOL: &str = "phoenix";
/// The beginning of the other one that they offer then; the token follows.
const TOKEN_PREFIX: &str = "base64url.bearer.phx.";
/// Time in which presences that come and go are told together.
const PRESENCE_INTERVAL: Duration = Duration::from_millis(50);

/// Phoenix Channels on one route: what the handlers of its shards share.
///
/// ```
/// use corecast::config::Config;
/// use corecast::handler::{Phoenix, PhoenixConfig};
/// use corecast::server::Server;
///
/// let phoenix = Phoenix::new(&PhoenixConfig::default())?;
/// let server = Server::new(Config::default())?
///     .route("/live/websocket", move || phoenix.handler())?;
/// # let _ = server;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Phoenix(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    rights: Arc<Latest<Rights>>,
    /// Which clients may push on this route at most.
    publish: PublishPolicy,
}

/// The rights of sessions, from their next join on.
#[derive(Debug)]
struct Rights {
    max_topics_per_socket: usize,
    access: Access,
}

impl Rights {
    /// Reads the key for tokens, if one is named.
    fn new(config: &PhoenixConfig, shared: &AccessSettings) -> Result<Self, TableError> {
        Ok(Rights {
            max_topics_per_socket: config.max_topics_per_socket,
            access: Access::new(&config.access(shared))?,
        })
    }
}

impl Phoenix {
    /// Channels over the topics of the server, which have one name space: a publication
    /// by another handler or a [`Publisher`](crate::publisher::Publisher) to the topic
    /// `room:lobby` reaches the clients that have joined `room:lobby`.
    ///
    /// # Errors
    /// When a setting cannot stand, or the key for tokens cannot be read.
    pub fn new(config: &PhoenixConfig) -> Result<Self, ConfigError> {
        let alone = AccessSettings::default();
        let made = config
            .check(&alone)
            .and_then(|()| Phoenix::make(config, &alone, None));
        made.map_err(|TableError { path, problem }| {
            ConfigError::new(format!("phoenix.{path}"), problem)
        })
    }

    fn make(
        config: &PhoenixConfig,
        shared: &AccessSettings,
        publish: Option<PublishPolicy>,
    ) -> Result<Self, TableError> {
        Ok(Phoenix(Arc::new(Shared {
            rights: Latest::new(Rights::new(config, shared)?),
            publish: publish.unwrap_or_default(),
        })))
    }

    /// Reads what is to count from now on, with the key for tokens as its file is now.
    /// It counts once the result is handed to [`take_up`](Self::take_up).
    ///
    /// # Errors
    /// When the key for tokens cannot be read.
    fn read_anew(config: &Config) -> Result<Rights, ConfigError> {
        let shared = AccessSettings::of(config)?;
        let table = config.handlers.get(Self::NAME).cloned().unwrap_or_default();
        let read = table.read::<PhoenixConfig>().and_then(|settings| {
            settings.check(&shared)?;
            Rights::new(&settings, &shared)
        });
        read.map_err(|TableError { path, problem }| {
            ConfigError::new(format!("handlers.{}.{path}", Self::NAME), problem)
        })
    }

    /// Takes up what was read anew, for every join from now on. Topics that are joined
    /// stay joined, with what their sessions may do there.
    fn take_up(&self, rights: Rights) {
        self.0.rights.replace(rights);
    }

    /// The handler of one shard.
    pub fn handler(&self) -> PhoenixHandler {
        PhoenixHandler {
            shared: Arc::clone(&self.0),
            rights: self.0.rights.view(),
            presences: Presences::default(),
            unsaid: VecDeque::new(),
            next_presence: RandomState::new().hash_one(()),
            text: String::new(),
        }
    }
}

impl BuiltIn for Phoenix {
    const NAME: &'static str = "phoenix";
    const SUMMARY: &'static str = "Phoenix Channels.";
    type Settings = PhoenixConfig;

    fn check_route(
        route: &RouteSetting,
        settings: &PhoenixConfig,
        access: &AccessSettings,
    ) -> Result<(), String> {
        check_token(settings.access(access).token.as_ref(), route)
    }

    fn factory(
        route: &RouteSetting,
        settings: &PhoenixConfig,
        access: &AccessSettings,
    ) -> Result<RouteFactory, TableError> {
        let phoenix = Phoenix::make(settings, access, route.publish)?;
        let renewed = phoenix.clone();
        let mut factory = RouteFactory::new(move || phoenix.handler());
        factory.renew = Some(Arc::new(move |config| {
            let rights = Phoenix::read_anew(config)?;
            let phoenix = renewed.clone();
            Ok(Box::new(move || phoenix.take_up(rights)))
        }));
        Ok(factory)
    }
}

/// The handler of one shard for the sessions of Phoenix clients.
#[derive(Debug)]
pub struct PhoenixHandler {
    shared: Arc<Shared>,
    rights: View<Rights>,
    /// The members of each topic, on all shards.
    presences: Presences,
    /// Encoded differences that found no room yet: of one topic at most.
    unsaid: VecDeque<(Topic, Form, PreparedFrame)>,
    /// The reference of the next presence. It begins at random, so that neither
    /// another shard nor the next run gives the same.
    next_presence: u64,
    /// The message being written.
    text: String,
}

/// The state kept for a session.
pub struct PhoenixSession {
    version: Version,
    channels: Channels,
    /// The token it came with, if any is ever asked for.
    token: Option<Box<str>>,
    /// Its presences, in those of its topics that have any.
    presences: Vec<Change>,
}

impl fmt::Debug for PhoenixSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the token: this ends up in logs.
        f.debug_struct("PhoenixSession")
            .field("version", &self.version)
            .field("channels", &self.channels)
            .finish_non_exhaustive()
    }
}

impl Handler for PhoenixHandler {
    type State = PhoenixSession;

    /// As Plug does: phoenix.js asks for `/socket//websocket` where its endpoint
    /// ends in a slash.
    const DROPS_EMPTY_SEGMENTS: bool = true;

    fn accept(&mut self, request: &Request) -> Result<Acceptance, Refusal> {
        Version::asked_for(request)?;
        // The other one that is offered carries a token, and must not be answered.
        let offered = request.subprotocols().any(|name| name == SUBPROTOCOL);
        Ok(Acceptance {
            subprotocol: offered.then(|| SUBPROTOCOL.to_owned()),
        })
    }

    fn open(&mut self, request: &Request, _ctx: &mut Context<'_>) -> PhoenixSession {
        let version = Version::asked_for(request).unwrap_or(Version::V1);
        self.rights.refresh();
        let verifier = self.rights.access.verifier.as_ref();
        PhoenixSession {
            version,
            channels: Channels::default(),
            token: verifier.and_then(|_| token_of(request)),
            presences: Vec::new(),
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

    fn close(&mut self, mut session: PhoenixSession, _end: Ended, ctx: &mut Context<'_>) {
        let gone = std::mem::take(&mut session.presences);
        self.tell_all(gone, ctx);
    }

    fn policy(&self) -> RoutePolicy {
        let policy = RoutePolicy::default()
            // A restart is what clients come back from at once; after 1000 they would
            // stay away.
            .drain_code(CloseCode::SERVICE_RESTART)
            // Clients send heartbeats.
            .server_pings(false);
        // Asked again after a reload, and not by a session.
        match self.shared.rights.get().access.has_presences() {
            true => policy.tick_interval(PRESENCE_INTERVAL),
            false => policy,
        }
    }

    fn tick(&mut self, ctx: &mut Context<'_>) {
        self.say_what_changed(ctx);
    }

    fn notice(&mut self, notice: &(dyn Any + Send + Sync), _ctx: &mut Context<'_>) {
        if let Some(changes) = notice.downcast_ref::<Vec<Change>>() {
            changes
                .iter()
                .for_each(|change| self.presences.apply(change));
        }
    }
}

impl PhoenixHandler {
    /// Ends the presence that a session has in a topic, if it has one, and
    /// begins one with this key and these fields.
    fn change_presence(
        &mut self,
        session: &mut PhoenixSession,
        topic: &str,
        begins: Option<(String, String)>,
        ctx: &mut Context<'_>,
    ) {
        let is_here = |change: &Change| &*change.topic == topic;
        let mut changes = Vec::new();
        if let Some(place) = session.presences.iter().position(is_here) {
            changes.push(session.presences.swap_remove(place));
        }
        if let Some((key, fields)) = begins {
            let gone = Change {
                topic: topic.into(),
                key: key.into(),
                reference: self.next_presence,
                fields: None,
            };
            self.next_presence = self.next_presence.wrapping_add(1);
            changes.push(Change {
                fields: Some(fields.into()),
                ..gone.clone()
            });
            // This is told when the session ends.
            session.presences.push(gone);
        }
        self.tell_all(changes, ctx);
    }

    /// Applies changes to the presences here and on all other shards.
    fn tell_all(&mut self, changes: Vec<Change>, ctx: &mut Context<'_>) {
        if changes.is_empty() {
            return;
        }
        changes
            .iter()
            .for_each(|change| self.presences.apply(change));
        ctx.tell_others(changes);
    }
}

/// Writes a publication for sessions of the version whose form it is.
pub(super) fn write_form(
    version: Version,
    topic: &str,
    content: &Content,
    out: &mut String,
) -> Option<PreparedFrame> {
    outgoing::publication(version, topic, content.event(), content.data(), out)
        .map(|(frame, _)| frame)
}

/// The token a client connects with: the socket's param, or what it offers as a
/// subprotocol, because browsers cannot send a header of their own.
fn token_of(request: &Request) -> Option<Box<str>> {
    if let Some(token) = request.last_query_param("token") {
        return Some(token.into());
    }
    let mut offered = request.subprotocols();
    let encoded = offered.find_map(|name| name.strip_prefix(TOKEN_PREFIX))?;
    let bytes = URL_SAFE_NO_PAD.decode(encoded.trim_end_matches('=')).ok()?;
    Some(String::from_utf8(bytes).ok()?.into_boxed_str())
}
