//! The versions of the protocol, and how a client asks for one.

use super::incoming::Incoming;
use crate::publication::Form;
use crate::upgrade::{Refusal, Request};
use crate::ws::Message;

/// How a session's messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// JSON objects with `topic`, `event`, `payload` and `ref`.
    V1,
    /// JSON arrays of join_ref, ref, topic, event and payload, and binary messages.
    V2,
}

impl Version {
    pub(super) const ALL: [Version; 2] = [Version::V1, Version::V2];

    /// The form in which sessions of this version get publications.
    pub(super) fn form(self) -> Form {
        match self {
            Version::V1 => Form::PhoenixV1,
            Version::V2 => Form::PhoenixV2,
        }
    }

    /// The text that stands after the payload of a publication.
    pub(super) fn after_payload(self) -> &'static str {
        match self {
            Version::V1 => r#","ref":null}"#,
            Version::V2 => "]",
        }
    }

    /// The version a client asks for with `vsn`, as in `2.0.0`. Of several the
    /// last counts, as for Plug: phoenix.js appends its own to the params that it
    /// is given. A client that asks for none is old enough to speak the first.
    ///
    /// # Errors
    /// The refusal of any other.
    pub(super) fn asked_for(request: &Request) -> Result<Version, Refusal> {
        let Some(asked) = request.last_query_param("vsn") else {
            return Ok(Version::V1);
        };
        Version::parse(&asked).ok_or_else(|| {
            Refusal::forbidden(
                "This version of the protocol is not spoken. Use vsn=2.0.0 or vsn=1.0.0.",
            )
        })
    }

    /// Whether a message is one that a client may send in this version. This does not
    /// panic on any message, which the fuzzers check.
    pub fn understands(self, message: Message<'_>) -> bool {
        Incoming::parse(self, message).is_ok()
    }

    /// The last part of the number is for corrections and may be any.
    fn parse(text: &str) -> Option<Version> {
        let (version, correction) = match text.split_at_checked(4)? {
            ("1.0.", rest) => (Version::V1, rest),
            ("2.0.", rest) => (Version::V2, rest),
            _ => return None,
        };
        let is_number = !correction.is_empty() && correction.bytes().all(|b| b.is_ascii_digit());
        is_number.then_some(version)
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn corrections_do_not_make_a_version() {
        for (text, version) in [
            ("1.0.0", Some(Version::V1)),
            ("2.0.0", Some(Version::V2)),
            ("2.0.17", Some(Version::V2)),
            ("2.0", None),
            ("2.0.", None),
            ("2.0.x", None),
            ("2.0.0-rc.1", None),
            ("2.1.0", None),
            ("3.0.0", None),
            ("", None),
            ("2", None),
            ("€€€€", None),
        ] {
            assert_eq!(Version::parse(text), version, "{text}");
        }
    }
}
