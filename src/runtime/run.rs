//! The loop of a thread that serves a session plane: turn while there is work,
//! sleep on the plane while there is none, and let the runtime's tasks run when
//! something has come for them.
//!
//! # Invariants worth naming
//!
//! - Check, register, check again: the thread sleeps only if its waker was not notified
//!   since the turn began; a later notification writes to its event, which the plane
//!   watches.
//! - A wait is the only thing that blocks, and it ends at the latest when the first
//!   timer of the thread is due.
//! - Tasks run after any turn that found a call for them, also when sessions always
//!   have more to do; and sessions have a turn after any visit to the tasks.

use std::cell::RefCell;
use std::io;
use std::time::{Duration, Instant};

use super::tasks::{self, Relay};
use super::time;
use crate::mesh::ShardWaker;
use crate::plane::Plane;
use crate::plane::guest::Guest;

/// Time for which turns may go on until the guest itself is asked whether it has
/// something to do. The plane tells only what it knew when a turn began.
const MAX_TIME_WITHOUT_ASKING: Duration = Duration::from_micros(500);

/// The part that serves the sockets of one thread.
pub trait Turn {
    /// One turn: everything that became ready is served. Returns whether there is
    /// more to do at once.
    ///
    /// # Errors
    /// When the kernel interface itself is broken.
    fn turn(&mut self) -> io::Result<bool>;

    /// Whether nothing is left to do for ever. Asked after each turn.
    fn is_finished(&self) -> bool;

    /// Time until the next turn is due if nothing becomes ready before.
    fn until_due(&self) -> Option<Duration>;

    /// The plane that watches its sockets, and on which its thread sleeps.
    fn plane(&mut self) -> &mut dyn Plane;
}

/// How a thread waits for its next turn.
pub struct Waiting<'a> {
    /// Wakes the thread from others.
    pub waker: &'a ShardWaker,
    /// Time for which it watches for work before it sleeps.
    pub busy_poll: Duration,
}

/// Turns until all is finished, on a thread without a runtime.
///
/// # Errors
/// When the kernel interface itself is broken.
pub fn run_alone<T: Turn>(turning: &RefCell<T>, waiting: &Waiting<'_>) -> io::Result<()> {
    loop {
        let more = turning.borrow_mut().turn()?;
        if turning.borrow().is_finished() {
            return Ok(());
        }
        if !more {
            waiting.wait(turning, None)?;
        }
    }
}

/// Turns until all is finished, with `guest` as the runtime in which this is the
/// root future.
///
/// # Errors
/// When the kernel interface itself is broken.
pub async fn run<T: Turn>(
    turning: &RefCell<T>,
    waiting: &Waiting<'_>,
    guest: &Guest,
) -> io::Result<()> {
    let relay = Relay::new();
    // Entries that were queued before the loop began are not known to the kernel yet.
    let mut called = true;
    let mut asked = Instant::now();
    loop {
        let more = turning.borrow_mut().turn()?;
        if turning.borrow().is_finished() {
            return Ok(());
        }
        called |= turning.borrow_mut().plane().takes_call();
        let now = Instant::now();
        if !called && now.duration_since(asked) > MAX_TIME_WITHOUT_ASKING {
            called = guest.is_called();
            asked = now;
        }
        let deadline = time::next_deadline();
        let is_due = deadline.is_some_and(|deadline| deadline <= now);
        if !(called || tasks::are_expected() || is_due) {
            if !more {
                waiting.wait(turning, deadline)?;
                asked = Instant::now();
            }
            continue;
        }
        if called {
            guest.enter()?;
        }
        time::fire(Instant::now());
        // If some are left to run, they have a turn of the sessions to wait for.
        called = relay.run().await || guest.leave(called)?;
        if !called {
            let mut turning = turning.borrow_mut();
            turning.plane().await_call(guest.descriptor())?;
        }
    }
}

