//! A session's outgoing bytes that its socket did not take at once.
//!
//! Most sessions have no queue at all: what they are sent leaves in one direct
//! send. An [`Outlet`](super::Outlet) makes a queue with the first byte that the
//! socket refuses and drops it when it is empty.
//!
//! # Invariants worth naming
//!
//! - Bytes leave in the order they were pushed, none twice, none left out.
//! - Runs of publications are held by reference; a thousand slow subscribers of one
//!   topic hold one copy of its publications.
//! - `pending_bytes` is exactly what was pushed and has not left.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::rc::Rc;

use crate::publication::Run;

/// Anything that takes outgoing bytes without waiting: a [`Link`](super::Link), or
/// what stands for one in a test.
pub trait Sink {
    /// Sends what it can and returns how many bytes that were; none when it takes
    /// nothing now.
    ///
    /// # Errors
    /// The error that ended the connection.
    fn send(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize>;
}

/// Runs of bytes handed to the kernel in one call.
const MAX_PARTS: usize = 64;

/// Bytes that a run of bytes takes in the queue beside its own.
pub(crate) const PLACE_BYTES: usize = size_of::<Chunk>();

/// A run of bytes in the queue.
#[derive(Debug)]
enum Chunk {
    /// Bytes for this session alone.
    Own(Vec<u8>),
    /// Publications, shared with the other subscribers of this shard.
    Shared(Rc<Run>),
}

impl Chunk {
    fn bytes(&self) -> &[u8] {
        match self {
            Chunk::Own(bytes) => bytes,
            Chunk::Shared(run) => run.as_bytes(),
        }
    }
}

/// A session's outgoing bytes, bounded by the caller that pushes.
#[derive(Debug, Default)]
pub struct SendQueue {
    chunks: VecDeque<Chunk>,
    /// Bytes of the first chunk that have left.
    sent_of_first: usize,
    /// The first chunk is the rest of bytes whose beginning left before they
    /// came here.
    first_is_rest: bool,
    pending_bytes: usize,
    /// When bytes last left, in milliseconds of the shard's clock.
    pub(crate) moved_at: u32,
}

impl SendQueue {
    /// An empty queue. `now_ms` starts the clock that tells how long it stands still.
    pub(crate) fn new(now_ms: u32) -> Box<Self> {
        Box::new(SendQueue {
            moved_at: now_ms,
            ..SendQueue::default()
        })
    }

    /// Bytes that have not left yet.
    pub fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// The weight of the queue against a limit of memory: the bytes that have not left,
    /// and the places of the runs that they are in. Publications of a few bytes weigh
    /// more as places than as bytes.
    pub fn weight(&self) -> usize {
        self.pending_bytes + self.chunks.len() * PLACE_BYTES
    }

    /// Whether everything has left.
    pub fn is_empty(&self) -> bool {
        self.pending_bytes == 0
    }

    /// Adds bytes for this session alone.
    pub fn push_own(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.pending_bytes += bytes.len();
        let is_first = self.chunks.len() == 1;
        match self.chunks.back_mut() {
            Some(Chunk::Own(last)) => {
                // Bytes that have left are removed, or a queue that is never empty
                // would keep all that ever went through it.
                if is_first && self.sent_of_first > last.len() / 2 {
                    last.drain(..self.sent_of_first);
                    self.sent_of_first = 0;
                    self.first_is_rest = true;
                }
                last.extend_from_slice(bytes);
            }
            _ => self.chunks.push_back(Chunk::Own(bytes.to_vec())),
        }
    }

    /// Adds what is left of bytes of which the first `already_sent` have left
    /// directly, so that [`abandon`](SendQueue::abandon) does not cut a frame in two.
    pub fn push_rest(&mut self, bytes: &[u8], already_sent: usize) {
        self.first_is_rest |= already_sent > 0;
        self.push_own(&bytes[already_sent..]);
    }

