//! A shard before it runs: on its thread, it parts with the process's descriptor
//! table, makes what it needs and tells how that went.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use super::{Server, ServerHandle};
use crate::config::{Config, Steer};
use crate::error::StartError;
use crate::handover::Inheritance;
use crate::hub::{Hub, ShardMessage};
use crate::listeners::Listeners;
use crate::mesh::ShardEnd;
use crate::metrics::ShardMetrics;
use crate::permits::Permits;
use crate::plane::{Plane, ResolvedDriver};
use crate::runtime::make_plane;
use crate::shard::{
    Core, FanOutTurn, Limits, ListenTurn, Loop, Meters, Parts, ShardRoute, Turnstile,
};
use crate::shutdown::Phase;
use crate::source::{AddressPolicy, Sources};
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
    pub(super) turnstile: Option<Arc<Turnstile>>,
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
        let fan_out_turn = FanOutTurn::new(self.turnstile.filter(|_| cpu.is_some()), id);
        let core = Core::new(starter.parts(self.end, self.metrics, plane, fan_out_turn));
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
            core,
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
    fn parts(
        &self,
        end: ShardEnd<ShardMessage>,
        metrics: Arc<ShardMetrics>,
        plane: Box<dyn Plane>,
        fan_out_turn: FanOutTurn,
    ) -> Parts {
        let Starter {
            server,
            sources,
            permits,
            handle,
            descriptors,
            ..
        } = self;
        let config = &server.config;
        let routes = server
            .routes
            .iter()
            .map(|factory| {
                let route = (factory.make)();
                ShardRoute {
                    drain_code: route.drain_code(),
                    server_pings: route.server_pings(),
                    tick_interval: route.tick_interval(),
                    slow_consumer: factory
                        .slow_consumer
                        .or_else(|| route.slow_consumer())
                        .unwrap_or(config.slow_consumer),
                    route,
                }
            })
            .collect();
        let room = usize::try_from(*descriptors).unwrap_or(usize::MAX);
        let expected_sessions = config.max_sessions_per_shard.min(room);
        Parts {
            limits: limits(config),
            rules: Rules {
                role: Role::Server,
                max_frame_bytes: config.max_frame_bytes,
                max_message_bytes: config.max_message_bytes,
            },
            origins: server.origins.clone(),
            addresses: AddressPolicy::new(config.client_address, &config.trusted_proxies),
            metrics: Arc::clone(&metrics),
            lifecycle: Arc::clone(&handle.lifecycle),
            permits: Arc::clone(permits),
            sources: sources.clone(),
            meters: Meters::new(config, expected_sessions),
            fan_out_turn,
            router: server.router.clone(),
            routes,
            hub: Hub::new(end, config.ring_capacity, metrics),
            expected_sessions,
            plane,
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

/// Converts the configuration once into what a shard looks at.
fn limits(config: &Config) -> Limits {
    let ms = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    Limits {
        max_sessions: config.max_sessions_per_shard,
        max_handshakes: config.max_handshakes_per_shard,
        max_header_bytes: config.max_header_bytes,
        max_read_bytes: config.max_read_bytes,
        high_water_mark_bytes: config.high_water_mark_bytes,
        max_pending_bytes: config.max_pending_bytes,
        handshake_timeout: config.handshake_timeout,
        idle_ms: ms(config.idle_timeout),
        ping_ms: ms(config.ping_interval),
        write_stall_ms: ms(config.write_stall_timeout),
        close_ms: ms(config.close_timeout),
        drain_ms: ms(config.drain_timeout),
        fan_out_slice: config.fan_out_slice,
    }
}
