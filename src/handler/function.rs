//! A handler that is one function.

use super::{Context, Handler};
use crate::upgrade::Request;
use crate::ws::Message;

/// Calls a function with each message; see
/// [`Server::route_fn`](crate::Server::route_fn).
pub(crate) struct Function<F>(pub(crate) F);

impl<F: FnMut(Message<'_>, &mut Context<'_>) + 'static> Handler for Function<F> {
    type State = ();
    type Notice = ();

    fn open(&mut self, _request: &Request, _ctx: &mut Context<'_>) {}

    #[inline]
    fn message(&mut self, (): &mut (), message: Message<'_>, ctx: &mut Context<'_>) {
        (self.0)(message, ctx);
    }
}
