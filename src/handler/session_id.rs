//! The number of a session.

use std::fmt;

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
pub struct SessionId(pub(super) u128);

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
