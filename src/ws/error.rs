//! Everything a peer can do wrong, and the close code it is told.

use std::fmt;

use super::close::CloseCode;

/// A fault in what the other end sent. The session cannot go on: the answer is a
/// close frame with [`close_code`](ProtocolError::close_code), and the decoder
/// must not be used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtocolError {
    /// RSV1, RSV2 or RSV3 is set, and no extension was agreed on (RFC 6455 §5.2).
    ReservedBits,
    /// An opcode without a meaning (§5.2).
    UnknownOpCode(u8),
    /// A client's frame without a mask (§5.1).
    UnmaskedFrame,
    /// A server's frame with a mask (§5.1).
    MaskedFrame,
    /// A length written in a longer form than it needs (§5.2).
    NonMinimalLength,
    /// A 64-bit length with its top bit set (§5.2).
    LengthTopBit,
    /// A control frame without FIN (§5.5).
    FragmentedControl,
    /// A control frame with more than 125 bytes of payload (§5.5).
    ControlTooLong,
    /// A continuation frame while no message is being continued (§5.4).
    UnexpectedContinuation,
    /// A new message inside a fragmented one (§5.4).
    ExpectedContinuation,
    /// A close frame with a payload of one byte, half a code (§5.5.1).
    TruncatedCloseCode,
    /// A close code that must not appear on the wire (§7.4).
    InvalidCloseCode(u16),
    /// A text message that is not UTF-8 (§8.1).
    InvalidText,
    /// A close reason that is not UTF-8 (§8.1).
    InvalidCloseReason,
    /// A frame that announces more than [`Rules::max_frame_bytes`](super::Rules::max_frame_bytes).
    FrameTooBig,
    /// A frame that would take its message over
    /// [`Rules::max_message_bytes`](super::Rules::max_message_bytes).
    MessageTooBig,
}

impl ProtocolError {
    /// The code the peer is told (§7.4.1).
    pub const fn close_code(&self) -> CloseCode {
        match self {
            ProtocolError::InvalidText | ProtocolError::InvalidCloseReason => {
                CloseCode::INVALID_PAYLOAD
            }
            ProtocolError::FrameTooBig | ProtocolError::MessageTooBig => CloseCode::TOO_BIG,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProtocolError::ReservedBits => "a frame has a reserved bit set",
            ProtocolError::UnknownOpCode(opcode) => {
                return write!(f, "a frame has the unknown opcode {opcode:#x}");
            }
            ProtocolError::UnmaskedFrame => "a frame from the client is not masked",
            ProtocolError::MaskedFrame => "a frame from the server is masked",
            ProtocolError::NonMinimalLength => "a frame's length is not in its shortest form",
            ProtocolError::LengthTopBit => "a frame's 64-bit length has its top bit set",
            ProtocolError::FragmentedControl => "a control frame is fragmented",
            ProtocolError::ControlTooLong => "a control frame has more than 125 bytes of payload",
            ProtocolError::UnexpectedContinuation => "a continuation frame continues nothing",
            ProtocolError::ExpectedContinuation => {
                "a new message begins before the fragmented one has ended"
            }
            ProtocolError::TruncatedCloseCode => "a close frame has half a close code",
            ProtocolError::InvalidCloseCode(code) => {
                return write!(
                    f,
                    "a close frame has the code {code}, which may not be sent"
                );
            }
            ProtocolError::InvalidText => "a text message is not UTF-8",
            ProtocolError::InvalidCloseReason => "a close reason is not UTF-8",
            ProtocolError::FrameTooBig => "a frame is longer than allowed",
            ProtocolError::MessageTooBig => "a message is longer than allowed",
        })
    }
}

impl std::error::Error for ProtocolError {}
