//! A shard before it runs: on its thread, it parts with the process's descriptor
//! table, makes what it needs and tells how that went.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Instant;

use super::{RouteFactory, Server, ServerHandle};
use crate::config::{Config, Steer};
use crate::error::StartError;
use crate::fan_out_semaphore::{FanOutPermit, FanOutSemaphore};
use crate::handover::Inheritance;
use crate::hub::{Hub, ShardMessage};
use crate::listeners::Listeners;
use crate::mesh::ShardEnd;
use crate::metrics::ShardMetrics;
use crate::permits::Permits;
use crate::plane::{Plane, ResolvedDriver};
use crate::runtime::make_plane;
use crate::session::{Clock, Publishing, Rates, Serving, ShardRoute};
use crate::shard::{Deadlines, Entrance, ListenTurn, Loop, Shard};
use crate::shutdown::Phase;
use crate::source::Sources;
use crate::table::{Scratch, Table};
use crate::ws::{Role, Rules};

/// What the threads of a starting server share.
pub(super) struct Starter {
    pub(super) server: Server,
    pub(super) sources: Option<Arc<Sources>>,
    pub(super) permits: Arc<Permits>,
    pub(super) handle: ServerHandle,
    pub(super) driver: ResolvedDriver,
    /// As the kernel does it.
    pub(super) steer: Steer,
    /// Descriptors a table may hold.
    pub(super) descriptors: u64,
}

/// A shard before it runs, on its way to its thread.
pub(super) struct StartingShard {
    pub(super) starter: Arc<Starter>,
    /// Where its listeners are, among other things that it must not keep.
    pub(super) estate: Arc<(Listeners, Inheritance)>,
    pub(super) cpu: Option<usize>,
    /// Of the shards on this core, if there are several.
    pub(super) semaphore: Option<Arc<FanOutSemaphore>>,
    pub(super) metrics: Arc<ShardMetrics>,
    pub(super) end: ShardEnd<ShardMessage>,
    /// Told when the shard has a descriptor table of its own.
    pub(super) part: mpsc::Sender<()>,
    /// Tells that it may listen, once nothing else can fail.
    pub(super) told: mpsc::Receiver<()>,
    /// Whether it could serve.
    pub(super) could: mpsc::Sender<Result<(), StartError>>,
    /// Whether it listens.
    pub(super) listens: mpsc::Sender<Result<(), StartError>>,
}

impl StartingShard {
    /// Runs the shard on the calling thread until it has drained.
    pub(super) fn run(self, turn: ListenTurn) {
        let id = self.end.id().index();
        let _guard = EndOfShard {
            handle: self.starter.handle.clone(),
            id,
        };
        let pin = |cpu: &usize| {
            let pinned = core_affinity::set_for_current(core_affinity::CoreId { id: *cpu });
            if !pinned {
                tracing::warn!("shard {id} could not be pinned to core {cpu}");
            }
            pinned
        };
        let cpu = self.cpu.filter(pin);
        let (listeners, inheritance) = &*self.estate;
        let shards = self.starter.server.config.shards;
        let parted = listeners.part(id, shards, &inheritance.private());
        drop(self.estate);
        // Nobody listens when the start has failed elsewhere.
        let _ = self.part.send(());
        drop(self.part);
        let made = parted
            .map_err(StartError::Descriptors)
            .and_then(|listeners| {
                let event = Arc::clone(self.end.waker().event());
                Ok((listeners, make_plane(self.starter.driver, event)?))
            });
        let (listeners, plane) = match made {
            Ok(made) => made,
            Err(error) => return drop(self.could.send(Err(error))),
        };
        let starter = self.starter;
        let permit = FanOutPermit::new(self.semaphore.filter(|_| cpu.is_some()), id);
        let shard = starter.shard(self.end, self.metrics, plane, permit);
        let config = &starter.server.config;
        let shard_loop = Loop {
            driver: starter.driver,
            address: starter.handle.address(),
            listeners,
            backlog: config.backlog,
            busy_poll: config.busy_poll,
            cpu,
            steer: starter.steer,
        };
        let (could, told, listens) = (self.could, self.told, self.listens);
        // Both are gone once told: only so can the start see that a shard has
        // ended without a word, as when its handlers cannot be made.
        shard_loop.run(
            turn,
            shard,
            move |made| {
                // Nobody tells when another shard failed first.
                made.is_ok() & could.send(made).is_ok() && {
                    drop(could);
                    told.recv().is_ok()
                }
            },
            move |listening| drop(listens.send(listening)),
        );
    }
}

impl Starter {
    /// Puts a shard together.
    fn shard(
        &self,
        end: ShardEnd<ShardMessage>,
        metrics: Arc<ShardMetrics>,
        plane: Box<dyn Plane>,
        permit: FanOutPermit,
    ) -> Shard {
        let Server {
            config,
            origins,
            router,
            routes,
            ..
        } = &self.server;
        let now = Instant::now();
        let room = usize::try_from(self.descriptors).unwrap_or(usize::MAX);
        let expected_sessions = config.max_sessions_per_shard.min(room);
        let hub = Hub::new(end, config.ring_capacity, Arc::clone(&metrics));
        let routes = routes.iter().map(|route| route.make(config)).collect();
        let serving = Serving {
            publishing: Publishing::new(hub, routes, permit, config),
            rates: Rates::new(config, expected_sessions),
            rules: Rules {
                role: Role::Server,
                max_frame_bytes: config.max_frame_bytes,
                max_message_bytes: config.max_message_bytes,
            },
            high_water_mark_bytes: config.high_water_mark_bytes,
            clock: Clock::new(now),
            metrics: Arc::clone(&metrics),
            scratch: Scratch::new(config.max_read_bytes),
            answers: Vec::new(),
        };
        let entrance = Entrance::new(
            config,
            origins.clone(),
            router.clone(),
            Arc::clone(&self.permits),
            self.sources.clone(),
            metrics,
            expected_sessions,
        );
        Shard::new(
            Table::new(plane, expected_sessions),
            serving,
            entrance,
            Deadlines::new(config, now),
            Arc::clone(&self.handle.lifecycle),
        )
    }
}

impl RouteFactory {
    /// Makes the route of one shard.
    fn make(&self, config: &Config) -> ShardRoute {
        let route = (self.make)();
        ShardRoute {
            drain_code: route.drain_code(),
            server_pings: route.server_pings(),
            tick_interval: route.tick_interval(),
            slow_consumer: self
                .slow_consumer
                .or_else(|| route.slow_consumer())
                .unwrap_or(config.slow_consumer),
            route,
        }
    }
}

/// Notices when a shard ends although nobody asked it to.
struct EndOfShard {
    handle: ServerHandle,
    id: usize,
}

impl Drop for EndOfShard {
    fn drop(&mut self) {
        if self.handle.phase() == Phase::Running {
            tracing::error!("shard {} has failed; the server drains and ends", self.id);
            self.handle.failed.store(true, Ordering::Relaxed);
            self.handle.drain();
        }
        self.handle.ended[self.id].store(true, Ordering::Relaxed);
    }
}
