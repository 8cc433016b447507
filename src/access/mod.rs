//! What a client may do: rules of topics, and the signed tokens they ask for.
//!
//! This knows no protocol. A handler reads its rules and tokens from its settings,
//! finds the rule of a topic, and asks a verifier what a token says; how a token
//! arrives and how a refusal is put are its own business.

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
