//! How a handler says yes.

use super::headers::{HeaderError, Headers};

/// A handler's consent to open a session: the answer 101, and what is in it.
///
/// ```
/// use corecast::Acceptance;
///
/// let chat = Acceptance::new()
///     .subprotocol("chat.v2")
///     .header("Set-Cookie", "seen=1; Secure; HttpOnly")?;
/// assert_ne!(chat, Acceptance::new());
/// // As `request.subprotocols().find(…)` has it where the client does not offer it.
/// assert_eq!(Acceptance::new().subprotocol(None), Acceptance::new());
/// # Ok::<(), corecast::error::HeaderError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Acceptance {
    pub(crate) subprotocol: Option<String>,
    pub(super) headers: Headers,
}

impl Acceptance {
    /// A consent without a subprotocol.
    pub fn new() -> Self {
        Acceptance::default()
    }

    /// The subprotocol that the session will speak, one of those that the client offered
    /// ([`Request::subprotocols`](crate::Request::subprotocols)); or none.
    #[must_use]
    pub fn subprotocol<'n>(mut self, name: impl Into<Option<&'n str>>) -> Self {
        self.subprotocol = name.into().map(str::to_owned);
        self
    }

    /// Adds a header to the answer.
    ///
    /// # Errors
    /// When it is malformed, or one that the server writes itself.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, HeaderError> {
        self.headers.add(name, value)?;
        Ok(self)
    }
}
