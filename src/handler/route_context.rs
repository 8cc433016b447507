//! The operations open to a handler while it serves no session.

use std::any::Any;

use crate::hub::{Errand, Hub, Order, Topic};
use crate::participant::ShardId;
use crate::publication::{Content, Form};
use crate::ws::{CloseCode, PreparedFrame};

use super::context::timestamp_ms;
use super::{Handler, SessionId};

/// The outcome of a publication outside of any session, in [`Handler::tick`] and
/// [`Handler::notice`]: no session could be held back there, so it may find no room.
///
/// ```
/// # use corecast::{Context, Handler, Message, PreparedFrame, Request, RouteContext, Topic};
/// # struct Clock { topic: Topic, unsaid: Vec<PreparedFrame> }
/// # impl Handler for Clock {
/// #     type State = ();
/// #     type Notice = ();
/// #     fn open(&mut self, _: &Request, _: &mut Context<'_>) {}
/// #     fn message(&mut self, _: &mut (), _: Message<'_>, _: &mut Context<'_>) {}
/// fn tick(&mut self, ctx: &mut RouteContext<'_>) {
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
#[must_use = "without room nothing was published"]
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

/// A handler's hands while it serves no session: it can publish, but there is no one to
/// send to.
///
/// ```compile_fail,E0599
/// # use corecast::RouteContext;
/// fn tick(ctx: &mut RouteContext<'_>) {
///     ctx.send_text("to no one");
/// }
/// ```
pub struct RouteContext<'a> {
    route: u16,
    hub: &'a mut Hub,
}

impl<'a> RouteContext<'a> {
    /// The context through which the handler of `route` acts.
    pub(crate) fn new(route: u16, hub: &'a mut Hub) -> Self {
        RouteContext { route, hub }
    }
}

