//! One session of a handler, served without a runtime or a peer. Only the fuzz
//! targets see this: a [`Context`] is made from parts that are nobody else's business.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use super::{Context, Handler};
use crate::hub::{Hub, Subscriptions};
use crate::mesh::{ShardWaker, connect};
use crate::metrics::ShardMetrics;
use crate::plane::SessionKey;
use crate::send_queue::SendQueue;
use crate::session::Outgoing;
use crate::sys::{EventFd, Sink, Socket};
use crate::upgrade::Request;
use crate::ws::Message;

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
    /// Never sent to: there is always a queue, and behind a queue bytes wait.
    socket: Socket,
    metrics: Arc<ShardMetrics>,
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
        let (socket, _) = UnixStream::pair().expect("descriptors");
        let mut hands = Hands {
            hub: Hub::new(end, usize::MAX, Arc::clone(&metrics)),
            subscriptions: Subscriptions::default(),
            socket: Socket::new(socket.into()),
            metrics,
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
}

impl Hands {
    /// Calls the handler, and collects what that sends to the session.
    fn serve<T>(&mut self, call: impl FnOnce(&mut Context<'_>) -> T) -> (T, Vec<u8>) {
        let mut queue = Some(SendQueue::new(0));
        let mut collected = Vec::new();
        let outgoing = Outgoing::new(&self.socket, &mut queue, &mut collected, &self.metrics, 0);
        let mut ctx = Context {
            shard: self.hub.mesh().id(),
            route: 0,
            session: SESSION,
            hub: &mut self.hub,
            subscriptions: &mut self.subscriptions,
            outgoing: Some(outgoing),
            close: None,
            published: false,
        };
        let result = call(&mut ctx);
        if let Some(outgoing) = ctx.outgoing.take() {
            outgoing.finish();
        }
        let sent = Everything::default();
        if let Some(queue) = &mut queue {
            queue.flush(&sent).expect("takes all");
        }
        let mut sent = sent.0.into_inner();
        self.hub.run_slice(usize::MAX, |_, run| {
            sent.extend_from_slice(run.as_bytes());
        });
        (result, sent)
    }
}

/// A sink that takes all.
#[derive(Default)]
struct Everything(RefCell<Vec<u8>>);

impl Sink for Everything {
    fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut taken = self.0.borrow_mut();
        let before = taken.len();
        parts.iter().for_each(|part| taken.extend_from_slice(part));
        Ok(taken.len() - before)
    }
}
