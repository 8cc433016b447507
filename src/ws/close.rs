//! Close codes and the payload of a close frame.

use std::fmt;

use super::error::ProtocolError;
use super::header::MAX_CONTROL_PAYLOAD_BYTES;

/// A close code that may appear on the wire (RFC 6455 §7.4), by its name in the
/// registry of IANA (*WebSocket Close Code Number Registry*).
///
/// ```
/// use corecast::CloseCode;
///
/// assert_eq!(CloseCode::GOING_AWAY.as_u16(), 1001);
/// // 4000 to 4999 are an application's own, and 1006 is never sent.
/// assert!(CloseCode::new(4001).is_some());
/// assert_eq!(CloseCode::new(1006), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL_CLOSURE: CloseCode = CloseCode(1000);
    /// 1001: the server is going down, or the browser has left the page.
    pub const GOING_AWAY: CloseCode = CloseCode(1001);
    /// 1002: the other end broke the protocol.
    pub const PROTOCOL_ERROR: CloseCode = CloseCode(1002);
    /// 1003: a message of a kind this end does not take.
    pub const UNSUPPORTED_DATA: CloseCode = CloseCode(1003);
    /// 1007: a message that is not what its kind says, such as text that is not UTF-8.
    pub const INVALID_FRAME_PAYLOAD_DATA: CloseCode = CloseCode(1007);
    /// 1008: a message against this end's policy.
    pub const POLICY_VIOLATION: CloseCode = CloseCode(1008);
    /// 1009: a message too big to take.
    pub const MESSAGE_TOO_BIG: CloseCode = CloseCode(1009);
    /// 1010: the client misses an extension the server did not offer.
    pub const MANDATORY_EXTENSION: CloseCode = CloseCode(1010);
    /// 1011: this end failed.
    pub const INTERNAL_ERROR: CloseCode = CloseCode(1011);
    /// 1012: the server restarts; come back, after a random while.
    pub const SERVICE_RESTART: CloseCode = CloseCode(1012);
    /// 1013: the server is overloaded; come back later.
    pub const TRY_AGAIN_LATER: CloseCode = CloseCode(1013);
    /// 1014: a gateway's upstream failed.
    pub const BAD_GATEWAY: CloseCode = CloseCode(1014);
    /// 3000: the client did not say who it is; HTTP's 401.
    pub const UNAUTHORIZED: CloseCode = CloseCode(3000);
    /// 3003: the client may not do this; HTTP's 403.
    pub const FORBIDDEN: CloseCode = CloseCode(3003);
    /// 3008: the client took too long; HTTP's 408.
    pub const TIMEOUT: CloseCode = CloseCode(3008);

    /// The code, or `None` if an endpoint must not send it: 1004 to 1006 and 1015
    /// stand for what was never sent, the other gaps are not assigned (§7.4.2).
    #[inline]
    pub const fn new(code: u16) -> Option<CloseCode> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(CloseCode(code)),
            _ => None,
        }
    }

    /// The number.
    #[inline]
    pub const fn as_u16(self) -> u16 {
        self.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The content of a close frame (RFC 6455 §5.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Close<'a> {
    /// Why, for programs.
    pub code: CloseCode,
    /// Why, for people; often empty.
    pub reason: &'a str,
}

impl<'a> Close<'a> {
    /// Bytes of reason that fit into a close frame beside the code.
    pub const MAX_REASON_BYTES: usize = MAX_CONTROL_PAYLOAD_BYTES - 2;

    /// Reads a close frame's payload; `None` when it is empty.
    ///
    /// # Errors
    ///
    /// Half a code, a code that may not be sent, a reason that is not UTF-8.
    pub(super) fn parse(payload: &'a [u8]) -> Result<Option<Close<'a>>, ProtocolError> {
        let Some((code, reason)) = payload.split_first_chunk() else {
            return match payload {
                [] => Ok(None),
                _ => Err(ProtocolError::TruncatedCloseCode),
            };
        };
        let code = u16::from_be_bytes(*code);
        let code = CloseCode::new(code).ok_or(ProtocolError::InvalidCloseCode(code))?;
        let reason = str::from_utf8(reason).map_err(|_| ProtocolError::InvalidCloseReason)?;
        Ok(Some(Close { code, reason }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_that_may_be_sent_are_codes() {
        for code in (0..=u16::MAX).step_by(if cfg!(miri) { 97 } else { 1 }) {
            let may_be_sent = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
            assert_eq!(CloseCode::new(code).is_some(), may_be_sent, "{code}");
        }
    }

    #[test]
    fn a_payload_is_empty_or_a_code_with_a_reason() {
        assert_eq!(Close::parse(b""), Ok(None));
        assert_eq!(
            Close::parse(b"\x03"),
            Err(ProtocolError::TruncatedCloseCode)
        );
        assert_eq!(
            Close::parse(b"\x03\xe8bye"),
            Ok(Some(Close {
                code: CloseCode::NORMAL_CLOSURE,
                reason: "bye"
            }))
        );
        assert_eq!(
            Close::parse(b"\x03\xee"),
            Err(ProtocolError::InvalidCloseCode(1006))
        );
        assert_eq!(
            Close::parse(b"\x03\xe8\xff"),
            Err(ProtocolError::InvalidCloseReason)
        );
    }
}
