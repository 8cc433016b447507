//! `/connection/websocket`: the Centrifuge protocol, so that its clients work unchanged.
//!
//! A session connects, with a token or without one, and subscribes to topics, which the
//! protocol calls channels. Rules say which clients may do what in a topic, and tokens
//! make exceptions ([`CentrifugeConfig`]).
//!
//! message → `json` or `protobuf` → `command` → `serve` → `reply` to the session,
//! publication → hub for all.
//!
//! # Invariants worth naming
//!
//! - Before a `connect` that is accepted nothing else is served; after one that is
//!   refused nothing at all.
//! - A publication is written once, in the encoding of the session it comes from; for the
//!   other one, and for other protocols, the hub of each shard writes it where a session
//!   there has subscribed in that form.
//! - A line end is never within a message in JSON: it parts replies there.
//! - A subscription is 24 bytes here and 24 in the hub.
//! - Presences cost nothing where no rule asks for them: no notice, no table.

mod code;
mod command;
mod deadlines;
mod encoding;
mod json;
mod presence;
#[cfg(feature = "protobuf")]
mod protobuf;
mod reply;
mod rights;
mod serve;
mod settings;
mod subscriptions;

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use code::Disconnect;
use deadlines::{Deadline, Deadlines};
pub(super) use encoding::Encoding;
use presence::{Change, Members};
use rights::{Holder, Rights};
pub use settings::CentrifugeConfig;
use subscriptions::Subscriptions;

use super::built_in::{BuiltIn, Settings};
use super::gated::check_token;
use super::{
    Acceptance, Context, Ended, Handler, RouteContext, RouteFactory, RoutePolicy, SessionId,
};
use crate::access::AccessSettings;
use crate::config::{Config, ConfigError, PublishPolicy, RouteSetting, TableError};
use crate::latest::{Latest, View};
use crate::publication::{Content, Form, Topic};
use crate::upgrade::{Refusal, Request};
use crate::ws::{Message, PreparedFrame};

/// Time between two looks at pings and deadlines.
const TICK_INTERVAL: Duration = Duration::from_secs(1);

/// Has a session looked at whose deadline has passed.
struct DeadlinePassed;

/// The Centrifuge protocol on one route: what the handlers of its shards share.
///
/// ```
/// use corecast::config::Config;
/// use corecast::handler::{Centrifuge, CentrifugeConfig};
/// use corecast::server::Server;
///
/// let centrifuge = Centrifuge::new(&CentrifugeConfig::default())?;
/// let server = Server::new(Config::default())?
///     .route("/connection/websocket", move || centrifuge.handler())?;
/// # let _ = server;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Centrifuge(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    rights: Arc<Latest<Rights>>,
    /// Which clients may publish on this route at most.
    publish: PublishPolicy,
}

impl Centrifuge {
    /// The protocol over the topics of the server, which have one name space: a
    /// publication by another handler or a [`Publisher`](crate::publisher::Publisher) to
    /// the topic `news` reaches the clients that have subscribed to `news`.
    ///
    /// # Errors
    /// When a setting cannot stand, or the key for tokens cannot be read.
    pub fn new(config: &CentrifugeConfig) -> Result<Self, ConfigError> {
        let alone = AccessSettings::default();
        let made = config
            .check(&alone)
            .and_then(|()| Centrifuge::make(config, &alone, PublishPolicy::default()));
        made.map_err(|TableError { path, problem }| {
            ConfigError::new(format!("centrifuge.{path}"), problem)
        })
    }

    fn make(
        config: &CentrifugeConfig,
        shared: &AccessSettings,
        publish: PublishPolicy,
    ) -> Result<Self, TableError> {
        Ok(Centrifuge(Arc::new(Shared {
            rights: Latest::new(Rights::new(config, shared)?),
            publish,
        })))
    }

    /// Reads what is to count from now on, with the key for tokens as its file is now.
    fn read_anew(config: &Config) -> Result<Rights, ConfigError> {
        let shared = AccessSettings::of(config)?;
        let table = config.handlers.get(Self::NAME).cloned().unwrap_or_default();
        let read = table.read::<CentrifugeConfig>().and_then(|settings| {
            settings.check(&shared)?;
            Rights::new(&settings, &shared)
        });
        read.map_err(|TableError { path, problem }| {
            ConfigError::new(format!("handlers.{}.{path}", Self::NAME), problem)
        })
    }

