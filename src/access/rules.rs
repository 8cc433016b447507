//! The rights that settings give, ready to be asked.

use super::{AccessSettings, Claims, TopicRule, Verifier};
use crate::config::{JoinPolicy, PublishPolicy, TableError};
use crate::publication::Topic;

/// The rights of a session in a topic that it has joined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct May {
    /// It may publish.
    pub(crate) publish: bool,
    /// It gets its own publications like those of others.
    pub(crate) hear_itself: bool,
}

/// The rules of all topics and the verifier of tokens.
#[derive(Debug)]
pub(crate) struct Access {
    /// At least one; the first that matches counts.
    rules: Vec<TopicRule>,
    pub(crate) verifier: Option<Verifier>,
}

impl Access {
    /// Longest name of a topic that a client may use, in bytes.
    pub(crate) const MAX_TOPIC_BYTES: usize = 1_024;

    /// Reads the key for tokens, if one is named.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn new(settings: &AccessSettings) -> Result<Self, TableError> {
        let verifier = settings.token.as_ref().map(Verifier::new).transpose();
        Ok(Access {
            rules: match &settings.topics[..] {
                [] => vec![TopicRule::for_all()],
                rules => rules.to_vec(),
            },
            verifier: verifier.map_err(|problem| TableError::new("token", problem))?,
        })
    }

    /// The rule of a topic; none for one that clients may not name.
    pub(crate) fn rule_of(&self, topic: &str) -> Option<&TopicRule> {
        let mut rules = self.rules.iter();
        rules
            .find(|rule| rule.pattern.matches(topic))
            .filter(|_| !Topic::is_reserved(topic))
    }

    /// Whether a token matters for what a session may do by a rule, on a route where at
    /// most `publish` may publish.
    pub(crate) fn needs_token(rule: &TopicRule, publish: PublishPolicy) -> bool {
        rule.join == JoinPolicy::Token || rule.publish.stricter(publish) == PublishPolicy::Token
    }

    /// The rights of a session with these claims in a topic of a rule; `None` if it may
    /// not join it.
    pub(crate) fn grant(
        rule: &TopicRule,
        publish: PublishPolicy,
        topic: &str,
        claims: Option<&Claims>,
    ) -> Option<May> {
        let may_join = match rule.join {
            JoinPolicy::Everyone => true,
            JoinPolicy::Token => claims.is_some_and(|claims| claims.allow(topic)),
            JoinPolicy::Nobody => false,
        };
        may_join.then(|| May {
            publish: match rule.publish.stricter(publish) {
                PublishPolicy::Everyone => true,
                PublishPolicy::Token => claims.is_some_and(|claims| claims.allow_publishing(topic)),
                PublishPolicy::Nobody => false,
            },
            hear_itself: rule.echo,
        })
    }

    /// Whether any rule asks for presences.
    pub(crate) fn has_presences(&self) -> bool {
        self.rules.iter().any(|rule| rule.presence)
    }

    /// The claims of a token, if it is a good one.
    pub(crate) fn claims(&self, token: &str) -> Option<Claims> {
        self.verifier.as_ref()?.verify(token)
    }
}
