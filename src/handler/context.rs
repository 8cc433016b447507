//! The operations open to a handler.

use std::any::Any;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::hub::{Errand, Hub, Order, Subscriptions, Topic};
use crate::link::Answers;
use crate::participant::ShardId;
use crate::plane::SessionKey;
use crate::publication::{Content, Form};
use crate::ws::{CloseCode, Message, OpCode, PreparedFrame};

use super::{Handler, RouteContext, SessionId};

/// A handler's hands: the session it is serving, and the hub.
pub struct Context<'a> {
    pub(crate) shard: ShardId,
    pub(crate) route: u16,
    pub(crate) session: SessionKey,
    pub(crate) hub: &'a mut Hub,
    pub(crate) subscriptions: &'a mut Subscriptions,
    /// `None` once the session is over.
    pub(crate) answers: Option<Answers<'a>>,
    /// The handler wants the session closed.
    pub(crate) close: Option<(CloseCode, String)>,
    /// The time that the session has left, if its handler has said so since this was
    /// last taken.
    pub(crate) ends_after: Option<Duration>,
    /// The handler has published since this was last cleared.
    pub(crate) published: bool,
}

impl<'a> Context<'a> {
    /// The context through which the handler of `route` acts, for one session or,
    /// without `answers`, for none.
    pub(crate) fn new(
        session: SessionKey,
        route: u16,
        hub: &'a mut Hub,
        subscriptions: &'a mut Subscriptions,
        answers: Option<Answers<'a>>,
    ) -> Self {
        Context {
            shard: hub.mesh().id(),
            route,
            session,
            hub,
            subscriptions,
            answers,
            close: None,
            ends_after: None,
            published: false,
        }
    }

    /// Adds to what the session is sent, if there is one.
    #[inline]
    pub(crate) fn answer(&mut self, say: impl FnOnce(&mut Answers<'a>)) {
        if let Some(answers) = &mut self.answers {
            say(answers);
        }
    }

    /// From now on nothing is sent: the session is over.
    pub(crate) fn mute(&mut self) {
        self.answers = None;
    }

    /// Sends what was collected. Returns how the handler wants the session closed,
    /// if it does, and whether the connection is lost.
    pub(crate) fn finish(self) -> (Option<(CloseCode, String)>, bool) {
        let broken = self.answers.is_some_and(Answers::finish);
        (self.close, broken)
    }
}

impl Context<'_> {
    /// Sends a text message to this session.
    ///
    /// ```
    /// # use corecast::Context;
    /// fn greet(name: &str, ctx: &mut Context<'_>) {
    ///     ctx.send_text(&format!("hello, {name}"));
    /// }
    /// ```
    pub fn send_text(&mut self, text: &str) {
        self.send(Message::Text(text));
    }

    /// Sends a binary message to this session.
    ///
    /// ```
    /// # use corecast::Context;
    /// fn send_position(x: u16, y: u16, ctx: &mut Context<'_>) {
    ///     let [a, b] = x.to_be_bytes();
    ///     let [c, d] = y.to_be_bytes();
    ///     ctx.send_binary(&[a, b, c, d]);
    /// }
    /// ```
    pub fn send_binary(&mut self, bytes: &[u8]) {
        self.send(Message::Binary(bytes));
    }

    /// Sends a message to this session.
    ///
    /// ```
    /// # use corecast::{Context, Message};
    /// fn echo(message: Message<'_>, ctx: &mut Context<'_>) {
    ///     ctx.send(message);
    /// }
    /// ```
    pub fn send(&mut self, message: Message<'_>) {
        let opcode = match message {
            Message::Text(_) => OpCode::Text,
            Message::Binary(_) => OpCode::Binary,
        };
        self.answer(|answers| answers.message(opcode, message.as_bytes()));
    }

    /// Sends an encoded frame to this session, which spares encoding what many sessions
    /// are sent alike.
    ///
    /// ```
    /// # use corecast::{Context, PreparedFrame};
    /// struct Quiz { rules: PreparedFrame }
    ///
    /// impl Quiz {
    ///     fn explain(&self, ctx: &mut Context<'_>) {
    ///         ctx.send_prepared(&self.rules);
    ///     }
    /// }
    /// ```
    pub fn send_prepared(&mut self, frame: &PreparedFrame) {
        self.answer(|answers| answers.prepared(frame));
    }

    /// Publishes to every subscriber of a topic, on every shard, this session included
    /// if it is one: a [`PreparedFrame`], or a [`Content`] that says more.
    ///
    /// It is always accepted: this session is read no further while publications are
    /// backed up.
    ///
    /// ```
    /// # use corecast::{Context, Message, PreparedFrame, Topic};
    /// fn say(room: &Topic, message: Message<'_>, ctx: &mut Context<'_>) {
    ///     ctx.publish(room, PreparedFrame::new(message));
    /// }
    /// ```
    pub fn publish(&mut self, topic: &Topic, content: impl Into<Content>) {
        self.published = true;
        self.hub.publish(topic, content, None);
    }

