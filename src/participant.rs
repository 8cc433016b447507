//! The participants of the mesh: shards, and publishers outside of them.

use std::fmt;

/// One pinned core with its thread, runtime, listener and sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ShardId(pub(crate) u16);

impl ShardId {
    /// The shard's place among all shards.
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The origin of a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Participant {
    /// By a handler on this shard.
    Shard(ShardId),
    /// By a [`Publisher`](crate::publisher::Publisher), on any thread.
    Outside,
}
