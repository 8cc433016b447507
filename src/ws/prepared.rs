//! Frames encoded once for many sessions.

use bytes::Bytes;

use super::encode::encode_frame;
use super::event::Message;

/// A message encoded as a server's frame, or a run of such, to be sent as it is to
/// any number of sessions.
///
/// A clone shares the bytes.
///
/// # Invariants worth naming
///
/// - The bytes are whole frames, each a message of its own, so that another frame
///   may stand before or after them, and [`frames`](PreparedFrame::frames) counts
///   them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PreparedFrame {
    bytes: Bytes,
    frames: u32,
}

impl PreparedFrame {
    /// Encodes a message.
    pub fn new(message: Message<'_>) -> PreparedFrame {
        // An empty vector grows to the very size, and so becomes `Bytes` as it is.
        let mut bytes = Vec::new();
        encode_frame(&mut bytes, message.opcode(), message.as_bytes());
        PreparedFrame {
            bytes: bytes.into(),
            frames: 1,
        }
    }

    /// Encodes a text message.
    pub fn text(text: &str) -> PreparedFrame {
        PreparedFrame::new(Message::Text(text))
    }

    /// Encodes a binary message.
    pub fn binary(bytes: &[u8]) -> PreparedFrame {
        PreparedFrame::new(Message::Binary(bytes))
    }

    /// Joins several into one run, in their order. One alone is shared, not copied;
    /// none make the empty run.
    pub fn concat(run: &[PreparedFrame]) -> PreparedFrame {
        if let [alone] = run {
            return alone.clone();
        }
        let mut bytes = Vec::with_capacity(run.iter().map(PreparedFrame::len).sum());
        for next in run {
            bytes.extend_from_slice(next.as_bytes());
        }
        PreparedFrame {
            bytes: bytes.into(),
            frames: run.iter().map(|next| next.frames).sum(),
        }
    }

    /// The bytes to send.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes to send.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is nothing to send, as in a run of none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Messages in the run.
    #[inline]
    pub fn frames(&self) -> u32 {
        self.frames
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
        assert_eq!(PreparedFrame::text("").frames(), 1);
    }

    #[test]
    fn a_run_is_its_frames_in_order() {
        let [a, b, c] = ["a", "b", "c"].map(PreparedFrame::text);
        let run = PreparedFrame::concat(&[a.clone(), b, c]);
        assert_eq!(run.as_bytes(), b"\x81\x01a\x81\x01b\x81\x01c");
        assert_eq!((run.frames(), run.len()), (3, 9));
        assert_eq!(PreparedFrame::concat(&[run.clone(), a.clone()]).frames(), 4);

        assert!(PreparedFrame::concat(&[]).is_empty());
        let alone = PreparedFrame::concat(std::slice::from_ref(&a));
        assert_eq!(alone.as_bytes().as_ptr(), a.as_bytes().as_ptr());
    }

    #[test]
    fn a_clone_shares_the_bytes_and_may_cross_threads() {
        fn assert_send<T: Send>(_: &T) {}
        let frame = PreparedFrame::text("shared");
        assert_send(&frame);
        assert_eq!(frame.clone().as_bytes().as_ptr(), frame.as_bytes().as_ptr());
    }
}
