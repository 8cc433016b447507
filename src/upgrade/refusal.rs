//! How a handler says no.

use super::headers::{HeaderError, Headers};

/// A handler's refusal to open a session, sent in place of the 101.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", self.sent_status())]
#[non_exhaustive]
pub struct Refusal {
    /// The status code. Outside 400..=599 it is sent as 403, so that no
    /// refusal can be taken for an acceptance.
    pub status: u16,
    /// The fault and the remedy, for the body. The peer reads it.
    pub reason: String,
    pub(super) headers: Headers,
}

impl Refusal {
    /// A refusal with this status and reason.
    pub fn new(status: u16, reason: impl Into<String>) -> Self {
        Refusal {
            status,
            reason: reason.into(),
            headers: Headers::default(),
        }
    }

    /// A refusal with 403 (Forbidden).
    pub fn forbidden(reason: impl Into<String>) -> Self {
        Refusal::new(403, reason)
    }

    /// Adds a header to the answer, such as `Retry-After` or `WWW-Authenticate`.
    ///
    /// ```
    /// use corecast::Refusal;
    ///
    /// let later = Refusal::new(503, "The room opens at ten.").header("Retry-After", "60")?;
    /// assert_eq!(later.sent_status(), 503);
    /// # Ok::<(), corecast::error::HeaderError>(())
    /// ```
    ///
    /// # Errors
    /// When it is malformed, or one that the server writes itself.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, HeaderError> {
        self.headers.add(name, value)?;
        Ok(self)
    }

    /// The status that is sent.
    pub fn sent_status(&self) -> u16 {
        match self.status {
            400..=599 => self.status,
            _ => 403,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_would_accept_becomes_403() {
        for (status, sent) in [(101, 403), (200, 403), (399, 403), (600, 403), (0, 403)] {
            assert_eq!(Refusal::new(status, "").sent_status(), sent);
        }
        assert_eq!(Refusal::new(401, "").sent_status(), 401);
        assert_eq!(Refusal::new(599, "").sent_status(), 599);
    }
}
