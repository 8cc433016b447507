//! How a shard tells its tasks of something that happens once.

use std::cell::{Cell, RefCell};
use std::task::Waker;

use crate::runtime::tasks;

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
            tasks::expect();
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
