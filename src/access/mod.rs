//! The rights of a client: rules of topics, and the signed tokens they ask for.
//!
//! This knows no protocol. The rules and the key stand in the tables `[[topics]]` and
//! `[token]` of the configuration, and count for all protocols; a handler finds the rule
//! of a topic, and asks for the claims of a token. How a token arrives and how a refusal
//! is worded is up to the handler.

#[cfg(feature = "tokens")]
mod keys;
mod rules;
mod settings;
#[cfg(feature = "tokens")]
mod token;
#[cfg(not(feature = "tokens"))]
#[path = "no_tokens.rs"]
mod token;
mod token_setting;
mod topic_pattern;
mod topic_rates;
mod topic_rule;

pub(crate) use rules::{Access, May};
pub use settings::AccessSettings;
pub(crate) use token::{Claims, Verifier};
pub use token_setting::{NamedKey, TokenKey, TokenKeys, TokenSetting};
pub use topic_pattern::TopicPattern;
pub(crate) use topic_rates::TopicRates;
pub use topic_rule::TopicRule;

/// Why a token is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenFault {
    /// It was good, and its time is over.
    #[cfg_attr(
        not(feature = "tokens"),
        expect(dead_code, reason = "no token is ever read")
    )]
    Expired,
    /// It is none, or not one for this server.
    Invalid,
}
