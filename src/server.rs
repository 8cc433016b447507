//! A whole server: its shards, what they share, and its start and end.
//!
//! # Invariants worth naming
//!
//! - What must be visible in every shard's descriptor table (the wake events)
//!   is made before the tables part; what must not (listeners, the control
//!   plane's sockets) after.
//! - [`Server::start`] returns when every shard listens, or with the reason
//!   why one does not and none left running.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::config::{Config, SlowConsumerPolicy, Steer};
use crate::cpus;
use crate::error::StartError;
use crate::handler::{Broadcast, Chat, Echo, Handler, Phoenix, Registered, Route};
use crate::hub::Hub;
use crate::mesh::{self, MeshEnd, ShardWaker};
use crate::metrics::ShardMetrics;
use crate::permits::Permits;
use crate::plane::{Plane, ResolvedDriver, resolve_driver};
use crate::rate::Rate;
use crate::router::Router;
use crate::runtime::{Unavailable, make_plane};
use crate::shard::{Core, Limits, ListenTurn, Loop, Meters, Parts, ShardRoute};
use crate::shutdown::{Lifecycle, Phase};
use crate::source::{AddressPolicy, SourceLimits, Sources};
use crate::steer;
use crate::sys::{self, EventFd};
use crate::upgrade::OriginPolicy;
use crate::ws::{Role, Rules};

/// Makes a handler for one shard.
type Factory = Arc<dyn Fn() -> Box<dyn Route> + Send + Sync>;

#[derive(Clone)]
struct RouteFactory {
    make: Factory,
    /// What the configuration says of this route.
    slow_consumer: Option<SlowConsumerPolicy>,
}

/// A server that is not running yet.
///
/// ```
/// use corecast::config::Config;
/// use corecast::handler::Echo;
/// use corecast::server::Server;
///
/// let config = Config {
///     listen: "127.0.0.1:0".parse()?,
///     admin: None,
///     shards: 1,
///     ..Config::default()
/// };
/// let server = Server::new(config)?.route("/parrot", || Echo)?.start()?;
/// println!("ws://{}/parrot", server.local_addr());
/// server.handle().drain();
/// server.wait();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Server {
    config: Config,
    origins: OriginPolicy,
    routes: Vec<RouteFactory>,
    router: Router<u16>,
}

impl Server {
    /// A server with these settings and the routes they name.
    ///
    /// # Errors
    /// When a setting, a route or an allowed origin cannot stand.
    pub fn new(config: Config) -> Result<Self, StartError> {
        config.validate()?;
        let origins = OriginPolicy::new(&config.allowed_origins)
            .map_err(|error| StartError::Origin(error.to_string()))?;
        let mut server = Server {
            origins,
            routes: Vec::new(),
            router: Router::new(),
            config,
        };
        for route in server.config.routes.clone() {
            let slow_consumer = route.slow_consumer;
            // The prefix keeps them apart from the topics of other handlers.
            let topic = format!("corecast:broadcast:{}", route.path);
            let make: Factory = match route.handler.as_str() {
                "echo" => Arc::new(|| Box::new(Registered::new(Echo))),
                "broadcast" => Arc::new(move || Box::new(Registered::new(Broadcast::new(&topic)))),
                "chat" => Arc::new(|| Box::new(Registered::new(Chat::new("corecast:chat")))),
                "phoenix" => {
                    let phoenix = Phoenix::new(&route.path, &server.config.phoenix)?;
                    Arc::new(move || Box::new(Registered::new(phoenix.handler())))
                }
                other => unreachable!("'{other}' has passed the validation of routes"),
            };
            server.add_route(
                &route.path,
                RouteFactory {
                    make,
                    slow_consumer,
                },
            )?;
        }
        Ok(server)
    }

