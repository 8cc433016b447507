//! Frames and messages in pieces: the decoder's fallback.
//!
//! # Invariants worth naming
//!
//! - At most one data message is being assembled; between and within its frames'
//!   headers everything else stands still.
//! - A control frame has a place of its own, so that it may come in pieces amid a
//!   message in pieces.
//! - Text is checked as it arrives; what a [`PartialMessage::Text`] holds may still
//!   become UTF-8.
//! - A message's room at most doubles, and never exceeds what its last frame
//!   announces nor [`Rules::max_message_bytes`].

use super::error::ProtocolError;
use super::event::{Event, Message};
use super::header::{FrameHeader, MAX_CONTROL_PAYLOAD_BYTES, MAX_HEADER_BYTES, OpCode};
use super::input::Input;
use super::mask::apply_mask;
use super::rules::Rules;
use super::utf8::PartialText;

/// The least room made for a message, so that the first bytes do not each move it.
const MIN_CAPACITY: usize = 64;

/// A decoder's state for the frame and the message that are not yet whole.
#[derive(Debug)]
pub(super) struct Partial {
    /// The first bytes of a header whose rest has not arrived.
    header: [u8; MAX_HEADER_BYTES],
    header_len: usize,
    /// The frame whose payload is arriving.
    frame: Option<PartialFrame>,
    /// The message that has begun, or that was yielded last.
    message: Option<PartialMessage>,
    /// Whether the message was yielded, and is to be forgotten.
    is_yielded: bool,
    control: [u8; MAX_CONTROL_PAYLOAD_BYTES],
    control_len: usize,
}

#[derive(Debug)]
struct PartialFrame {
    header: FrameHeader,
    /// Bytes of payload received.
    received: usize,
}

impl PartialFrame {
    fn missing(&self) -> usize {
        self.header.payload_len as usize - self.received
    }
}

/// A frame or message that has become whole and may be yielded by [`Partial::event`].
#[derive(Debug, Clone, Copy)]
pub(super) enum Whole {
    /// A control frame.
    Control(OpCode),
    /// The message.
    Message,
}

impl Partial {
    /// Whether there is anything to go on with. If not, the decoder lets go of it.
    pub(super) fn is_pending(&self) -> bool {
        self.frame.is_some() || self.header_len > 0 || (self.message.is_some() && !self.is_yielded)
    }

    /// Reads on until something is whole, or the input ends.
    ///
    /// # Errors
    ///
    /// A faulty header, and text as soon as it cannot become UTF-8.
    pub(super) fn advance(
        &mut self,
        input: &mut Input<'_>,
        rules: &Rules,
    ) -> Result<Option<Whole>, ProtocolError> {
        loop {
            let mut frame = match self.frame.take() {
                Some(frame) => frame,
                None => match self.read_header(input, rules)? {
                    Some(frame) => frame,
                    None => return Ok(None),
                },
            };
            self.read_payload(&mut frame, input, rules)?;
            if frame.missing() > 0 {
                self.frame = Some(frame);
                return Ok(None);
            }
            let FrameHeader { fin, opcode, .. } = frame.header;
            if opcode.is_control() {
                return Ok(Some(Whole::Control(opcode)));
            }
            if fin {
                self.is_yielded = true;
                return Ok(Some(Whole::Message));
            }
        }
    }

