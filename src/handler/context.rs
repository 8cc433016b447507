//! The operations open to a handler.

use std::any::Any;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::hub::{Errand, Hub, Order, Subscriptions, Topic};
use crate::link::Answers;
use crate::participant::ShardId;
use crate::plane::SessionKey;
use crate::publication::{Content, Form};
use crate::ws::{CloseCode, Message, OpCode, PreparedFrame};

/// Stands for a session where there is none: in a tick and in a notice.
pub(crate) const NO_SESSION: SessionKey = SessionKey {
    index: u32::MAX,
    generation: u32::MAX,
};

/// The outcome of a handler's publication.
///
/// For a session it is always accepted, in `open`, `message` and `close`: the session
/// is not read further until there is room. So there is no need to look at it there.
/// In [`tick`](super::Handler::tick) and [`notice`](super::Handler::notice) there is
/// no session that could be held, and a handler that must not lose anything looks:
///
/// ```
/// # use corecast::handler::{Context, Handler};
/// # use corecast::hub::Topic;
/// # use corecast::upgrade::Request;
/// # use corecast::ws::{Message, PreparedFrame};
/// # struct Clock { topic: Topic, unsaid: Vec<PreparedFrame> }
/// # impl Handler for Clock {
/// #     type State = ();
/// #     fn open(&mut self, _: &Request, _: &mut Context<'_>) {}
/// #     fn message(&mut self, _: &mut (), _: Message<'_>, _: &mut Context<'_>) {}
/// fn tick(&mut self, ctx: &mut Context<'_>) {
///     while let Some(line) = self.unsaid.pop() {
///         if ctx.publish(&self.topic, line.clone()).is_full() {
///             // There is another tick.
///             return self.unsaid.push(line);
///         }
///     }
/// }
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// It is on its way, and nothing of it will be lost.
    Accepted,
    /// There is no room; nothing was published.
    Full,
}

