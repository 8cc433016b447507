//! The start of a server, from top to bottom.
//!
//! # Invariants worth naming
//!
//! - Descriptors that must be visible in every shard's descriptor table (the wake
//!   events) are made before the tables part; those that must not (the control plane's
//!   sockets) after. Listeners are made before too, and each shard keeps its own.
//! - Nothing is accepted before everything that can fail has been done, so that a
//!   server that cannot start has never been there for any client.
//! - [`Server::start`] returns when every shard listens, or with the reason
//!   why one does not and none left running.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::control_plane::{self, ApiKeys, Control, Parts};
use super::shards::StartingShards;
use super::starting::{Stage, Starter, StartingShard};
use super::{Renewals, RunningServer, Server, ServerHandle};
use crate::config::{Config, Endpoint};
use crate::cpus;
use crate::drain::DrainCourse;
use crate::error::StartError;
use crate::fan_out_semaphore::FanOutSemaphore;
use crate::handover::{self, HandOverSockets, Inherited};
use crate::latest::Latest;
use crate::listeners::Listeners;
use crate::live::LiveSettings;
use crate::mesh::{self, ShardWaker};
use crate::metrics::ShardMetrics;
use crate::permits::Permits;
use crate::plane::{ResolvedDriver, resolve_driver};
use crate::publisher::Publisher;
use crate::runtime::Unavailable;
use crate::shutdown::{Lifecycle, Phase};
use crate::steer;
use crate::sys::{self, DescriptorTables, EventFd};

/// Everything of a server that does not listen yet.
struct Unheard {
    starter: Arc<Starter>,
    shards: StartingShards,
    listeners: Listeners,
    endpoints: Vec<Endpoint>,
    inherited: Inherited,
    metrics: Vec<Arc<ShardMetrics>>,
    handle: ServerHandle,
    keys: ApiKeys,
}

/// Another server on the address of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Neighbours {
    /// Are a reason not to start, unless the port is shared.
    Matter,
    /// Do not matter: this server does not listen.
    AreFine,
}

impl Server {
    /// Does all that [`Server::start`] does but listen: the settings, routes, tokens and
    /// their files, the kernel interface, the addresses, and each shard with its
    /// thread, its handlers and its share of the kernel's memory. Returns the kernel
    /// interface that a server would use. Another server may listen on the addresses.
    ///
    /// ```
    /// use corecast::{Config, Server};
    ///
    /// let config = Config::new().listen(["127.0.0.1:0".parse()?]).shards(1);
    /// Server::new(config.clone())?.check()?;
    /// // An address of documentation (RFC 5737), which no host has.
    /// let config = config.listen(["192.0.2.1:80".parse()?]);
    /// assert!(Server::new(config)?.check().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The reason why the server could not start.
    pub fn check(self) -> Result<ResolvedDriver, StartError> {
        let unheard = self.prepare(Neighbours::AreFine)?;
        control_plane::check(&unheard.starter.server.config)?;
        Ok(unheard.starter.driver)
    }

    /// Starts all shards and the control plane.
    ///
    /// # Errors
    /// When any of them cannot run; none is left running then.
    pub fn start(self) -> Result<RunningServer, StartError> {
        let Unheard {
            starter,
            shards,
            listeners,
            endpoints,
            inherited,
            metrics,
            handle,
            keys,
        } = self.prepare(Neighbours::Matter)?;
        let (driver, steer) = (starter.driver, starter.steer);
        let config = &starter.server.config;
        let Inherited {
            admin,
            api,
            old_process,
            ..
        } = inherited;
        let mut control = Control::prepare(Parts {
            config,
            inherited_admin: admin,
            inherited_api: api,
            driver,
            steer,
            endpoints: &endpoints,
            metrics: &metrics,
            handle: &handle,
            keys,
        })?;
        if let Some(old_process) = old_process {
            let link = old_process.take_over().map_err(StartError::OldProcess)?;
            handover::follow(link, Arc::clone(&handle.lifecycle));
        }
        shards.listen()?;
        // In this order, or the first to ask would hear that we are starting.
        handle.lifecycle.set(Phase::Running);
        let control_sockets = control.begin();
        let (listeners, unix_files) = listeners.into_sockets();
        Ok(RunningServer {
            endpoints,
            driver,
            metrics,
            handle,
            unix_files,
            hand_over_sockets: Some(HandOverSockets {
                listeners,
                control: control_sockets,
            }),
            control,
            shards: shards.running()?,
        })
    }