    /// The event for what [`advance`](Partial::advance) found whole.
    ///
    /// # Errors
    ///
    /// Text that ends within a character; a bad close frame.
    pub(super) fn event(&self, whole: Whole) -> Result<Event<'_>, ProtocolError> {
        match (whole, &self.message) {
            (Whole::Control(opcode), _) => {
                Event::of_frame(opcode, &self.control[..self.control_len])
            }
            (Whole::Message, Some(message)) => message.finish().map(Event::Message),
            (Whole::Message, None) => Err(ProtocolError::UnexpectedContinuation),
        }
    }

    /// Reads a header, and makes ready for its payload.
    fn read_header(
        &mut self,
        input: &mut Input<'_>,
        rules: &Rules,
    ) -> Result<Option<PartialFrame>, ProtocolError> {
        let known = self.header_len;
        let fresh = input.remaining();
        let fresh = &fresh[..fresh.len().min(MAX_HEADER_BYTES - known)];
        let available = known + fresh.len();
        self.header[known..available].copy_from_slice(fresh);
        let Some((header, header_len)) = FrameHeader::parse(&self.header[..available])? else {
            // The longest header is whole by now, so this took all of the input.
            input.take(fresh.len());
            self.header_len = available;
            return Ok(None);
        };
        input.take(header_len - known);
        self.header_len = 0;

        rules.admit(&header, self.message.as_ref().map(PartialMessage::len))?;
        match header.opcode {
            OpCode::Text => self.message = Some(PartialMessage::Text(PartialText::default())),
            OpCode::Binary => self.message = Some(PartialMessage::Binary(Vec::new())),
            OpCode::Continuation => {}
            OpCode::Close | OpCode::Ping | OpCode::Pong => self.control_len = 0,
        }
        Ok(Some(PartialFrame {
            header,
            received: 0,
        }))
    }

    /// Takes what the input has of a frame's payload.
    fn read_payload(
        &mut self,
        frame: &mut PartialFrame,
        input: &mut Input<'_>,
        rules: &Rules,
    ) -> Result<(), ProtocolError> {
        let missing = frame.missing();
        let piece = input.take(missing);
        if let Some(key) = frame.header.mask {
            apply_mask(piece, key, frame.received);
        }
        frame.received += piece.len();
        if frame.header.opcode.is_control() {
            let end = self.control_len + piece.len();
            self.control[self.control_len..end].copy_from_slice(piece);
            self.control_len = end;
            return Ok(());
        }
        let Some(message) = &mut self.message else {
            return Err(ProtocolError::UnexpectedContinuation);
        };
        let bound = match frame.header.fin {
            true => message.len() + missing,
            false => rules.max_message_bytes,
        };
        message.push(piece, bound)
    }

    /// Bytes of message that there is room for.
    pub(super) fn message_capacity(&self) -> usize {
        self.message.as_ref().map_or(0, PartialMessage::capacity)
    }
}

impl Default for Partial {
    fn default() -> Self {
        Partial {
            header: [0; MAX_HEADER_BYTES],
            header_len: 0,
            frame: None,
            message: None,
            is_yielded: false,
            control: [0; MAX_CONTROL_PAYLOAD_BYTES],
            control_len: 0,
        }
    }
}

/// A message received so far, without its mask.
#[derive(Debug)]
enum PartialMessage {
    Text(PartialText),
    Binary(Vec<u8>),
}

impl PartialMessage {
    fn len(&self) -> usize {
        match self {
            PartialMessage::Text(text) => text.len(),
            PartialMessage::Binary(bytes) => bytes.len(),
        }
    }

    fn capacity(&self) -> usize {
        match self {
            PartialMessage::Text(text) => text.capacity(),
            PartialMessage::Binary(bytes) => bytes.capacity(),
        }
    }

    /// Appends a piece. `bound` is the length the message may still reach.
    fn push(&mut self, piece: &[u8], bound: usize) -> Result<(), ProtocolError> {
        let needed = self.len() + piece.len();
        if needed > self.capacity() {
            let doubled = self.capacity().saturating_mul(2).max(MIN_CAPACITY);
            self.grow_to(doubled.min(bound).max(needed));
        }
        match self {
            PartialMessage::Text(text) => text.push(piece).map_err(|_| ProtocolError::InvalidText),
            PartialMessage::Binary(bytes) => {
                bytes.extend_from_slice(piece);
                Ok(())
            }
        }
    }

    fn grow_to(&mut self, capacity: usize) {
        match self {
            PartialMessage::Text(text) => text.grow_to(capacity),
            PartialMessage::Binary(bytes) => bytes.reserve_exact(capacity - bytes.len()),
        }
    }

    fn finish(&self) -> Result<Message<'_>, ProtocolError> {
        match self {
            PartialMessage::Text(text) => match text.finish() {
                Ok(text) => Ok(Message::Text(text)),
                Err(_) => Err(ProtocolError::InvalidText),
            },
            PartialMessage::Binary(bytes) => Ok(Message::Binary(bytes)),
        }
    }
}
