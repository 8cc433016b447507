//! Testing a handler without a server, a thread or a network.
//!
//! A [`TestRoute`] is one route on one or more shards: the handlers, and between them
//! the hubs and rings of a server. Sessions are opened and speak by calls, and when a
//! call returns, everything that follows from it has happened on all shards:
//! publications are delivered and notices told. Nothing runs beside the test, and
//! nothing is waited for.
//!
//! A panic of the handler is a panic of the test.
//!
//! ```
//! use corecast::testing::TestRoute;
//! use corecast::{Context, Handler, Message, PreparedFrame, Request, Topic};
//!
//! /// One room per path.
//! struct Rooms;
//!
//! impl Handler for Rooms {
//!     type State = Topic;
//!     type Notice = ();
//!
//!     fn open(&mut self, request: &Request, ctx: &mut Context<'_>) -> Topic {
//!         let room = Topic::new(request.param("room").unwrap_or("lobby"));
//!         ctx.subscribe(&room);
//!         room
//!     }
//!
//!     fn message(&mut self, room: &mut Topic, message: Message<'_>, ctx: &mut Context<'_>) {
//!         ctx.publish_to_others(room, PreparedFrame::new(message));
//!     }
//! }
//!
//! let mut route = TestRoute::new("/rooms/{room}", 2, || Rooms);
//! let ann = route.open_on(0, "/rooms/kitchen").unwrap();
//! let ben = route.open_on(1, "/rooms/kitchen").unwrap();
//! let eve = route.open_on(1, "/rooms/garage").unwrap();
//! assert_eq!(route.topics(ben), ["kitchen"]);
//!
//! route.text(ann, "tea?");
//! assert_eq!(route.heard(ben), ["tea?"]);
//! assert!(route.heard(ann).is_empty() && route.heard(eve).is_empty());
//! ```

mod heard;
mod request;
mod session;

use std::sync::Arc;

pub use heard::Heard;
pub use request::TestRequest;

use self::session::Session;
use crate::handler::{Context, Ended, Handler, RouteContext, SessionId, write_form};
use crate::hub::{Errand, Hub, Order, ShardMessage};
use crate::link::Answers;
use crate::mesh::{OutsideEnd, ShardEnd, ShardWaker, connect};
use crate::metrics::{EndReason, ShardMetrics};
use crate::participant::Participant;
use crate::plane::SessionKey;
use crate::publication::{Content, Publication, Topic};
use crate::router::Router;
use crate::sys::EventFd;
use crate::upgrade::{Refusal, Reply, Request};
use crate::ws::{CloseCode, Message};

/// Messages on a ring, and publications pending on a shard, before publishers feel it:
/// the defaults of a server.
const RING_CAPACITY: usize = 1_024;

/// One route on one or more shards, with its handlers and sessions; see
/// [the module](self).
pub struct TestRoute<H: Handler> {
    router: Router<()>,
    shards: Vec<Shard<H>>,
    sessions: Vec<Session<H::State>>,
    /// A participant that has no sessions and sees all that is published.
    witness: ShardEnd<ShardMessage>,
    published: Vec<(Topic, Content)>,
    outside: OutsideEnd<ShardMessage>,
}

struct Shard<H> {
    handler: H,
    hub: Hub,
    metrics: Arc<ShardMetrics>,
    answers: Vec<u8>,
}

/// Names a session of a [`TestRoute`], also when it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TestSession(usize);

impl TestSession {
    fn key(self) -> SessionKey {
        SessionKey {
            index: self.0 as u32,
            generation: 0,
        }
    }
}

impl<H: Handler> TestRoute<H> {
    /// A route with this pattern, whose handler is made once for each shard.
    ///
    /// # Panics
    /// When the pattern cannot be a route's, or there is no shard.
    #[track_caller]
    pub fn new(pattern: &str, shards: usize, mut make: impl FnMut() -> H) -> Self {
        assert!(shards > 0, "a route is on one shard or more");
        let mut router = Router::new();
        let added = match H::DROPS_EMPTY_SEGMENTS {
            true => router.insert_dropping_empty_segments(pattern, ()),
            false => router.insert(pattern, ()),
        };
        if let Err(error) = added {
            panic!("{error}");
        }
        // One more, which is the witness.
        let event = || Arc::new(EventFd::new().expect("descriptors are left"));
        let wakers: Vec<_> = (0..=shards)
            .map(|_| Arc::new(ShardWaker::new(event())))
            .collect();
        let (mut ends, mut outside) = connect(&wakers, 1, RING_CAPACITY);
        let witness = ends.pop().expect("it was asked for");
        let shards = ends.into_iter().map(|end| {
            let metrics = Arc::new(ShardMetrics::default());
            let mut hub = Hub::new(end, RING_CAPACITY, Arc::clone(&metrics));
            hub.write_forms_with(write_form);
            Shard {
                handler: make(),
                hub,
                metrics,
                answers: Vec::new(),
            }
        });
        TestRoute {
            router,
            shards: shards.collect(),
            sessions: Vec::new(),
            witness,
            published: Vec::new(),
            outside: outside.pop().expect("it was asked for"),
        }
    }

