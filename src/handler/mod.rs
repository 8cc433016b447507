//! The behaviour of a route towards its sessions: the extension point of the library.
//!
//! A [`Handler`] is made once per shard and route and lives on that shard's
//! thread, so it needs no locks. It meets a session when it opens, for each
//! message, and when it is over; through the [`Context`] it answers, publishes,
//! joins topics and closes.
//!
//! ```
//! use corecast::{Context, Handler, Message, Request};
//!
//! /// Answers every text in capitals and counts per session.
//! struct Shout;
//!
//! impl Handler for Shout {
//!     type State = u64;
//!     type Notice = ();
//!
//!     fn open(&mut self, _request: &Request, ctx: &mut Context<'_>) -> u64 {
//!         ctx.send_text("speak up");
//!         0
//!     }
//!
//!     fn message(&mut self, count: &mut u64, message: Message<'_>, ctx: &mut Context<'_>) {
//!         *count += 1;
//!         if let Message::Text(text) = message {
//!             ctx.send_text(&format!("{count}: {}", text.to_uppercase()));
//!         }
//!     }
//! }
//! ```
//!
//! # Invariants worth naming
//!
//! - For each session `open` is called once, then `message` any number of
//!   times, then `close` once; after `close` nothing more.
//! - A handler never sees a socket, and nothing it does waits: bytes that cannot leave
//!   now are queued, and its session is not read until the queue is short.
//! - A panic ends the session that was being served, with 1011, and no other.

mod broadcast;
pub(crate) mod built_in;
mod centrifuge;
mod chat;
mod context;
mod echo;
mod forms;
mod function;
#[cfg(fuzzing)]
pub mod fuzzing;
mod gated;
mod phoenix;
mod policy;
mod route;
mod route_context;
mod session_id;
mod topics;

pub use crate::upgrade::Acceptance;
pub use broadcast::{Broadcast, BroadcastPerPath};
pub use centrifuge::{Centrifuge, CentrifugeConfig, CentrifugeHandler, CentrifugeSession};
pub use chat::{Chat, ChatPerPath};
pub use context::Context;
pub use echo::Echo;
pub(crate) use forms::write_form;
pub(crate) use function::Function;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub use phoenix::Version as PhoenixVersion;
#[cfg(feature = "api")]
pub(crate) use phoenix::is_reserved_event;
pub use phoenix::{Phoenix, PhoenixConfig, PhoenixHandler, PhoenixSession};
pub use policy::RoutePolicy;
#[cfg(test)]
pub(crate) use route::Registered;
pub(crate) use route::{Renew, Route, RouteFactory, TakeUp, guarded};
pub use route_context::{Published, RouteContext};
pub use session_id::SessionId;

use std::any::Any;

use crate::metrics::EndReason;
use crate::upgrade::{Refusal, Reply, Request};
use crate::ws::{CloseCode, Message};

