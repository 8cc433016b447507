//! Routes on which only some clients may publish, or none.
//!
//! A protocol whose clients publish says what becomes of a message of one that may not
//! ([`Publishes`]); [`Gated`] decides which may, once per session, when it opens. The
//! backend is not a client: what a [`Publisher`](crate::publisher::Publisher) or a tick
//! publishes passes no gate.
//!
//! # Invariants worth naming
//!
//! - A route on which everyone may publish has no gate, and its sessions no memory
//!   of one.

use std::any::Any;
use std::sync::Arc;

use serde::Deserialize;

use super::built_in::Settings;
use super::{Acceptance, Context, Ended, Handler, Renew, RouteContext, RouteFactory, RoutePolicy};
use crate::access::{AccessSettings, TokenSetting, Verifier};
use crate::config::{Config, ConfigError, PublishPolicy, RouteSetting, TableError, UnreadTable};
use crate::latest::{Latest, View};
use crate::upgrade::{Refusal, Reply, Request};
use crate::ws::Message;

/// A handler whose clients publish.
pub(super) trait Publishes: Handler {
    /// Serves a message of a session that may not publish.
    fn deny(&mut self, state: &mut Self::State, message: Message<'_>, ctx: &mut Context<'_>);
}

/// The settings of handlers whose clients publish.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PublishSettings {
    /// The tokens that routes may ask for.
    token: Option<TokenSetting>,
}

impl Settings for PublishSettings {
    fn check(&self, _access: &AccessSettings) -> Result<(), TableError> {
        verifier(self.token.as_ref()).map(drop)
    }

    fn to_table(&self) -> UnreadTable {
        let mut table = UnreadTable::default();
        if let Some(token) = &self.token {
            table.set("token", token.to_table());
        }
        table
    }
}

impl PublishSettings {
    /// Checks that there are tokens if a route asks for them.
    pub(super) fn check_route(
        &self,
        route: &RouteSetting,
        access: &AccessSettings,
    ) -> Result<(), String> {
        check_token(self.token(access), route)
    }

    /// The tokens that count: those of the handler, or of all handlers.
    fn token<'a>(&'a self, access: &'a AccessSettings) -> Option<&'a TokenSetting> {
        self.token.as_ref().or(access.token.as_ref())
    }

    /// Makes what makes the handlers of a route, behind a gate if there has to be one.
    ///
    /// # Errors
    /// When the key for tokens cannot be read.
    pub(super) fn factory<H: Publishes>(
        &self,
        name: &'static str,
        route: &RouteSetting,
        access: &AccessSettings,
        make: impl Fn() -> H + Send + Sync + 'static,
    ) -> Result<RouteFactory, TableError> {
        let verifier = match route.publish.unwrap_or_default() {
            PublishPolicy::Everyone => return Ok(RouteFactory::new(make)),
            PublishPolicy::Nobody => None,
            PublishPolicy::Token => verifier(self.token(access))?.map(Latest::new),
        };
        let renewed = verifier.clone();
        let mut factory = RouteFactory::new(move || Gated {
            handler: make(),
            verifier: verifier.as_ref().map(Latest::view),
        });
        factory.renew = renewed.map(|verifier| -> Renew {
            Arc::new(move |config| {
                let read = PublishSettings::read_anew(name, config)?;
                let verifier = Arc::clone(&verifier);
                Ok(Box::new(move || {
                    if let Some(read) = read {
                        verifier.replace(read);
                    }
                }))
            })
        });
        Ok(factory)
    }

    /// Reads the keys of a handler's tokens as they are now. Without a table of them
    /// those before stay: the routes that ask for tokens cannot change.
    fn read_anew(name: &str, config: &Config) -> Result<Option<Verifier>, ConfigError> {
        let access = AccessSettings::of(config)?;
        let table = config.handlers.get(name).cloned().unwrap_or_default();
        let read = table.read::<PublishSettings>();
        let verifier = read.and_then(|settings| verifier(settings.token(&access)));
        verifier.map_err(|TableError { path, problem }| {
            ConfigError::new(format!("handlers.{name}.{path}"), problem)
        })
    }
}

/// What checks tokens, where there are any.
fn verifier(token: Option<&TokenSetting>) -> Result<Option<Verifier>, TableError> {
    let verifier = token.map(Verifier::new).transpose();
    verifier.map_err(|problem| TableError::new("token", problem))
}

