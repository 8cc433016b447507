//! The effects of a message.

use std::sync::Arc;

use super::code::{Disconnect, Fault, Unsubscribed};
use super::command::{Command, Malformed, Payload, Request};
use super::presence::{Change, Info, Member};
use super::reply::{Movement, Reply};
use super::rights::{Allowed, ConnectionToken, Holder};
use super::subscriptions::{Granted, Subscription};
use super::{CentrifugeHandler, CentrifugeSession, Encoding, Stage};
use crate::access::{TokenFault, TopicRule};
use crate::handler::Context;
use crate::publication::{Content, Topic};
use crate::ws::Message;

/// Bytes of answers about presence in one message, after which the rest are refused: a
/// short command may ask for a long answer.
const MAX_PRESENCE_BYTES: usize = 1024 * 1024;

/// Why a command is not done.
enum Refused {
    With(Fault),
    AndEnded(Disconnect),
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Refused::With(fault)
    }
}

impl From<Disconnect> for Refused {
    fn from(disconnect: Disconnect) -> Self {
        Refused::AndEnded(disconnect)
    }
}

impl From<Malformed> for Disconnect {
    fn from(Malformed: Malformed) -> Self {
        Disconnect::BadRequest
    }
}

/// A message as it is being served.
struct Turn {
    /// Bytes of answers about presence so far.
    presence_bytes: usize,
}

impl CentrifugeHandler {
    /// Does what the commands of a message ask for.
    pub(super) fn serve(
        &mut self,
        session: &mut CentrifugeSession,
        message: Message<'_>,
        ctx: &mut Context<'_>,
    ) -> Result<(), Disconnect> {
        let mut turn = Turn { presence_bytes: 0 };
        let mut count = 0;
        let max = self.rights.max_commands_per_message;
        session.encoding.commands(message, |command| {
            count += 1;
            if count > max {
                return Err(Disconnect::TooManyRequests);
            }
            self.serve_command(&mut turn, session, &command?, ctx)
        })?;
        match count {
            0 => Err(Disconnect::BadRequest),
            _ => Ok(()),
        }
    }

    fn serve_command(
        &mut self,
        turn: &mut Turn,
        session: &mut CentrifugeSession,
        command: &Command<'_>,
        ctx: &mut Context<'_>,
    ) -> Result<(), Disconnect> {
        let is_connect = matches!(command.request, Request::Connect { .. });
        match session.stage {
            Stage::New if is_connect => {}
            Stage::Connected if !is_connect => {}
            _ => return Err(Disconnect::BadRequest),
        }
        let id = command.id;
        let done = match &command.request {
            Request::Pong => return Ok(()),
            // No handler takes it, and no reply could say so.
            Request::Send => return Err(Disconnect::NotAvailable),
            Request::Connect { token } => self.connect(session, id, token, ctx),
            Request::Ping => self.reply(session.encoding, id, &Reply::Ping, ctx),
            Request::Subscribe {
                channel,
                token,
                recover,
            } => self.subscribe(session, id, channel, token, *recover, ctx),
            Request::Unsubscribe { channel } => self.unsubscribe(session, id, channel, ctx),
            Request::Publish { channel, payload } => {
                self.publish(session, id, channel, payload.as_ref(), ctx)
            }
            Request::Presence { channel } => self.presence(turn, session, id, channel, ctx),
            Request::PresenceStats { channel } => self.presence_stats(session, id, channel, ctx),
            Request::History { channel } => {
                named(channel).and_then(|()| Err(Fault::NotAvailable.into()))
            }
            Request::Rpc => Err(Fault::MethodNotFound.into()),
            Request::Refresh { token } => self.refresh(session, id, token, ctx),
            Request::SubRefresh { channel, token } => {
                self.sub_refresh(session, id, channel, token, ctx)
            }
        };
        match done {
            Ok(()) => Ok(()),
            Err(Refused::With(fault)) => {
                if is_connect {
                    session.stage = Stage::Refused;
                }
                if fault == Fault::PermissionDenied
                    && matches!(command.request, Request::Publish { .. })
                {
                    ctx.count_denied();
                }
                let _ = self.reply(session.encoding, id, &Reply::Fault(fault), ctx);
                Ok(())
            }
            Err(Refused::AndEnded(disconnect)) => Err(disconnect),
        }
    }