    /// The handler of a shard.
    pub fn handler(&self, shard: usize) -> &H {
        &self.shards[shard].handler
    }

    /// Opens a session on the first shard, if the handler accepts it.
    ///
    /// # Errors
    /// The handler's refusal.
    ///
    /// # Panics
    /// When the request is malformed, or its path is not the route's.
    #[track_caller]
    pub fn open(&mut self, request: impl Into<TestRequest>) -> Result<TestSession, Refusal> {
        self.open_on(0, request)
    }

    /// Opens a session on a shard, if the handler accepts it.
    ///
    /// # Errors
    /// The handler's refusal.
    ///
    /// # Panics
    /// When the request is malformed, or its path is not the route's.
    #[track_caller]
    pub fn open_on(
        &mut self,
        shard: usize,
        request: impl Into<TestRequest>,
    ) -> Result<TestSession, Refusal> {
        let request = self.routed(request.into());
        self.shards[shard].handler.accept(&request)?;
        let session = TestSession(self.sessions.len());
        self.sessions.push(Session::new(shard));
        let state = self.serve(session, |handler, _, ctx| handler.open(&request, ctx));
        self.session(session).state = Some(state);
        self.end_if_closed(session);
        Ok(session)
    }

    /// A plain GET of the route's path on the first shard: the handler's reply, if it has
    /// one.
    ///
    /// # Panics
    /// When the request is malformed, or its path is not the route's.
    #[track_caller]
    pub fn get(&mut self, request: impl Into<TestRequest>) -> Option<Reply> {
        let request = self.routed(request.into());
        self.shards[0].handler.get(&request)
    }

    #[track_caller]
    fn routed(&self, request: TestRequest) -> Request {
        let mut request = request.build();
        let found = self.router.route(&mut request).is_some();
        assert!(found, "{} is not a path of this route", request.path());
        request
    }

    /// A session sends a text message.
    ///
    /// # Panics
    /// When it is over.
    #[track_caller]
    pub fn text(&mut self, session: TestSession, text: &str) {
        self.message(session, Message::Text(text));
    }

    /// A session sends a message.
    ///
    /// # Panics
    /// When it is over.
    #[track_caller]
    pub fn message(&mut self, session: TestSession, message: Message<'_>) {
        let is_open = self.session(session).state.is_some();
        assert!(is_open, "the session is over");
        self.serve(session, |handler, state, ctx| {
            if let Some(state) = state {
                handler.message(state, message, ctx);
            }
        });
        self.end_if_closed(session);
    }

    /// A session is closed by its client with 1000 (Normal Closure).
    pub fn leave(&mut self, session: TestSession) {
        let code = Some(CloseCode::NORMAL_CLOSURE);
        self.end(session, EndReason::PeerClosed, code);
    }

    /// A session ends for this reason, as if the client or the server had ended it.
    /// Nothing happens if it is over.
    pub fn end(&mut self, session: TestSession, reason: EndReason, code: Option<CloseCode>) {
        self.tell_end(session, reason, code);
        self.settle();
    }

    fn tell_end(&mut self, session: TestSession, reason: EndReason, code: Option<CloseCode>) {
        let kept = &mut self.sessions[session.0];
        let Some(state) = kept.state.take() else {
            return;
        };
        let shard = &mut self.shards[kept.shard];
        shard.hub.leave_all(&mut kept.subscriptions);
        self.call(session, |handler, _, ctx| {
            ctx.mute();
            handler.close(state, Ended { reason, code }, ctx);
        });
    }

    /// Lets time pass: each shard's handler has a tick.
    pub fn tick(&mut self) {
        for Shard { handler, hub, .. } in &mut self.shards {
            handler.tick(&mut RouteContext::new(0, hub));
        }
        self.settle();
    }

    /// Publishes as a [`Publisher`](crate::Publisher) does.
    pub fn publish(&mut self, topic: &Topic, content: impl Into<Content>) {
        let publication = Publication {
            topic: topic.clone(),
            content: content.into(),
            origin: Participant::Outside,
        };
        let message = ShardMessage::Publish(Arc::new(publication));
        let accepted = self.outside.try_broadcast(&message);
        accepted.expect("all rings are empty between two calls");
        self.settle();
    }

    /// The messages that a session was sent since this was last asked, in order: the
    /// answers to it and the publications it has heard.
    pub fn heard(&mut self, session: TestSession) -> Vec<Heard> {
        self.session(session).heard()
    }

    /// How the handler closed a session, if it did.
    pub fn closed(&self, session: TestSession) -> Option<(CloseCode, &str)> {
        let closed = self.sessions[session.0].closed.as_ref();
        closed.map(|(code, reason)| (*code, reason.as_str()))
    }