    /// Adds a run of which the first `already_sent` bytes have left.
    ///
    /// # Panics
    /// When `already_sent` is not 0 although other bytes are waiting.
    pub fn push_shared(&mut self, run: &Rc<Run>, already_sent: usize) {
        if already_sent >= run.len() {
            return;
        }
        if already_sent > 0 {
            assert!(
                self.chunks.is_empty(),
                "bytes left before those that were waiting"
            );
            self.sent_of_first = already_sent;
        }
        self.pending_bytes += run.len() - already_sent;
        self.chunks.push_back(Chunk::Shared(Rc::clone(run)));
    }

    /// Forgets everything but the rest of a frame of which a part has left, so
    /// that a close frame can follow at once. Returns how many publications
    /// were forgotten.
    pub fn abandon(&mut self) -> u64 {
        let begun = self.first_is_rest || self.sent_of_first > 0;
        let forgotten = self
            .chunks
            .drain(usize::from(begun).min(self.chunks.len())..)
            .map(|chunk| match chunk {
                Chunk::Own(_) => 0,
                Chunk::Shared(run) => u64::from(run.messages()),
            })
            .sum();
        self.pending_bytes = self
            .chunks
            .front()
            .map_or(0, |first| first.bytes().len() - self.sent_of_first);
        forgotten
    }

    /// Sends until nothing is left or the socket takes no more. Returns the
    /// number of bytes that left.
    ///
    /// # Errors
    /// The error that ended the connection. A socket without room is not an error.
    pub fn flush(&mut self, sink: &mut impl Sink) -> io::Result<usize> {
        let mut total = 0;
        while !self.chunks.is_empty() {
            let mut parts = [IoSlice::new(&[]); MAX_PARTS];
            let mut offered = 0;
            let mut count = 0;
            for (part, chunk) in parts.iter_mut().zip(&self.chunks) {
                let skip = if count == 0 { self.sent_of_first } else { 0 };
                let bytes = &chunk.bytes()[skip..];
                *part = IoSlice::new(bytes);
                offered += bytes.len();
                count += 1;
            }
            let sent = sink.send(&parts[..count])?;
            self.advance(sent);
            total += sent;
            if sent < offered {
                break;
            }
        }
        Ok(total)
    }