    /// The handler of one shard.
    pub fn handler(&self) -> CentrifugeHandler {
        CentrifugeHandler {
            shared: Arc::clone(&self.0),
            rights: self.0.rights.view(),
            members: Members::default(),
            unsaid: VecDeque::new(),
            deadlines: Deadlines::default(),
            names: RandomState::new(),
            text: String::new(),
        }
    }
}

impl BuiltIn for Centrifuge {
    const NAME: &'static str = "centrifuge";
    const SUMMARY: &'static str = "The Centrifuge protocol.";
    const IS_LIVE: bool = true;
    type Settings = CentrifugeConfig;

    fn check_route(
        route: &RouteSetting,
        settings: &CentrifugeConfig,
        access: &AccessSettings,
    ) -> Result<(), String> {
        check_token(settings.access(access).token.as_ref(), route)
    }

    fn factory(
        route: &RouteSetting,
        settings: &CentrifugeConfig,
        access: &AccessSettings,
    ) -> Result<RouteFactory, TableError> {
        let publish = route.publish.unwrap_or_default();
        let centrifuge = Centrifuge::make(settings, access, publish)?;
        let renewed = centrifuge.clone();
        let mut factory = RouteFactory::new(move || centrifuge.handler());
        factory.renew = Some(Arc::new(move |config| {
            let rights = Centrifuge::read_anew(config)?;
            let centrifuge = renewed.clone();
            Ok(Box::new(move || centrifuge.0.rights.replace(rights)))
        }));
        Ok(factory)
    }
}

/// The handler of one shard for the sessions of Centrifuge clients.
#[derive(Debug)]
pub struct CentrifugeHandler {
    shared: Arc<Shared>,
    rights: View<Rights>,
    /// The members of each topic, on all shards.
    members: Members,
    /// Joins and leaves of other shards that found no room yet.
    unsaid: VecDeque<(Topic, Form, PreparedFrame)>,
    deadlines: Deadlines,
    /// Makes the numbers of clients from those of sessions, so that no client can guess
    /// another's, and neither another shard nor the next run gives the same.
    names: RandomState,
    /// The message being written.
    text: String,
}

/// The state kept for a session.
pub struct CentrifugeSession {
    encoding: Encoding,
    stage: Stage,
    /// When the first of its tokens runs out.
    deadline: Deadline,
    /// The holder of its token, if it came with one.
    holder: Option<Box<Holder>>,
    subscriptions: Subscriptions,
}

/// How far a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    Connected,
    /// Its `connect` was answered with an error.
    Refused,
}

impl fmt::Debug for CentrifugeSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without what its token says: this ends up in logs.
        f.debug_struct("CentrifugeSession")
            .field("encoding", &self.encoding)
            .field("stage", &self.stage)
            .field("subscriptions", &self.subscriptions)
            .finish_non_exhaustive()
    }
}

/// Members that came and went on one shard, for the others.
#[doc(hidden)]
#[derive(Debug)]
pub struct MemberChanges(Vec<Change>);

impl Handler for CentrifugeHandler {
    type State = CentrifugeSession;
    type Notice = MemberChanges;

    fn accept(&mut self, request: &Request) -> Result<Acceptance, Refusal> {
        let (_, subprotocol) = Encoding::asked_for(request)?;
        Ok(Acceptance::new().subprotocol(subprotocol))
    }

    fn open(&mut self, request: &Request, _ctx: &mut Context<'_>) -> CentrifugeSession {
        let encoding = Encoding::asked_for(request).map_or(Encoding::Json, |(asked, _)| asked);
        CentrifugeSession {
            encoding,
            stage: Stage::New,
            deadline: Deadline::default(),
            holder: None,
            subscriptions: Subscriptions::default(),
        }
    }

    fn message(
        &mut self,
        session: &mut CentrifugeSession,
        message: Message<'_>,
        ctx: &mut Context<'_>,
    ) {
        self.rights.refresh();
        if let Err(disconnect) = self.serve(session, message, ctx) {
            ctx.close(disconnect.close_code(), disconnect.reason());
        }
    }

    fn ping(&mut self, session: &mut CentrifugeSession, ctx: &mut Context<'_>) -> bool {
        if session.stage != Stage::Connected {
            let stale = Disconnect::Stale;
            ctx.close(stale.close_code(), stale.reason());
            return true;
        }
        // A client that was promised no pings may not know them.
        let is_promised = self.rights.ping_interval > 0;
        if is_promised {
            session.encoding.ping(ctx);
        }
        is_promised
    }

