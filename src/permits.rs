//! The one number shards share: how many more sessions the process may hold.
//!
//! It is touched once when a session opens and once when it ends, never per
//! message, so that it is exact and still costs nothing that shows.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Room for sessions in the whole process.
#[derive(Debug)]
pub(crate) struct Permits(AtomicUsize);

impl Permits {
    pub(crate) fn new(sessions: usize) -> Self {
        Permits(AtomicUsize::new(sessions))
    }

    /// Takes room for one session. Returns `false` if there is none.
    pub(crate) fn take(&self) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| {
                free.checked_sub(1)
            })
            .is_ok()
    }

    /// Gives the room of one session back.
    pub(crate) fn give_back(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Permits;

    #[test]
    fn no_more_than_there_is_room_for() {
        let permits = Permits::new(2);
        assert!(permits.take() && permits.take());
        assert!(!permits.take());
        permits.give_back();
        assert!(permits.take());
    }
}