    /// Like [`publish`](Context::publish), but not to this session.
    ///
    /// ```
    /// # use corecast::{Context, PreparedFrame, Topic};
    /// fn announce(guest: &str, room: &Topic, ctx: &mut Context<'_>) {
    ///     ctx.send_text("welcome");
    ///     ctx.publish_to_others(room, PreparedFrame::text(&format!("{guest} has come in")));
    /// }
    /// ```
    pub fn publish_to_others(&mut self, topic: &Topic, content: impl Into<Content>) {
        self.published = true;
        self.hub.publish(topic, content, Some(self.session.index));
    }

    /// Publishes to every subscriber of a topic on this shard, and to none
    /// on others.
    ///
    /// ```
    /// # use corecast::{Context, PreparedFrame, Topic};
    /// fn say_to_the_shard(topic: &Topic, ctx: &mut Context<'_>) {
    ///     let text = format!("shard {} has a new guest", ctx.shard());
    ///     ctx.publish_here(topic, PreparedFrame::text(&text));
    /// }
    /// ```
    pub fn publish_here(&mut self, topic: &Topic, content: impl Into<Content>) {
        self.published = true;
        self.hub.publish_here(topic, content);
    }

    /// Sends a message to any session of the server, by its
    /// [number](Context::session_id). It comes after what its handler has sent before,
    /// and in no order with publications. A session that is over gets nothing; one that
    /// reads too slowly is treated as a slow consumer.
    ///
    /// ```
    /// # use corecast::{Context, PreparedFrame, SessionId};
    /// fn whisper(to: SessionId, text: &str, ctx: &mut Context<'_>) {
    ///     ctx.send_to(to, PreparedFrame::text(text));
    /// }
    /// ```
    pub fn send_to(&mut self, session: SessionId, frame: PreparedFrame) {
        self.order(session, Errand::Send(frame));
    }

    /// Closes any session of the server, by its [number](Context::session_id).
    ///
    /// ```
    /// # use corecast::{CloseCode, Context, SessionId};
    /// fn replace(before: SessionId, ctx: &mut Context<'_>) {
    ///     ctx.close_session(before, CloseCode::new(4001).unwrap(), "logged in elsewhere");
    /// }
    /// ```
    pub fn close_session(&mut self, session: SessionId, code: CloseCode, reason: &str) {
        self.order(session, Errand::Close(code, reason.to_owned()));
    }

    /// Has the handler of any session of the server called for it: its
    /// [`Handler::visit`] gets the content.
    ///
    /// ```
    /// # use corecast::{Context, SessionId};
    /// struct Credit(u64);
    ///
    /// fn pay(to: SessionId, amount: u64, ctx: &mut Context<'_>) {
    ///     ctx.visit(to, Credit(amount));
    /// }
    /// ```
    pub fn visit(&mut self, session: SessionId, content: impl Any + Send + Sync) {
        self.order(session, Errand::Visit(Box::new(content)));
    }

    /// Gives an order, which holds this session back as a publication does.
    fn order(&mut self, session: SessionId, errand: Errand) {
        self.published = true;
        let session = session.as_u128();
        self.hub.order(Order { session, errand });
    }

    /// Tells the handlers of this route on all other shards something: their
    /// [`Handler::notice`] is called with it. It takes the way of publications, in order
    /// with what this shard publishes, and like them holds its session back while they
    /// are backed up. `H` is the handler's own type.
    ///
    /// ```
    /// use std::collections::HashMap;
    ///
    /// use corecast::{Context, Handler, Message, Request, RouteContext};
    ///
    /// /// The highest bids of an auction, as every shard knows them.
    /// struct Auction(HashMap<String, u64>);
    ///
    /// struct Bid { lot: String, price: u64 }
    ///
    /// impl Auction {
    ///     fn note(&mut self, bid: &Bid) {
    ///         let highest = self.0.entry(bid.lot.clone()).or_default();
    ///         *highest = bid.price.max(*highest);
    ///     }
    /// }
    ///
    /// impl Handler for Auction {
    ///     type State = ();
    ///     type Notice = Bid;
    ///
    ///     fn open(&mut self, _request: &Request, _ctx: &mut Context<'_>) {}
    ///
    ///     fn message(&mut self, (): &mut (), message: Message<'_>, ctx: &mut Context<'_>) {
    ///         let Message::Text(text) = message else { return };
    ///         let Some((lot, price)) = text.split_once(' ') else { return };
    ///         let Ok(price) = price.parse() else { return };
    ///         let bid = Bid { lot: lot.to_owned(), price };
    ///         self.note(&bid);
    ///         ctx.tell_others::<Self>(bid);
    ///     }
    ///
    ///     fn notice(&mut self, bid: &Bid, _ctx: &mut RouteContext<'_>) {
    ///         self.note(bid);
    ///     }
    /// }
    /// ```
    pub fn tell_others<H: Handler>(&mut self, notice: H::Notice) {
        self.published = true;
        self.hub.tell(self.route, notice);
    }

