//! The send queue under any pushes, and a socket that takes what it likes.
//!
//! Bytes leave in the order pushed, none twice, none left out; `pending_bytes`
//! counts exactly the bytes pushed that have not left, also after a socket that
//! failed. The bytes that `abandon` keeps are the rest of those that have begun to
//! leave, never half a frame, and it counts the publications it forgets.

#![no_main]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::rc::Rc;

use arbitrary::Arbitrary;
use corecast::link::{SendQueue, Sink};
use corecast::publication::Run;
use corecast::ws::PreparedFrame;
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
enum Operation<'a> {
    /// A frame for this session alone.
    Own(&'a [u8]),
    /// So many publications joined; of the first bytes so many have left directly if
    /// nothing is waiting.
    Shared {
        payload: &'a [u8],
        joined: u8,
        already_sent: u8,
    },
    /// One's own bytes of which the beginning has left directly, if nothing is waiting.
    Rest(&'a [u8]),
    /// Many small pushes, more than one call to the kernel takes.
    Burst(u8),
    Flush(Vec<Answer>),
    Abandon,
}

/// The answer of the socket when it is offered bytes.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Answer {
    Take(u16),
    Full,
    Broken,
}

/// A socket that answers by the script, and is full when that ends.
#[derive(Default)]
struct Script {
    answers: RefCell<VecDeque<Answer>>,
    taken: RefCell<Vec<u8>>,
    is_greedy: Cell<bool>,
}

impl Sink for Script {
    fn send(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        assert!(
            parts.iter().all(|part| !part.is_empty()),
            "an empty part is offered"
        );
        let room = match self.answers.borrow_mut().pop_front() {
            _ if self.is_greedy.get() => usize::MAX,
            // A socket that has room takes at least one byte.
            Some(Answer::Take(room)) => usize::from(room).max(1),
            Some(Answer::Broken) => return Err(io::ErrorKind::BrokenPipe.into()),
            Some(Answer::Full) | None => return Ok(0),
        };
        let offered = parts.iter().flat_map(|part| part.iter());
        let before = self.taken.borrow().len();
        self.taken.borrow_mut().extend(offered.take(room));
        Ok(self.taken.borrow().len() - before)
    }
}

/// A push that waits, as the oracle sees it.
struct Pushed {
    bytes: Vec<u8>,
    /// Publications, 0 for one's own bytes.
    publications: u64,
}

#[derive(Default)]
struct Model {
    waiting: VecDeque<Pushed>,
    /// Bytes of the first that have left.
    sent_of_first: usize,
    /// The first is a rest whose beginning left elsewhere.
    is_rest: bool,
}

impl Model {
    fn pending_bytes(&self) -> usize {
        self.waiting
            .iter()
            .map(|pushed| pushed.bytes.len())
            .sum::<usize>()
            - self.sent_of_first
    }

    fn push(&mut self, bytes: Vec<u8>, publications: u64) {
        if !bytes.is_empty() {
            self.waiting.push_back(Pushed {
                bytes,
                publications,
            });
        }
    }

    /// Checks that these bytes are the next ones due.
    fn leave(&mut self, mut left: &[u8]) {
        while let Some(first) = self.waiting.front() {
            let rest = &first.bytes[self.sent_of_first..];
            if left.len() < rest.len() {
                assert_eq!(left, &rest[..left.len()]);
                self.sent_of_first += left.len();
                return;
            }
            assert_eq!(&left[..rest.len()], rest);
            left = &left[rest.len()..];
            self.waiting.pop_front();
            (self.sent_of_first, self.is_rest) = (0, false);
        }
        assert!(left.is_empty(), "bytes left that were never pushed");
    }

    /// Checks the rest that `abandon` kept: whole pushes, the one that has
    /// begun at least.
    fn abandon(&mut self, kept_bytes: usize, forgotten: u64) {
        let begun = self.sent_of_first > 0 || self.is_rest;
        let mut kept = usize::from(begun && !self.waiting.is_empty());
        // One's own frames that were pushed one after the other are one run.
        let run = self
            .waiting
            .iter()
            .take_while(|pushed| pushed.publications == 0)
            .count();
        let bytes = |kept: usize| {
            let bytes: usize = self
                .waiting
                .iter()
                .take(kept)
                .map(|pushed| pushed.bytes.len())
                .sum();
            bytes - self.sent_of_first.min(bytes)
        };
        while bytes(kept) < kept_bytes && kept < run {
            kept += 1;
        }
        assert_eq!(bytes(kept), kept_bytes, "half a push was kept");
        let publications: u64 = self
            .waiting
            .drain(kept..)
            .map(|pushed| pushed.publications)
            .sum();
        assert_eq!(forgotten, publications);
    }
}

fuzz_target!(|operations: Vec<Operation<'_>>| {
    let mut socket = Script::default();
    let mut queue = SendQueue::default();
    let mut model = Model::default();
    for operation in operations {
        match operation {
            Operation::Own(bytes) => {
                queue.push_own(bytes);
                model.push(bytes.to_vec(), 0);
            }
            Operation::Shared {
                payload,
                joined,
                already_sent,
            } => {
                let frame = PreparedFrame::binary(payload);
                let run = Rc::new(Run::join(vec![frame; 1 + usize::from(joined % 3)]));
                let already_sent = match queue.is_empty() {
                    true => usize::from(already_sent).min(run.len()),
                    false => 0,
                };
                queue.push_shared(&run, already_sent);
                if already_sent < run.len() {
                    model.push(run.as_bytes().to_vec(), u64::from(run.messages()));
                    model.sent_of_first = model.sent_of_first.max(already_sent);
                }
            }
            Operation::Rest(bytes) => {
                // A session pushes a rest into a queue that it has just made.
                if queue.is_empty() && !bytes.is_empty() {
                    queue.push_rest(&[&[0], bytes].concat(), 1);
                    model.push(bytes.to_vec(), 0);
                    model.is_rest = true;
                }
            }
            Operation::Burst(count) => {
                for number in 0..count {
                    let frame = Rc::new(Run::from(PreparedFrame::binary(&[number])));
                    queue.push_shared(&frame, 0);
                    model.push(frame.as_bytes().to_vec(), 1);
                    queue.push_own(&[number]);
                    model.push(vec![number], 0);
                }
            }
            Operation::Flush(answers) => {
                *socket.answers.borrow_mut() = answers.into();
                flush(&mut queue, &mut socket, &mut model);
            }
            Operation::Abandon => {
                let forgotten = queue.abandon();
                model.abandon(queue.pending_bytes(), forgotten);
            }
        }
        assert_eq!(queue.pending_bytes(), model.pending_bytes());
        assert_eq!(queue.is_empty(), model.pending_bytes() == 0);
    }
    socket.is_greedy.set(true);
    flush(&mut queue, &mut socket, &mut model);
    assert!(queue.is_empty() && model.waiting.is_empty());
});

fn flush(queue: &mut SendQueue, socket: &mut Script, model: &mut Model) {
    let result = queue.flush(socket);
    let left = socket.taken.take();
    if let Ok(sent) = result {
        assert_eq!(sent, left.len());
    }
    model.leave(&left);
}
