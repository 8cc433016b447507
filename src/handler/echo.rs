//! `/echo`: each message comes back as it was.

use super::built_in::{BuiltIn, NoSettings};
use super::{Context, Handler, RouteFactory};
use crate::access::AccessSettings;
use crate::config::{RouteSetting, TableError};
use crate::upgrade::Request;
use crate::ws::Message;

/// Returns each message to the session that sent it.
#[derive(Debug, Default)]
pub struct Echo;

impl Handler for Echo {
    type State = ();

    fn open(&mut self, _request: &Request, _ctx: &mut Context<'_>) {}

    fn message(&mut self, (): &mut (), message: Message<'_>, ctx: &mut Context<'_>) {
        ctx.send(message);
    }
}

impl BuiltIn for Echo {
    const NAME: &'static str = "echo";
    const SUMMARY: &'static str = "Returns each message to its sender.";
    type Settings = NoSettings;

    fn factory(
        _: &RouteSetting,
        _: &NoSettings,
        _: &AccessSettings,
    ) -> Result<RouteFactory, TableError> {
        Ok(RouteFactory::new(|| Echo))
    }
}
