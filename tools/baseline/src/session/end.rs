//! The reason for a session's end, and the close code that its peer gets.

use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The peer began the closing handshake.
    PeerClosed,
    /// The peer's end or a reset came without a close frame.
    Vanished,
    /// A frame broke RFC 6455 (1002).
    ProtocolError,
    /// Text that is not UTF-8 (1007).
    InvalidPayload,
    /// A frame or message over the limit (1009).
    TooBig,
    /// Publications arrived faster than it read them (1013).
    SlowConsumer,
}

impl End {
    /// Every end, in the order of declaration.
    pub const ALL: [End; 6] = [
        End::PeerClosed,
        End::Vanished,
        End::ProtocolError,
        End::InvalidPayload,
        End::TooBig,
        End::SlowConsumer,
    ];

    /// The word that stands for it in `/stats`.
    pub fn label(self) -> &'static str {
        match self {
            End::PeerClosed => "peer_closed",
            End::Vanished => "vanished",
            End::ProtocolError => "protocol_error",
            End::InvalidPayload => "invalid_payload",
            End::TooBig => "too_big",
            End::SlowConsumer => "slow_consumer",
        }
    }

    /// The close code for the peer, if one can still be sent.
    pub fn close_code(self) -> Option<CloseCode> {
        match self {
            End::PeerClosed | End::Vanished => None,
            End::ProtocolError => Some(CloseCode::Protocol),
            End::InvalidPayload => Some(CloseCode::Invalid),
            End::TooBig => Some(CloseCode::Size),
            End::SlowConsumer => Some(CloseCode::Again),
        }
    }
}

impl From<Error> for End {
    fn from(error: Error) -> End {
        match error {
            Error::ConnectionClosed | Error::AlreadyClosed => End::PeerClosed,
            // An answer to a message that came before the peer's close frame.
            Error::Protocol(ProtocolError::SendAfterClosing) => End::PeerClosed,
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => End::Vanished,
            Error::Protocol(_) => End::ProtocolError,
            Error::Utf8(_) => End::InvalidPayload,
            Error::Capacity(_) => End::TooBig,
            _ => End::Vanished,
        }
    }
}
