//! The events of a stream: messages and control frames of the other end.

use super::close::Close;
use super::error::ProtocolError;
use super::header::OpCode;
use super::utf8;

/// One whole message (RFC 6455 §5.6), borrowed from where it was received or
/// assembled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// Text, known to be UTF-8.
    Text(&'a str),
    /// Bytes of any kind.
    Binary(&'a [u8]),
}

impl<'a> Message<'a> {
    /// The payload, whichever kind it is.
    #[inline]
    pub fn as_bytes(&self) -> &'a [u8] {
        match *self {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
        }
    }

    /// The opcode its first frame carries.
    #[doc(hidden)]
    #[inline]
    pub fn opcode(&self) -> OpCode {
        match self {
            Message::Text(_) => OpCode::Text,
            Message::Binary(_) => OpCode::Binary,
        }
    }
}

/// An event that a [`Decoder`](super::Decoder) found in its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole message, however many frames it came in.
    Message(Message<'a>),
    /// A ping; the answer is a pong with the same payload (§5.5.2).
    Ping(&'a [u8]),
    /// A pong, asked for or not (§5.5.3).
    Pong(&'a [u8]),
    /// A close frame, `None` when it was empty (1005 in the words of §7.1.5). The
    /// answer is a close frame, and whatever bytes follow are to be ignored.
    Close(Option<Close<'a>>),
}

impl<'a> Event<'a> {
    /// The event that a whole, unfragmented frame is.
    ///
    /// # Errors
    ///
    /// The faults a payload can have: text or a close reason that is not UTF-8, a
    /// bad close code. A continuation is not an event by itself.
    #[inline]
    pub(super) fn of_frame(opcode: OpCode, payload: &'a [u8]) -> Result<Self, ProtocolError> {
        Ok(match opcode {
            OpCode::Text => {
                let text = utf8::check(payload).map_err(|_| ProtocolError::InvalidText)?;
                Event::Message(Message::Text(text))
            }
            OpCode::Binary => Event::Message(Message::Binary(payload)),
            OpCode::Ping => Event::Ping(payload),
            OpCode::Pong => Event::Pong(payload),
            OpCode::Close => Event::Close(Close::parse(payload)?),
            OpCode::Continuation => return Err(ProtocolError::UnexpectedContinuation),
        })
    }
}