    /// Ends this session at a time, in seconds since the Unix epoch, because a token
    /// expires then.
    pub(crate) fn end_with_token(&mut self, at: u64) {
        let at = UNIX_EPOCH.checked_add(Duration::from_secs(at));
        // A time that the clock cannot have does not come.
        let left = at.and_then(|at| at.duration_since(SystemTime::now()).ok());
        let is_past = at.is_some() && left.is_none();
        let left = left.or(is_past.then_some(Duration::ZERO));
        let first = self.ends_after.into_iter().chain(left).min();
        self.ends_after = first;
    }

    /// The same hands without the session, whose publications may find no room.
    pub(crate) fn without_session(&mut self) -> RouteContext<'_> {
        RouteContext::new(self.route, self.hub)
    }

    /// Counts a message of a client that may not publish.
    pub(crate) fn count_denied(&self) {
        self.hub.count_denied();
    }

    /// The topic of this name. Where there are subscribers to it on this shard,
    /// they and the caller share its memory.
    ///
    /// ```
    /// # use corecast::{Context, Topic};
    /// fn enter(room: &str, ctx: &mut Context<'_>) -> Topic {
    ///     let room = ctx.topic(&format!("room:{room}"));
    ///     ctx.subscribe(&room);
    ///     room
    /// }
    /// ```
    pub fn topic(&self, name: &str) -> Topic {
        self.topic_here(name).unwrap_or_else(|| Topic::new(name))
    }

    /// The topic of this name, if it has subscribers on this shard.
    ///
    /// ```
    /// # use corecast::Context;
    /// fn is_heard_here(name: &str, ctx: &Context<'_>) -> bool {
    ///     ctx.topic_here(name).is_some()
    /// }
    /// ```
    pub fn topic_here(&self, name: &str) -> Option<Topic> {
        self.hub.topic_here(name)
    }

    /// Enters this session into a topic. Returns `false` if it is in it
    /// already, or over.
    ///
    /// ```
    /// # use corecast::{Context, Topic};
    /// fn follow(topic: &Topic, ctx: &mut Context<'_>) {
    ///     match ctx.subscribe(topic) {
    ///         true => ctx.send_text("you follow it now"),
    ///         false => ctx.send_text("you did before"),
    ///     }
    /// }
    /// ```
    pub fn subscribe(&mut self, topic: &Topic) -> bool {
        self.answers.is_some()
            && self
                .hub
                .subscribe(self.session.index, self.subscriptions, topic)
    }

    /// The same for another form of the topic's publications than their data.
    pub(crate) fn subscribe_in(&mut self, topic: &Topic, form: Form) -> bool {
        self.answers.is_some()
            && self
                .hub
                .subscribe_in(self.session.index, self.subscriptions, topic, form)
    }

    /// Takes this session out of a topic. Returns `false` if it was not in it. A session
    /// that ends leaves all its topics by itself.
    ///
    /// ```
    /// # use corecast::{Context, Topic};
    /// fn move_on(from: &mut Topic, to: Topic, ctx: &mut Context<'_>) {
    ///     ctx.unsubscribe(from);
    ///     ctx.subscribe(&to);
    ///     *from = to;
    /// }
    /// ```
    pub fn unsubscribe(&mut self, topic: &Topic) -> bool {
        self.hub.unsubscribe(self.subscriptions, topic)
    }

    /// Closes this session after what was sent so far. Messages that it sends
    /// from now on are not delivered.
    ///
    /// ```
    /// # use corecast::{CloseCode, Context, Message};
    /// fn only_text(message: Message<'_>, ctx: &mut Context<'_>) {
    ///     if let Message::Binary(_) = message {
    ///         ctx.close(CloseCode::UNSUPPORTED_DATA, "text only, please");
    ///     }
    /// }
    /// ```
    pub fn close(&mut self, code: CloseCode, reason: &str) {
        self.close.get_or_insert_with(|| (code, reason.to_owned()));
    }

    /// A number no other session of this process has while it runs.
    ///
    /// ```
    /// # use corecast::Context;
    /// fn introduce(ctx: &mut Context<'_>) {
    ///     ctx.send_text(&format!("you are guest {}", ctx.session_id()));
    /// }
    /// ```
    pub fn session_id(&self) -> SessionId {
        SessionId::new(self.shard, self.session)
    }

    /// The shard this session lives on.
    ///
    /// ```
    /// # use corecast::Context;
    /// fn tell_shard(ctx: &mut Context<'_>) {
    ///     ctx.send_text(&format!("you are on shard {}", ctx.shard()));
    /// }
    /// ```
    pub fn shard(&self) -> ShardId {
        self.shard
    }

    /// Milliseconds since the Unix epoch.
    pub(crate) fn timestamp_ms(&self) -> u64 {
        timestamp_ms()
    }
}

/// Milliseconds since the Unix epoch.
pub(super) fn timestamp_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}
