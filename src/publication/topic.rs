//! The address of a publication.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// Tells a topic of a shard from all that were there before it under the same name or
/// in the same place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TopicSerial(pub(crate) u64);

/// The address of a publication: a name shared by reference, also between shards.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Topic(Arc<str>);

impl Topic {
    /// A topic of this name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Topic(name.into())
    }

    /// The beginning of the names that built-in handlers have for topics of their own, such
    /// as the audience of a path. Clients can neither join these nor publish to them by
    /// name.
    pub const RESERVED: &'static str = "corecast:";

    /// Whether a name is one of those.
    pub fn is_reserved(name: &str) -> bool {
        name.starts_with(Topic::RESERVED)
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A topic is found by its name: both have the same hash and order.
impl Borrow<str> for Topic {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Topic({:?})", &*self.0)
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
