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

mod control_plane;
mod starting;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use self::control_plane::{Control, begin_control, start_control};
use self::starting::{Starter, StartingShard};
use crate::config::{Config, SlowConsumerPolicy};
use crate::cpus;
use crate::error::StartError;
use crate::fan_out_semaphore::FanOutSemaphore;
use crate::handler::{
    Broadcast, BroadcastPerPath, Chat, ChatPerPath, Echo, Handler, Phoenix, Registered, Route,
};
use crate::handover::{Estate, Inheritance};
use crate::listeners::{Listeners, Seen};
use crate::mesh::{self, ShardWaker};
use crate::metrics::ShardMetrics;
use crate::permits::Permits;
use crate::plane::{ResolvedDriver, resolve_driver};
use crate::publisher::Publisher;
use crate::rate::Rate;
use crate::router::{Router, params_of};
use crate::runtime::Unavailable;
use crate::shard::ListenTurn;
use crate::shutdown::{Heir, Lifecycle, Phase};
use crate::source::{SourceLimits, Sources};
use crate::steer;
use crate::sys::{self, EventFd};
use crate::upgrade::OriginPolicy;

/// Makes a handler for one shard.
type Factory = Arc<dyn Fn() -> Box<dyn Route> + Send + Sync>;

#[derive(Clone)]
struct RouteFactory {
    make: Factory,
    /// [`Handler::DROPS_EMPTY_SEGMENTS`] of what it makes.
    drops_empty_segments: bool,
    /// What the configuration says of this route.
    slow_consumer: Option<SlowConsumerPolicy>,
}

impl RouteFactory {
    fn new<H: Handler>(make: impl Fn() -> H + Send + Sync + 'static) -> Self {
        RouteFactory {
            make: Arc::new(move || Box::new(Registered::new(make()))),
            drops_empty_segments: H::DROPS_EMPTY_SEGMENTS,
            slow_consumer: None,
        }
    }
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
            let mut factory = factory(&route.handler, &route.path, &server.config)?;
            factory.slow_consumer = route.slow_consumer;
            server.add_route(&route.path, factory)?;
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
        self.add_route(path, RouteFactory::new(make))?;
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
        let index = self.routes.len() as u16;
        if route.drops_empty_segments {
            self.router.insert_dropping_empty_segments(path, index)?;
        } else {
            self.router.insert(path, index)?;
        }
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
        let metrics: Vec<_> = (0..shards)
            .map(|_| Arc::new(ShardMetrics::default()))
            .collect();
        // The one outsider is all publishers together.
        let (ends, outside) = mesh::connect(&wakers, 1, self.config.ring_capacity);
        let outside = outside.into_iter().next().expect("one was asked for");
        let handle = ServerHandle {
            publisher: Publisher::new(outside, metrics.clone()),
            lifecycle: Arc::new(Lifecycle::new()),
            failed: Arc::default(),
            ended: (0..shards).map(|_| AtomicBool::new(false)).collect(),
            seen: Arc::new(listeners.seen()),
            wakers: Arc::clone(&wakers),
        };
        let cpus = self.cpus();
        let semaphores = FanOutSemaphore::of_cores(&cpus, shards, &wakers);
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
        for (end, metrics) in ends.into_iter().zip(&metrics) {
            let (start, told) = mpsc::channel();
            starts.push(start);
            let id = end.id().index();
            let cpu = cpus.get(id % cpus.len().max(1)).copied();
            let shard = StartingShard {
                starter: Arc::clone(&starter),
                estate: Arc::clone(&estate),
                cpu,
                semaphore: cpu.and_then(|cpu| semaphores.get(&cpu)).cloned(),
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

/// Makes the handler that the configuration names for a path. The prefixes of
/// topics keep them apart from those of other handlers.
fn factory(handler: &str, path: &str, config: &Config) -> Result<RouteFactory, StartError> {
    let has_params = params_of(path).next().is_some();
    // A name in a chat is no room of its own.
    let has_rooms = params_of(path).any(|name| name != "user_id");
    let pattern = path.to_owned();
    Ok(match handler {
        "echo" => RouteFactory::new(|| Echo),
        "broadcast" if has_params => {
            RouteFactory::new(|| BroadcastPerPath::new("corecast:broadcast:"))
        }
        "broadcast" => {
            let topic = format!("corecast:broadcast:{path}");
            RouteFactory::new(move || Broadcast::new(&topic))
        }
        "chat" if has_rooms => {
            RouteFactory::new(move || ChatPerPath::new("corecast:chat:", &pattern))
        }
        "chat" => RouteFactory::new(|| Chat::new("corecast:chat")),
        "phoenix" => {
            let phoenix = Phoenix::new(path, &config.phoenix)?;
            RouteFactory::new(move || phoenix.handler())
        }
        other => unreachable!("'{other}' has passed the validation of routes"),
    })
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("config", &self.config)
            .finish_non_exhaustive()
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
        self.handle.publisher.stop();
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

/// Asks a running server to stop, and gives publishers, from any thread.
#[derive(Debug, Clone)]
pub struct ServerHandle {
    lifecycle: Arc<Lifecycle>,
    /// A shard has ended although nobody asked it to.
    failed: Arc<AtomicBool>,
    /// Which shards have ended.
    ended: Arc<[AtomicBool]>,
    seen: Arc<Seen>,
    wakers: Arc<[Arc<ShardWaker>]>,
    publisher: Publisher,
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

    /// Publishes to the server's sessions, from any thread.
    pub fn publisher(&self) -> Publisher {
        self.publisher.clone()
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

    /// Publishes to this server's sessions, from any thread.
    pub fn publisher(&self) -> Publisher {
        self.handle.publisher()
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
