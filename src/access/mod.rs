//! The rights of a client: rules of topics, and the signed tokens they ask for.
//!
//! This knows no protocol. A handler reads its rules and tokens from its settings,
//! finds the rule of a topic, and asks a verifier for the claims of a token; how a
//! token arrives and how a refusal is worded is up to the handler.

#[cfg(feature = "tokens")]
mod token;
#[cfg(not(feature = "tokens"))]
#[path = "no_tokens.rs"]
mod token;
mod token_setting;
mod topic_pattern;
mod topic_rule;

pub(crate) use token::{Claims, Verifier};
pub use token_setting::{TokenKey, TokenSetting};
pub use topic_pattern::TopicPattern;
pub use topic_rule::TopicRule;

/// Why a token is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenFault {
    /// It was good, and its time is over.
    Expired,
    /// It is none, or not one for this server.
    Invalid,
}
