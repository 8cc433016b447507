//! One pinned core: its thread, runtime, listener, sessions and hub.
//!
//! # Invariants worth naming
//!
//! - Everything a shard owns is made on its own thread, after the thread has
//!   parted with the process's descriptor table.
//! - Nothing mutable is shared with other shards but the rings, the wake flags
//!   and the counters.
//! - The runtime parks at least every half millisecond, even when work is left:
//!   a task that merely yields would keep it from reaping its own completions,
//!   and starve accepting and every timer.

mod core;
mod end;
mod meter;
mod notices;
mod open;
mod serve;
mod sweep;
mod turnstile;

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::sync::mpsc;
use std::task::Poll;
use std::time::{Duration, Instant};

use monoio::net::{TcpListener, TcpStream};
use socket2::Socket;

pub(crate) use self::core::{Bell, Core, Limits, Parts, ShardRoute};
pub(crate) use self::meter::Meters;
pub(crate) use self::open::{Answer, Arrival};
pub(crate) use self::turnstile::{FanOutTurn, Turnstile};
use crate::config::Steer;
use crate::error::StartError;
use crate::listener::accept_connections;
use crate::mesh::ShardWaker;
use crate::plane::ResolvedDriver;
use crate::runtime::Runtime;
use crate::sys;

/// Time for which a busy shard may keep its runtime from accepting and timers.
const MAX_TIME_WITHOUT_PARKING: Duration = Duration::from_micros(500);

/// What a shard runs with besides its [`Core`].
pub(crate) struct Loop {
    pub(crate) driver: ResolvedDriver,
    pub(crate) address: SocketAddr,
    /// Bound, or inherited and listening.
    pub(crate) listeners: Vec<Socket>,
    pub(crate) backlog: u32,
    pub(crate) busy_poll: Duration,
    /// The core the shard is pinned to, if it is.
    pub(crate) cpu: Option<usize>,
    pub(crate) steer: Steer,
}

/// A shard's turn to listen. Shards listen in the order of their numbers,
/// because the kernel looks for a core's listener from a place in the group
/// that the hash gives: only where the listeners of all cores alternate do
/// those of one core get as many connections each.
pub(crate) struct ListenTurn {
    /// Ends when the shard before has listened, or never will.
    before: Option<mpsc::Receiver<()>>,
    /// Dropped for the shard after.
    after: mpsc::Sender<()>,
}

impl ListenTurn {
    /// A shard's turn after another's, and what the next shard waits for.
    pub(crate) fn following(before: Option<mpsc::Receiver<()>>) -> (Self, mpsc::Receiver<()>) {
        let (after, next) = mpsc::channel();
        (ListenTurn { before, after }, next)
    }

    /// Waits for the turn, takes it and passes it on.
    fn take<T>(self, act: impl FnOnce() -> T) -> T {
        if let Some(before) = self.before {
            // Nothing is ever sent; the shard before has dropped its end.
            let _ = before.recv();
        }
        let result = act();
        drop(self.after);
        result
    }
}

impl Loop {
    /// Makes what the shard needs, tells `could` how that went and is told whether
    /// to go on; then listens when it is its turn, tells `listening` how that
    /// went, and runs the shard until it has drained.
    pub(crate) fn run(
        self,
        turn: ListenTurn,
        core: Core,
        could: impl FnOnce(Result<(), StartError>) -> bool,
        listening: impl FnOnce(Result<(), StartError>),
    ) {
        match Runtime::new(self.driver) {
            Ok(mut runtime) => runtime.block_on(self.serve(turn, core, could, listening)),
            Err(unavailable) => drop(could(Err(unavailable.into()))),
        }
    }

    async fn serve(
        mut self,
        turn: ListenTurn,
        core: Core,
        could: impl FnOnce(Result<(), StartError>) -> bool,
        listening: impl FnOnce(Result<(), StartError>),
    ) {
        let wake = core
            .plane
            .wake_fd()
            .and_then(|fd| TcpStream::from_std(fd.into()));
        let event = core.hub.mesh().waker().event().duplicate();
        let event = event.and_then(|fd| TcpStream::from_std(fd.into()));
        let (wake, event) = match (wake, event) {
            (Ok(wake), Ok(event)) => (wake, event),
            (Err(error), _) | (_, Err(error)) => {
                could(Err(StartError::Descriptors(error)));
                return;
            }
        };
        if !could(Ok(())) {
            return;
        }
        let listeners = match turn.take(|| self.listen()) {
            Ok(listeners) => listeners,
            Err(error) => {
                let address = self.address;
                return listening(Err(StartError::Listen { address, error }));
            }
        };
        listening(Ok(()));

        let core = Rc::new(RefCell::new(core));
        // The runtime forgets tasks that still wait when it ends. They must not
        // keep the sessions, nor the ring that holds their sockets open.
        for listener in listeners {
            core.borrow_mut().doors += 1;
            monoio::spawn(accept_connections(Rc::downgrade(&core), listener, self.cpu));
        }
        monoio::spawn(tick(Rc::downgrade(&core), core.borrow().tick_interval()));
        for (route, interval) in core.borrow().tick_intervals() {
            monoio::spawn(tick_route(Rc::downgrade(&core), route, interval));
        }
        self.turn_until_finished(&core, &wake, &event).await;
    }