    /// Forgets `sent` bytes that have left.
    fn advance(&mut self, mut sent: usize) {
        self.pending_bytes -= sent;
        while let Some(first) = self.chunks.front() {
            let left = first.bytes().len() - self.sent_of_first;
            if sent < left {
                self.sent_of_first += sent;
                return;
            }
            sent -= left;
            self.sent_of_first = 0;
            self.first_is_rest = false;
            self.chunks.pop_front();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::ws::PreparedFrame;
    use proptest::prelude::*;
    use std::cell::{Cell, RefCell};

    /// A socket that takes a given number of bytes and remembers them.
    #[derive(Default)]
    struct Script {
        room: Cell<usize>,
        taken: RefCell<Vec<u8>>,
    }

    impl Sink for Script {
        fn send(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
            let mut sent = 0;
            for part in parts {
                let n = part.len().min(self.room.get());
                self.taken.borrow_mut().extend_from_slice(&part[..n]);
                self.room.set(self.room.get() - n);
                sent += n;
            }
            Ok(sent)
        }
    }

    #[derive(Debug, Clone)]
    enum Operation {
        Own(Vec<u8>),
        Shared(Vec<u8>),
        Flush(usize),
    }

    fn operation() -> impl Strategy<Value = Operation> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
        prop_oneof![
            bytes().prop_map(Operation::Own),
            bytes().prop_map(Operation::Shared),
            (0usize..60).prop_map(Operation::Flush),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 8 } else { 512 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// Every pushed byte leaves once and in order, however little the socket takes
        /// at a time; the oracle is one long byte string.
        #[test]
        fn bytes_leave_once_and_in_order(
            operations in proptest::collection::vec(operation(), 0..60),
        ) {
            let mut socket = Script::default();
            let mut queue = SendQueue::default();
            let mut oracle = Vec::new();
            for operation in operations {
                match operation {
                    Operation::Own(bytes) => {
                        queue.push_own(&bytes);
                        oracle.extend_from_slice(&bytes);
                    }
                    Operation::Shared(bytes) => {
                        let frame = Rc::new(Run::from(PreparedFrame::binary(&bytes)));
                        queue.push_shared(&frame, 0);
                        oracle.extend_from_slice(frame.as_bytes());
                    }
                    Operation::Flush(room) => {
                        socket.room.set(room);
                        queue.flush(&mut socket).unwrap();
                    }
                }
                prop_assert_eq!(queue.pending_bytes(), oracle.len() - socket.taken.borrow().len());
                prop_assert!(oracle.starts_with(&socket.taken.borrow()));
            }
            socket.room.set(usize::MAX);
            queue.flush(&mut socket).unwrap();
            prop_assert!(queue.is_empty());
            prop_assert_eq!(&*socket.taken.borrow(), &oracle);
        }
    }

    #[test]
    fn small_publications_weigh_what_their_places_take() {
        let frame = Rc::new(Run::from(PreparedFrame::binary(b"1")));
        let mut queue = SendQueue::default();
        for _ in 0..1_000 {
            queue.push_shared(&frame, 0);
        }
        assert_eq!(queue.pending_bytes(), 3_000);
        assert_eq!(queue.weight(), 3_000 + 1_000 * PLACE_BYTES);
        let mut socket = Script::default();
        socket.room.set(3 * 999 + 1);
        queue.flush(&mut socket).unwrap();
        assert_eq!(queue.weight(), 2 + PLACE_BYTES);
    }

    #[test]
    fn abandoning_keeps_what_has_begun_to_leave() {
        let frame = Rc::new(Run::from(PreparedFrame::binary(b"0123456789")));
        let mut queue = SendQueue::default();
        queue.push_rest(b"the rest", 4);
        queue.push_shared(&frame, 0);
        assert_eq!(queue.abandon(), 1);
        assert_eq!(queue.pending_bytes(), 4);

        let mut socket = Script::default();
        socket.room.set(4);
        assert_eq!(queue.flush(&mut socket).unwrap(), 4);
        queue.push_shared(&frame, 0);
        assert_eq!(queue.abandon(), 1);
        assert!(queue.is_empty());
    }

    /// A queue that is never empty, as that of a client that always reads a little less
    /// than it is sent, keeps what waits and not what has left.
    #[test]
    fn what_has_left_takes_no_room() {
        let mut socket = Script::default();
        let mut queue = SendQueue::default();
        let mut expected = Vec::new();
        queue.push_own(&[0; 100]);
        expected.extend_from_slice(&[0; 100]);
        for round in 0..if cfg!(miri) { 200 } else { 10_000u32 } {
            let bytes = round.to_be_bytes().repeat(25);
            queue.push_own(&bytes);
            expected.extend_from_slice(&bytes);
            socket.room.set(100);
            assert_eq!(queue.flush(&mut socket).unwrap(), 100);
            let held: usize = queue.chunks.iter().map(|chunk| chunk.bytes().len()).sum();
            assert!(held <= 400, "{held} bytes for 100 that wait");
        }
        assert_eq!(*socket.taken.borrow(), expected[..expected.len() - 100]);
        // A frame that has begun to leave is still not cut in two.
        assert_eq!(queue.abandon(), 0);
        assert_eq!(queue.pending_bytes(), 100);
    }

    #[test]
    fn a_frame_that_left_in_part_goes_on_where_it_stopped() {
        let frame = Rc::new(Run::from(PreparedFrame::binary(b"0123456789")));
        let mut queue = SendQueue::default();
        queue.push_shared(&frame, 7);
        let mut socket = Script::default();
        socket.room.set(1_000);
        assert_eq!(queue.flush(&mut socket).unwrap(), frame.len() - 7);
        assert_eq!(*socket.taken.borrow(), frame.as_bytes()[7..]);
    }
}