/// Checks that a handler has tokens if a route of it asks for them.
pub(super) fn check_token(
    token: Option<&TokenSetting>,
    route: &RouteSetting,
) -> Result<(), String> {
    if route.publish != Some(PublishPolicy::Token) || token.is_some() {
        return Ok(());
    }
    let RouteSetting { path, handler, .. } = route;
    Err(format!(
        "'{path}' asks for a token to publish, but there is no table [token] or \
         [handlers.{handler}.token] in the file to say which are good"
    ))
}

/// A handler some of whose sessions may publish.
struct Gated<H> {
    handler: H,
    /// The verifier of the tokens of sessions that may publish; `None` where no session
    /// may.
    verifier: Option<View<Verifier>>,
}

impl<H> Gated<H> {
    /// Whether a session may publish on the path it has come to.
    fn allows(&mut self, request: &Request, ctx: &mut Context<'_>) -> bool {
        let claims = self.verifier.as_mut().and_then(|verifier| {
            verifier.refresh();
            verifier.verify(&token_of(request)?)
        });
        claims.is_some_and(|claims| {
            if let Some(at) = claims.ends_session_at() {
                ctx.end_with_token(at);
            }
            claims.allow_publishing(request.routing_path())
        })
    }
}

/// The token that a client connects with: the query parameter `token`, because browsers
/// cannot send a header of their own, or `Authorization: Bearer`.
pub(super) fn token_of(request: &Request) -> Option<String> {
    if let Some(token) = request.last_query_param("token") {
        return Some(token.into_owned());
    }
    let (scheme, token) = request.header("authorization")?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim().to_owned())
}

impl<H: Publishes> Handler for Gated<H> {
    /// The handler's own, and whether the session may publish.
    type State = (H::State, bool);
    type Notice = H::Notice;

    const DROPS_EMPTY_SEGMENTS: bool = H::DROPS_EMPTY_SEGMENTS;

    fn accept(&mut self, request: &Request) -> Result<Acceptance, Refusal> {
        self.handler.accept(request)
    }

    fn get(&mut self, request: &Request) -> Option<Reply> {
        self.handler.get(request)
    }

    fn open(&mut self, request: &Request, ctx: &mut Context<'_>) -> Self::State {
        let may_publish = self.allows(request, ctx);
        (self.handler.open(request, ctx), may_publish)
    }

    fn message(
        &mut self,
        (state, may_publish): &mut Self::State,
        message: Message<'_>,
        ctx: &mut Context<'_>,
    ) {
        match may_publish {
            true => self.handler.message(state, message, ctx),
            false => self.handler.deny(state, message, ctx),
        }
    }

    fn ping(&mut self, (state, _): &mut Self::State, ctx: &mut Context<'_>) -> bool {
        self.handler.ping(state, ctx)
    }

    fn close(&mut self, (state, _): Self::State, end: Ended, ctx: &mut Context<'_>) {
        self.handler.close(state, end, ctx);
    }

    fn notice(&mut self, notice: &H::Notice, ctx: &mut RouteContext<'_>) {
        self.handler.notice(notice, ctx);
    }

    fn visit(
        &mut self,
        (state, _): &mut Self::State,
        content: &(dyn Any + Send + Sync),
        ctx: &mut Context<'_>,
    ) {
        self.handler.visit(state, content, ctx);
    }

    fn tick(&mut self, ctx: &mut RouteContext<'_>) {
        self.handler.tick(ctx);
    }

    fn policy(&self) -> RoutePolicy {
        self.handler.policy()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::{Broadcast, BroadcastPerPath, Chat};
    use super::*;

    fn state_bytes<H: Handler>() -> usize {
        size_of::<H::State>()
    }

    #[test]
    fn only_a_gate_costs_its_sessions_memory() {
        assert_eq!(state_bytes::<Broadcast>(), 0);
        assert_eq!(state_bytes::<Gated<Broadcast>>(), 1);
        assert_eq!(state_bytes::<BroadcastPerPath>(), 16);
        assert_eq!(state_bytes::<Gated<BroadcastPerPath>>(), 24);
        assert_eq!(state_bytes::<Chat>(), 16);
        assert_eq!(state_bytes::<Gated<Chat>>(), 24);
    }
}