impl Published {
    /// Whether it was not published, for want of room.
    #[must_use]
    pub fn is_full(self) -> bool {
        self == Published::Full
    }
}

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
    pub fn send_text(&mut self, text: &str) {
        self.send(Message::Text(text));
    }

    /// Sends a binary message to this session.
    pub fn send_binary(&mut self, bytes: &[u8]) {
        self.send(Message::Binary(bytes));
    }

    /// Sends a message to this session.
    pub fn send(&mut self, message: Message<'_>) {
        let opcode = match message {
            Message::Text(_) => OpCode::Text,
            Message::Binary(_) => OpCode::Binary,
        };
        self.answer(|answers| answers.message(opcode, message.as_bytes()));
    }

    /// Sends an encoded frame to this session.
    pub fn send_prepared(&mut self, frame: &PreparedFrame) {
        self.answer(|answers| answers.prepared(frame));
    }

    /// Publishes to every subscriber of a topic, on every shard, this session included
    /// if it is one: a [`PreparedFrame`], or a [`Content`] that says more. It is read no further while publications
    /// are backed up.
    pub fn publish(&mut self, topic: &Topic, content: impl Into<Content>) -> Published {
        self.if_room(!self.hub.is_congested(), |ctx| {
            ctx.hub.publish(topic, content, None);
        })
    }

    /// Like [`publish`](Context::publish), but not to this session.
    pub fn publish_to_others(&mut self, topic: &Topic, content: impl Into<Content>) -> Published {
        self.if_room(!self.hub.is_congested(), |ctx| {
            ctx.hub.publish(topic, content, Some(ctx.session.index));
        })
    }

    /// Publishes to every subscriber of a topic on this shard, and to none
    /// on others.
    pub fn publish_here(&mut self, topic: &Topic, content: impl Into<Content>) -> Published {
        self.if_room(self.hub.has_room_here(), |ctx| {
            ctx.hub.publish_here(topic, content);
        })
    }

    /// Sends a frame to those subscribers of a topic on this shard that get its
    /// publications in this form.
    pub(crate) fn publish_here_in(
        &mut self,
        topic: &Topic,
        form: Form,
        frame: PreparedFrame,
    ) -> Published {
        self.if_room(self.hub.has_room_here(), |ctx| {
            ctx.hub.publish_here_in(topic, form, frame);
        })
    }

    /// Tells the handlers of this route on all other shards something: their
    /// [`Handler::notice`](super::Handler::notice) is called with it. It takes
    /// the way of publications, in order with what this shard publishes, and
    /// like them holds its session back while they are backed up.
    pub fn tell_others(&mut self, notice: impl Any + Send + Sync) -> Published {
        self.if_room(!self.hub.is_congested(), |ctx| {
            ctx.hub.tell(ctx.route, notice);
        })
    }

    /// Sends a message to any session of the server, by its
    /// [number](Context::session_id). It comes after what its handler has sent before,
    /// and in no order with publications. A session that is over gets nothing; one that
    /// reads too slowly is treated as a slow consumer.
    pub fn send_to(&mut self, session: u128, frame: PreparedFrame) -> Published {
        self.order(session, Errand::Send(frame))
    }

    /// Closes any session of the server, by its [number](Context::session_id).
    pub fn close_session(&mut self, session: u128, code: CloseCode, reason: &str) -> Published {
        self.order(session, Errand::Close(code, reason.to_owned()))
    }

    /// Has the handler of any session of the server called for it: its
    /// [`Handler::visit`](super::Handler::visit) gets the content.
    pub fn visit(&mut self, session: u128, content: impl Any + Send + Sync) -> Published {
        self.order(session, Errand::Visit(Box::new(content)))
    }

    /// Gives an order, which takes room on the rings as a publication does.
    fn order(&mut self, session: u128, errand: Errand) -> Published {
        self.if_room(!self.hub.is_congested(), |ctx| {
            ctx.hub.order(Order { session, errand });
        })
    }

    /// Publishes for a session, which is held back if there is no room, or if there
    /// is.
    #[inline]
    fn if_room(&mut self, has_room: bool, publish: impl FnOnce(&mut Self)) -> Published {
        if !has_room && self.session == NO_SESSION {
            self.hub.count_refused();
            return Published::Full;
        }
        self.published = true;
        publish(self);
        Published::Accepted
    }

    /// Counts a message of a client that may not publish.
    pub(crate) fn count_denied(&self) {
        self.hub.count_denied();
    }

    /// The topic of this name. Where there are subscribers to it on this shard,
    /// they and the caller share its memory.
    pub fn topic(&self, name: &str) -> Topic {
        self.topic_here(name).unwrap_or_else(|| Topic::new(name))
    }

    /// The topic of this name, if it has subscribers on this shard.
    pub fn topic_here(&self, name: &str) -> Option<Topic> {
        self.hub.topic_here(name)
    }

    /// Enters this session into a topic. Returns `false` if it is in it
    /// already, or over.
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

    /// Whether a session of this shard gets the publications to a topic in this form.
    pub(crate) fn has_form_here(&self, topic: &str, form: Form) -> bool {
        self.hub.has_form_here(topic, form)
    }

    /// Takes this session out of a topic. Returns `false` if it was not in it.
    pub fn unsubscribe(&mut self, topic: &Topic) -> bool {
        self.hub.unsubscribe(self.subscriptions, topic)
    }

    /// Closes this session after what was sent so far. Messages that it sends
    /// from now on are not delivered.
    pub fn close(&mut self, code: CloseCode, reason: &str) {
        self.close.get_or_insert_with(|| (code, reason.to_owned()));
    }

    /// A number no other session of this process has while it runs.
    pub fn session_id(&self) -> u128 {
        u128::from(self.shard.0) << 64 | u128::from(self.session.to_bits())
    }

    /// The shard this session lives on.
    pub fn shard(&self) -> ShardId {
        self.shard
    }

    /// Milliseconds since the Unix epoch.
    pub fn timestamp_ms(&self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as u64)
    }
}
