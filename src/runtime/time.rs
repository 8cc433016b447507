//! Timers of the tasks of one thread.
//!
//! The runtime's own timers are known only to the runtime, which is not what the
//! thread sleeps on. These say when the next one is due, so that a wait of the
//! session plane can end then.
//!
//! # Invariants worth naming
//!
//! - A timer that is dropped leaves nothing behind, so a handshake that ends in
//!   time costs no wake-up later.
//! - Timers fire in the order of their deadlines, and only between turns.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// How far away 'never' is.
const NEVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The waiting timers: the tasks to be woken, by deadline and by the order in which
/// they began to wait.
#[derive(Default)]
struct Timers {
    waiting: BTreeMap<(Instant, u64), Waker>,
    next: u64,
}

thread_local! {
    static TIMERS: RefCell<Timers> = RefCell::default();
}

/// When the first timer of this thread is due.
pub(super) fn next_deadline() -> Option<Instant> {
    TIMERS.with_borrow(|timers| {
        let first = timers.waiting.first_key_value();
        first.map(|((deadline, _), _)| *deadline)
    })
}

/// Forgets all timers, because the runtime whose tasks they would wake ends.
pub(super) fn forget() {
    let waiting = TIMERS.with_borrow_mut(|timers| std::mem::take(&mut timers.waiting));
    // A waker may hold the last share of a task that has timers of its own.
    drop(waiting);
}

/// Wakes the tasks whose timers are due.
pub(super) fn fire(now: Instant) {
    TIMERS.with_borrow_mut(|timers| {
        while let Some(first) = timers.waiting.first_entry()
            && first.key().0 <= now
        {
            first.remove().wake();
        }
    });
}

/// Waits for this long.
pub fn sleep(time: Duration) -> Sleep {
    let now = Instant::now();
    Sleep {
        deadline: now.checked_add(time).unwrap_or(now + NEVER),
        place: None,
    }
}

/// The time was over before it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

/// Waits for a future, but no longer than this. It is looked at first, so a result that
/// is ready is returned also when no time is left.
///
/// # Errors
/// [`Elapsed`] when the time is over.
pub async fn timeout<F: Future>(time: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let mut sleep = pin!(sleep(time));
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending => sleep.as_mut().poll(cx).map(|()| Err(Elapsed)),
    })
    .await
}

/// Ends at a deadline; see [`sleep`].
#[derive(Debug)]
pub struct Sleep {
    deadline: Instant,
    /// Its place among the waiting timers, if it has begun to wait.
    place: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.deadline {
            return Poll::Ready(());
        }
        TIMERS.with_borrow_mut(|timers| {
            let place = *self.place.get_or_insert_with(|| {
                timers.next += 1;
                timers.next
            });
            let waker = cx.waker().clone();
            timers.waiting.insert((self.deadline, place), waker);
        });
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        // A thread that ends has forgotten its timers already.
        let _ = TIMERS.try_with(|timers| {
            let removed = timers.borrow_mut().waiting.remove(&(self.deadline, place));
            // A waker may hold the last share of a task that has timers of its own.
            drop(removed);
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    const LONG: Duration = Duration::from_secs(1_000);

    fn poll(future: Pin<&mut impl Future<Output = ()>>, count: &Arc<Count>) -> bool {
        let waker = Waker::from(Arc::clone(count));
        future.poll(&mut Context::from_waker(&waker)).is_ready()
    }

    #[test]
    fn timers_fire_in_order_once_and_only_when_they_are_due() {
        let count = Arc::new(Count::default());
        let begin = Instant::now();
        let mut late = pin!(sleep(LONG * 2));
        let mut early = pin!(sleep(LONG));
        assert!(!poll(late.as_mut(), &count) && !poll(early.as_mut(), &count));
        assert!(
            !poll(early.as_mut(), &count),
            "looked at twice, it waits once"
        );
        let next = next_deadline().unwrap();
        assert!(next >= begin + LONG && next < begin + LONG * 2);
        fire(begin);
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        fire(next);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(next_deadline().unwrap() >= begin + LONG * 2);
        fire(begin + LONG * 3);
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        assert_eq!(next_deadline(), None);
    }

    #[test]
    fn a_timer_that_is_dropped_wakes_nobody() {
        let count = Arc::new(Count::default());
        {
            let mut timer = pin!(sleep(LONG));
            assert!(!poll(timer.as_mut(), &count));
            assert!(next_deadline().is_some());
        }
        assert_eq!(next_deadline(), None);
        assert_eq!(Arc::strong_count(&count), 1, "its waker is gone too");
    }

    #[test]
    fn what_is_over_or_never_comes_is_no_trouble() {
        let count = Arc::new(Count::default());
        assert!(poll(pin!(sleep(Duration::ZERO)), &count));
        assert!(!poll(pin!(sleep(Duration::MAX)), &count));
        let waker = Waker::from(Arc::clone(&count));
        let mut cx = Context::from_waker(&waker);
        let done = pin!(timeout(Duration::ZERO, std::future::ready(7)));
        assert_eq!(done.poll(&mut cx), Poll::Ready(Ok(7)));
        let never = pin!(timeout(Duration::ZERO, std::future::pending::<()>()));
        assert_eq!(never.poll(&mut cx), Poll::Ready(Err(Elapsed)));
    }
}
