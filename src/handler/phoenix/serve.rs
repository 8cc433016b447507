//! The effects of a message.

use super::answer::Denied;
use super::channels::Channel;
use super::incoming::{Incoming, Payload};
use super::join_payload::JoinPayload;
use super::outgoing;
use super::reference::Reference;
use super::version::Version;
use super::{PhoenixHandler, PhoenixSession};
use crate::access::{Access, Claims, May};
use crate::handler::Context;
use crate::publication::{Content, Data};

/// The topic of messages about the connection itself. It cannot be joined.
const SYSTEM_TOPIC: &str = "phoenix";

/// The result of a join that is granted.
struct Grant {
    may: May,
    /// Key and fields of the presence that begins, where the topic has any.
    presence: Option<(String, String)>,
}

impl PhoenixHandler {
    /// Does what a message asks for.
    pub(super) fn serve(
        &mut self,
        session: &mut PhoenixSession,
        message: &Incoming<'_>,
        ctx: &mut Context<'_>,
    ) {
        if message.topic == SYSTEM_TOPIC && message.event == "heartbeat" {
            return self.reply(session.version, Reference::None, message, Ok(()), ctx);
        }
        if message.event == "phx_join" {
            return self.join(session, message, ctx);
        }
        let Some(channel) = session.channels.get(&message.topic) else {
            return self.serve_unjoined(session, message, ctx);
        };
        // Said to a join that is over; its answer would confuse the next one.
        let join_ref = channel.join_ref;
        if message.join_ref != Reference::None && !message.join_ref.is_same(join_ref) {
            return;
        }
        if message.event == "phx_leave" {
            return self.leave(session, message, ctx);
        }
        let answer = if is_reserved(&message.event) {
            Err(Denied::ReservedEvent)
        } else if !channel.may.publish {
            ctx.count_denied();
            Err(Denied::Unauthorized)
        } else {
            self.publish(session.version, channel, message, ctx);
            Ok(())
        };
        self.reply(session.version, join_ref, message, answer, ctx);
    }

    /// Answers a message on a topic that the session is not in.
    fn serve_unjoined(
        &mut self,
        session: &PhoenixSession,
        message: &Incoming<'_>,
        ctx: &mut Context<'_>,
    ) {
        // A session that leaves a topic it is not in has what it wants.
        let (join_ref, answer) = match &*message.event {
            "phx_leave" => (message.join_ref, Ok(())),
            _ => (Reference::None, Err(Denied::UnmatchedTopic)),
        };
        self.reply(session.version, join_ref, message, answer, ctx);
    }

    /// Joins the session to a topic, anew if it has joined it before.
    fn join(
        &mut self,
        session: &mut PhoenixSession,
        message: &Incoming<'_>,
        ctx: &mut Context<'_>,
    ) {
        self.rights.refresh();
        let before = session.channels.remove(&message.topic);
        let granted = self.may_join(session, message, ctx);
        if let Ok(Grant { may, .. }) = granted {
            let topic = match &before {
                Some(before) => before.topic.clone(),
                None => {
                    let topic = ctx.topic(&message.topic);
                    ctx.subscribe_in(&topic, session.version.form());
                    topic
                }
            };
            session.channels.insert(topic, message.join_ref, may);
        } else if let Some(before) = &before {
            ctx.unsubscribe(&before.topic);
        }
        let (answer, presence) = match granted {
            Ok(grant) => (Ok(()), grant.presence),
            Err(denied) => (Err(denied), None),
        };
        let begins_presence = presence.is_some();
        self.change_presence(session, &message.topic, presence, ctx);
        let join_ref = match answer {
            Err(Denied::UnmatchedTopic) => Reference::None,
            _ => message.join_ref,
        };
        self.reply(session.version, join_ref, message, answer, ctx);
        if let Some(before) = before {
            self.say_close(session.version, before.join_ref(), &message.topic, ctx);
        }
        if begins_presence {
            self.say_who_is_there(session.version, message, ctx);
        }
    }

