//! A whole server: its shards, what they share, and its start and end.
//!
//! # Invariants worth naming
//!
//! - What must be visible in every shard's descriptor table (the wake events)
//!   is made before the tables part; what must not (the control plane's sockets)
//!   after. Listeners are made before too, and each shard keeps its own.
//! - Nothing is accepted before everything that can fail has been done, so that
//!   a server that cannot start has never been there for anybody.
//! - [`Server::start`] returns when every shard listens, or with the reason
//!   why one does not and none left running.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::Socket;

use crate::config::{Config, SlowConsumerPolicy, Steer};
use crate::cpus;
use crate::error::StartError;
use crate::handler::{Broadcast, Chat, Echo, Handler, Phoenix, Registered, Route};
use crate::handover::{AdminEstate, Estate, Inheritance};
use crate::hub::Hub;
#[cfg(feature = "control")]
use crate::listeners::stands_at;
use crate::listeners::{Listeners, Seen};
use crate::mesh::{self, MeshEnd, ShardWaker};
use crate::metrics::ShardMetrics;
use crate::permits::Permits;
use crate::plane::{Plane, ResolvedDriver, resolve_driver};
use crate::rate::Rate;
use crate::router::Router;
use crate::runtime::{Unavailable, make_plane};
use crate::shard::{
    Core, FanOutTurn, Limits, ListenTurn, Loop, Meters, Parts, ShardRoute, Turnstile,
};
use crate::shutdown::{Heir, Lifecycle, Phase};
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
    inheritance: Inheritance,
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
            inheritance: Inheritance::default(),
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

    /// Takes over from the process that `inheritance` comes from: its listeners
    /// where they are at the configured addresses, and its place once this
    /// server could serve.
    #[must_use]
    pub fn inherit(mut self, inheritance: Inheritance) -> Self {
        self.inheritance = inheritance;
        self
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
    pub fn start(mut self) -> Result<RunningServer, StartError> {
        let driver = resolve_driver(self.config.driver).map_err(Unavailable::Uring)?;
        let descriptors = sys::raise_descriptor_limit().map_err(StartError::Descriptors)?;
        let steer = steer::resolve(self.config.steer);
        let shards = self.config.shards;
        let wakers: Arc<[Arc<ShardWaker>]> = (0..shards)
            .map(|_| EventFd::new().map(|event| Arc::new(ShardWaker::new(Arc::new(event)))))
            .collect::<Result<_, _>>()
            .map_err(StartError::Descriptors)?;
        let mut inheritance = std::mem::take(&mut self.inheritance);
        let inherited = std::mem::take(&mut inheritance.listeners);
        let listeners = Listeners::open(self.config.listen, shards, inherited)?;
        let listen = listeners.address();
        let handle = ServerHandle {
            lifecycle: Arc::new(Lifecycle::new()),
            failed: Arc::default(),
            ended: (0..shards).map(|_| AtomicBool::new(false)).collect(),
            seen: Arc::new(listeners.seen()),
            wakers: Arc::clone(&wakers),
        };
        let metrics: Vec<_> = (0..shards)
            .map(|_| Arc::new(ShardMetrics::default()))
            .collect();
        let cpus = self.cpus();
        let turnstiles = turnstiles(&cpus, shards, &wakers);
        let starter = Arc::new(Starter {
            sources: Sources::new(source_limits(&self.config)),
            permits: Arc::new(Permits::new(self.config.max_sessions)),
            handle: handle.clone(),
            driver,
            steer,
            descriptors,
            server: self,
        });
        // Shards let go of it as soon as they have taken what is theirs; declared
        // before them, it outlives those that do not come so far.
        let estate = Arc::new((listeners, inheritance));

        let (part, parted) = mpsc::channel();
        // One for each step: a shard that waits for its start must not keep open
        // what tells that another has ended without a word.
        let (could, able) = mpsc::channel();
        let (listens, listening) = mpsc::channel();
        let mut running = Shards {
            threads: Vec::new(),
            handle: handle.clone(),
        };
        let mut starts = Vec::new();
        let mut before = None;
        let config = &starter.server.config;
        for (end, metrics) in mesh::connect(wakers, config.ring_capacity)
            .into_iter()
            .zip(&metrics)
        {
            let (start, told) = mpsc::channel();
            starts.push(start);
            let id = end.id().index();
            let cpu = cpus.get(id % cpus.len().max(1)).copied();
            let shard = StartingShard {
                starter: Arc::clone(&starter),
                estate: Arc::clone(&estate),
                cpu,
                turnstile: cpu.and_then(|cpu| turnstiles.get(&cpu)).cloned(),
                metrics: Arc::clone(metrics),
                end,
                part: part.clone(),
                told,
                could: could.clone(),
                listens: listens.clone(),
            };
            let (turn, next) = ListenTurn::following(before.take());
            before = Some(next);
            let thread = thread::Builder::new()
                .name(format!("shard-{id}"))
                .spawn(move || shard.run(turn))
                .map_err(StartError::Thread)?;
            running.threads.push(thread);
        }
        drop((part, could, listens));

        // Sockets are made only when no shard will copy them into its table.
        for _ in 0..shards {
            parted.recv().map_err(|_| StartError::ShardLost)?;
        }
        let all_shards = |outcomes: mpsc::Receiver<Result<(), StartError>>| {
            for _ in 0..shards {
                outcomes.recv().map_err(|_| StartError::ShardLost)??;
            }
            Ok::<(), StartError>(())
        };
        let (listeners, inheritance) =
            Arc::try_unwrap(estate).map_err(|_| StartError::ShardLost)?;
        all_shards(able)?;
        let Inheritance {
            admin, predecessor, ..
        } = inheritance;
        let mut control = start_control(config, admin, driver, steer, listen, &metrics, &handle)?;
        if let Some(predecessor) = predecessor {
            predecessor.take_over().map_err(StartError::Predecessor)?;
        }
        for start in starts {
            // A shard that is gone shows in the next step.
            let _ = start.send(());
        }
        all_shards(listening)?;
        // In this order, or the first to ask would hear that we are starting.
        handle.lifecycle.set(Phase::Running);
        let admin = begin_control(&mut control);
        if running.threads.iter().any(JoinHandle::is_finished) {
            return Err(StartError::ShardLost);
        }
        Ok(RunningServer {
            listen,
            driver,
            metrics,
            handle,
            estate: Some(Estate {
                listeners: listeners.into_sockets(),
                admin,
            }),
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

/// Makes everything of the control plane, which does not accept yet.
#[cfg(feature = "control")]
fn start_control(
    config: &Config,
    inherited: Option<Socket>,
    driver: ResolvedDriver,
    steer: Steer,
    listen: SocketAddr,
    metrics: &[Arc<ShardMetrics>],
    handle: &ServerHandle,
) -> Result<Control, StartError> {
    use crate::control::{ServerInfo, ServerView, bind, prepare};

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
    let inherited = inherited.filter(|socket| stands_at(socket, address));
    let listener = match inherited {
        Some(socket) => socket.into(),
        None => bind(address).map_err(StartError::Admin)?,
    };
    prepare(listener, view).map(Some).map_err(StartError::Admin)
}

/// Lets the control plane accept, and returns its part of the estate.
#[cfg(feature = "control")]
fn begin_control(control: &mut Control) -> Option<AdminEstate> {
    let control = control.as_mut()?;
    control.begin();
    Some(AdminEstate {
        listener: control.take_listener()?.into(),
        retire: control.retirement(),
    })
}

#[cfg(not(feature = "control"))]
fn start_control(
    config: &Config,
    _: Option<Socket>,
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

#[cfg(not(feature = "control"))]
fn begin_control(_: &mut Control) -> Option<AdminEstate> {
    None
}

/// The turnstiles of those cores that have many shards.
fn turnstiles(
    cpus: &[usize],
    shards: usize,
    wakers: &Arc<[Arc<ShardWaker>]>,
) -> HashMap<usize, Arc<Turnstile>> {
    let mut on_core: HashMap<usize, usize> = HashMap::new();
    for cpu in cpus.iter().cycle().take(shards) {
        *on_core.entry(*cpu).or_default() += 1;
    }
    let turnstile = |(cpu, shards)| Some((cpu, Turnstile::of_core(shards, wakers)?));
    on_core.into_iter().filter_map(turnstile).collect()
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
    /// Where its listeners are, among other things that it must not keep.
    estate: Arc<(Listeners, Inheritance)>,
    cpu: Option<usize>,
    /// Of the shards on this core, if there are several.
    turnstile: Option<Arc<Turnstile>>,
    metrics: Arc<ShardMetrics>,
    end: MeshEnd,
    /// Told when the shard has a descriptor table of its own.
    part: mpsc::Sender<()>,
    /// Tells that it may listen, once nothing else can fail.
    told: mpsc::Receiver<()>,
    /// Whether it could serve.
    could: mpsc::Sender<Result<(), StartError>>,
    /// Whether it listens.
    listens: mpsc::Sender<Result<(), StartError>>,
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
        end: MeshEnd,
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
    /// Which shards have ended.
    ended: Arc<[AtomicBool]>,
    seen: Arc<Seen>,
    wakers: Arc<[Arc<ShardWaker>]>,
}

impl ServerHandle {
    /// Stops accepting and closes all sessions, spread over the drain time.
    /// Returns `false` if the server was draining already.
    ///
    /// Where another server listens on the same address, connections that have
    /// reached this one still become sessions, and it stops accepting a moment
    /// later; otherwise they are answered 503.
    pub fn drain(&self) -> bool {
        let heir = if self.phase() == Phase::Running && self.seen.has_neighbour() {
            Heir::Neighbour
        } else {
            Heir::Nobody
        };
        self.drain_for(heir)
    }

    /// The same after another process has got this one's listeners.
    pub(crate) fn hand_over(&self) {
        self.drain_for(Heir::Successor);
    }

    fn drain_for(&self, heir: Heir) -> bool {
        let first = self.lifecycle.drain(heir);
        self.wake();
        first
    }

    /// The address the shards listen on.
    fn address(&self) -> SocketAddr {
        self.seen.address()
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
    estate: Option<Estate>,
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

    /// What a successor would need, for [`Succession::new`]; nothing when it was
    /// taken before.
    ///
    /// [`Succession::new`]: crate::handover::Succession::new
    pub fn take_estate(&mut self) -> Option<Estate> {
        self.estate.take()
    }

    /// The signs of life of its shards.
    pub fn vitals(&self) -> Vitals {
        Vitals {
            metrics: self.metrics.clone(),
            handle: self.handle.clone(),
        }
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

/// What can be seen of a server's life from any thread.
#[derive(Debug, Clone)]
pub struct Vitals {
    metrics: Vec<Arc<ShardMetrics>>,
    handle: ServerHandle,
}

impl Vitals {
    /// What the server is doing.
    pub fn phase(&self) -> Phase {
        self.handle.phase()
    }

    /// The number of shards it began with.
    pub fn shards(&self) -> usize {
        self.metrics.len()
    }

    /// Sessions on all shards.
    pub fn sessions(&self) -> u64 {
        let sessions = |shard: &Arc<ShardMetrics>| shard.sessions.value();
        self.metrics.iter().map(sessions).sum()
    }

    /// The turns that each shard has made; none for one that has ended. A shard
    /// that lives makes several a second, whatever comes.
    pub fn turns(&self) -> Vec<Option<u64>> {
        let ended = self.handle.ended.iter();
        let shards = self.metrics.iter().zip(ended);
        shards
            .map(|(metrics, ended)| (!ended.load(Ordering::Relaxed)).then(|| metrics.turns.value()))
            .collect()
    }
}
