//! Frames that leave together.

use bytes::Bytes;

use super::TopicSerial;
use crate::ws::PreparedFrame;

/// The frames of one or several messages, to be sent as they are to any number of
/// sessions.
///
/// ```
/// use corecast::publication::Run;
/// use corecast::ws::PreparedFrame;
///
/// let run = Run::join(vec![PreparedFrame::text("a"), PreparedFrame::binary(&[1, 2])]);
/// assert_eq!(run.as_bytes(), b"\x81\x01a\x82\x02\x01\x02");
/// assert_eq!(run.messages(), 2);
/// assert_eq!(run.frames().last(), Some(PreparedFrame::binary(&[1, 2])));
/// ```
///
/// # Invariants worth naming
///
/// - The bytes are whole frames, each a message of its own, so that another frame
///   may stand before or after them, and [`messages`](Run::messages) counts them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Run {
    bytes: Bytes,
    messages: u32,
    topic: TopicSerial,
    /// The keys of the messages, 0 for one without; empty where no message has one.
    keys: Box<[u64]>,
}

impl Run {
    /// Joins frames in their order. The bytes of one alone are shared, not copied;
    /// none make the empty run.
    pub fn join(mut frames: Vec<PreparedFrame>) -> Run {
        if frames.len() <= 1 {
            return frames.pop().map(Run::from).unwrap_or_default();
        }
        let mut bytes = Vec::with_capacity(frames.iter().map(PreparedFrame::len).sum());
        for frame in &frames {
            bytes.extend_from_slice(frame.as_bytes());
        }
        Run {
            bytes: bytes.into(),
            messages: frames.len() as u32,
            ..Run::default()
        }
    }

    /// The same, of this topic and with these keys: one for each message, 0 for one
    /// without, or none where no message has one.
    pub(crate) fn of_topic(self, topic: TopicSerial, keys: Vec<u64>) -> Run {
        debug_assert!(keys.is_empty() || keys.len() == self.messages as usize);
        let keys = keys.into();
        Run {
            topic,
            keys,
            ..self
        }
    }

    /// The topic that the messages were published to.
    pub(crate) fn topic(&self) -> TopicSerial {
        self.topic
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
    pub fn messages(&self) -> u32 {
        self.messages
    }

    /// The messages one by one. They share the memory of the run.
    pub fn frames(&self) -> impl Iterator<Item = PreparedFrame> {
        let mut rest = self.bytes.clone();
        std::iter::from_fn(move || PreparedFrame::split_off_first(&mut rest))
    }
}

impl Run {
    /// The messages one by one, each with its key.
    pub(crate) fn keyed_frames(&self) -> impl Iterator<Item = (PreparedFrame, u64)> {
        let keys = self.keys.iter().copied().chain(std::iter::repeat(0));
        self.frames().zip(keys)
    }
}

/// A run of one, which shares the frame's bytes.
impl From<PreparedFrame> for Run {
    fn from(frame: PreparedFrame) -> Run {
        Run {
            bytes: frame.into_bytes(),
            messages: 1,
            ..Run::default()
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_run_is_its_frames_in_order() {
        let [a, b, c] = ["a", "b", "c"].map(PreparedFrame::text);
        let run = Run::join(vec![a, b, c]);
        assert_eq!(run.as_bytes(), b"\x81\x01a\x81\x01b\x81\x01c");
        assert_eq!((run.messages(), run.len()), (3, 9));
        assert!(Run::join(Vec::new()).is_empty());
        assert_eq!(Run::default().frames().count(), 0);
    }

    #[test]
    fn a_run_of_one_shares_its_bytes() {
        let frame = PreparedFrame::text("alone");
        let run = Run::join(vec![frame.clone()]);
        assert_eq!(run.as_bytes().as_ptr(), frame.as_bytes().as_ptr());
        assert_eq!(run.messages(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 4 } else { 64 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// The frames that were joined are found again, in the memory of the run,
        /// whatever their lengths, which take headers of three kinds.
        #[test]
        fn the_frames_of_a_run_are_those_it_was_joined_from(
            lens in proptest::collection::vec(
                (prop_oneof![0usize..200, Just(65_535), Just(65_536)], any::<bool>()), 0..8),
        ) {
            let frames: Vec<_> = lens.iter().map(|(len, is_text)| match is_text {
                true => PreparedFrame::text(&"x".repeat(*len)),
                false => PreparedFrame::binary(&vec![7; *len]),
            }).collect();
            let run = Run::join(frames.clone());
            prop_assert_eq!(run.messages() as usize, frames.len());
            let found: Vec<_> = run.frames().collect();
            prop_assert_eq!(&found, &frames);
            let memory = run.as_bytes().as_ptr_range();
            for frame in &found {
                prop_assert!(memory.contains(&frame.as_bytes().as_ptr()));
            }
        }
    }
}
