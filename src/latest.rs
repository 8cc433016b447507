//! A value that one thread replaces and others look at.
//!
//! # Invariants worth naming
//!
//! - Looking whether there is another value is one load without a lock, so a shard
//!   may look as often as it likes; the lock is taken once for each new value.
//! - A view keeps its value until it asks for the latest one, so all work between two
//!   looks is done by one value.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The latest value.
pub(crate) struct Latest<T> {
    /// How many values there were before it.
    number: AtomicU64,
    value: Mutex<Arc<T>>,
}

impl<T> Latest<T> {
    /// With a first value.
    pub(crate) fn new(value: T) -> Arc<Self> {
        Arc::new(Latest {
            number: AtomicU64::new(0),
            value: Mutex::new(Arc::new(value)),
        })
    }

    /// The value now.
    pub(crate) fn get(&self) -> Arc<T> {
        Arc::clone(&self.lock())
    }

    /// Puts another value in its place.
    pub(crate) fn replace(&self, value: T) {
        let mut latest = self.lock();
        *latest = Arc::new(value);
        // Under the lock, so that a number is never seen with the value before it.
        self.number.fetch_add(1, Ordering::Release);
    }

    /// A view of the values, for one thread.
    pub(crate) fn view(self: &Arc<Self>) -> View<T> {
        let value = self.lock();
        View {
            number: self.number.load(Ordering::Relaxed),
            value: Arc::clone(&value),
            of: Arc::clone(self),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Arc<T>> {
        // The protected value is whole at every step.
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: fmt::Debug> fmt::Debug for Latest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Latest").field(&self.get()).finish()
    }
}

/// One thread's view of a [`Latest`].
#[derive(Debug)]
pub(crate) struct View<T> {
    number: u64,
    value: Arc<T>,
    of: Arc<Latest<T>>,
}

impl<T> View<T> {
    /// Takes up the latest value. Returns whether that is another one.
    #[inline]
    pub(crate) fn refresh(&mut self) -> bool {
        if self.of.number.load(Ordering::Acquire) == self.number {
            return false;
        }
        *self = self.of.view();
        true
    }
}

impl<T> Deref for View<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_keeps_its_value_until_it_is_refreshed() {
        let latest = Latest::new(1);
        let mut view = latest.view();
        assert!(!view.refresh());
        latest.replace(2);
        assert_eq!((*view, *latest.get()), (1, 2));
        assert!(view.refresh());
        assert_eq!(*view, 2);
        assert!(!view.refresh());
        latest.replace(3);
        latest.replace(4);
        assert!(view.refresh());
        assert_eq!(*view, 4);
        assert!(!view.refresh(), "two changes are seen as one");
        assert!(!latest.view().refresh(), "a new view is up to date");
    }

    #[test]
    fn a_number_is_never_seen_with_an_older_value() {
        let latest = Latest::new(0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut view = latest.view();
                    while *view < 5_000 {
                        let before = *view;
                        match view.refresh() {
                            true => assert!(*view > before),
                            false => std::thread::yield_now(),
                        }
                    }
                });
            }
            scope.spawn(|| (1..=5_000).for_each(|value| latest.replace(value)));
        });
    }
}
