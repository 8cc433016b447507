//! The loop of a thread that serves a session plane: turn while there is work,
//! sleep on the plane while there is none, and let the runtime's tasks run when
//! something has come for them.
//!
//! # Invariants worth naming
//!
//! - Check, register, check again: the thread sleeps only if nobody has notified its
//!   waker since the turn began; who notifies it later writes to its event, which
//!   the plane watches.
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

/// What serves the sockets of one thread.
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

    /// What its sockets are watched by, and its thread sleeps on.
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
    // What was queued before the loop began is not known to the kernel yet.
    let mut called = true;
    loop {
        let more = turning.borrow_mut().turn()?;
        if turning.borrow().is_finished() {
            return Ok(());
        }
        called |= turning.borrow_mut().plane().takes_call();
        let deadline = time::next_deadline();
        let is_due = || deadline.is_some_and(|deadline| deadline <= Instant::now());
        if !(called || tasks::are_expected() || is_due()) {
            if !more {
                waiting.wait(turning, deadline)?;
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
