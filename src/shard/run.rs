//! The thread of a shard: what it runs in, and the shard as what its loop turns.

use std::cell::RefCell;
use std::io;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use super::Shard;
use super::entrance::spawn_listener;
use crate::link::ListenSocket;
use crate::plane::Plane;
use crate::plane::guest::Guest;
use crate::runtime::run::{self, Turn, Waiting};
use crate::runtime::tasks::spawn;
use crate::runtime::time::sleep;

/// Runs a shard until it has drained, as the root of its runtime, which is `guest`.
/// Accepts from `listeners`; `cpu` is the core that the shard is pinned to.
pub(crate) async fn run(
    shard: Shard,
    listeners: Vec<ListenSocket>,
    cpu: Option<usize>,
    busy_poll: Duration,
    guest: &Guest,
) {
    let shard = Rc::new(RefCell::new(shard));
    for listener in listeners {
        spawn_listener(&shard, listener, cpu);
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
        busy_poll,
    };
    if let Err(error) = run::run(&shard, &waiting, guest).await {
        tracing::error!("a shard ends because its session plane failed: {error}");
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
        self.last_turn = began.elapsed();
        let metrics = &self.serving.metrics;
        metrics.turns.add(1);
        metrics.busy_nanos.add(self.last_turn.as_nanos() as u64);
        Ok(more)
    }

    fn is_finished(&self) -> bool {
        Shard::is_finished(self)
    }

    fn until_due(&self) -> Option<Duration> {
        Shard::until_due(self)
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
        let mut turning = shard.borrow_mut();
        turning.tick(Instant::now());
        for (route, interval) in turning.new_ticks.drain(..) {
            spawn(tick_route(Rc::downgrade(&shard), route, interval));
        }
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
