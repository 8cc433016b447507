//! The rights of clients: rules of topics, and what tokens say. This is the one file
//! that knows where both come from.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Number;
use serde_json::value::RawValue;

use super::CentrifugeConfig;
use super::code::Fault;
use crate::access::{Access, AccessSettings, Claims, TokenFault, TopicRule};
use crate::config::{JoinPolicy, PublishPolicy, TableError};
use crate::publication::Topic;

/// The rights of sessions, from their next command on.
#[derive(Debug)]
pub(super) struct Rights {
    /// Clients may connect without a token.
    pub(super) anonymous: bool,
    pub(super) max_channels: usize,
    max_channel_bytes: usize,
    pub(super) max_commands_per_message: usize,
    /// Seconds between the server's pings; 0 for none.
    pub(super) ping_interval: u32,
    /// Seconds after a token has run out in which the client may still send a new one.
    pub(super) expiry_grace: u32,
    access: Access,
}

/// The holder of a connection's token.
#[derive(Debug)]
pub(super) struct Holder {
    /// Empty for a user without a name.
    pub(super) user: Box<str>,
    /// JSON about the connection.
    pub(super) info: Option<Arc<str>>,
    /// When the token runs out, in seconds since the Unix epoch; 0 for never.
    pub(super) expires_at: u32,
    /// The topics it names, if any.
    claims: Claims,
}

/// A connection's token, or that there is none.
#[derive(Debug, Default)]
pub(super) struct ConnectionToken {
    pub(super) holder: Option<Holder>,
    /// Topics to subscribe to at once, and JSON for the client about them.
    pub(super) subs: BTreeMap<String, SubOptions>,
}

/// Options of a server-side subscription.
#[derive(Debug, Default, Deserialize)]
pub(super) struct SubOptions {
    info: Option<Box<RawValue>>,
    data: Option<Box<RawValue>>,
}

impl SubOptions {
    pub(super) fn info(&self) -> Option<Arc<str>> {
        self.info.as_deref().map(one_line)
    }

    pub(super) fn data(&self) -> Option<Arc<str>> {
        self.data.as_deref().map(one_line)
    }
}

/// A subscription that is allowed.
#[derive(Debug, Default)]
pub(super) struct Allowed {
    /// When its token runs out, in seconds since the Unix epoch; 0 for never.
    pub(super) expires_at: u32,
    /// JSON about the subscription.
    pub(super) info: Option<Arc<str>>,
}

/// Claims of a connection's token that are read here.
#[derive(Deserialize)]
struct ConnectionClaims {
    exp: Option<Number>,
    expire_at: Option<Number>,
    info: Option<Box<RawValue>>,
    #[serde(default)]
    channels: Vec<String>,
    #[serde(default)]
    subs: BTreeMap<String, SubOptions>,
}

/// Claims of a subscription's token that are read here.
#[derive(Deserialize)]
struct SubscriptionClaims {
    channel: String,
    exp: Option<Number>,
    expire_at: Option<Number>,
    info: Option<Box<RawValue>>,
}

impl Rights {
    /// Reads the key for tokens, if one is named.
    pub(super) fn new(
        config: &CentrifugeConfig,
        shared: &AccessSettings,
    ) -> Result<Self, TableError> {
        Ok(Rights {
            anonymous: config.anonymous,
            max_channels: config.max_channels_per_session,
            max_channel_bytes: config.max_channel_bytes,
            max_commands_per_message: config.max_commands_per_message,
            ping_interval: config.ping_interval_seconds as u32,
            expiry_grace: config.expiry_grace_seconds as u32,
            access: Access::new(&config.access(shared))?,
        })
    }

    /// Whether a rule asks for presence.
    pub(super) fn have_presence(&self) -> bool {
        self.access.has_presences()
    }

    /// Whether there are tokens, which run out.
    pub(super) fn have_tokens(&self) -> bool {
        self.access.verifier.is_some()
    }

    /// The rule of a topic that clients may name.
    pub(super) fn rule(&self, topic: &str) -> Result<&TopicRule, Fault> {
        if topic.len() > self.max_channel_bytes {
            return Err(Fault::BadRequest);
        }
        if Topic::is_reserved(topic) {
            return Err(Fault::PermissionDenied);
        }
        self.access.rule_of(topic).ok_or(Fault::UnknownChannel)
    }

