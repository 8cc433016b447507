//! How a handler says no.

/// A handler's refusal to open a session, sent in place of the 101.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", self.sent_status())]
pub struct Refusal {
    /// The status code. Outside 400..=599 it is sent as 403, so that no
    /// refusal can be taken for an acceptance.
    pub status: u16,
    /// The fault and the remedy, for the body. The peer reads it.
    pub reason: String,
}

impl Refusal {
    /// A refusal with this status and reason.
    pub fn new(status: u16, reason: impl Into<String>) -> Self {
        Refusal {
            status,
            reason: reason.into(),
        }
    }

    /// A refusal with 403 (Forbidden).
    pub fn forbidden(reason: impl Into<String>) -> Self {
        Refusal::new(403, reason)
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
