//! The number of a session.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use crate::participant::ShardId;
use crate::plane::SessionKey;

/// A number that no other session of this process has while it runs.
///
/// ```
/// use corecast::{Context, SessionId};
///
/// fn name(ctx: &Context<'_>) -> String {
///     let id: SessionId = ctx.session_id();
///     format!("guest {id}, or {id:x}")
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(u128);

impl SessionId {
    pub(crate) fn new(shard: ShardId, session: SessionKey) -> Self {
        SessionId(u128::from(shard.0) << 64 | u128::from(session.to_bits()))
    }

    /// The number, to be kept outside of the program.
    pub fn as_u128(self) -> u128 {
        self.0
    }
}

impl From<u128> for SessionId {
    /// A session by its number. Where it is not one's, there is no such session.
    fn from(number: u128) -> Self {
        SessionId(number)
    }
}

impl FromStr for SessionId {
    type Err = ParseIntError;

    fn from_str(number: &str) -> Result<Self, ParseIntError> {
        number.parse().map(SessionId)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::LowerHex for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