    fn visit(
        &mut self,
        session: &mut CentrifugeSession,
        content: &(dyn Any + Send + Sync),
        ctx: &mut Context<'_>,
    ) {
        if content.is::<DeadlinePassed>()
            && let Err(disconnect) = self.expire(session, ctx)
        {
            ctx.close(disconnect.close_code(), disconnect.reason());
        }
    }

    fn close(&mut self, mut session: CentrifugeSession, _end: Ended, ctx: &mut Context<'_>) {
        let key = ctx.session_id().as_u128() as u64;
        self.deadlines.set(key, &mut session.deadline, 0);
        let client = self.client(ctx);
        let present = session.subscriptions.iter().filter(|it| it.is_present);
        let gone: Vec<_> = present
            .filter_map(|it| self.leaving(it.topic.as_str(), client))
            .collect();
        self.tell_all(gone, ctx);
    }

    fn policy(&self) -> RoutePolicy {
        // Asked again after a reload, and not by a session.
        let rights = self.shared.rights.get();
        let policy = RoutePolicy::default()
            // Clients come back after it, spread over some time.
            .drain_code(Disconnect::Shutdown.close_code());
        let policy = match rights.ping_interval {
            0 => policy,
            seconds => policy.ping_interval(Duration::from_secs(seconds.into())),
        };
        match rights.have_presence() || rights.have_tokens() {
            true => policy.tick_interval(TICK_INTERVAL),
            false => policy,
        }
    }

    fn tick(&mut self, ctx: &mut RouteContext<'_>) {
        self.say_what_is_unsaid(ctx);
        let shard = u128::from(ctx.shard().0) << 64;
        for session in self.deadlines.passed(ctx.timestamp_ms() / 1_000) {
            let session = SessionId::from(shard | u128::from(session));
            // Those that find no room are there at the next tick.
            if ctx.visit(session, DeadlinePassed).is_full() {
                break;
            }
        }
    }

    fn notice(&mut self, MemberChanges(changes): &MemberChanges, ctx: &mut RouteContext<'_>) {
        self.take_in(changes, ctx);
    }
}

impl CentrifugeHandler {
    /// The number of the session's client.
    fn client(&self, ctx: &Context<'_>) -> u128 {
        let half = |part: u8| u128::from(self.names.hash_one((ctx.session_id(), part)));
        half(0) << 64 | half(1)
    }

    /// Applies changes to the members here and on all other shards, and tells the
    /// subscribers.
    fn tell_all(&mut self, changes: Vec<Change>, ctx: &mut Context<'_>) {
        if changes.is_empty() {
            return;
        }
        self.take_in(&changes, &mut ctx.without_session());
        ctx.tell_others::<Self>(MemberChanges(changes));
    }

    /// Applies changes to the members here, and tells the subscribers here.
    fn take_in(&mut self, changes: &[Change], ctx: &mut RouteContext<'_>) {
        for change in changes {
            self.members.apply(change);
            self.write_movement(change, ctx);
        }
        self.say_what_is_unsaid(ctx);
    }

    /// Writes that a member came or went, in each encoding that its topic is read in here.
    fn write_movement(&mut self, change: &Change, ctx: &RouteContext<'_>) {
        let Some(topic) = ctx.topic_here(&change.topic) else {
            return;
        };
        for &encoding in Encoding::ALL {
            let form = encoding.form();
            if !ctx.has_form_here(topic.as_str(), form) {
                continue;
            }
            let info = change.member.info();
            let frame = encoding.movement(topic.as_str(), change.movement, info, &mut self.text);
            self.unsaid.push_back((topic.clone(), form, frame));
        }
    }

    /// Tells the subscribers here what they were not told yet, as far as there is room;
    /// the rest with the next tick.
    fn say_what_is_unsaid(&mut self, ctx: &mut RouteContext<'_>) {
        while let Some((topic, form, frame)) = self.unsaid.pop_front() {
            if ctx.publish_here_in(&topic, form, frame.clone()).is_full() {
                return self.unsaid.push_front((topic, form, frame));
            }
        }
    }
}

/// Writes a publication for sessions of the encoding whose form it is.
pub(super) fn write_form(
    encoding: Encoding,
    topic: &str,
    content: &Content,
    out: &mut String,
) -> PreparedFrame {
    encoding.foreign(topic, content, out)
}
