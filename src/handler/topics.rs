//! `/topics/{topic}`: a session in one topic, which gets the data of its publications as
//! they are, for clients that speak no protocol.
//!
//! What such a session may do stands in the rule of the topic, as for every protocol.
//! Its messages are published to the topic, if it may; the data of a text message counts
//! as JSON for other protocols if it is JSON.

use std::sync::Arc;

use super::built_in::{BuiltIn, NoSettings};
use super::gated::{check_token, token_of};
use super::{Acceptance, Context, Handler, RouteFactory};
use crate::access::{Access, AccessSettings, May};
use crate::config::{Config, ConfigError, JoinPolicy, PublishPolicy, RouteSetting, TableError};
use crate::latest::{Latest, View};
use crate::publication::Topic;
use crate::router::params_of;
use crate::upgrade::{Refusal, Request};
use crate::ws::{CloseCode, Message};

/// The param of a route's path that names the topic.
const PARAM: &str = "topic";

/// A route with `topics`, as its handlers on all shards share it.
#[derive(Debug, Clone)]
pub(super) struct TopicsRoute {
    access: Arc<Latest<Access>>,
    /// Which clients may publish on this route at most.
    publish: PublishPolicy,
}

impl TopicsRoute {
    /// Reads what is to count from now on.
    fn read_anew(config: &Config) -> Result<Access, ConfigError> {
        let settings = AccessSettings::of(config)?;
        Access::new(&settings)
            .map_err(|TableError { path, problem }| ConfigError::new(path, problem))
    }

    fn handler(&self) -> Topics {
        Topics {
            access: self.access.view(),
            publish: self.publish,
        }
    }
}

impl BuiltIn for TopicsRoute {
    const NAME: &'static str = "topics";
    const SUMMARY: &'static str = "Subscribes to the topic that the path names.";
    type Settings = NoSettings;

    fn check_route(
        route: &RouteSetting,
        _: &NoSettings,
        access: &AccessSettings,
    ) -> Result<(), String> {
        if !params_of(&route.path).any(|param| param == PARAM) {
            return Err(format!(
                "'{}' names no topic; write {{topic}} where its name stands, as in \
                 /topics/{{topic}}",
                route.path
            ));
        }
        check_token(access.token.as_ref(), route)
    }

    fn factory(
        route: &RouteSetting,
        _: &NoSettings,
        access: &AccessSettings,
    ) -> Result<RouteFactory, TableError> {
        let shared = TopicsRoute {
            access: Latest::new(Access::new(access)?),
            publish: route.publish.unwrap_or_default(),
        };
        let renewed = shared.clone();
        let mut factory = RouteFactory::new(move || shared.handler());
        factory.renew = Some(Arc::new(move |config| {
            let access = TopicsRoute::read_anew(config)?;
            let route = renewed.clone();
            Ok(Box::new(move || route.access.replace(access)))
        }));
        Ok(factory)
    }
}

/// The handler of one shard.
#[derive(Debug)]
pub(super) struct Topics {
    access: View<Access>,
    publish: PublishPolicy,
}

impl Topics {
    /// What a session may do that comes with this request, or why it may not come.
    fn may(&self, topic: &str, request: &Request) -> Result<May, Refusal> {
        if topic.len() > Access::MAX_TOPIC_BYTES {
            let (len, max) = (topic.len(), Access::MAX_TOPIC_BYTES);
            return Err(Refusal::new(
                414,
                format!("The topic's name has {len} bytes. Shorten it to {max}."),
            ));
        }
        let Some(rule) = self.access.rule_of(topic) else {
            return Err(Refusal::new(404, "No rule allows this topic."));
        };
        let token = Access::needs_token(rule, self.publish)
            .then(|| token_of(request))
            .flatten();
        let claims = token.and_then(|token| self.access.claims(&token));
        Access::grant(rule, self.publish, topic, claims.as_ref()).ok_or_else(|| {
            Refusal::forbidden(match rule.join {
                JoinPolicy::Nobody => "No client may subscribe to this topic.",
                _ => {
                    "This topic needs a valid token whose claim 'topics' names it. Give it as \
                     ?token= or as 'Authorization: Bearer'."
                }
            })
        })
    }
}

impl Handler for Topics {
    type State = (Topic, May);

    fn accept(&mut self, request: &Request) -> Result<Acceptance, Refusal> {
        self.access.refresh();
        let topic = request.param(PARAM).unwrap_or_default();
        self.may(topic, request).map(|_| Acceptance::default())
    }

    fn open(&mut self, request: &Request, ctx: &mut Context<'_>) -> (Topic, May) {
        let name = request.param(PARAM).unwrap_or_default();
        let topic = ctx.topic(name);
        // It may have changed since the request was accepted, though hardly ever has.
        match self.may(name, request) {
            Ok(may) => {
                ctx.subscribe(&topic);
                (topic, may)
            }
            Err(refusal) => {
                ctx.close(CloseCode::POLICY, &refusal.reason);
                (topic, May::default())
            }
        }
    }

    fn message(
        &mut self,
        (topic, may): &mut (Topic, May),
        message: Message<'_>,
        ctx: &mut Context<'_>,
    ) {
        if !may.publish {
            // A message that is dropped would look like one that was lost.
            ctx.count_denied();
            return ctx.close(CloseCode::POLICY, "publishing is not allowed here");
        }
        match may.hear_itself {
            true => ctx.publish(topic, message),
            false => ctx.publish_to_others(topic, message),
        };
    }
}