    /// Sends a reply, unless the command has no number to be found by.
    fn reply(
        &mut self,
        encoding: Encoding,
        id: u32,
        reply: &Reply<'_>,
        ctx: &mut Context<'_>,
    ) -> Result<(), Refused> {
        encoding.reply(id, reply, &mut self.text, ctx);
        Ok(())
    }

    fn connect(
        &mut self,
        session: &mut CentrifugeSession,
        id: u32,
        token: &str,
        ctx: &mut Context<'_>,
    ) -> Result<(), Refused> {
        let now = now(ctx);
        let ConnectionToken { holder, subs } = match token {
            "" if self.rights.anonymous => ConnectionToken::default(),
            "" => return Err(Disconnect::BadRequest.into()),
            token => self.rights.connection(token).map_err(|fault| match fault {
                TokenFault::Expired => Refused::from(Fault::TokenExpired),
                TokenFault::Invalid => Disconnect::InvalidToken.into(),
            })?,
        };
        let ttl = ttl(holder.as_ref().map_or(0, |it| it.expires_at), now)?;
        session.holder = holder.map(Box::new);
        if subs.len() > self.rights.max_channels {
            return Err(Disconnect::ChannelLimit.into());
        }
        let (mut granted, mut joined) = (Vec::new(), Vec::new());
        for (channel, options) in subs {
            let Ok(rule) = self.rights.rule(&channel) else {
                // The token asks for a topic that there is not.
                return Err(Disconnect::InvalidToken.into());
            };
            let rule = rule.clone();
            let allowed = Allowed {
                expires_at: 0,
                info: options.info(),
            };
            let topic = self.enter(session, &channel, &rule, allowed, &mut joined, ctx);
            granted.push(Granted {
                topic,
                data: options.data(),
            });
        }
        session.stage = Stage::Connected;
        self.note_deadline(session, ctx);
        let reply = Reply::Connect {
            client: self.client(ctx),
            ttl,
            ping: self.rights.ping_interval,
            subs: &granted,
        };
        self.reply(session.encoding, id, &reply, ctx)?;
        self.tell_all(joined, ctx);
        Ok(())
    }

    fn subscribe(
        &mut self,
        session: &mut CentrifugeSession,
        id: u32,
        channel: &str,
        token: &str,
        recover: bool,
        ctx: &mut Context<'_>,
    ) -> Result<(), Refused> {
        named(channel)?;
        let rule = self.rights.rule(channel)?.clone();
        if session.subscriptions.get(channel).is_some() {
            return Err(Fault::AlreadySubscribed.into());
        }
        if session.subscriptions.len() >= self.rights.max_channels {
            return Err(Fault::LimitExceeded.into());
        }
        let holder = session.holder.as_deref();
        let allowed = self.rights.may_subscribe(&rule, channel, holder, token)?;
        let reply = Reply::Subscribe {
            ttl: ttl(allowed.expires_at, now(ctx))?,
            was_recovering: recover,
        };
        let mut joined = Vec::new();
        self.enter(session, channel, &rule, allowed, &mut joined, ctx);
        self.note_deadline(session, ctx);
        self.reply(session.encoding, id, &reply, ctx)?;
        self.tell_all(joined, ctx);
        Ok(())
    }

    /// Enters a session into a topic that it is not in.
    fn enter(
        &mut self,
        session: &mut CentrifugeSession,
        channel: &str,
        rule: &TopicRule,
        allowed: Allowed,
        joined: &mut Vec<Change>,
        ctx: &mut Context<'_>,
    ) -> Topic {
        let topic = ctx.topic(channel);
        ctx.subscribe_in(&topic, session.encoding.form());
        let holder = session.holder.as_deref();
        let publish = self.shared.publish;
        session.subscriptions.insert(Subscription {
            topic: topic.clone(),
            expires_at: allowed.expires_at,
            may_publish: self.rights.may_publish(rule, publish, channel, holder),
            hear_itself: rule.echo,
            is_present: rule.presence,
        });
        if rule.presence {
            joined.push(Change {
                topic: channel.into(),
                movement: Movement::Join,
                member: Arc::new(Member {
                    client: self.client(ctx),
                    user: holder.map(|it| it.user.clone()).unwrap_or_default(),
                    info: holder.and_then(|it| it.info.clone()),
                    channel_info: allowed.info,
                }),
            });
        }
        topic
    }