impl RouteContext<'_> {
    /// Sends a frame to every subscriber of a topic, on every shard.
    ///
    /// ```
    /// use corecast::{PreparedFrame, RouteContext, Topic};
    ///
    /// fn strike(hour: u32, topic: &Topic, ctx: &mut RouteContext<'_>) -> bool {
    ///     let published = ctx.publish(topic, PreparedFrame::text(&format!("{hour} o'clock")));
    ///     !published.is_full()
    /// }
    /// ```
    pub fn publish(&mut self, topic: &Topic, content: impl Into<Content>) -> Published {
        self.if_room(!self.hub.is_congested(), |ctx| {
            ctx.hub.publish(topic, content, None);
        })
    }

    /// Sends a frame to every subscriber of a topic on this shard, and to none on others:
    /// for what the handler of each shard says itself.
    ///
    /// ```
    /// use corecast::{PreparedFrame, RouteContext, Topic};
    ///
    /// fn tick(lobby: &Topic, ctx: &mut RouteContext<'_>) -> bool {
    ///     let shard = format!("this is shard {}", ctx.shard());
    ///     !ctx.publish_here(lobby, PreparedFrame::text(&shard)).is_full()
    /// }
    /// ```
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

    /// Whether a session of this shard gets the publications to a topic in this form.
    pub(crate) fn has_form_here(&self, topic: &str, form: Form) -> bool {
        self.hub.has_form_here(topic, form)
    }

    /// Tells the handlers of this route on all other shards something: their
    /// [`Handler::notice`] is called with it. `H` is the handler's own type, as in
    /// `ctx.tell_others::<Self>(notice)`.
    ///
    /// ```
    /// use corecast::{Context, Handler, Message, Published, Request, RouteContext};
    ///
    /// /// Knows how many messages all shards together have heard, a second ago.
    /// #[derive(Default)]
    /// struct Counting { here: u64, untold: u64, elsewhere: u64 }
    ///
    /// impl Handler for Counting {
    ///     type State = ();
    ///     type Notice = u64;
    ///
    ///     fn open(&mut self, _request: &Request, _ctx: &mut Context<'_>) {}
    ///
    ///     fn message(&mut self, (): &mut (), _message: Message<'_>, ctx: &mut Context<'_>) {
    ///         self.here += 1;
    ///         self.untold += 1;
    ///         ctx.send_text(&(self.here + self.elsewhere).to_string());
    ///     }
    ///
    ///     fn tick(&mut self, ctx: &mut RouteContext<'_>) {
    ///         if ctx.tell_others::<Self>(self.untold) == Published::Accepted {
    ///             self.untold = 0;
    ///         }
    ///     }
    ///
    ///     fn notice(&mut self, more: &u64, _ctx: &mut RouteContext<'_>) {
    ///         self.elsewhere += more;
    ///     }
    /// }
    /// ```
    pub fn tell_others<H: Handler>(&mut self, notice: H::Notice) -> Published {
        self.if_room(!self.hub.is_congested(), |ctx| {
            ctx.hub.tell(ctx.route, notice);
        })
    }

    /// Sends a message to any session of the server; see
    /// [`Context::send_to`](super::Context::send_to).
    ///
    /// ```
    /// # use corecast::{PreparedFrame, RouteContext, SessionId};
    /// fn remind(late: &mut Vec<SessionId>, ctx: &mut RouteContext<'_>) {
    ///     // Those for which there is no room are reminded by the next tick.
    ///     late.retain(|to| ctx.send_to(*to, PreparedFrame::text("still there?")).is_full());
    /// }
    /// ```
    pub fn send_to(&mut self, session: SessionId, frame: PreparedFrame) -> Published {
        self.order(session, Errand::Send(frame))
    }

    /// Closes any session of the server.
    ///
    /// ```
    /// # use corecast::{CloseCode, RouteContext, SessionId};
    /// fn end(over: SessionId, ctx: &mut RouteContext<'_>) -> bool {
    ///     let code = CloseCode::new(4000).unwrap();
    ///     !ctx.close_session(over, code, "the game is over").is_full()
    /// }
    /// ```
    pub fn close_session(
        &mut self,
        session: SessionId,
        code: CloseCode,
        reason: &str,
    ) -> Published {
        self.order(session, Errand::Close(code, reason.to_owned()))
    }

    /// Has the handler of any session of the server called for it: its
    /// [`Handler::visit`] gets the content.
    ///
    /// ```
    /// # use corecast::{RouteContext, SessionId};
    /// struct YourTurn;
    ///
    /// fn next(player: SessionId, ctx: &mut RouteContext<'_>) -> bool {
    ///     !ctx.visit(player, YourTurn).is_full()
    /// }
    /// ```
    pub fn visit(&mut self, session: SessionId, content: impl Any + Send + Sync) -> Published {
        self.order(session, Errand::Visit(Box::new(content)))
    }

    fn order(&mut self, session: SessionId, errand: Errand) -> Published {
        let session = session.as_u128();
        self.if_room(!self.hub.is_congested(), |ctx| {
            ctx.hub.order(Order { session, errand });
        })
    }

    fn if_room(&mut self, has_room: bool, publish: impl FnOnce(&mut Self)) -> Published {
        if !has_room {
            self.hub.count_refused();
            return Published::Full;
        }
        publish(self);
        Published::Accepted
    }

    /// The topic of this name. Where there are subscribers to it on this shard,
    /// they and the caller share its memory.
    ///
    /// ```
    /// # use corecast::{RouteContext, Topic};
    /// fn lobby(ctx: &RouteContext<'_>) -> Topic {
    ///     ctx.topic("lobby")
    /// }
    /// ```
    pub fn topic(&self, name: &str) -> Topic {
        self.topic_here(name).unwrap_or_else(|| Topic::new(name))
    }

    /// The topic of this name, if it has subscribers on this shard.
    ///
    /// ```
    /// # use corecast::RouteContext;
    /// fn is_heard_here(name: &str, ctx: &RouteContext<'_>) -> bool {
    ///     ctx.topic_here(name).is_some()
    /// }
    /// ```
    pub fn topic_here(&self, name: &str) -> Option<Topic> {
        self.hub.topic_here(name)
    }

    /// The shard that the handler is on.
    pub fn shard(&self) -> ShardId {
        self.hub.mesh().id()
    }

    /// Milliseconds since the Unix epoch.
    pub(crate) fn timestamp_ms(&self) -> u64 {
        timestamp_ms()
    }
}
