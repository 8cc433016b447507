//! `/echo`: each message comes back as it was.

use super::{Context, Handler};
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