/// The behaviour of a route towards its sessions.
///
/// A panic in one of these methods ends the session that is being served, with 1011
/// (Internal Error), or the request with 500; no other notices.
pub trait Handler: 'static {
    /// The state the handler keeps for one session. A type without data, such as `()`,
    /// costs no memory.
    type State: 'static;

    /// What the handlers of a route on different shards tell each other
    /// ([`Context::tell_others`]); `()` where they tell nothing.
    type Notice: Send + Sync + 'static;

    /// Whether a route with this handler is also found by a path with empty
    /// segments, such as `/socket//websocket` and `/socket/websocket/` for
    /// `/socket/websocket`. True for a protocol whose clients send them; for
    /// others `false`, so that each session has one path only.
    const DROPS_EMPTY_SEGMENTS: bool = false;

    /// Decides, before the handshake is answered, whether this request may
    /// become a session, and which of the offered subprotocols it speaks.
    ///
    /// # Errors
    /// The [`Refusal`] is what the client gets instead of a session.
    fn accept(&mut self, _request: &Request) -> Result<Acceptance, Refusal> {
        Ok(Acceptance::default())
    }

    /// Answers a plain GET or HEAD of the route's path, one without `Upgrade`, such as a
    /// browser's or a health check's; `None` for 426 (Upgrade Required). The pages of the
    /// server itself come first ([`Config::home_page`](crate::Config::home_page) and
    /// [`Config::health_page`](crate::Config::health_page)).
    ///
    /// ```
    /// use corecast::{Context, Handler, Message, Reply, Request};
    ///
    /// /// Echoes, and says so to whoever opens its path in a browser.
    /// struct Echo;
    ///
    /// impl Handler for Echo {
    ///     type State = ();
    ///     type Notice = ();
    ///
    ///     fn get(&mut self, request: &Request) -> Option<Reply> {
    ///         let host = request.host();
    ///         Some(Reply::text(format!("Connect a WebSocket client to ws://{host}/echo.\n")))
    ///     }
    ///
    ///     fn open(&mut self, _request: &Request, _ctx: &mut Context<'_>) {}
    ///
    ///     fn message(&mut self, (): &mut (), message: Message<'_>, ctx: &mut Context<'_>) {
    ///         ctx.send(message);
    ///     }
    /// }
    /// ```
    fn get(&mut self, _request: &Request) -> Option<Reply> {
        None
    }

    /// A session has opened. A message sent here arrives before anything else.
    fn open(&mut self, request: &Request, ctx: &mut Context<'_>) -> Self::State;

    /// The session has sent a message.
    fn message(&mut self, state: &mut Self::State, message: Message<'_>, ctx: &mut Context<'_>);

    /// The session was silent for as long as the server waits before it pings. Returns
    /// whether the handler has pinged it, in the words of its protocol; otherwise the
    /// server sends a ping frame.
    fn ping(&mut self, _state: &mut Self::State, _ctx: &mut Context<'_>) -> bool {
        false
    }

    /// The session is over. It has left its topics; a message sent to it now goes
    /// nowhere, but publishing works.
    fn close(&mut self, _state: Self::State, _end: Ended, _ctx: &mut Context<'_>) {}

    /// The handler of this route on another shard has told all others something. The
    /// notices of one shard arrive in the order told, while there is room on this shard
    /// for what is published here in turn. No session is served, so `ctx` cannot send; a
    /// publication on all shards may find no room ([`Published`]).
    fn notice(&mut self, _notice: &Self::Notice, _ctx: &mut RouteContext<'_>) {}

    /// A session is called upon from elsewhere: by a handler ([`Context::visit`]) or by
    /// another thread ([`Publisher::visit`](crate::publisher::Publisher::visit)). `ctx` is
    /// the session's own. By default nothing happens.
    fn visit(
        &mut self,
        _state: &mut Self::State,
        _content: &(dyn Any + Send + Sync),
        _ctx: &mut Context<'_>,
    ) {
    }

    /// As much time has passed as the [`policy`](Handler::policy) says
    /// ([`RoutePolicy::tick_interval`]), or more: it is left out while publications are
    /// backed up. A tick that publishes much may find no room for the rest.
    fn tick(&mut self, _ctx: &mut RouteContext<'_>) {}

    /// The policy that this route asks of the server; asked once per shard.
    fn policy(&self) -> RoutePolicy {
        RoutePolicy::default()
    }
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ended {
    /// The cause of the end.
    pub reason: EndReason,
    /// The close code that was received or sent, if there was one.
    pub code: Option<CloseCode>,
}

/// Bytes of the longest path that names a topic: each session on it could have
/// one of its own.
const MAX_NAMING_PATH_BYTES: usize = 1_024;

/// Accepts a request whose path is to name a topic.
fn accept_naming_path(request: &Request) -> Result<Acceptance, Refusal> {
    match request.routing_path().len() {
        0..=MAX_NAMING_PATH_BYTES => Ok(Acceptance::default()),
        bytes => Err(Refusal::new(
            414,
            format!(
                "The path has {bytes} bytes. It names who hears whom here; shorten it to \
                 {MAX_NAMING_PATH_BYTES}."
            ),
        )),
    }
}
