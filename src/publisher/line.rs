//! The line of tasks that wait for room.
//!
//! # Invariants worth naming
//!
//! - Only the first in line tries, and only it is told of room.
//! - A task that leaves the first place, served or given up, wakes the next one.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::{PublishError, Shared, Stopped, Turn};
use crate::hub::ShardMessage;

/// Tasks by the numbers that they drew, in the order of those.
#[derive(Default)]
pub(super) struct Line {
    waiting: VecDeque<(u64, Waker)>,
    next_number: u64,
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The wakers of all.
    pub(super) fn wakers(&self) -> Vec<Waker> {
        let waiting = self.waiting.iter();
        waiting.map(|(_, waker)| waker.clone()).collect()
    }

    fn join(&mut self, waker: &Waker) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.waiting.push_back((number, waker.clone()));
        number
    }

    fn is_first(&self, number: u64) -> bool {
        self.waiting
            .front()
            .is_some_and(|(first, _)| *first == number)
    }

    /// Wakes this task from now on, where the one that polls has changed.
    fn update(&mut self, number: u64, waker: &Waker) {
        let place = self.waiting.binary_search_by_key(&number, |(of, _)| *of);
        if let Ok(place) = place {
            self.waiting[place].1.clone_from(waker);
        }
    }

    /// Takes a task out. Returns the waker of the one that is first now, if that has
    /// changed.
    fn leave(&mut self, number: u64) -> Option<Waker> {
        let was_first = self.is_first(number);
        self.waiting.retain(|(of, _)| *of != number);
        let (_, first) = self.waiting.front().filter(|_| was_first)?;
        Some(first.clone())
    }
}

/// A message that waits until there is room for it.
pub(super) struct InLine {
    shared: Arc<Shared>,
    message: ShardMessage,
    /// Drawn when there was no room.
    number: Option<u64>,
}

impl InLine {
    pub(super) fn new(shared: Arc<Shared>, message: ShardMessage) -> Self {
        InLine {
            shared,
            message,
            number: None,
        }
    }

    /// Tries, unless others have come before. Returns how that ended; nothing while
    /// it has to wait.
    fn advance(&mut self, turn: &mut Turn, waker: &Waker) -> Option<Result<(), Stopped>> {
        let number = match self.number {
            Some(number) => {
                turn.line.update(number, waker);
                number
            }
            None => {
                if turn.line.is_empty()
                    && let Some(result) = as_wait(turn.try_send(&self.message))
                {
                    return Some(result);
                }
                self.shared.count_full(turn);
                *self.number.insert(turn.line.join(waker))
            }
        };
        if turn.end.is_some() && !turn.line.is_first(number) {
            return None;
        }
        if let Some(end) = &turn.end {
            // Before the try: a consumer that makes room after it tells of it.
            end.room().register(waker);
        }
        as_wait(turn.try_send(&self.message))
    }

    /// Leaves the line, if it is in it. Returns the task to be woken for that.
    fn leave(&mut self, turn: &mut Turn) -> Option<Waker> {
        let next = turn.line.leave(self.number.take()?);
        if let (None, Some(end)) = (&next, &turn.end)
            && turn.line.is_empty()
        {
            end.room().clear();
        }
        next
    }
}

/// The meaning of a try to a task: no room is no result yet.
fn as_wait(result: Result<(), PublishError>) -> Option<Result<(), Stopped>> {
    match result {
        Ok(()) => Some(Ok(())),
        Err(PublishError::Stopped) => Some(Err(Stopped)),
        Err(PublishError::Full) => None,
    }
}

impl Future for InLine {
    type Output = Result<(), Stopped>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let shared = Arc::clone(&this.shared);
        let mut turn = shared.turn();
        let Some(result) = this.advance(&mut turn, cx.waker()) else {
            return Poll::Pending;
        };
        let next = this.leave(&mut turn);
        drop(turn);
        if let Some(next) = next {
            next.wake();
        }
        Poll::Ready(result)
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        if self.number.is_none() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let next = self.leave(&mut shared.turn());
        if let Some(next) = next {
            next.wake();
        }
    }
}