    /// Makes everything that a server needs to listen.
    fn prepare(mut self, neighbours: Neighbours) -> Result<Unheard, StartError> {
        let driver = resolve_driver(self.config.driver).map_err(Unavailable::Uring)?;
        let descriptors = sys::raise_descriptor_limit().map_err(StartError::Descriptors)?;
        // The number of descriptors each shard may expect to have room for.
        let descriptors = match self.descriptor_tables {
            DescriptorTables::Shared => descriptors / self.config.shards as u64,
            DescriptorTables::OnePerShard => descriptors,
        };
        let steer = steer::resolve(self.config.steer);
        let mut inherited = std::mem::take(&mut self.inherited);
        let old_listeners = std::mem::take(&mut inherited.listeners);
        let wakers = wakers(self.config.shards)?;
        let config = &self.config;
        let mut unix = config.listen_unix.clone();
        if neighbours == Neighbours::AreFine {
            unix.retain(|path| !Path::new(path).exists());
        }
        let listen = &config.listen;
        let listeners = Listeners::open(listen, &unix, config.shards, old_listeners)?;
        let endpoints = listeners.endpoints();
        let seen = listeners.seen();
        if !self.config.share_port && neighbours == Neighbours::Matter {
            seen.refuse_neighbours(&endpoints)?;
        }

        // The one outsider is all publishers together.
        let (ends, outside) = mesh::connect(&wakers, 1, self.config.ring_capacity);
        let outside = outside.into_iter().next().expect("one was asked for");
        let metrics: Vec<Arc<ShardMetrics>> = wakers.iter().map(|_| Arc::default()).collect();
        let keys = ApiKeys::read(&self.config)?;
        let routes = self.routes.iter().filter_map(|route| route.renew.clone());
        let renewals = routes.chain(keys.renewal());
        let handle = ServerHandle {
            publisher: Publisher::new(outside, metrics.clone()),
            lifecycle: Arc::new(Lifecycle::new()),
            course: Arc::new(DrainCourse::new(metrics.clone())),
            drain_delay: self.config.drain_delay,
            failed: Arc::default(),
            ended: wakers.iter().map(|_| AtomicBool::new(false)).collect(),
            seen: Arc::new(seen),
            wakers,
            live: Latest::new(LiveSettings::new(&self.config)?),
            renewals: Renewals(renewals.collect()),
        };
        let starter = Arc::new(Starter {
            permits: Arc::new(Permits::new(self.config.max_sessions)),
            handle: handle.clone(),
            driver,
            steer,
            descriptors,
            pages: Arc::new(self.pages()),
            server: self,
        });
        // Declared before the shards: the process closes them, in its own table, and
        // not a shard that fails before it has parted.
        let sockets = Arc::new((listeners, inherited));

        let mut shards = StartingShards::new(handle.clone());
        let cpus = cpus_of(&starter.server.config);
        let semaphores = FanOutSemaphore::of_cores(&cpus, metrics.len(), &handle.wakers);
        for (end, metrics) in ends.into_iter().zip(&metrics) {
            let id = end.id().index();
            let cpu = cpus.get(id % cpus.len().max(1)).copied();
            shards.spawn(StartingShard {
                starter: Arc::clone(&starter),
                sockets: Arc::clone(&sockets),
                cpu,
                semaphore: cpu.and_then(|cpu| semaphores.get(&cpu)).cloned(),
                metrics: Arc::clone(metrics),
                end,
            })?;
        }
        shards.wait_for_all(Stage::Parted)?;
        // Sockets are made only when no shard will copy them into its table.
        let (listeners, inherited) = Arc::try_unwrap(sockets).map_err(|_| StartError::ShardLost)?;
        shards.wait_for_all(Stage::Able)?;
        Ok(Unheard {
            starter,
            shards,
            listeners,
            keys,
            endpoints,
            inherited,
            metrics,
            handle,
        })
    }
}

/// The cores shards are pinned to, one after the other.
fn cpus_of(config: &Config) -> Vec<usize> {
    if config.cpus.is_empty() {
        cpus::usable()
    } else {
        config.cpus.clone()
    }
}

/// The wakers of all shards.
fn wakers(shards: usize) -> Result<Arc<[Arc<ShardWaker>]>, StartError> {
    (0..shards)
        .map(|_| EventFd::new().map(|event| Arc::new(ShardWaker::new(Arc::new(event)))))
        .collect::<Result<_, _>>()
        .map_err(StartError::Descriptors)
}