impl Waiting<'_> {
    /// Waits until there is something to turn for, at most until `deadline`.
    fn wait(&self, turning: &RefCell<impl Turn>, deadline: Option<Instant>) -> io::Result<()> {
        if self.poll_busily(turning) || !self.waker.try_park() {
            return Ok(());
        }
        let mut turning = turning.borrow_mut();
        let until_task =
            deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let limit = [turning.until_due(), until_task]
            .into_iter()
            .flatten()
            .min();
        turning.plane().wait(limit)
    }

    /// Watches for work for a while without sleeping. Returns whether there is any.
    fn poll_busily(&self, turning: &RefCell<impl Turn>) -> bool {
        if self.busy_poll.is_zero() {
            return false;
        }
        let mut turning = turning.borrow_mut();
        let until = Instant::now() + self.busy_poll;
        while Instant::now() < until {
            if self.waker.is_notified() || turning.plane().looks_ready() {
                return true;
            }
            std::hint::spin_loop();
        }
        false
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::cell::Cell;
    use std::future::Future;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::rc::Rc;
    use std::sync::Arc;
    use std::thread;

    use super::*;
    use crate::config::Driver;
    use crate::plane::{ResolvedDriver, resolve_driver};
    use crate::runtime::tasks::{expect, give_way, spawn};
    use crate::runtime::time::{sleep, timeout};
    use crate::runtime::{Runtime, make_plane};
    use crate::sys::EventFd;

    /// Longer than anything here should take.
    const LONG: Duration = Duration::from_secs(20);

    /// Turns until told to stop, and serves no client.
    struct Turning {
        plane: Box<dyn Plane>,
        waker: Arc<ShardWaker>,
        turns: Rc<Cell<usize>>,
        stop: Rc<Cell<bool>>,
        more: bool,
        /// Called once, in the first turn after a wait.
        act: Option<Box<dyn FnOnce()>>,
    }

    impl Turn for Turning {
        fn turn(&mut self) -> io::Result<bool> {
            self.turns.set(self.turns.get() + 1);
            if self.waker.begin()
                && let Some(act) = self.act.take()
            {
                act();
            }
            Ok(self.plane.turn(&mut Vec::new())? || self.more)
        }

        fn is_finished(&self) -> bool {
            self.stop.get()
        }

        fn until_due(&self) -> Option<Duration> {
            None
        }

        fn plane(&mut self) -> &mut dyn Plane {
            &mut *self.plane
        }
    }

    fn turning(driver: ResolvedDriver) -> Turning {
        let event = Arc::new(EventFd::new().unwrap());
        Turning {
            plane: make_plane(driver, Arc::clone(&event)).unwrap(),
            waker: Arc::new(ShardWaker::new(event)),
            turns: Rc::default(),
            stop: Rc::default(),
            more: false,
            act: None,
        }
    }

    /// Runs a task beside turns on each driver until it is done. Returns how many
    /// turns there were.
    fn beside_turns<F>(
        prepare: impl Fn(&mut Turning),
        task: impl Fn(Arc<ShardWaker>, Rc<Cell<usize>>) -> F,
    ) -> Vec<usize>
    where
        F: Future<Output = ()> + 'static,
    {
        let drivers = [Driver::Uring, Driver::Epoll];
        let on = |driver| {
            let mut turning = turning(driver);
            prepare(&mut turning);
            let (waker, turns) = (Arc::clone(&turning.waker), Rc::clone(&turning.turns));
            let stop = Rc::clone(&turning.stop);
            let task = task(Arc::clone(&waker), Rc::clone(&turns));
            let mut runtime = Runtime::new(driver).unwrap();
            runtime.block_on(|guest| async move {
                spawn(async move {
                    timeout(LONG, task).await.expect("the task is done in time");
                    stop.set(true);
                });
                let waiting = Waiting {
                    waker: &waker,
                    busy_poll: Duration::ZERO,
                };
                run(&RefCell::new(turning), &waiting, &guest).await.unwrap();
            });
            turns.get()
        };
        drivers
            .into_iter()
            .filter_map(|driver| resolve_driver(driver).ok())
            .map(on)
            .collect()
    }

    #[test]
    fn timers_end_waits_and_little_else_does() {
        let turns = beside_turns(
            |_| {},
            |_, _| async {
                for _ in 0..10 {
                    sleep(Duration::from_millis(5)).await;
                }
            },
        );
        for turns in turns {
            // A turn after the wait, and one after the tasks have run.
            assert!((10..=25).contains(&turns), "{turns} turns");
        }
    }

    #[test]
    fn tasks_are_served_by_the_kernel_while_the_thread_sleeps() {
        beside_turns(
            |_| {},
            |_, _| async {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let address = listener.local_addr().unwrap();
                listener.set_nonblocking(true).unwrap();
                let listener = monoio::net::TcpListener::from_std(listener).unwrap();
                let client = thread::spawn(move || {
                    let mut stream = TcpStream::connect(address).unwrap();
                    for _ in 0..20 {
                        stream.write_all(b"x").unwrap();
                        stream.read_exact(&mut [0]).unwrap();
                    }
                });
                let (mut stream, _) = listener.accept().await.unwrap();
                for _ in 0..20 {
                    use monoio::io::{AsyncReadRentExt, AsyncWriteRentExt};
                    let (read, byte) = stream.read_exact(vec![0; 1]).await;
                    read.unwrap();
                    stream.write_all(byte).await.0.unwrap();
                }
                client.join().unwrap();
            },
        );
    }

    #[test]
    fn a_task_that_never_stops_lets_the_sessions_turn() {
        let turns = beside_turns(
            |_| {},
            |_, turns| async move {
                let begin = turns.get();
                for _ in 0..1_000 {
                    give_way().await;
                }
                assert!(turns.get() - begin >= 1_000);
            },
        );
        assert!(!turns.is_empty());
    }

    #[test]
    fn sessions_that_never_stop_let_tasks_run_and_timers_fire() {
        beside_turns(
            |turning| turning.more = true,
            |_, _| async {
                for number in 0..50 {
                    let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
                    let theirs = monoio::net::UnixStream::from_std(theirs).unwrap();
                    ours.write_all(b"x").unwrap();
                    theirs.readable(false).await.unwrap();
                    if number % 10 == 0 {
                        sleep(Duration::from_millis(1)).await;
                    }
                }
            },
        );
    }

    #[test]
    fn many_tasks_that_start_more_all_run_before_the_thread_sleeps() {
        beside_turns(
            |_| {},
            |_, _| async {
                let left = Rc::new(Cell::new(0));
                for _ in 0..100 {
                    let left = Rc::clone(&left);
                    left.set(left.get() + 1);
                    spawn(async move {
                        for _ in 0..10 {
                            let inner = Rc::clone(&left);
                            left.set(left.get() + 1);
                            spawn(async move { inner.set(inner.get() - 1) });
                        }
                        left.set(left.get() - 1);
                    });
                }
                // Less than a timer would take to be noticed if all slept.
                while left.get() > 0 {
                    give_way().await;
                }
            },
        );
    }

    #[test]
    fn other_threads_wake_the_thread_and_turns_wake_tasks() {
        beside_turns(
            |turning| {
                let waker = Arc::clone(&turning.waker);
                thread::spawn(move || {
                    thread::sleep(Duration::from_millis(50));
                    waker.notify();
                });
                turning.act = Some(Box::new(|| {
                    WOKEN.with(|woken| woken.set(true));
                    WAITS.take().into_iter().for_each(std::task::Waker::wake);
                    expect();
                }));
            },
            |_, _| {
                std::future::poll_fn(|cx| {
                    if WOKEN.with(Cell::take) {
                        return std::task::Poll::Ready(());
                    }
                    WAITS.set(Some(cx.waker().clone()));
                    std::task::Poll::Pending
                })
            },
        );
    }

    thread_local! {
        static WOKEN: Cell<bool> = const { Cell::new(false) };
        static WAITS: RefCell<Option<std::task::Waker>> = const { RefCell::new(None) };
    }

    #[test]
    fn a_thread_without_a_runtime_is_woken_too() {
        for driver in [Driver::Uring, Driver::Epoll] {
            let Ok(driver) = resolve_driver(driver) else {
                continue;
            };
            let mut turning = turning(driver);
            let (waker, stop) = (Arc::clone(&turning.waker), Rc::clone(&turning.stop));
            turning.act = Some(Box::new(move || stop.set(true)));
            let waiting = Waiting {
                waker: &Arc::clone(&waker),
                busy_poll: Duration::from_micros(50),
            };
            let other = thread::spawn(move || {
                thread::sleep(Duration::from_millis(50));
                waker.notify();
            });
            let turns = Rc::clone(&turning.turns);
            run_alone(&RefCell::new(turning), &waiting).unwrap();
            other.join().unwrap();
            assert!(turns.get() <= 5, "{} turns", turns.get());
        }
    }

    #[test]
    fn a_runtime_that_ends_leaves_no_timer_to_the_next() {
        beside_turns(
            |_| {},
            |_, _| async {
                spawn(sleep(Duration::from_millis(1)));
                spawn(sleep(LONG));
                spawn(std::future::pending());
                give_way().await;
            },
        );
        assert_eq!(time::next_deadline(), None);
    }

    #[test]
    fn many_runtimes_that_share_a_table_each_find_their_own_ring() {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                thread::spawn(|| {
                    for driver in [Driver::Uring, Driver::Epoll] {
                        if let Ok(driver) = resolve_driver(driver) {
                            for _ in 0..5 {
                                Runtime::new(driver).unwrap();
                            }
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    }
}
