//! The tasks of a thread's runtime, run between the turns of its sessions.
//!
//! The runtime never parks. Its loop runs the queued tasks, then the root future,
//! and would park only if no task were queued; in the root future the thread turns
//! its sessions and sleeps on their plane. When tasks should run, the root future
//! starts a *relay*: two small tasks that wake each other. As long as one of them is
//! queued, the runtime does not park but takes its completions without waiting
//! (`submit`) and runs its tasks, and each leg of the relay comes after everything
//! that was queued before it. When nothing else ran during a leg, nothing is left.
//!
//! # Invariants worth naming
//!
//! - The root future waits only for the relay, so the runtime is never without a
//!   queued task while the root future waits.
//! - A relay ends when no task is left to run or, if some always is, with the next
//!   leg after `MAX_VISIT`; the thread does not sleep then.
//! - The relay is a pair because a task that wakes itself is put at the head of the
//!   queue, and would keep all others from running.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::time;

/// Time for which tasks may keep the thread from its sessions.
const MAX_VISIT: Duration = Duration::from_micros(500);

thread_local! {
    /// Counts the steps of tasks.
    static STEPS: Cell<u64> = const { Cell::new(0) };
    /// Whether tasks were woken from outside of the runtime.
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
    /// Tasks that give way to the sessions.
    static GIVEN_WAY: RefCell<Vec<Waker>> = const { RefCell::new(Vec::new()) };
}

/// Starts a task on this thread's runtime.
pub fn spawn(future: impl Future<Output = ()> + 'static) {
    expect();
    drop(monoio::spawn(Counted(Box::pin(future))));
}

/// To be called by code that wakes a task from a turn: tasks run before the thread
/// sleeps next.
pub fn expect() {
    EXPECTED.set(true);
}

/// Lets the sessions have a turn, and all other tasks run.
pub async fn give_way() {
    let mut gave_way = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut gave_way, true) {
            return Poll::Ready(());
        }
        GIVEN_WAY.with_borrow_mut(|tasks| tasks.push(cx.waker().clone()));
        Poll::Pending
    })
    .await;
}

/// Whether tasks should run although the kernel has nothing for them.
pub(super) fn are_expected() -> bool {
    EXPECTED.get() || GIVEN_WAY.with_borrow(|tasks| !tasks.is_empty())
}

/// A task whose steps are counted.
struct Counted<F>(Pin<Box<F>>);

impl<F: Future<Output = ()>> Future for Counted<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        STEPS.set(STEPS.get().wrapping_add(1));
        self.0.as_mut().poll(cx)
    }
}

/// The state of a relay.
#[derive(Clone, Copy)]
enum Leg {
    /// No runner is under way.
    None,
    /// Under way since the visit began, with so many steps of others before this leg.
    Under { began: Instant, steps: u64 },
    /// Over.
    Over { left: bool },
}

/// The pair of tasks that runs until no other is left to run.
pub(super) struct Relay(Rc<Pair>);

struct Pair {
    leg: Cell<Leg>,
    runners: [RefCell<Option<Waker>>; 2],
    root: RefCell<Option<Waker>>,
}

impl Relay {
    /// Starts the pair on this thread's runtime.
    pub(super) fn new() -> Self {
        let pair = Rc::new(Pair {
            leg: Cell::new(Leg::None),
            runners: Default::default(),
            root: RefCell::default(),
        });
        for runner in 0..2 {
            let pair = Rc::clone(&pair);
            drop(monoio::spawn(poll_fn(move |cx| pair.run(runner, cx))));
        }
        Relay(pair)
    }

    /// Runs the tasks. Returns whether some are left to run.
    pub(super) async fn run(&self) -> bool {
        EXPECTED.set(false);
        GIVEN_WAY.take().into_iter().for_each(Waker::wake);
        let pair = &*self.0;
        let left = poll_fn(|cx| match pair.leg.replace(Leg::None) {
            Leg::Over { left } => Poll::Ready(left),
            Leg::None => {
                *pair.root.borrow_mut() = Some(cx.waker().clone());
                pair.leg.set(Leg::Under {
                    began: Instant::now(),
                    // Not equal, so that completions taken after this are run.
                    steps: STEPS.get().wrapping_sub(1),
                });
                pair.wake(0);
                Poll::Pending
            }
            under => {
                pair.leg.set(under);
                Poll::Pending
            }
        })
        .await;
        // Tasks that tasks have started or woken have run as well.
        EXPECTED.set(left);
        left
    }
}

impl Drop for Relay {
    /// The runtime ends: nothing that waits for it may be woken later.
    fn drop(&mut self) {
        EXPECTED.set(false);
        drop(GIVEN_WAY.take());
        time::forget();
        // The runners keep the pair, and its wakers the runners.
        for runner in &self.0.runners {
            drop(runner.take());
        }
    }
}

impl Pair {
    fn wake(&self, runner: usize) {
        if let Some(waker) = &*self.runners[runner].borrow() {
            waker.wake_by_ref();
        }
    }

    /// One leg: this runner's turn to look, and then the other's.
    fn run(&self, runner: usize, cx: &mut Context<'_>) -> Poll<()> {
        let mut own = self.runners[runner].borrow_mut();
        // Both are first run without a relay, to leave their wakers.
        let waker = own.get_or_insert_with(|| cx.waker().clone());
        waker.clone_from(cx.waker());
        drop(own);
        if let Leg::Under { began, steps } = self.leg.get() {
            let now = STEPS.get();
            if now == steps || began.elapsed() > MAX_VISIT {
                self.leg.set(Leg::Over { left: now != steps });
                self.root.take().into_iter().for_each(Waker::wake);
            } else {
                self.leg.set(Leg::Under { began, steps: now });
                self.wake(1 - runner);
            }
        }
        Poll::Pending
    }
}
