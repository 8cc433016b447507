//! `/echo`: each message comes back as it was.

use serde::Deserialize;

use super::built_in::{BuiltIn, Settings};
use super::{Acceptance, Context, Handler, RouteFactory};
use crate::access::AccessSettings;
use crate::config::choice::choice;
use crate::config::{RouteSetting, TableError, UnreadTable, parsed};
use crate::upgrade::{Refusal, Request};
use crate::ws::Message;

/// Returns each message to the session that sent it. It speaks the first of the
/// subprotocols that the client offers, because each of them comes back as it went:
/// clients such as Node's end a session in which none of theirs was selected.
#[derive(Debug, Default)]
pub struct Echo;

impl Handler for Echo {
    type State = ();
    type Notice = ();

    fn accept(&mut self, request: &Request) -> Result<Acceptance, Refusal> {
        Ok(Acceptance::new().subprotocol(request.subprotocols().next()))
    }

    fn open(&mut self, _request: &Request, _ctx: &mut Context<'_>) {}

    fn message(&mut self, (): &mut (), message: Message<'_>, ctx: &mut Context<'_>) {
        ctx.send(message);
    }
}

/// The same without a subprotocol.
struct EchoWithoutSubprotocol;

impl Handler for EchoWithoutSubprotocol {
    type State = ();
    type Notice = ();

    fn open(&mut self, _request: &Request, _ctx: &mut Context<'_>) {}

    fn message(&mut self, (): &mut (), message: Message<'_>, ctx: &mut Context<'_>) {
        ctx.send(message);
    }
}

choice! {
    /// The subprotocol of a session with `echo`.
    SubprotocolPolicy, "a policy for subprotocols", {
        /// The first that the client offers.
        #[default]
        First => "first",
        /// None.
        None => "none",
    }
}

/// The table `[handlers.echo]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EchoSettings {
    #[serde(deserialize_with = "parsed")]
    subprotocol: SubprotocolPolicy,
}

impl Settings for EchoSettings {
    fn to_table(&self) -> UnreadTable {
        let mut table = UnreadTable::default();
        table.set("subprotocol", self.subprotocol.as_str());
        table
    }
}

impl BuiltIn for Echo {
    const NAME: &'static str = "echo";
    const SUMMARY: &'static str = "Returns each message to its sender.";
    type Settings = EchoSettings;

    fn factory(
        _: &RouteSetting,
        settings: &EchoSettings,
        _: &AccessSettings,
    ) -> Result<RouteFactory, TableError> {
        Ok(match settings.subprotocol {
            SubprotocolPolicy::First => RouteFactory::new(|| Echo),
            SubprotocolPolicy::None => RouteFactory::new(|| EchoWithoutSubprotocol),
        })
    }
}
