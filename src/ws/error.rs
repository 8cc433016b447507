//! Everything a peer can do wrong, and the close code it is told.

use super::close::CloseCode;

/// A fault in what the other end sent. The session cannot go on: the answer is a
/// close frame with [`close_code`](ProtocolError::close_code), and the decoder
/// must not be used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// RSV1, RSV2 or RSV3 is set, and no extension was agreed on (RFC 6455 §5.2).
    #[error("a frame has a reserved bit set")]
    ReservedBits,
    /// An opcode without a meaning (§5.2).
    #[error("a frame has the unknown opcode {0:#x}")]
    UnknownOpCode(u8),
    /// A client's frame without a mask (§5.1).
    #[error("a frame from the client is not masked")]
    UnmaskedFrame,
    /// A server's frame with a mask (§5.1).
    #[error("a frame from the server is masked")]
    MaskedFrame,
    /// A length written in a longer form than it needs (§5.2).
    #[error("a frame's length is not in its shortest form")]
    NonMinimalLength,
    /// A 64-bit length with its top bit set (§5.2).
    #[error("a frame's 64-bit length has its top bit set")]
    LengthTopBit,
    /// A control frame without FIN (§5.5).
    #[error("a control frame is fragmented")]
    FragmentedControl,
    /// A control frame with more than 125 bytes of payload (§5.5).
    #[error("a control frame has more than 125 bytes of payload")]
    ControlTooLong,
    /// A continuation frame while no message is being continued (§5.4).
    #[error("a continuation frame continues nothing")]
    UnexpectedContinuation,
    /// A new message inside a fragmented one (§5.4).
    #[error("a new message begins before the fragmented one has ended")]
    ExpectedContinuation,
    /// A close frame with a payload of one byte, half a code (§5.5.1).
    #[error("a close frame has half a close code")]
    TruncatedCloseCode,
    /// A close code that must not appear on the wire (§7.4).
    #[error("a close frame has the code {0}, which may not be sent")]
    InvalidCloseCode(u16),
    /// A text message that is not UTF-8 (§8.1).
    #[error("a text message is not UTF-8")]
    InvalidText,
    /// A close reason that is not UTF-8 (§8.1).
    #[error("a close reason is not UTF-8")]
    InvalidCloseReason,
    /// A frame that announces more than [`Rules::max_frame_bytes`](super::Rules::max_frame_bytes).
    #[error("a frame is longer than allowed")]
    FrameTooBig,
    /// A frame that would take its message over
    /// [`Rules::max_message_bytes`](super::Rules::max_message_bytes).
    #[error("a message is longer than allowed")]
    MessageTooBig,
}

impl ProtocolError {
    /// The code the peer is told (§7.4.1).
    pub const fn close_code(&self) -> CloseCode {
        match self {
            ProtocolError::InvalidText | ProtocolError::InvalidCloseReason => {
                CloseCode::INVALID_FRAME_PAYLOAD_DATA
            }
            ProtocolError::FrameTooBig | ProtocolError::MessageTooBig => CloseCode::MESSAGE_TOO_BIG,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }
}