    /// Serves a path with a handler of your own. `make` is called once on each
    /// shard. A segment in braces, as in `/rooms/{room}`, matches any one
    /// segment, and a path given again replaces its earlier route.
    ///
    /// # Errors
    /// When the path is not one, or conflicts with another route's.
    pub fn route<H: Handler>(
        mut self,
        path: &str,
        make: impl Fn() -> H + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        let make: Factory = Arc::new(move || Box::new(Registered::new(make())));
        let slow_consumer = None;
        self.add_route(
            path,
            RouteFactory {
                make,
                slow_consumer,
            },
        )?;
        Ok(self)
    }

    fn add_route(&mut self, path: &str, route: RouteFactory) -> Result<(), StartError> {
        self.router.insert(path, self.routes.len() as u16)?;
        self.routes.push(route);
        Ok(())
    }

    /// Starts all shards and the control plane.
    ///
    /// Each shard has a table of file descriptors of its own, a copy of the
    /// process's at this moment. So a handler must not use descriptors that
    /// are opened elsewhere later: on its thread the number may be another
    /// file. Give handlers what they open themselves, what was open before
    /// (which then stays open in the shards too), or what needs none, such as
    /// a `std` channel.
    ///
    /// # Errors
    /// When any of them cannot run; none is left running then.
    pub fn start(self) -> Result<RunningServer, StartError> {
        let driver = resolve_driver(self.config.driver).map_err(Unavailable::Uring)?;
        let descriptors = sys::raise_descriptor_limit().map_err(StartError::Descriptors)?;
        let steer = steer::resolve(self.config.steer);
        let shards = self.config.shards;
        let wakers: Arc<[Arc<ShardWaker>]> = (0..shards)
            .map(|_| EventFd::new().map(|event| Arc::new(ShardWaker::new(Arc::new(event)))))
            .collect::<Result<_, _>>()
            .map_err(StartError::Descriptors)?;
        let handle = ServerHandle {
            lifecycle: Arc::new(Lifecycle::new()),
            failed: Arc::default(),
            wakers: Arc::clone(&wakers),
        };
        let metrics: Vec<_> = (0..shards)
            .map(|_| Arc::new(ShardMetrics::default()))
            .collect();
        let cpus = self.cpus();
        let starter = Arc::new(Starter {
            sources: Sources::new(source_limits(&self.config)),
            permits: Arc::new(Permits::new(self.config.max_sessions)),
            handle: handle.clone(),
            driver,
            steer,
            descriptors,
            server: self,
        });

        let (part, parted) = mpsc::channel();
        let (ready, outcomes) = mpsc::channel();
        let mut running = Shards {
            threads: Vec::new(),
            handle: handle.clone(),
        };
        let mut addresses = Vec::new();
        let mut before = None;
        let config = &starter.server.config;
        for (end, metrics) in mesh::connect(wakers, config.ring_capacity)
            .into_iter()
            .zip(&metrics)
        {
            let (address, told) = mpsc::channel();
            addresses.push(address);
            let id = end.id().index();
            let shard = StartingShard {
                starter: Arc::clone(&starter),
                cpu: cpus.get(id % cpus.len().max(1)).copied(),
                metrics: Arc::clone(metrics),
                end,
                part: part.clone(),
                told,
                ready: ready.clone(),
            };
            let (turn, next) = ListenTurn::following(before.take());
            before = Some(next);
            let thread = thread::Builder::new()
                .name(format!("shard-{id}"))
                .spawn(move || shard.run(turn))
                .map_err(StartError::Thread)?;
            running.threads.push(thread);
        }
        drop((part, ready));

        // Sockets are made only when no shard will copy them into its table.
        for _ in 0..shards {
            parted.recv().map_err(|_| StartError::ShardLost)?;
        }
        // Holds the port from before the first shard listens until the last
        // one does, so that port 0 becomes the same port for all.
        let claim = sys::bind_shared(config.listen).map_err(|error| StartError::Listen {
            address: config.listen,
            error,
        })?;
        let local = claim
            .local_addr()
            .ok()
            .and_then(|address| address.as_socket());
        let listen = local.unwrap_or(config.listen);
        for address in addresses {
            // A shard that is gone tells through `outcomes`.
            let _ = address.send(listen);
        }
        for _ in 0..shards {
            outcomes.recv().map_err(|_| StartError::ShardLost)??;
        }
        drop(claim);

        let control = start_control(config, driver, steer, listen, &metrics, &handle)?;
        handle.lifecycle.set(Phase::Running);
        if running.threads.iter().any(JoinHandle::is_finished) {
            return Err(StartError::ShardLost);
        }
        Ok(RunningServer {
            listen,
            driver,
            metrics,
            handle,
            _control: control,
            shards: running,
        })
    }