    /// Reads a connection's token.
    pub(super) fn connection(&self, token: &str) -> Result<ConnectionToken, TokenFault> {
        let (claims, own): (Claims, ConnectionClaims) = self.verify(token)?;
        let mut subs = own.subs;
        for channel in own.channels {
            subs.entry(channel).or_default();
        }
        let holder = Some(Holder {
            user: claims.sub.as_deref().unwrap_or_default().into(),
            info: own.info.as_deref().map(one_line),
            expires_at: expiry(own.exp, own.expire_at),
            claims,
        });
        Ok(ConnectionToken { holder, subs })
    }

    /// Decides about a subscription with the token that came with it, or without one.
    pub(super) fn may_subscribe(
        &self,
        rule: &TopicRule,
        topic: &str,
        holder: Option<&Holder>,
        token: &str,
    ) -> Result<Allowed, Fault> {
        if rule.join == JoinPolicy::Nobody {
            return Err(Fault::PermissionDenied);
        }
        if !token.is_empty() {
            return self.subscription(topic, holder, token);
        }
        let user = holder.map_or("", |holder| &holder.user);
        let is_named = || holder.is_some_and(|holder| holder.claims.allow(topic));
        let may = match topic.split_once('#') {
            Some((_, users)) => !user.is_empty() && users.split(',').any(|name| name == user),
            None if topic.starts_with('$') => is_named(),
            None => rule.join == JoinPolicy::Everyone || is_named(),
        };
        match may {
            true => Ok(Allowed::default()),
            false => Err(Fault::PermissionDenied),
        }
    }

    /// Reads a subscription's token, which is good for one topic and one user.
    pub(super) fn subscription(
        &self,
        topic: &str,
        holder: Option<&Holder>,
        token: &str,
    ) -> Result<Allowed, Fault> {
        let (claims, own): (Claims, SubscriptionClaims) =
            self.verify(token).map_err(|fault| match fault {
                TokenFault::Expired => Fault::TokenExpired,
                TokenFault::Invalid => Fault::PermissionDenied,
            })?;
        let user = holder.map_or("", |holder| &holder.user);
        if own.channel != topic || claims.sub.as_deref().unwrap_or_default() != user {
            return Err(Fault::PermissionDenied);
        }
        Ok(Allowed {
            expires_at: expiry(own.exp, own.expire_at),
            info: own.info.as_deref().map(one_line),
        })
    }

    /// Whether the policies of a rule and of its route let a client publish.
    pub(super) fn may_publish(
        &self,
        rule: &TopicRule,
        route: PublishPolicy,
        topic: &str,
        holder: Option<&Holder>,
    ) -> bool {
        match rule.publish.stricter(route) {
            PublishPolicy::Everyone => true,
            PublishPolicy::Token => {
                holder.is_some_and(|holder| holder.claims.allow_publishing(topic))
            }
            PublishPolicy::Nobody => false,
        }
    }

    fn verify<C: DeserializeOwned>(&self, token: &str) -> Result<(Claims, C), TokenFault> {
        let verifier = self.access.verifier.as_ref().ok_or(TokenFault::Invalid)?;
        let claims = verifier.check(token)?;
        let payload = token.split('.').nth(1).unwrap_or_default();
        let payload = URL_SAFE_NO_PAD.decode(payload);
        let payload = payload.map_err(|_| TokenFault::Invalid)?;
        let own = serde_json::from_slice(&payload).map_err(|_| TokenFault::Invalid)?;
        Ok((claims, own))
    }
}

/// When a session or subscription ends: `expire_at` if it is there, where 0 is never, or
/// the end of the token.
fn expiry(exp: Option<Number>, expire_at: Option<Number>) -> u32 {
    let seconds = expire_at.or(exp).and_then(|number| number.as_f64());
    // One that lies beyond is as good as never; the cast ends at the largest number.
    seconds.map_or(0, |seconds| seconds as u32)
}

/// JSON without line ends, which part the replies in a message.
fn one_line(json: &RawValue) -> Arc<str> {
    json.get().replace(['\n', '\r'], " ").into()
}
