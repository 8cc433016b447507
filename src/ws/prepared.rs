//! Frames encoded once for many sessions.

use bytes::Bytes;

use super::encode::encode_frame;
use super::event::Message;
use super::header::{FrameHeader, OpCode};

/// A message encoded as a server's frame, to be sent as it is to any number of
/// sessions.
///
/// Header and payload lie in one allocation, which a clone shares, as does the
/// [`payload`](PreparedFrame::payload) that it lends out.
///
/// ```
/// use corecast::ws::{OpCode, PreparedFrame};
///
/// let frame = PreparedFrame::text("Hello");
/// assert_eq!(frame.as_bytes(), b"\x81\x05Hello");
/// assert_eq!((frame.opcode(), &frame.payload()[..]), (OpCode::Text, &b"Hello"[..]));
/// ```
///
/// # Invariants worth naming
///
/// - The bytes are one whole frame, final and not masked, that is a message of its
///   own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedFrame(Bytes);

impl PreparedFrame {
    /// Encodes a message.
    pub fn new(message: Message<'_>) -> PreparedFrame {
        // An empty vector grows to the very size, and so becomes `Bytes` as it is.
        let mut bytes = Vec::new();
        encode_frame(&mut bytes, message.opcode(), message.as_bytes());
        PreparedFrame(bytes.into())
    }

    /// Encodes a text message.
    pub fn text(text: &str) -> PreparedFrame {
        PreparedFrame::new(Message::Text(text))
    }

    /// Encodes a binary message.
    pub fn binary(bytes: &[u8]) -> PreparedFrame {
        PreparedFrame::new(Message::Binary(bytes))
    }

    /// Takes the first frame off bytes that are whole frames made here; `None` once
    /// nothing is left.
    pub(crate) fn split_off_first(frames: &mut Bytes) -> Option<PreparedFrame> {
        let (header, header_len) = FrameHeader::parse(frames).ok()??;
        Some(PreparedFrame(
            frames.split_to(header_len + header.payload_len as usize),
        ))
    }

    /// The same in memory of its own, where it may be a part of a larger one.
    pub(crate) fn to_owned_memory(&self) -> PreparedFrame {
        PreparedFrame(Bytes::copy_from_slice(&self.0))
    }

    /// The bytes to send.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes to send, to keep.
    #[inline]
    pub(crate) fn into_bytes(self) -> Bytes {
        self.0
    }

    /// Bytes to send, two at least.
    #[inline]
    #[allow(
        clippy::len_without_is_empty,
        reason = "a frame has a header, so it is never empty"
    )]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the message is text or binary.
    pub fn opcode(&self) -> OpCode {
        self.header().0.opcode
    }

    /// The message's payload, which shares the memory of the frame.
    pub fn payload(&self) -> Bytes {
        self.0.slice(self.header().1..)
    }

    /// The same, borrowed.
    pub(crate) fn payload_bytes(&self) -> &[u8] {
        &self.0[self.header().1..]
    }

    /// The header, and its length.
    fn header(&self) -> (FrameHeader, usize) {
        match FrameHeader::parse(&self.0) {
            Ok(Some(header)) => header,
            _ => unreachable!("a prepared frame begins with the header it was given"),
        }
    }
}

/// The message, encoded.
impl From<Message<'_>> for PreparedFrame {
    fn from(message: Message<'_>) -> PreparedFrame {
        PreparedFrame::new(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_what_encoding_it_gives() {
        assert_eq!(PreparedFrame::text("Hello").as_bytes(), b"\x81\x05Hello");
        assert_eq!(
            PreparedFrame::binary(&[1, 2]).as_bytes(),
            b"\x82\x02\x01\x02"
        );
        assert_eq!(PreparedFrame::text("").len(), 2);
    }

    #[test]
    fn a_frame_knows_its_opcode_and_its_payload() {
        for len in [0, 125, 126, 65_535, 65_536] {
            let payload = vec![7; len];
            let frame = PreparedFrame::binary(&payload);
            assert_eq!(frame.opcode(), OpCode::Binary);
            assert_eq!(frame.payload(), payload);
            assert!(frame.as_bytes().ends_with(&frame.payload()));
        }
        let frame = PreparedFrame::from(Message::Text("shared"));
        assert_eq!(frame.opcode(), OpCode::Text);
        let end = frame.as_bytes().as_ptr_range().end;
        assert_eq!(frame.payload().as_ptr_range().end, end, "not copied");
    }

    #[test]
    fn a_clone_shares_the_bytes_and_may_cross_threads() {
        fn assert_send<T: Send>(_: &T) {}
        let frame = PreparedFrame::text("shared");
        assert_send(&frame);
        assert_eq!(frame.clone().as_bytes().as_ptr(), frame.as_bytes().as_ptr());
    }
}
