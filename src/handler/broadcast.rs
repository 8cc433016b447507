//! `/broadcast`: each message goes to every session on the path.

use super::built_in::BuiltIn;
use super::gated::{PublishSettings, Publishes};
use super::{Acceptance, Context, Handler, RouteFactory, accept_naming_path};
use crate::access::AccessSettings;
use crate::config::{RouteSetting, TableError};
use crate::hub::Topic;
use crate::router::params_of;
use crate::upgrade::{Refusal, Request};
use crate::ws::{CloseCode, Message, PreparedFrame};

/// Sends each message to every session of one topic, the sender included.
#[derive(Debug)]
pub struct Broadcast {
    topic: Topic,
}

impl Broadcast {
    /// A broadcast among the sessions of all routes with this topic name,
    /// whatever their paths. For a route whose pattern has params, see
    /// [`BroadcastPerPath`].
    pub fn new(topic: &str) -> Self {
        Broadcast {
            topic: Topic::new(topic),
        }
    }
}

impl Handler for Broadcast {
    type State = ();

    fn open(&mut self, _request: &Request, ctx: &mut Context<'_>) {
        ctx.subscribe(&self.topic);
    }

    fn message(&mut self, (): &mut (), message: Message<'_>, ctx: &mut Context<'_>) {
        ctx.publish(&self.topic, PreparedFrame::new(message));
    }
}

/// Sends each message to every session on the same path, the sender included:
/// with the pattern `/rooms/{room}`, `/rooms/kitchen` does not hear
/// `/rooms/garage`.
///
/// ```
/// use corecast::config::Config;
/// use corecast::handler::BroadcastPerPath;
/// use corecast::server::Server;
///
/// let server = Server::new(Config::default())?
///     .route("/rooms/{room}", || BroadcastPerPath::new("rooms:"))?;
/// # let _ = server;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BroadcastPerPath {
    prefix: Box<str>,
}

impl BroadcastPerPath {
    /// A broadcast whose topics are named by the prefix and the
    /// [routing path](Request::routing_path).
    pub fn new(prefix: &str) -> Self {
        BroadcastPerPath {
            prefix: prefix.into(),
        }
    }
}

impl Handler for BroadcastPerPath {
    /// The path's topic, its name shared with all of its sessions on the shard.
    type State = Topic;

    fn accept(&mut self, request: &Request) -> Result<Acceptance, Refusal> {
        accept_naming_path(request)
    }

    fn open(&mut self, request: &Request, ctx: &mut Context<'_>) -> Topic {
        let topic = ctx.topic(&[&self.prefix, request.routing_path()].concat());
        ctx.subscribe(&topic);
        topic
    }

    fn message(&mut self, topic: &mut Topic, message: Message<'_>, ctx: &mut Context<'_>) {
        ctx.publish(topic, PreparedFrame::new(message));
    }
}

impl Publishes for Broadcast {
    fn deny(&mut self, (): &mut (), _message: Message<'_>, ctx: &mut Context<'_>) {
        deny(ctx);
    }
}

impl Publishes for BroadcastPerPath {
    fn deny(&mut self, _topic: &mut Topic, _message: Message<'_>, ctx: &mut Context<'_>) {
        deny(ctx);
    }
}

/// A raw message has no answer, and one that is dropped would look like one that was
/// lost. So the client is told by the end of its session.
fn deny(ctx: &mut Context<'_>) {
    ctx.count_denied();
    ctx.close(CloseCode::POLICY, "publishing is not allowed here");
}

/// A route with `broadcast`. The prefixes of topics keep them apart from those of
/// other handlers.
pub(super) struct BroadcastRoute;

impl BuiltIn for BroadcastRoute {
    const NAME: &'static str = "broadcast";
    const SUMMARY: &'static str = "Sends each message to everyone on this path.";
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
        if params_of(&route.path).next().is_some() {
            return settings.factory(route, access, || {
                BroadcastPerPath::new("corecast:broadcast:")
            });
        }
        let topic = format!("corecast:broadcast:{}", route.path);
        settings.factory(route, access, move || Broadcast::new(&topic))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn state_bytes<H: Handler>() -> usize {
        size_of::<H::State>()
    }

    #[test]
    fn only_a_path_with_params_costs_its_sessions_memory() {
        assert_eq!(state_bytes::<Broadcast>(), 0);
        assert_eq!(state_bytes::<BroadcastPerPath>(), 16);
    }
}
