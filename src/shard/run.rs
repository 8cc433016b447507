//! The thread of a shard: what it runs in, and the loop that makes its turns.
//!
//! # Invariants worth naming
//!
//! - The runtime parks at least every half millisecond, even when work is left:
//!   a task that merely yields would keep it from reaping its own completions,
//!   and starve accepting and every timer.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::sync::mpsc;
use std::task::Poll;
use std::time::{Duration, Instant};

use monoio::net::TcpStream;
use socket2::Socket;

use super::Shard;
use super::entrance::spawn_listener;
use crate::config::Steer;
use crate::error::StartError;
use crate::link::ListenSocket;
use crate::mesh::ShardWaker;
use crate::plane::ResolvedDriver;
use crate::runtime::Runtime;
use crate::sys;

/// Time for which a busy shard may keep its runtime from accepting and timers.
const MAX_TIME_WITHOUT_PARKING: Duration = Duration::from_micros(500);

/// What a shard runs with beside its [`Shard`].
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
        shard: Shard,
        could: impl FnOnce(Result<(), StartError>) -> bool,
        listening: impl FnOnce(Result<(), StartError>),
    ) {
        match Runtime::new(self.driver) {
            Ok(mut runtime) => runtime.block_on(self.serve(turn, shard, could, listening)),
            Err(unavailable) => drop(could(Err(unavailable.into()))),
        }
    }

    async fn serve(
        mut self,
        turn: ListenTurn,
        mut shard: Shard,
        could: impl FnOnce(Result<(), StartError>) -> bool,
        listening: impl FnOnce(Result<(), StartError>),
    ) {
        let wake = shard.table.plane().wake_fd();
        let wake = wake.and_then(|fd| TcpStream::from_std(fd.into()));
        let waker = shard.serving.publishing.hub.mesh().waker_handle();
        let event = waker.event().duplicate();
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

        let shard = Rc::new(RefCell::new(shard));
        for listener in listeners {
            spawn_listener(&shard, listener, self.cpu);
        }
        monoio::spawn(tick(
            Rc::downgrade(&shard),
            shard.borrow().deadlines.tick_interval(),
        ));
        for (route, interval) in shard.borrow().serving.publishing.tick_intervals() {
            monoio::spawn(tick_route(Rc::downgrade(&shard), route, interval));
        }
        self.turn_until_finished(&shard, &waker, &wake, &event)
            .await;
    }

    fn listen(&mut self) -> std::io::Result<Vec<ListenSocket>> {
        let mark = self.cpu.filter(|_| self.steer == Steer::Cpu);
        let sockets = self.listeners.drain(..);
        sockets
            .map(|socket| {
                // Inherited ones keep the old mark otherwise.
                sys::prefer_core(&socket, mark)?;
                sys::listen(&socket, self.backlog)?;
                ListenSocket::new(socket)
            })
            .collect()
    }

    /// The session loop: turns while there is work, then a wait until there is
    /// more.
    async fn turn_until_finished(
        &self,
        shard: &RefCell<Shard>,
        waker: &ShardWaker,
        wake: &TcpStream,
        event: &TcpStream,
    ) {
        let turn_request = Rc::clone(&shard.borrow().turn_request);
        let mut readable = pin!(wake.readable(false));
        loop {
            let may_sleep = match self.turn_while_busy(shard, waker) {
                Ok(may_sleep) => may_sleep,
                Err(error) => {
                    tracing::error!("a shard ends because its session plane failed: {error}");
                    return;
                }
            };
            if shard.borrow().is_draining() {
                shard.borrow().entrance.leaving.set();
                if shard.borrow().is_finished() {
                    return;
                }
            }
            if !may_sleep {
                let_runtime_park(event, waker).await;
                continue;
            }
            let wait = poll_fn(|cx| {
                if turn_request.take(cx.waker()) {
                    return Poll::Ready(false);
                }
                readable.as_mut().poll(cx).map(|_| true)
            });
            let until_resume = shard.borrow().until_resume();
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
    fn turn_while_busy(&self, shard: &RefCell<Shard>, waker: &ShardWaker) -> std::io::Result<bool> {
        let began = Instant::now();
        loop {
            let more = self.turn(shard)?;
            let ready = || waker.is_notified() || shard.borrow_mut().table.plane().looks_ready();
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

    /// Makes one turn and counts it.
    fn turn(&self, shard: &RefCell<Shard>) -> std::io::Result<bool> {
        let began = Instant::now();
        let mut shard = shard.borrow_mut();
        let more = shard.turn(began)?;
        let metrics = &shard.serving.metrics;
        metrics.turns.add(1);
        metrics.busy_nanos.add(began.elapsed().as_nanos() as u64);
        Ok(more)
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
async fn tick(shard: Weak<RefCell<Shard>>, interval: Duration) {
    loop {
        monoio::time::sleep(interval).await;
        let Some(shard) = shard.upgrade() else { return };
        shard.borrow_mut().tick(Instant::now());
        shard.borrow().turn_request.set();
    }
}

/// Tells the handler of a route of time, for as long as the shard runs.
async fn tick_route(shard: Weak<RefCell<Shard>>, route: u16, interval: Duration) {
    loop {
        monoio::time::sleep(interval).await;
        let Some(shard) = shard.upgrade() else { return };
        if shard.borrow_mut().tick_route(route) {
            shard.borrow().turn_request.set();
        }
    }
}