    /// The cores shards are pinned to, in turn.
    fn cpus(&self) -> Vec<usize> {
        if !self.config.cpus.is_empty() {
            return self.config.cpus.clone();
        }
        cpus::usable()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "control")]
type Control = Option<crate::control::ControlHandle>;
#[cfg(not(feature = "control"))]
type Control = NoControl;

/// Stands where the control plane would.
#[cfg(not(feature = "control"))]
struct NoControl;

#[cfg(feature = "control")]
fn start_control(
    config: &Config,
    driver: ResolvedDriver,
    steer: Steer,
    listen: SocketAddr,
    metrics: &[Arc<ShardMetrics>],
    handle: &ServerHandle,
) -> Result<Control, StartError> {
    use crate::control::{ServerInfo, ServerView, spawn};

    let Some(address) = config.admin else {
        return Ok(None);
    };
    let info = ServerInfo {
        version: env!("CARGO_PKG_VERSION"),
        driver: driver.as_str().to_owned(),
        steer,
        shards: config.shards,
        listen,
        started: std::time::Instant::now(),
    };
    let lifecycle = Arc::clone(&handle.lifecycle);
    let view = ServerView {
        shards: metrics.to_vec(),
        lifecycle,
        info,
    };
    spawn(address, view).map(Some).map_err(StartError::Admin)
}

#[cfg(not(feature = "control"))]
fn start_control(
    config: &Config,
    _: ResolvedDriver,
    _: Steer,
    _: SocketAddr,
    _: &[Arc<ShardMetrics>],
    _: &ServerHandle,
) -> Result<Control, StartError> {
    if config.admin.is_some() {
        tracing::warn!("built without the control plane: --admin is ignored");
    }
    Ok(NoControl)
}

/// What the threads of a starting server share.
struct Starter {
    server: Server,
    sources: Option<Arc<Sources>>,
    permits: Arc<Permits>,
    handle: ServerHandle,
    driver: ResolvedDriver,
    /// As the kernel does it.
    steer: Steer,
    /// Descriptors a table may hold.
    descriptors: u64,
}

/// A shard before it runs, on its way to its thread.
struct StartingShard {
    starter: Arc<Starter>,
    cpu: Option<usize>,
    metrics: Arc<ShardMetrics>,
    end: MeshEnd,
    /// Told when the shard has a descriptor table of its own.
    part: mpsc::Sender<()>,
    /// Tells the address, once every shard has.
    told: mpsc::Receiver<SocketAddr>,
    ready: mpsc::Sender<Result<(), StartError>>,
}

impl StartingShard {
    fn run(self, turn: ListenTurn) {
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
        if let Err(error) = sys::unshare_files() {
            tracing::warn!("shard {id} shares its table of descriptors with the process: {error}");
        }
        // Nobody listens, and no address comes, when the start has failed elsewhere.
        let _ = self.part.send(());
        let Ok(address) = self.told.recv() else {
            return;
        };
        let config = &self.starter.server.config;
        let shard_loop = Loop {
            driver: self.starter.driver,
            address,
            backlog: config.backlog,
            busy_poll: config.busy_poll,
            cpu,
            steer: self.starter.steer,
        };
        let plane = make_plane(self.starter.driver, Arc::clone(self.end.waker().event()));
        let ready = self.ready.clone();
        match plane {
            Ok(plane) => {
                let core = Core::new(self.parts(plane));
                // Gone once told: only so can the start see that a shard has
                // ended without a word, as when its handlers cannot be made.
                shard_loop.run(turn, core, move |outcome| {
                    // Nobody listens any more when another shard failed first.
                    let _ = ready.send(outcome);
                });
            }
            Err(unavailable) => drop(ready.send(Err(unavailable.into()))),
        }
    }