    fn listen(&mut self) -> std::io::Result<Vec<TcpListener>> {
        let mark = self.cpu.filter(|_| self.steer == Steer::Cpu);
        let sockets = self.listeners.drain(..);
        sockets
            .map(|socket| {
                // Inherited ones keep the old mark otherwise.
                sys::prefer_core(&socket, mark)?;
                sys::listen(&socket, self.backlog)?;
                TcpListener::from_std(socket.into())
            })
            .collect()
    }

    /// The session loop: turns while there is work, then a wait until there is
    /// more.
    async fn turn_until_finished(&self, core: &RefCell<Core>, wake: &TcpStream, event: &TcpStream) {
        let waker = core.borrow().hub.mesh().waker_handle();
        let kick = Rc::clone(&core.borrow().kick);
        let mut readable = pin!(wake.readable(false));
        loop {
            let may_sleep = match self.turn_while_busy(core, &waker) {
                Ok(may_sleep) => may_sleep,
                Err(error) => {
                    tracing::error!("a shard ends because its session plane failed: {error}");
                    return;
                }
            };
            if core.borrow().is_draining() {
                core.borrow().leaving.ring();
                if core.borrow().is_finished() {
                    return;
                }
            }
            if !may_sleep {
                let_runtime_park(event, &waker).await;
                continue;
            }
            let wait = poll_fn(|cx| {
                if kick.take(cx.waker()) {
                    return Poll::Ready(false);
                }
                readable.as_mut().poll(cx).map(|_| true)
            });
            let until_resume = core.borrow().until_resume();
            let woken = match until_resume {
                None => wait.await,
                Some(limit) => monoio::time::timeout(limit, wait).await.unwrap_or(false),
            };
            if woken {
                readable.set(wake.readable(false));
            }
        }
    }

    /// Turns until there is nothing to do and the shard may sleep, or until
    /// the runtime should have its turn too. Returns which of the two.
    fn turn_while_busy(&self, core: &RefCell<Core>, waker: &ShardWaker) -> std::io::Result<bool> {
        let began = Instant::now();
        loop {
            let more = core.borrow_mut().turn()?;
            let ready = || waker.is_notified() || core.borrow_mut().plane.looks_ready();
            if !(more || ready() || self.poll_busily(ready)) {
                // What comes from here on notifies the event; what came before
                // it was emptied shows in a last look.
                waker.event().drain();
                if !ready() && waker.try_park() {
                    return Ok(true);
                }
            }
            if began.elapsed() > MAX_TIME_WITHOUT_PARKING {
                return Ok(false);
            }
        }
    }

    /// Watches for work for a while without sleeping. Returns whether there is any.
    fn poll_busily(&self, ready: impl Fn() -> bool) -> bool {
        if self.busy_poll.is_zero() {
            return false;
        }
        let until = Instant::now() + self.busy_poll;
        while Instant::now() < until {
            if ready() {
                return true;
            }
            std::hint::spin_loop();
        }
        false
    }
}

/// Waits for one park of the runtime, in which it reaps what has completed and
/// finds out which timers are due.
///
/// The wait is armed before the event is notified: on monoio's epoll driver a
/// wait for what is ready already ends without a park, and would keep the
/// runtime from ever doing anything else.
async fn let_runtime_park(event: &TcpStream, waker: &ShardWaker) {
    waker.event().drain();
    let mut readable = pin!(event.readable(false));
    let mut armed = false;
    poll_fn(|cx| match readable.as_mut().poll(cx) {
        Poll::Ready(_) => Poll::Ready(()),
        Poll::Pending => {
            if !std::mem::replace(&mut armed, true) {
                waker.event().notify();
            }
            Poll::Pending
        }
    })
    .await;
}

/// Looks after deadlines, for as long as the shard runs.
async fn tick(core: Weak<RefCell<Core>>, interval: Duration) {
    loop {
        monoio::time::sleep(interval).await;
        let Some(core) = core.upgrade() else { return };
        core.borrow_mut().tick();
        core.borrow().kick.set();
    }
}

/// Tells the handler of a route of time, for as long as the shard runs.
async fn tick_route(core: Weak<RefCell<Core>>, route: u16, interval: Duration) {
    loop {
        monoio::time::sleep(interval).await;
        let Some(core) = core.upgrade() else { return };
        if core.borrow_mut().tick_route(route) {
            core.borrow().kick.set();
        }
    }
}
