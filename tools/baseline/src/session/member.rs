//! `/broadcast` and `/ws`: a session that is in a room.

use std::future::{Future, pending, ready};

use futures_util::{SinkExt, StreamExt};
use tokio::task::unconstrained;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{End, Socket};
use crate::chat::{self, Reaction};
use crate::config::Style;
use crate::room::{Link, Rest, Subscription};
use crate::server::Shared;
use crate::stats::Stats;

/// The use that a member of a room makes of its peer's messages.
#[derive(Debug)]
pub(crate) enum Manners {
    /// It publishes them as they are.
    Broadcast,
    /// It reads them as what this user says in the chat.
    Chat(String),
}

impl Manners {
    fn react(&self, message: Message) -> Reaction {
        match self {
            Manners::Broadcast => Reaction::Publish(message),
            Manners::Chat(user_id) => chat::react(user_id, &message),
        }
    }
}

/// A session in a room.
pub(super) struct Member<'m> {
    socket: &'m mut Socket,
    subscription: Subscription<'m>,
    stats: &'m Stats,
    style: Style,
    /// The rest of the last publication, which found queues full. Nothing is
    /// read from the peer meanwhile.
    rest: Option<Rest<'m>>,
    /// Whether the queue or the socket is asked next: they take turns, so that
    /// neither can starve the other.
    queue_is_next: bool,
    /// Something was fed to the socket and not flushed.
    unflushed: bool,
    /// Messages from the peer that were not counted yet.
    received: u64,
}

/// An event that a session waits for.
enum Event {
    /// A publication, or `None` when the session was cut.
    Published(Option<Message>),
    /// A message from the peer, or `None` at its end.
    Received(Option<Result<Message, Error>>),
    /// The rest of a publication was taken by this many.
    Delivered(u64),
    /// Nothing more is there now.
    Quiet,
}

impl<'m> Member<'m> {
    /// A member that has sent and received nothing.
    pub(super) fn new(
        socket: &'m mut Socket,
        subscription: Subscription<'m>,
        shared: &'m Shared,
    ) -> Self {
        Member {
            socket,
            subscription,
            stats: &shared.stats,
            style: shared.style,
            rest: None,
            queue_is_next: true,
            unflushed: false,
            received: 0,
        }
    }

    /// Publishes the peer's messages and sends it the publications, until one
    /// of them ends.
    pub(super) async fn run(mut self, manners: &Manners) -> End {
        match self.take_part(manners).await {
            Ok(end) | Err(end) => end,
        }
    }

    async fn take_part(&mut self, manners: &Manners) -> Result<End, End> {
        if let Manners::Chat(user_id) = manners {
            self.send(chat::connected(user_id)).await?;
        }
        loop {
            match self.event().await {
                Event::Published(Some(message)) => {
                    self.queue_is_next = false;
                    self.send(message).await?;
                    while let Ok(message) = self.subscription.queue.try_recv() {
                        self.send(message).await?;
                    }
                }
                Event::Published(None) => return Ok(End::SlowConsumer),
                Event::Received(Some(message)) => {
                    self.queue_is_next = true;
                    let message = message?;
                    if message.is_text() || message.is_binary() {
                        self.received += 1;
                        self.follow(manners.react(message)).await?;
                    }
                }
                Event::Received(None) => return Ok(End::PeerClosed),
                Event::Delivered(deliveries) => {
                    self.rest = None;
                    self.stats.deliveries.add(deliveries);
                }
                Event::Quiet => {
                    self.queue_is_next = true;
                    self.settle().await?;
                }
            }
        }
    }

    async fn event(&mut self) -> Event {
        let (queue, socket) = (&mut self.subscription.queue, &mut self.socket);
        let may_read = self.rest.is_none();
        let is_due = self.unflushed || self.received > 0 || !self.queue_is_next;
        tokio::select! {
            biased;
            message = queue.recv(), if self.queue_is_next => Event::Published(message),
            message = socket.next(), if may_read => Event::Received(message),
            deliveries = finish(&mut self.rest) => Event::Delivered(deliveries),
            () = ready(()), if is_due => Event::Quiet,
        }
    }

    async fn follow(&mut self, reaction: Reaction) -> Result<(), End> {
        match reaction {
            Reaction::Publish(message) => {
                let published = self.subscription.room.publish(&message);
                self.rest = published.rest;
                self.stats.publications.add(1);
                self.stats.deliveries.add(published.deliveries);
                Ok(())
            }
            Reaction::Answer(message) => {
                self.stats.messages_out.add(1);
                self.send(message).await
            }
            Reaction::Nothing => Ok(()),
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        let link = &self.subscription.link;
        if self.style == Style::Plain {
            return unless_cut(link, self.socket.send(message)).await;
        }
        self.unflushed = true;
        unless_cut(link, self.socket.feed(message)).await
    }

    /// Counts the received messages and sends the collected ones.
    async fn settle(&mut self) -> Result<(), End> {
        if self.received > 0 {
            self.stats.messages_in.add(self.received);
            self.received = 0;
        }
        if self.unflushed {
            self.unflushed = false;
            unless_cut(&self.subscription.link, self.socket.flush()).await?;
        }
        Ok(())
    }
}

/// Waits for the rest of a publication; for ever if there is none.
async fn finish(rest: &mut Option<Rest<'_>>) -> u64 {
    match rest {
        Some(rest) => rest.await,
        None => pending().await,
    }
}

/// Writes, unless publishers lose patience while the socket takes nothing.
///
/// Unconstrained, because a write that has used up its task's budget would look
/// like a socket that takes nothing.
async fn unless_cut(
    link: &Link,
    write: impl Future<Output = Result<(), Error>>,
) -> Result<(), End> {
    tokio::select! {
        biased;
        written = unconstrained(write) => Ok(written?),
        () = link.stuck() => Err(End::SlowConsumer),
    }
}
