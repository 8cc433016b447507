//! One session of a handler, served without a runtime or a peer. Only the fuzz targets
//! see this: a [`Context`] is made from parts that are private otherwise.

use std::sync::Arc;

use super::{Context, Handler};
use crate::hub::{Hub, Subscriptions};
use crate::link::scripted::{Peer, connection};
use crate::link::{Answers, Link, Outlet};
use crate::mesh::{ShardWaker, connect};
use crate::metrics::ShardMetrics;
use crate::plane::SessionKey;
use crate::sys::EventFd;
use crate::upgrade::Request;
use crate::ws::{CloseCode, Message};

const SESSION: SessionKey = SessionKey {
    index: 0,
    generation: 0,
};

/// A handler with its only session.
pub struct Served<H: Handler> {
    handler: H,
    state: H::State,
    hands: Hands,
}

/// All that a context is made from.
struct Hands {
    hub: Hub,
    subscriptions: Subscriptions,
    outlet: Outlet,
    peer: Peer,
    metrics: Arc<ShardMetrics>,
    closed: Option<CloseCode>,
}

impl<H: Handler> Served<H> {
    /// Opens the session, and returns the bytes it was sent.
    ///
    /// # Panics
    /// When descriptors run out.
    pub fn open(mut handler: H, request: &Request) -> (Self, Vec<u8>) {
        let event = EventFd::new().expect("a descriptor");
        let waker = Arc::new(ShardWaker::new(Arc::new(event)));
        let end = connect(&[waker], 0, 1).0.pop().expect("one shard");
        let metrics = Arc::new(ShardMetrics::default());
        let (socket, peer) = connection(usize::MAX);
        let mut hands = Hands {
            hub: Hub::new(end, usize::MAX, Arc::clone(&metrics)),
            subscriptions: Subscriptions::default(),
            outlet: Outlet::new(Link::Scripted(socket)),
            peer,
            metrics,
            closed: None,
        };
        let (state, sent) = hands.serve(|ctx| handler.open(request, ctx));
        let served = Served {
            handler,
            state,
            hands,
        };
        (served, sent)
    }

    /// Hands over a message, and returns the bytes the session was sent, its own
    /// publications included.
    pub fn message(&mut self, message: Message<'_>) -> Vec<u8> {
        let Served {
            handler,
            state,
            hands,
        } = self;
        hands.serve(|ctx| handler.message(state, message, ctx)).1
    }

    /// The code with which the handler has closed the session, if it has.
    pub fn close_code(&self) -> Option<CloseCode> {
        self.hands.closed
    }
}

impl Hands {
    /// Calls the handler, and collects what that sends to the session.
    fn serve<T>(&mut self, call: impl FnOnce(&mut Context<'_>) -> T) -> (T, Vec<u8>) {
        let mut collected = Vec::new();
        let answers = Answers::new(&mut self.outlet, &mut collected, &self.metrics, 0);
        let mut ctx = Context::new(
            SESSION,
            0,
            &mut self.hub,
            &mut self.subscriptions,
            Some(answers),
        );
        let result = call(&mut ctx);
        let (close, _) = ctx.finish();
        self.closed = self.closed.or(close.map(|(code, _)| code));
        let mut sent = self.peer.take_sent();
        self.hub.run_slice(usize::MAX, |_, run| {
            sent.extend_from_slice(run.as_bytes());
        });
        (result, sent)
    }
}
