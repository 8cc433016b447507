//! The start of one shard, on its thread, in typed steps:
//!
//! ```text
//! start (start.rs)                     a shard's thread
//!   spawns it ───────────────────────►  StartingShard: takes its listeners, in a
//!             ◄──────────── Parted ───    descriptor table of its own if so chosen
//!   lets go of the sockets              Parted: makes plane, handlers, runtime
//!             ◄────────────── Able ───
//!   makes the control plane, takes      Able: waits
//!   over from the old process
//!             ───── Listen ──────────►        listens
//!             ◄───────── Listening ───
//!                                             runs until it has drained
//! ```
//!
//! # Invariants worth naming
//!
//! - A step consumes the one before it, so that none can be left out or made twice.
//! - After `Able` only listening itself can fail.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::shards::{Listen, ShardLine};
use super::{Server, ServerHandle};
use crate::config::Steer;
use crate::error::StartError;
use crate::fan_out_semaphore::{FanOutPermit, FanOutSemaphore};
use crate::handler::write_form;
use crate::handover::Inherited;
use crate::hub::{Hub, ShardMessage};
use crate::listeners::{Listeners, ShardListener, listen};
use crate::mesh::ShardEnd;
use crate::metrics::ShardMetrics;
use crate::permits::Permits;
use crate::plane::{Plane, ResolvedDriver};
use crate::runtime::{Runtime, make_plane};
use crate::session::{Clock, Expiries, Publishing, Rates, Serving, ShardRoute, Unfinished};
use crate::shard::{Deadlines, Entrance, Shard, run};
use crate::shutdown::Phase;
use crate::table::{Scratch, Table};
use crate::upgrade::Pages;
use crate::ws::{Role, Rules};

/// The state that the threads of a starting server share.
pub(super) struct Starter {
    pub(super) server: Server,
    pub(super) pages: Arc<Pages>,
    pub(super) permits: Arc<Permits>,
    pub(super) handle: ServerHandle,
    pub(super) driver: ResolvedDriver,
    /// As the kernel does it.
    pub(super) steer: Steer,
    /// Descriptors that a shard may hold.
    pub(super) descriptors: u64,
}

/// How far a shard has come. It reports each stage as it reaches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has its listeners, and its descriptor table is the one that it keeps.
    Parted,
    /// It has made all that it needs, and could serve.
    Able,
    /// Its listeners listen.
    Listening,
}

/// A shard on its way to its thread.
pub(super) struct StartingShard {
    pub(super) starter: Arc<Starter>,
    /// The sockets that hold its listeners, among others that it must not keep.
    pub(super) sockets: Arc<(Listeners, Inherited)>,
    pub(super) cpu: Option<usize>,
    /// Of the shards on this core, if there are several.
    pub(super) semaphore: Option<Arc<FanOutSemaphore>>,
    pub(super) metrics: Arc<ShardMetrics>,
    pub(super) end: ShardEnd<ShardMessage>,
}

/// A shard with its listeners. A descriptor table of its own holds nothing that is
/// another's.
struct Parted {
    starter: Arc<Starter>,
    listeners: Vec<ShardListener>,
    /// The core that it is pinned to, if it is.
    cpu: Option<usize>,
    permit: FanOutPermit,
    metrics: Arc<ShardMetrics>,
    end: ShardEnd<ShardMessage>,
}

/// A shard with all that it needs to serve.
struct Able {
    starter: Arc<Starter>,
    listeners: Vec<ShardListener>,
    cpu: Option<usize>,
    shard: Shard,
    runtime: Runtime,
}

impl StartingShard {
    /// Runs the shard on the calling thread until it has drained, or until a start
    /// has failed, its own or another's.
    pub(super) fn run(self, line: &ShardLine) {
        let _guard = EndOfShard {
            handle: self.starter.handle.clone(),
            id: self.end.id().index(),
        };
        if let Err(error) = self.go(line) {
            line.report(Err(error));
        }
    }

    fn go(self, line: &ShardLine) -> Result<(), StartError> {
        let parted = self.part()?;
        line.report(Ok(Stage::Parted));
        let able = parted.make()?;
        line.report(Ok(Stage::Able));
        match line.wait_for_order() {
            Some(Listen) => able.run(line),
            None => Ok(()),
        }
    }

