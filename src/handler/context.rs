//! What a handler can do.

use std::any::Any;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::hub::{Hub, Subscriptions, Topic};
use crate::link::Answers;
use crate::mesh::ShardId;
use crate::plane::SessionKey;
use crate::ws::{CloseCode, Message, OpCode, PreparedFrame};

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
    /// What the handler of `route` acts through, for one session or, without
    /// `answers`, for none.
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

    /// Sends a frame to every subscriber of a topic, on every shard, this
    /// session included if it is one. It is read no further while publications
    /// are backed up.
    pub fn publish(&mut self, topic: &Topic, frame: PreparedFrame) {
        self.published = true;
        self.hub.publish(topic, frame, None);
    }

    /// Like [`publish`](Context::publish), but not to this session.
    pub fn publish_to_others(&mut self, topic: &Topic, frame: PreparedFrame) {
        self.published = true;
        self.hub.publish(topic, frame, Some(self.session.index));
    }

    /// Sends a frame to every subscriber of a topic on this shard, and to none
    /// on others.
    pub fn publish_here(&mut self, topic: &Topic, frame: PreparedFrame) {
        self.published = true;
        self.hub.publish_here(topic, frame);
    }

    /// Tells the handlers of this route on all other shards something: their
    /// [`Handler::notice`](super::Handler::notice) is called with it. It takes
    /// the way of publications, in order with what this shard publishes, and
    /// like them holds its session back while they are backed up.
    pub fn tell_others(&mut self, notice: impl Any + Send + Sync) {
        self.published = true;
        self.hub.tell(self.route, notice);
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