    /// The number of a session, as its handler sees it.
    pub fn session_id(&self, session: TestSession) -> SessionId {
        let shard = self.shards[self.sessions[session.0].shard].hub.mesh().id();
        SessionId::new(shard, session.key())
    }

    /// The names of the topics that a session is in, sorted.
    pub fn topics(&self, session: TestSession) -> Vec<String> {
        let kept = &self.sessions[session.0];
        let topics = self.shards[kept.shard].hub.topics_of(&kept.subscriptions);
        let mut names: Vec<_> = topics.map(|topic| topic.as_str().to_owned()).collect();
        names.sort_unstable();
        names
    }

    /// What the handlers have published on all shards since this was last asked, whether
    /// or not a session heard it.
    pub fn published(&mut self) -> Vec<(Topic, Content)> {
        std::mem::take(&mut self.published)
    }

    fn session(&mut self, session: TestSession) -> &mut Session<H::State> {
        &mut self.sessions[session.0]
    }

    /// Calls the handler for a session, and lets everything happen that follows.
    fn serve<R>(
        &mut self,
        session: TestSession,
        call: impl FnOnce(&mut H, Option<&mut H::State>, &mut Context<'_>) -> R,
    ) -> R {
        let result = self.call(session, call);
        self.settle();
        result
    }

    fn call<R>(
        &mut self,
        session: TestSession,
        call: impl FnOnce(&mut H, Option<&mut H::State>, &mut Context<'_>) -> R,
    ) -> R {
        let kept = &mut self.sessions[session.0];
        let shard = &mut self.shards[kept.shard];
        let outlet = &mut kept.outlet;
        let answers = Answers::new(outlet, &mut shard.answers, &shard.metrics, 0);
        let key = session.key();
        let (hub, subscriptions) = (&mut shard.hub, &mut kept.subscriptions);
        let mut ctx = Context::new(key, 0, hub, subscriptions, Some(answers));
        let result = call(&mut shard.handler, kept.state.as_mut(), &mut ctx);
        let (close, broken) = ctx.finish();
        assert!(!broken, "the client's end is open");
        if let Some(close) = close {
            kept.closed.get_or_insert(close);
        }
        kept.receive_answers();
        result
    }

    /// Ends a session that its handler has closed.
    fn end_if_closed(&mut self, session: TestSession) {
        let code = self.closed(session).map(|(code, _)| code);
        if code.is_some() {
            self.tell_end(session, EndReason::HandlerClosed, code);
            self.settle();
        }
    }

    /// Delivers, tells and does what was ordered until nothing is left.
    fn settle(&mut self) {
        let mut orders = Vec::new();
        while self.deliver(&mut orders) {
            for (key, order) in orders.drain(..) {
                self.follow(TestSession(key.index as usize), &order);
            }
        }
    }

    /// Does what was ordered for a session from elsewhere, if there is such a session.
    fn follow(&mut self, session: TestSession, order: &Order) {
        let kept = self.sessions.get_mut(session.0);
        let Some(kept) = kept.filter(|kept| kept.state.is_some()) else {
            return;
        };
        match &order.errand {
            Errand::Send(frame) => kept.receive(frame.as_bytes()),
            Errand::Close(code, reason) => kept.closed = Some((*code, reason.clone())),
            Errand::Visit(content) => self.call(session, |handler, state, ctx| {
                if let Some(state) = state {
                    handler.visit(state, &**content, ctx);
                }
            }),
        }
        let code = self.closed(session).map(|(code, _)| code);
        if code.is_some() {
            self.tell_end(session, EndReason::HandlerClosed, code);
        }
    }

    /// Delivers and tells what is on its way, and collects orders. Whether there was
    /// anything.
    fn deliver(&mut self, orders: &mut Vec<(SessionKey, Arc<Order>)>) -> bool {
        let TestRoute {
            shards,
            sessions,
            witness,
            published,
            ..
        } = self;
        let mut is_busy = false;
        for Shard { handler, hub, .. } in &mut *shards {
            hub.flush_mesh();
            hub.expect_incoming();
            hub.receive();
            while let Some(notice) = hub.next_notice() {
                let content = notice.content.downcast_ref();
                let content = content.expect("a notice is told with tell_others::<Self>");
                handler.notice(content, &mut RouteContext::new(0, hub));
                is_busy = true;
            }
            is_busy |= hub.has_work() || hub.mesh().backlogged() > 0;
            hub.run_slice(usize::MAX, |session, run| {
                sessions[session as usize].receive(run.as_bytes());
            });
            orders.extend(std::iter::from_fn(|| hub.next_order()));
            hub.flush_mesh();
        }
        let taken = witness.receive(usize::MAX, |message| {
            if let ShardMessage::Publish(publication) = message
                && publication.origin != Participant::Outside
            {
                published.push((publication.topic.clone(), publication.content.clone()));
            }
        });
        is_busy || taken > 0 || !orders.is_empty()
    }
}