    fn parts(self, plane: Box<dyn Plane>) -> Parts {
        let Starter {
            server,
            sources,
            permits,
            handle,
            descriptors,
            ..
        } = &*self.starter;
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
            metrics: Arc::clone(&self.metrics),
            lifecycle: Arc::clone(&handle.lifecycle),
            permits: Arc::clone(permits),
            sources: sources.clone(),
            meters: Meters::new(config, expected_sessions),
            router: server.router.clone(),
            routes,
            hub: Hub::new(self.end, config.ring_capacity, self.metrics),
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

fn source_limits(config: &Config) -> SourceLimits {
    SourceLimits {
        max_connections: config.max_connections_per_source,
        handshakes: Rate::new(config.max_handshake_rate_per_source, config.rate_burst),
        ipv6_prefix: config.source_prefix_ipv6,
    }
}

/// The shards' threads. Whoever drops them early ends them.
struct Shards {
    threads: Vec<JoinHandle<()>>,
    handle: ServerHandle,
}

impl Shards {
    fn join(&mut self) {
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a shard has panicked");
            }
        }
        self.handle.lifecycle.set(Phase::Stopped);
    }
}

impl Drop for Shards {
    fn drop(&mut self) {
        self.handle.drain();
        self.handle.hurry();
        self.join();
    }
}

/// Asks a running server to stop, from any thread.
#[derive(Debug, Clone)]
pub struct ServerHandle {
    lifecycle: Arc<Lifecycle>,
    /// A shard has ended although nobody asked it to.
    failed: Arc<AtomicBool>,
    wakers: Arc<[Arc<ShardWaker>]>,
}

impl ServerHandle {
    /// Stops accepting and closes all sessions, spread over the drain time.
    /// Returns `false` if the server was draining already.
    pub fn drain(&self) -> bool {
        let first = self.lifecycle.set(Phase::Draining);
        self.wake();
        first
    }

    /// Makes a drain close all remaining sessions at once.
    pub fn hurry(&self) {
        self.lifecycle.hurry();
        self.wake();
    }

    /// What the server is doing.
    pub fn phase(&self) -> Phase {
        self.lifecycle.phase()
    }

    fn wake(&self) {
        for waker in self.wakers.iter() {
            waker.notify();
        }
    }
}

/// A running server. Dropping it ends it at once; [`RunningServer::wait`]
/// waits until it has drained.
pub struct RunningServer {
    listen: SocketAddr,
    driver: ResolvedDriver,
    metrics: Vec<Arc<ShardMetrics>>,
    handle: ServerHandle,
    shards: Shards,
    /// Dropped after the shards, so that it answers to the end.
    _control: Control,
}

impl RunningServer {
    /// The address the shards listen on, its port resolved.
    pub fn local_addr(&self) -> SocketAddr {
        self.listen
    }

    /// The address of the control plane, if there is one.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        #[cfg(feature = "control")]
        let address = self
            ._control
            .as_ref()
            .map(crate::control::ControlHandle::local_addr);
        #[cfg(not(feature = "control"))]
        let address = None;
        address
    }

    /// The kernel interface in use.
    pub fn driver(&self) -> ResolvedDriver {
        self.driver
    }

    /// What each shard counts.
    pub fn metrics(&self) -> &[Arc<ShardMetrics>] {
        &self.metrics
    }

    /// Asks this server to stop, from any thread.
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// Waits until the server has drained. Returns `false` if it did so
    /// because a shard had failed.
    pub fn wait(mut self) -> bool {
        self.shards.join();
        !self.handle.failed.load(Ordering::Relaxed)
    }
}
