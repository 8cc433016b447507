//! The demands of a decoder on the other end.

use super::error::ProtocolError;
use super::header::{FrameHeader, OpCode};

/// Which end of the connection *we* are (RFC 6455 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// We are the server: every frame we receive must be masked.
    Server,
    /// We are the client: no frame we receive may be masked.
    Client,
}

/// The demands of a [`Decoder`](super::Decoder) on the frames it reads.
///
/// One value serves all sessions of a shard, which is why decoders do not hold it.
/// A session must hand its decoder the same rules each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Which end we are.
    pub role: Role,
    /// Payload bytes one data frame may have. Control frames are not measured by
    /// it; the RFC holds them to 125 bytes.
    pub max_frame_bytes: usize,
    /// Payload bytes one message may have, all its fragments together.
    pub max_message_bytes: usize,
}

impl Rules {
    /// Whether a frame with this header may come now. `assembled` is the number of
    /// bytes already received of a fragmented message, `None` outside of one.
    ///
    /// The limits are held against the length *announced*, before any payload.
    ///
    /// # Errors
    ///
    /// A mask that should be there or should not (§5.1), a fragment that is out of
    /// order (§5.4), or a length over a limit (§10.4).
    #[inline]
    pub(super) fn admit(
        &self,
        header: &FrameHeader,
        assembled: Option<usize>,
    ) -> Result<(), ProtocolError> {
        match (self.role, header.mask) {
            (Role::Server, None) => return Err(ProtocolError::UnmaskedFrame),
            (Role::Client, Some(_)) => return Err(ProtocolError::MaskedFrame),
            _ => {}
        }
        if header.opcode.is_control() {
            return Ok(());
        }
        match (header.opcode, assembled) {
            (OpCode::Continuation, None) => return Err(ProtocolError::UnexpectedContinuation),
            (OpCode::Text | OpCode::Binary, Some(_)) => {
                return Err(ProtocolError::ExpectedContinuation);
            }
            _ => {}
        }
        if header.payload_len > self.max_frame_bytes as u64 {
            return Err(ProtocolError::FrameTooBig);
        }
        let room = self
            .max_message_bytes
            .saturating_sub(assembled.unwrap_or(0));
        if header.payload_len > room as u64 {
            return Err(ProtocolError::MessageTooBig);
        }
        Ok(())
    }
}