    /// Pins the thread to its core and takes the shard's listeners, parting with the
    /// process's descriptor table if so chosen.
    fn part(self) -> Result<Parted, StartError> {
        let id = self.end.id().index();
        let pin = |cpu: &usize| {
            let pinned = core_affinity::set_for_current(core_affinity::CoreId { id: *cpu });
            if !pinned {
                tracing::warn!("shard {id} could not be pinned to core {cpu}");
            }
            pinned
        };
        let cpu = self.cpu.filter(pin);
        let (listeners, inherited) = &*self.sockets;
        let server = &self.starter.server;
        let (shards, tables) = (server.config.shards, server.descriptor_tables);
        let listeners = listeners
            .take(id, shards, &inherited.private(), tables)
            .map_err(StartError::Descriptors)?;
        Ok(Parted {
            starter: self.starter,
            listeners,
            cpu,
            permit: FanOutPermit::new(self.semaphore.filter(|_| cpu.is_some()), id),
            metrics: self.metrics,
            end: self.end,
        })
    }
}

impl Parted {
    /// Makes what can fail: the session plane, the handlers and the runtime.
    fn make(self) -> Result<Able, StartError> {
        let event = Arc::clone(self.end.waker().event());
        let plane = make_plane(self.starter.driver, event)?;
        let shard = self
            .starter
            .shard(self.end, self.metrics, plane, self.permit);
        let runtime = Runtime::new(self.starter.driver)?;
        Ok(Able {
            starter: self.starter,
            listeners: self.listeners,
            cpu: self.cpu,
            shard,
            runtime,
        })
    }
}

impl Able {
    /// Listens, reports it and runs the shard until it has drained.
    fn run(self, line: &ShardLine) -> Result<(), StartError> {
        let Able {
            starter,
            listeners,
            cpu,
            shard,
            mut runtime,
        } = self;
        let config = &starter.server.config;
        let (backlog, busy_poll) = (config.backlog, config.busy_poll);
        let mark = cpu.filter(|_| starter.steer == Steer::Cpu);
        runtime.block_on(|guest| async move {
            let listeners = listen(listeners, backlog, mark)?;
            line.report(Ok(Stage::Listening));
            run(shard, listeners, cpu, busy_poll, &guest).await;
            Ok(())
        })
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
            router,
            routes,
            ..
        } = &self.server;
        let live = self.handle.live.view();
        let now = Instant::now();
        let room = usize::try_from(self.descriptors).unwrap_or(usize::MAX);
        let expected_sessions = config.max_sessions_per_shard.min(room);
        let mut hub = Hub::new(end, config.ring_capacity, Arc::clone(&metrics));
        hub.write_forms_with(write_form);
        let routes = routes
            .iter()
            .map(|route| ShardRoute::new(route, config))
            .collect();
        let serving = Serving {
            publishing: Publishing::new(hub, routes, permit, config),
            rates: Rates::new(live.rates, expected_sessions),
            expiries: Expiries::default(),
            rules: Rules {
                role: Role::Server,
                max_frame_bytes: config.max_frame_bytes,
                max_message_bytes: config.max_message_bytes,
            },
            unfinished: Unfinished::new(config.max_unfinished_bytes / config.shards),
            high_water_mark_bytes: config.high_water_mark_bytes,
            clock: Clock::new(now),
            metrics: Arc::clone(&metrics),
            scratch: Scratch::new(config.max_read_bytes),
            answers: Vec::new(),
        };
        let entrance = Entrance::new(
            config,
            &live,
            router.clone(),
            Arc::clone(&self.pages),
            Arc::clone(&self.permits),
            metrics,
            expected_sessions,
        );
        Shard::new(
            Table::new(plane, expected_sessions),
            serving,
            entrance,
            Deadlines::new(config, now),
            Arc::clone(&self.handle.lifecycle),
            live,
        )
    }
}

/// Notices when a shard ends without being asked to.
struct EndOfShard {
    handle: ServerHandle,
    id: usize,
}

impl Drop for EndOfShard {
    fn drop(&mut self) {
        if matches!(self.handle.phase(), Phase::Running | Phase::Unready) {
            tracing::error!("shard {} has failed; the server drains and ends", self.id);
            self.handle.failed.store(true, Ordering::Relaxed);
            self.handle.drain_at_once();
        }
        self.handle.ended[self.id].store(true, Ordering::Relaxed);
    }
}
