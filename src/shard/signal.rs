//! How the tasks of one shard wake each other.

use std::cell::{Cell, RefCell};
use std::task::Waker;

/// Asks the session loop for a turn, from another task of the same shard.
#[derive(Default)]
pub(crate) struct TurnRequest {
    pending: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl TurnRequest {
    /// Asks for a turn.
    pub(crate) fn set(&self) {
        self.pending.set(true);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Whether a turn was asked for since this was last called. If not, `waker`
    /// is woken when one is.
    pub(crate) fn take(&self, waker: &Waker) -> bool {
        if self.pending.take() {
            return true;
        }
        *self.waker.borrow_mut() = Some(waker.clone());
        false
    }
}

/// Something that happens once, for any number of tasks of the same shard.
#[derive(Default)]
pub(crate) struct Signal {
    is_set: Cell<bool>,
    wakers: RefCell<Vec<Waker>>,
}

impl Signal {
    /// It has happened.
    pub(crate) fn set(&self) {
        if !self.is_set.replace(true) {
            self.wakers.take().into_iter().for_each(Waker::wake);
        }
    }

    /// Whether it has happened.
    pub(crate) fn is_set(&self) -> bool {
        self.is_set.get()
    }

    /// Whether it has happened. If not, `waker` is woken when it does.
    pub(crate) fn poll(&self, waker: &Waker) -> bool {
        let mut wakers = self.wakers.borrow_mut();
        if !self.is_set() && !wakers.iter().any(|known| known.will_wake(waker)) {
            wakers.push(waker.clone());
        }
        self.is_set()
    }
}
