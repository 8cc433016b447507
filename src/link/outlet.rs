//! A link with the queue of what its socket did not take.

use std::io::{self, IoSlice};
use std::rc::Rc;

use super::{Link, SendQueue};
use crate::publication::Run;

/// A connection's way out: pushed bytes leave at once if they can, and wait in order if
/// they cannot.
///
/// # Invariants worth naming
///
/// - 'Send now, queue the rest' stands here and nowhere else.
/// - Bytes leave in the order they were pushed: while something waits, nothing is
///   sent directly.
/// - There is a queue exactly while something waits. An outlet whose socket takes
///   everything has no memory beside the link.
#[derive(Debug)]
pub struct Outlet {
    link: Link,
    queue: Option<Box<SendQueue>>,
}

/// The result of a flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flushed {
    /// Bytes that left.
    pub sent: usize,
    /// Whether nothing waits any more.
    pub emptied: bool,
}

impl Outlet {
    /// The outlet of a new connection: nothing waits.
    pub fn new(link: Link) -> Outlet {
        Outlet { link, queue: None }
    }

    /// The link that reads and writes the socket. It may be written to past the queue
    /// only when nothing waits.
    pub fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    /// The same, to look at.
    pub fn watched(&self) -> &Link {
        &self.link
    }

    /// Bytes that wait.
    #[inline]
    pub fn pending_bytes(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.pending_bytes())
    }

    /// The weight of the queue against a limit of memory; see [`SendQueue::weight`].
    pub fn weight(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.weight())
    }

    /// Whether something waits.
    #[inline]
    pub fn is_pending(&self) -> bool {
        self.queue.is_some()
    }

    /// When bytes last left of those that wait, in the milliseconds that were
    /// handed in with the pushes and flushes; `None` if nothing waits.
    pub fn moved_at(&self) -> Option<u32> {
        self.queue.as_ref().map(|queue| queue.moved_at)
    }

    /// Sends bytes, and queues what the socket does not take. Returns how many
    /// left. `now_ms` is the time that [`moved_at`](Outlet::moved_at) tells.
    ///
    /// # Errors
    /// The error that ended the connection; nothing is queued then.
    #[inline]
    pub fn push(&mut self, bytes: &[u8], now_ms: u32) -> io::Result<usize> {
        self.send_or_queue(
            bytes.len(),
            now_ms,
            |link| link.send_bytes(bytes),
            |queue, sent| queue.push_rest(bytes, sent),
        )
    }

    /// The same for bytes and a payload after them, which is not copied unless it
    /// has to wait.
    ///
    /// # Errors
    /// As [`push`](Outlet::push).
    pub fn push_both(&mut self, bytes: &[u8], payload: &[u8], now_ms: u32) -> io::Result<usize> {
        self.send_or_queue(
            bytes.len() + payload.len(),
            now_ms,
            |link| link.send(&[IoSlice::new(bytes), IoSlice::new(payload)]),
            |queue, sent| {
                queue.push_rest(bytes, sent.min(bytes.len()));
                queue.push_rest(payload, sent.saturating_sub(bytes.len()));
            },
        )
    }

    /// The same for a run of publications, which the queue shares with those of the other
    /// subscribers.
    ///
    /// # Errors
    /// As [`push`](Outlet::push).
    #[inline]
    pub fn push_shared(&mut self, run: &Rc<Run>, now_ms: u32) -> io::Result<usize> {
        self.send_or_queue(
            run.len(),
            now_ms,
            |link| link.send_bytes(run.as_bytes()),
            |queue, sent| queue.push_shared(run, sent),
        )
    }

    #[inline(always)]
    fn send_or_queue(
        &mut self,
        len: usize,
        now_ms: u32,
        send: impl FnOnce(&mut Link) -> io::Result<usize>,
        queue_rest: impl FnOnce(&mut SendQueue, usize),
    ) -> io::Result<usize> {
        let sent = match self.queue {
            None => send(&mut self.link)?,
            Some(_) => 0,
        };
        if sent < len {
            let queue = self.queue.get_or_insert_with(|| SendQueue::new(now_ms));
            queue_rest(queue, sent);
        }
        Ok(sent)
    }

    /// Sends what waits, as far as the socket takes it.
    ///
    /// # Errors
    /// The error that ended the connection.
    pub fn flush(&mut self, now_ms: u32) -> io::Result<Flushed> {
        let Some(queue) = &mut self.queue else {
            return Ok(Flushed {
                sent: 0,
                emptied: true,
            });
        };
        let sent = queue.flush(&mut self.link)?;
        if sent > 0 {
            queue.moved_at = now_ms;
        }
        let emptied = queue.is_empty();
        if emptied {
            self.queue = None;
        }
        Ok(Flushed { sent, emptied })
    }

    /// Forgets what waits but the rest of a frame that has begun to leave. Returns
    /// how many publications were forgotten.
    pub fn abandon(&mut self) -> u64 {
        let Some(queue) = &mut self.queue else {
            return 0;
        };
        let forgotten = queue.abandon();
        if queue.is_empty() {
            self.queue = None;
        }
        forgotten
    }
}