    fn unsubscribe(
        &mut self,
        session: &mut CentrifugeSession,
        id: u32,
        channel: &str,
        ctx: &mut Context<'_>,
    ) -> Result<(), Refused> {
        named(channel)?;
        // A session that leaves a topic it is not in has what it wants.
        let change = self.leave(session, channel, ctx);
        self.note_deadline(session, ctx);
        self.reply(session.encoding, id, &Reply::Unsubscribe, ctx)?;
        self.tell_all(change.into_iter().collect(), ctx);
        Ok(())
    }

    /// The change that takes a client out of a topic, if it is a member.
    pub(super) fn leaving(&self, topic: &str, client: u128) -> Option<Change> {
        let (topic, member) = self.members.get(topic, client)?;
        Some(Change {
            topic: Arc::clone(topic),
            movement: Movement::Leave,
            member: Arc::clone(member),
        })
    }

    fn publish(
        &mut self,
        session: &CentrifugeSession,
        id: u32,
        channel: &str,
        payload: Option<&Payload<'_>>,
        ctx: &mut Context<'_>,
    ) -> Result<(), Refused> {
        named(channel)?;
        let payload = payload.ok_or(Fault::BadRequest)?;
        let holder = session.holder.as_deref();
        let subscription = session.subscriptions.get(channel);
        let may = match subscription {
            Some(subscription) => subscription.may_publish,
            // A client that may not listen to a topic may not speak there either.
            None => {
                let rule = self.rights.rule(channel)?;
                self.rights.may_subscribe(rule, channel, holder, "")?;
                let publish = self.shared.publish;
                self.rights.may_publish(rule, publish, channel, holder)
            }
        };
        if !may {
            return Err(Fault::PermissionDenied.into());
        }
        let client = self.client(ctx);
        let member = self.members.get(channel, client);
        let info = match member {
            Some((_, member)) => member.info(),
            None => Info {
                client,
                user: holder.map_or("", |it| &it.user),
                info: holder.and_then(|it| it.info.as_deref()),
                channel_info: None,
            },
        };
        let encoding = session.encoding;
        let (frame, place) = encoding.publication(channel, payload, info, &mut self.text);
        let content = Content::in_form(encoding.form(), frame, place, payload.data());
        match subscription {
            Some(it) if !it.hear_itself => ctx.publish_to_others(&it.topic, content),
            Some(it) => ctx.publish(&it.topic, content),
            None => ctx.publish(&ctx.topic(channel), content),
        };
        self.reply(encoding, id, &Reply::Publish, ctx)
    }

    /// Checks that a session may see the members of a topic.
    fn may_see(&self, session: &CentrifugeSession, channel: &str) -> Result<(), Refused> {
        named(channel)?;
        let rule = self.rights.rule(channel)?;
        let Some(subscription) = session.subscriptions.get(channel) else {
            return Err(Fault::PermissionDenied.into());
        };
        match rule.presence && subscription.is_present {
            true => Ok(()),
            false => Err(Fault::NotAvailable.into()),
        }
    }

    fn presence(
        &mut self,
        turn: &mut Turn,
        session: &CentrifugeSession,
        id: u32,
        channel: &str,
        ctx: &mut Context<'_>,
    ) -> Result<(), Refused> {
        self.may_see(session, channel)?;
        if turn.presence_bytes > MAX_PRESENCE_BYTES {
            return Err(Fault::TooManyRequests.into());
        }
        let members = self.members.of(channel);
        let reply = Reply::Presence(&members);
        turn.presence_bytes += session.encoding.reply(id, &reply, &mut self.text, ctx);
        Ok(())
    }

    fn presence_stats(
        &mut self,
        session: &CentrifugeSession,
        id: u32,
        channel: &str,
        ctx: &mut Context<'_>,
    ) -> Result<(), Refused> {
        self.may_see(session, channel)?;
        let (clients, users) = self.members.count(channel);
        let reply = Reply::PresenceStats { clients, users };
        self.reply(session.encoding, id, &reply, ctx)
    }

