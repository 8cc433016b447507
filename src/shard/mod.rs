//! One pinned core: its thread, runtime, listener, sessions and hub.
//!
//! # Invariants worth naming
//!
//! - Everything a shard owns is made on its own thread, after the thread has
//!   parted with the process's descriptor table.
//! - Nothing mutable is shared with other shards but the rings, the wake flags
//!   and the counters.
//! - The shard sleeps on its session plane, and nowhere else.

mod core;
mod end;
mod meter;
mod notices;
mod open;
mod run;
mod serve;
mod sweep;
mod turnstile;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use monoio::net::TcpListener;
use socket2::Socket;

pub(crate) use self::core::{Bell, Core, Limits, Parts, ShardRoute};
pub(crate) use self::meter::Meters;
pub(crate) use self::open::{Answer, Arrival};
pub(crate) use self::turnstile::{FanOutTurn, Turnstile};
use crate::config::Steer;
use crate::error::StartError;
use crate::listener::accept_connections;
use crate::plane::ResolvedDriver;
use crate::plane::guest::Guest;
use crate::runtime::Runtime;
use crate::runtime::run::{Waiting, run};
use crate::runtime::tasks::spawn;
use crate::runtime::time::sleep;
use crate::sys;

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
            Ok(mut runtime) => {
                runtime.block_on(|guest| self.serve(guest, turn, core, could, listening))
            }
            Err(unavailable) => drop(could(Err(unavailable.into()))),
        }
    }

    async fn serve(
        mut self,
        guest: Arc<Guest>,
        turn: ListenTurn,
        core: Core,
        could: impl FnOnce(Result<(), StartError>) -> bool,
        listening: impl FnOnce(Result<(), StartError>),
    ) {
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
            spawn(accept_connections(Rc::downgrade(&core), listener, self.cpu));
        }
        spawn(tick(Rc::downgrade(&core), core.borrow().tick_interval()));
        for (route, interval) in core.borrow().tick_intervals() {
            spawn(tick_route(Rc::downgrade(&core), route, interval));
        }
        let waker = core.borrow().hub.mesh().waker_handle();
        let waiting = Waiting {
            waker: &waker,
            busy_poll: self.busy_poll,
        };
        if let Err(error) = run(&core, &waiting, &guest).await {
            tracing::error!("a shard ends because its session plane failed: {error}");
        }
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
}

/// Looks after deadlines, for as long as the shard runs.
async fn tick(core: Weak<RefCell<Core>>, interval: Duration) {
    loop {
        sleep(interval).await;
        let Some(core) = core.upgrade() else { return };
        core.borrow_mut().tick();
    }
}

/// Tells the handler of a route of time, for as long as the shard runs.
async fn tick_route(core: Weak<RefCell<Core>>, route: u16, interval: Duration) {
    loop {
        sleep(interval).await;
        let Some(core) = core.upgrade() else { return };
        if core.borrow_mut().tick_route(route) {}
    }
}
