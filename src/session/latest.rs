//! What slow consumers get instead of every publication: the newest of each key.
//!
//! # Invariants worth naming
//!
//! - Something is kept for a session only while bytes wait in its send queue; when the
//!   last of those has left, it leaves next.
//! - Of each key of a topic one publication is kept, the newest, so that memory goes by
//!   keys and not by messages. It is a copy if it came in a run with others, because the
//!   whole run would stay in memory with it.
//! - What is kept leaves in the order in which it was published, so no older one of a key
//!   follows a newer one.

use std::collections::HashMap;

use crate::hub::TopicSerial;
use crate::publication::Run;
use crate::ws::PreparedFrame;

/// What is kept leaves in runs of about so many bytes.
const RUN_BYTES: usize = 64 * 1024;

/// The newest publications for the slow consumers of a shard, by the places of the
/// sessions in the table.
#[derive(Debug, Default)]
pub(crate) struct LatestOnly {
    sessions: HashMap<u32, Kept>,
}

/// The newest publications for one session.
#[derive(Debug, Default)]
struct Kept {
    /// By topic and key; each with the number of its place in the order.
    newest: HashMap<(TopicSerial, u64), (u64, PreparedFrame)>,
    /// The number of the next one.
    next: u64,
    bytes: usize,
}

impl LatestOnly {
    /// Keeps the publications of a run for a session, each in the place of an older one of
    /// its key. Returns how many were conflated, that is replaced before they could leave.
    pub(crate) fn keep(&mut self, session: u32, run: &Run) -> u64 {
        let kept = self.sessions.entry(session).or_default();
        let is_alone = run.messages() == 1;
        let mut conflated = 0;
        for (frame, key) in run.keyed_frames() {
            let frame = match is_alone {
                true => frame,
                false => frame.to_owned_memory(),
            };
            kept.bytes += frame.len();
            let place = kept.next;
            kept.next += 1;
            let before = kept.newest.insert((run.topic(), key), (place, frame));
            if let Some((_, before)) = before {
                kept.bytes -= before.len();
                conflated += 1;
            }
        }
        conflated
    }

    /// Bytes that are kept for a session.
    pub(crate) fn bytes(&self, session: u32) -> usize {
        self.sessions.get(&session).map_or(0, |kept| kept.bytes)
    }

    /// Whether nothing is kept for any session.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Takes what was published first of what is kept for a session, about as much as
    /// leaves in one send, of topics that it is still in.
    pub(crate) fn take(
        &mut self,
        session: u32,
        is_in: impl Fn(TopicSerial) -> bool,
    ) -> Option<Run> {
        let kept = self.sessions.get_mut(&session)?;
        let mut order: Vec<_> = kept
            .newest
            .iter()
            .map(|(of, (place, _))| (*place, *of))
            .collect();
        order.sort_unstable();
        let mut frames = Vec::new();
        let mut bytes = 0;
        for (_, of) in order {
            let Some((_, frame)) = kept.newest.remove(&of) else {
                continue;
            };
            kept.bytes -= frame.len();
            if is_in(of.0) {
                bytes += frame.len();
                frames.push(frame);
            }
            if bytes >= RUN_BYTES {
                break;
            }
        }
        if kept.newest.is_empty() {
            self.sessions.remove(&session);
        }
        (!frames.is_empty()).then(|| Run::join(frames))
    }

    /// Forgets what is kept for a session. Returns how many publications it was.
    pub(crate) fn forget(&mut self, session: u32) -> u64 {
        let kept = self.sessions.remove(&session);
        kept.map_or(0, |kept| kept.newest.len() as u64)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Operation {
        /// Publications with these keys leave together.
        Publish(u64, Vec<u64>),
        Take,
        Forget,
    }

    fn operation() -> impl Strategy<Value = Operation> {
        prop_oneof![
            6 => (0u64..3, proptest::collection::vec(0u64..4, 1..5))
                .prop_map(|(topic, keys)| Operation::Publish(topic, keys)),
            2 => Just(Operation::Take),
            1 => Just(Operation::Forget),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 8 } else { 512 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// What leaves is the newest of each key, in the order of publishing, and what
        /// is kept weighs what it has bytes.
        #[test]
        fn the_newest_of_each_key_leaves(operations in proptest::collection::vec(operation(), 0..60)) {
            let mut latest = LatestOnly::default();
            let mut oracle: BTreeMap<(u64, u64), u32> = BTreeMap::new();
            let mut number = 0u32;
            for operation in operations {
                match operation {
                    Operation::Publish(topic, keys) => {
                        let mut conflated = 0;
                        let frames = keys.iter().map(|key| {
                            number += 1;
                            conflated += u64::from(oracle.insert((topic, *key), number).is_some());
                            PreparedFrame::binary(&number.to_be_bytes())
                        });
                        let frames: Vec<_> = frames.collect();
                        let run = Run::join(frames).of_topic(TopicSerial(topic), keys);
                        prop_assert_eq!(latest.keep(7, &run), conflated);
                    }
                    Operation::Take => {
                        let mut expected: Vec<u32> = std::mem::take(&mut oracle)
                            .into_iter()
                            .filter(|((topic, _), _)| *topic != 2)
                            .map(|(_, number)| number)
                            .collect();
                        expected.sort_unstable();
                        let run = latest.take(7, |topic| topic != TopicSerial(2)).unwrap_or_default();
                        let left: Vec<u32> = run
                            .frames()
                            .map(|frame| u32::from_be_bytes(frame.payload()[..].try_into().unwrap()))
                            .collect();
                        prop_assert_eq!(left, expected);
                        prop_assert!(latest.is_empty());
                    }
                    Operation::Forget => {
                        prop_assert_eq!(latest.forget(7), oracle.len() as u64);
                        oracle.clear();
                    }
                }
                // Each frame has a header of two bytes and a number of four.
                prop_assert_eq!(latest.bytes(7), oracle.len() * 6);
                prop_assert_eq!(latest.bytes(8), 0);
            }
        }
    }
}
