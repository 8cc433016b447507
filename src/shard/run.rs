//! The thread of a shard: what it runs in, and the shard as what its loop turns.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use socket2::Socket;

use super::Shard;
use super::entrance::spawn_listener;
use crate::config::Steer;
use crate::error::StartError;
use crate::link::ListenSocket;
use crate::plane::guest::Guest;
use crate::plane::{Plane, ResolvedDriver};
use crate::runtime::Runtime;
use crate::runtime::run::{Turn, Waiting, run};
use crate::runtime::tasks::spawn;
use crate::runtime::time::sleep;
use crate::sys;

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
            Ok(mut runtime) => {
                runtime.block_on(|guest| self.serve(guest, turn, shard, could, listening))
            }
            Err(unavailable) => drop(could(Err(unavailable.into()))),
        }
    }

    async fn serve(
        mut self,
        guest: Arc<Guest>,
        turn: ListenTurn,
        shard: Shard,
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

        let shard = Rc::new(RefCell::new(shard));
        for listener in listeners {
            spawn_listener(&shard, listener, self.cpu);
        }
        let interval = shard.borrow().deadlines.tick_interval();
        spawn(tick(Rc::downgrade(&shard), interval));
        let intervals = shard.borrow().serving.publishing.tick_intervals();
        for (route, interval) in intervals {
            spawn(tick_route(Rc::downgrade(&shard), route, interval));
        }
        let waker = shard.borrow().serving.publishing.hub.mesh().waker_handle();
        let waiting = Waiting {
            waker: &waker,
            busy_poll: self.busy_poll,
        };
        if let Err(error) = run(&shard, &waiting, &guest).await {
            tracing::error!("a shard ends because its session plane failed: {error}");
        }
    }

    fn listen(&mut self) -> io::Result<Vec<ListenSocket>> {
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
}

impl Turn for Shard {
    /// Makes one turn and counts it.
    fn turn(&mut self) -> io::Result<bool> {
        let began = Instant::now();
        let more = Shard::turn(self, began)?;
        if self.is_draining() {
            self.entrance.leaving.set();
        }
        let metrics = &self.serving.metrics;
        metrics.turns.add(1);
        metrics.busy_nanos.add(began.elapsed().as_nanos() as u64);
        Ok(more)
    }

    fn is_finished(&self) -> bool {
        Shard::is_finished(self)
    }

    /// A session that is paused for its rate may go on although nothing comes in.
    fn until_due(&self) -> Option<Duration> {
        self.until_resume()
    }

    fn plane(&mut self) -> &mut dyn Plane {
        self.table.plane()
    }
}

/// Looks after deadlines, for as long as the shard runs.
async fn tick(shard: Weak<RefCell<Shard>>, interval: Duration) {
    loop {
        sleep(interval).await;
        let Some(shard) = shard.upgrade() else { return };
        shard.borrow_mut().tick(Instant::now());
    }
}

/// Tells the handler of a route of time, for as long as the shard runs.
async fn tick_route(shard: Weak<RefCell<Shard>>, route: u16, interval: Duration) {
    loop {
        sleep(interval).await;
        let Some(shard) = shard.upgrade() else { return };
        shard.borrow_mut().serving.publishing.tick(route);
    }
}