    /// Decides about a join.
    fn may_join(
        &self,
        session: &PhoenixSession,
        message: &Incoming<'_>,
        ctx: &Context<'_>,
    ) -> Result<Grant, Denied> {
        let topic = &*message.topic;
        let rule = self.rights.access.rule_of(topic);
        let rule = rule.filter(|_| topic != SYSTEM_TOPIC);
        let rule = rule.ok_or(Denied::UnmatchedTopic)?;
        if topic.len() > Access::MAX_TOPIC_BYTES {
            return Err(Denied::TopicTooLong);
        }
        if session.channels.len() >= self.rights.max_topics_per_socket {
            return Err(Denied::TooManyTopics);
        }
        // Nothing of the payload is needed where any session may join unseen, and
        // publish or not whatever its token says.
        let limit = self.shared.publish;
        let is_asked = Access::needs_token(rule, limit) || rule.presence;
        let payload = match is_asked {
            true => JoinPayload::parse(message.payload),
            false => JoinPayload::default(),
        };
        let claims = is_asked.then(|| self.claims(session, &payload)).flatten();
        let may = Access::grant(rule, limit, topic, claims.as_ref());
        let may = may.ok_or(Denied::Unauthorized)?;
        let holder = claims.and_then(|claims| claims.sub);
        let presence = match rule.presence {
            true => {
                let key = holder
                    .or(payload.user_id.clone())
                    .unwrap_or_else(|| format!("{:x}", ctx.session_id()));
                let fields = payload.presence_fields(&key, ctx.timestamp_ms() / 1_000);
                Some((key, fields.ok_or(Denied::PresenceTooLong)?))
            }
            false => None,
        };
        Ok(Grant { may, presence })
    }

    /// The claims of the token of a session that joins, if it has a good one.
    fn claims(&self, session: &PhoenixSession, payload: &JoinPayload) -> Option<Claims> {
        let token = payload.token.as_deref().or(session.token.as_deref())?;
        self.rights.access.claims(token)
    }

    fn leave(
        &mut self,
        session: &mut PhoenixSession,
        message: &Incoming<'_>,
        ctx: &mut Context<'_>,
    ) {
        let Some(left) = session.channels.remove(&message.topic) else {
            return;
        };
        ctx.unsubscribe(&left.topic);
        self.change_presence(session, &message.topic, None, ctx);
        let join_ref = left.join_ref();
        self.reply(session.version, join_ref, message, Ok(()), ctx);
        self.say_close(session.version, join_ref, &message.topic, ctx);
    }

    /// Sends what a session has pushed to all in the topic.
    fn publish(
        &mut self,
        version: Version,
        channel: Channel<'_>,
        message: &Incoming<'_>,
        ctx: &mut Context<'_>,
    ) {
        let data = match message.payload {
            Payload::Json(json) => Data::Json(json.get()),
            Payload::Binary(bytes) => Data::Binary(bytes),
        };
        let written = outgoing::publication(
            version,
            &message.topic,
            &message.event,
            data,
            &mut self.text,
        );
        let Some((frame, place)) = written else {
            debug_assert!(false, "what came in a version can be said in it");
            return;
        };
        let content = Content::in_form(version.form(), frame, place, data);
        let content = content.with_event(&message.event);
        match channel.may.hear_itself {
            true => ctx.publish(channel.topic, content),
            false => ctx.publish_to_others(channel.topic, content),
        };
    }

    /// Tells the subscribers on this shard which members came and went since the last
    /// time, as far as there is room; the rest with the next tick.
    pub(super) fn say_what_changed(&mut self, ctx: &mut Context<'_>) {
        loop {
            while let Some((topic, form, frame)) = self.unsaid.pop_front() {
                if ctx.publish_here_in(&topic, form, frame.clone()).is_full() {
                    return self.unsaid.push_front((topic, form, frame));
                }
            }
            let Some((topic, difference)) = self.presences.take_difference() else {
                return;
            };
            self.write_difference(&topic, &difference, ctx);
        }
    }

    /// Writes a difference for each version that is spoken in its topic here.
    fn write_difference(&mut self, topic: &str, difference: &str, ctx: &Context<'_>) {
        let Some(here) = ctx.topic_here(topic) else {
            return;
        };
        for version in Version::ALL {
            let form = version.form();
            if !ctx.has_form_here(topic, form) {
                continue;
            }
            let (event, data) = ("presence_diff", Data::Json(difference));
            let written = outgoing::publication(version, topic, event, data, &mut self.text);
            let unsaid = written.map(|(frame, _)| (here.clone(), form, frame));
            self.unsaid.extend(unsaid);
        }
    }
}

/// Whether only the server may say this: others would take it for the truth.
fn is_reserved(event: &str) -> bool {
    // phoenix.js hands a reply on as an event whose name begins like the second.
    event.starts_with("phx_")
        || event.starts_with("chan_reply_")
        || event == "presence_state"
        || event == "presence_diff"
}