    fn refresh(
        &mut self,
        session: &mut CentrifugeSession,
        id: u32,
        token: &str,
        ctx: &mut Context<'_>,
    ) -> Result<(), Refused> {
        let before = session.holder.as_deref();
        if token.is_empty() || before.is_none() {
            return Err(Disconnect::BadRequest.into());
        }
        let read = self.rights.connection(token);
        let read = read.map_err(|fault| match fault {
            TokenFault::Expired => Disconnect::Expired,
            TokenFault::Invalid => Disconnect::InvalidToken,
        })?;
        let is_same = |it: &Holder| before.is_some_and(|before| before.user == it.user);
        let Some(holder) = read.holder.filter(is_same) else {
            return Err(Disconnect::InvalidToken.into());
        };
        let reply = Reply::Refresh {
            client: self.client(ctx),
            ttl: ttl(holder.expires_at, now(ctx))?,
        };
        session.holder = Some(Box::new(holder));
        self.note_deadline(session, ctx);
        self.reply(session.encoding, id, &reply, ctx)
    }

    fn sub_refresh(
        &mut self,
        session: &mut CentrifugeSession,
        id: u32,
        channel: &str,
        token: &str,
        ctx: &mut Context<'_>,
    ) -> Result<(), Refused> {
        named(channel)?;
        let holder = session.holder.as_deref();
        let Some(subscription) = session.subscriptions.get_mut(channel) else {
            return Err(Fault::PermissionDenied.into());
        };
        if token.is_empty() {
            return Err(Fault::BadRequest.into());
        }
        let allowed = self.rights.subscription(channel, holder, token)?;
        let ttl = ttl(allowed.expires_at, now(ctx))?;
        subscription.expires_at = allowed.expires_at;
        self.note_deadline(session, ctx);
        self.reply(session.encoding, id, &Reply::SubRefresh { ttl }, ctx)
    }
}

impl CentrifugeHandler {
    /// Notes when the first of a session's tokens runs out for good: a client that was
    /// told of the end has some time to send a new one.
    fn note_deadline(&mut self, session: &mut CentrifugeSession, ctx: &Context<'_>) {
        let holder = session.holder.iter().map(|holder| holder.expires_at);
        let subscriptions = session.subscriptions.iter().map(|it| it.expires_at);
        let first = holder.chain(subscriptions).filter(|at| *at != 0).min();
        let at = first.map_or(0, |at| at.saturating_add(self.rights.expiry_grace));
        let key = ctx.session_id().as_u128() as u64;
        self.deadlines.set(key, &mut session.deadline, at);
    }

    /// Ends what has run out for good: the session, or some of its subscriptions.
    pub(super) fn expire(
        &mut self,
        session: &mut CentrifugeSession,
        ctx: &mut Context<'_>,
    ) -> Result<(), Disconnect> {
        let (grace, now) = (self.rights.expiry_grace, now(ctx));
        let is_over =
            |expires_at: u32| expires_at != 0 && u64::from(expires_at.saturating_add(grace)) <= now;
        if session.holder.iter().any(|it| is_over(it.expires_at)) {
            return Err(Disconnect::Expired);
        }
        let over = session.subscriptions.iter();
        let over = over.filter(|it| is_over(it.expires_at));
        let over: Vec<_> = over.map(|it| it.topic.clone()).collect();
        for topic in over {
            let name = topic.as_str();
            let change = self.leave(session, name, ctx);
            let reason = Unsubscribed::Expired;
            let encoding = session.encoding;
            encoding.unsubscribed(name, reason, &mut self.text, ctx);
            self.tell_all(change.into_iter().collect(), ctx);
        }
        self.note_deadline(session, ctx);
        Ok(())
    }

    /// Takes a session out of a topic. Returns what others have to be told.
    fn leave(
        &mut self,
        session: &mut CentrifugeSession,
        channel: &str,
        ctx: &mut Context<'_>,
    ) -> Option<Change> {
        let left = session.subscriptions.remove(channel)?;
        ctx.unsubscribe(&left.topic);
        match left.is_present {
            true => self.leaving(channel, self.client(ctx)),
            false => None,
        }
    }
}

/// A command about a topic names one.
fn named(channel: &str) -> Result<(), Refused> {
    match channel {
        "" => Err(Disconnect::BadRequest.into()),
        _ => Ok(()),
    }
}

/// Seconds since the Unix epoch.
fn now(ctx: &Context<'_>) -> u64 {
    ctx.timestamp_ms() / 1_000
}

/// Seconds until a token runs out that does.
fn ttl(expires_at: u32, now: u64) -> Result<Option<u32>, Fault> {
    match u64::from(expires_at) {
        0 => Ok(None),
        at if at <= now => Err(Fault::Expired),
        at => Ok(Some((at - now) as u32)),
    }
}
