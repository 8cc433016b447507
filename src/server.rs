//! A whole server: its shards, what they share, and its start and end.
//!
//! `start` is the coordinator of a start, `starting` the same start as one shard's
//! thread sees it, and `shards` what connects the two.

mod control_plane;
mod shards;
mod start;
mod starting;

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use self::control_plane::Control;
use self::shards::Shards;
use crate::config::{Config, Endpoint};
use crate::drain::{self, DrainCourse};
use crate::error::StartError;
use crate::handler::{Context, Function, Handler, Renew, RouteFactory, TakeUp, built_in};
use crate::handover::{HandOverSockets, Inherited};
use crate::latest::Latest;
use crate::listeners::Seen;
use crate::live::LiveSettings;
use crate::mesh::ShardWaker;
use crate::metrics::ShardMetrics;
use crate::plane::ResolvedDriver;
use crate::publisher::Publisher;
use crate::router::Router;
use crate::shutdown::{Lifecycle, Phase, TakeOver};
use crate::sys::DescriptorTables;
use crate::unix_listener::SocketFile;
use crate::upgrade::{ListedRoute, Pages, home_page};
use crate::ws::Message;

/// How the handlers of all routes take up other settings.
#[derive(Clone)]
struct Renewals(Arc<[Renew]>);

impl fmt::Debug for Renewals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Renewals").field(&self.0.len()).finish()
    }
}

/// A server that is not running yet. It serves the routes of its [`Config`], of which
/// there are none by default, and those that are added here.
///
/// ```
/// use corecast::handler::Echo;
/// use corecast::{Config, Server};
///
/// let config = Config::new().listen(["127.0.0.1:0".parse()?]).shards(1);
/// let server = Server::new(config)?.route("/parrot", || Echo)?.start()?;
/// println!("ws://{}/parrot", server.local_addr());
/// server.handle().drain();
/// server.wait();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Server {
    config: Config,
    routes: Vec<RouteFactory>,
    router: Router<u16>,
    inherited: Inherited,
    descriptor_tables: DescriptorTables,
}

impl Server {
    /// A server with these settings and the routes they name.
    ///
    /// # Errors
    /// When a setting, a route or an allowed origin cannot stand.
    pub fn new(config: Config) -> Result<Self, StartError> {
        config.validate()?;
        built_in::check(&config)?;
        for note in built_in::notes(&config) {
            tracing::warn!("{note}");
        }
        let mut server = Server {
            routes: Vec::new(),
            router: Router::new(),
            inherited: Inherited::default(),
            descriptor_tables: DescriptorTables::Shared,
            config,
        };
        for route in server.config.routes.clone() {
            let factory = built_in::factory(&route, &server.config)?;
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

    /// Serves a path with a function that is called with each message. Each shard has a
    /// copy of it, which it calls from one thread only.
    ///
    /// ```
    /// use corecast::{Config, Server};
    ///
    /// let config = Config::new().listen(["127.0.0.1:0".parse()?]).shards(1);
    /// let server = Server::new(config)?
    ///     .route_fn("/echo", |message, ctx| ctx.send(message))?
    ///     .start()?;
    /// # server.handle().drain();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the path is not one, or conflicts with another route's.
    pub fn route_fn(
        self,
        path: &str,
        message: impl FnMut(Message<'_>, &mut Context<'_>) + Clone + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        self.route(path, move || Function(message.clone()))
    }

    /// Takes over from the process that `inherited` comes from: its listeners
    /// where they are at the configured addresses, and its place once this
    /// server could serve.
    #[must_use]
    pub fn inherit(mut self, inherited: Inherited) -> Self {
        self.inherited = inherited;
        self
    }

    /// Gives each shard a table of file descriptors of its own, a copy of the
    /// process's at the start. The limit on open files (`ulimit -n`,
    /// `LimitNOFILE=`) then counts for each shard and not for the process, and
    /// shards do not wait for each other where the kernel locks a table.
    ///
    /// Without it all shards share the process's table, and a handler may use any
    /// file, socket or pool of the application.
    ///
    /// Where a sandbox forbids it, the shards share the table with a warning.
    ///
    /// # Safety
    /// On a shard's thread a descriptor that was opened on another thread after the
    /// start is no file, or *another* one: a log line written to it may reach a
    /// client's socket. So nothing that runs on a shard's thread (the methods of
    /// handlers, what they drop, the subscriber of `tracing`, a panic hook) may use
    /// a descriptor that was opened elsewhere later, such as that of a log that was
    /// rotated or of a pool that connects when it is first used, and it must not
    /// give descriptors that it opens itself to other threads. Allowed are those
    /// that were open before [`Server::start`] and stay open until the server has
    /// ended, those of the shard's own, and what needs none, such as a `std`
    /// channel to a thread that does the work.
    ///
    /// ```
    /// # use corecast::{Config, Server};
    /// # let config = Config::new().listen(["127.0.0.1:0".parse()?]).shards(1);
    /// let server = Server::new(config)?;
    /// // SAFETY: the built-in handlers use no descriptors at all.
    /// let server = unsafe { server.with_a_descriptor_table_per_shard() };
    /// # server.start()?.handle().drain();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub unsafe fn with_a_descriptor_table_per_shard(mut self) -> Self {
        self.descriptor_tables = DescriptorTables::OnePerShard;
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

    /// The pages beside the routes, as they are now.
    fn pages(&self) -> Pages {
        let listed = |(path, index): (_, &u16)| {
            let route = &self.routes[usize::from(*index)];
            ListedRoute {
                path,
                summary: route.summary,
                is_chat: route.is_chat,
            }
        };
        let write = || home_page(&self.router.iter().map(listed).collect::<Vec<_>>());
        Pages {
            home: self.config.home_page.then(write),
            health: self.config.health_page,
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Asks a running server to stop, and gives publishers, from any thread.
#[derive(Debug, Clone)]
pub struct ServerHandle {
    lifecycle: Arc<Lifecycle>,
    /// A shard has ended without being asked to.
    failed: Arc<AtomicBool>,
    /// Which shards have ended.
    ended: Arc<[AtomicBool]>,
    seen: Arc<Seen>,
    wakers: Arc<[Arc<ShardWaker>]>,
    publisher: Publisher,
    live: Arc<Latest<LiveSettings>>,
    renewals: Renewals,
    course: Arc<DrainCourse>,
    drain_delay: Duration,
}

impl ServerHandle {
    /// Stops accepting and closes all sessions, spread over the drain time; before
    /// that, for [`Config::drain_delay`], only health checks fail.
    /// Returns `false` if the server was draining already, or was about to.
    ///
    /// Where another server listens on the address of an endpoint, connections that
    /// have reached this one still become sessions, and it stops accepting there a
    /// moment later; otherwise they are answered 503.
    pub fn drain(&self) -> bool {
        let take_over = match self.phase() {
            Phase::Running => TakeOver::by_neighbours(self.seen.have_neighbours()),
            _ => TakeOver::NONE,
        };
        if self.drain_delay.is_zero() {
            return self.drain_for(take_over);
        }
        let first = self.lifecycle.become_unready(take_over);
        if first {
            self.course.begin();
            drain::watch(self, self.drain_delay);
        }
        first
    }

    /// The same without the time before it, where there is no server to be asked.
    fn drain_at_once(&self) -> bool {
        self.drain_for(TakeOver::NONE)
    }

    /// Lets a server that is unready drain.
    pub(crate) fn end_delay(&self) {
        self.lifecycle.note_drain(self.course.sessions());
        self.lifecycle.drain(TakeOver::NONE);
        self.wake();
    }

    /// The same after another process has got this one's listeners.
    #[cfg(feature = "service")]
    pub(crate) fn hand_over(&self) {
        self.drain_for(TakeOver::BY_NEW_PROCESS);
    }

    fn drain_for(&self, take_over: TakeOver) -> bool {
        let is_watched = self.phase() == Phase::Unready;
        self.course.begin();
        self.lifecycle.note_drain(self.course.sessions());
        let first = self.lifecycle.drain(take_over);
        if first && !is_watched {
            drain::watch(self, Duration::ZERO);
        }
        self.wake();
        first
    }

    /// Makes a drain close all remaining sessions at once, and a server that is about
    /// to drain do so.
    pub fn hurry(&self) {
        self.lifecycle.hurry();
        if self.phase() == Phase::Unready {
            self.end_delay();
        }
        self.wake();
    }

    pub(crate) fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    pub(crate) fn course(&self) -> &DrainCourse {
        &self.course
    }

    /// Takes up those of other settings that can change in a running server: allowed
    /// origins, the limits of a source, the rates of a session, and on the routes of the
    /// configuration the rules of topics and the key for tokens, whose file is read
    /// again. The rest of `config` must stand and has no effect.
    ///
    /// Shards follow within a quarter of a second. Connections that are open stay
    /// open; where a rate has changed, each session may use a whole burst again.
    ///
    /// ```
    /// use corecast::{Config, Server};
    ///
    /// let config = Config::new().listen(["127.0.0.1:0".parse()?]).shards(1);
    /// let server = Server::new(config.clone())?.start()?;
    /// server.handle().reload(&config.max_message_rate(100))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When a setting cannot stand; nothing changes then.
    pub fn reload(&self, config: &Config) -> Result<(), StartError> {
        config.validate()?;
        let handlers = self.renewals.0.iter().map(|renew| renew(config));
        let handlers: Vec<TakeUp> = handlers.collect::<Result<_, _>>()?;
        let renewed = self.live.get().renewed(config)?;
        handlers.into_iter().for_each(|take_up| take_up());
        // Last, because shards that see it ask their handlers whether time matters now.
        self.live.replace(renewed);
        Ok(())
    }

    /// The phase the server is in.
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
    /// Their ports are resolved.
    endpoints: Vec<Endpoint>,
    driver: ResolvedDriver,
    metrics: Vec<Arc<ShardMetrics>>,
    handle: ServerHandle,
    hand_over_sockets: Option<HandOverSockets>,
    /// Of the Unix sockets it listens on.
    unix_files: Vec<SocketFile>,
    shards: Shards,
    /// Dropped after the shards, so that it answers to the end.
    control: Control,
}

impl fmt::Debug for RunningServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningServer")
            .field("endpoints", &self.endpoints)
            .field("driver", &self.driver)
            .finish_non_exhaustive()
    }
}

impl RunningServer {
    /// The address the shards listen on, its port resolved; the first where there are
    /// several.
    pub fn local_addr(&self) -> SocketAddr {
        self.endpoints[0].address
    }

    /// All addresses the shards listen on, in the order of [`Config::listen`], their
    /// ports resolved.
    ///
    /// ```
    /// use corecast::{Config, Server};
    ///
    /// let config = Config::new()
    ///     .listen(["127.0.0.1:0".parse()?, "127.0.0.2:0".parse()?])
    ///     .shards(1);
    /// let server = Server::new(config)?.start()?;
    /// assert_eq!(server.local_addrs().len(), 2);
    /// assert_eq!(server.local_addrs()[0], server.local_addr());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        let endpoints = self.endpoints.iter();
        endpoints.map(|endpoint| endpoint.address).collect()
    }

    /// The endpoints the shards listen on, their ports resolved.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The Unix sockets the shards listen on.
    pub fn unix_sockets(&self) -> impl Iterator<Item = &Path> {
        self.unix_files.iter().map(SocketFile::path)
    }

    /// The address of the control plane, if there is one.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.control.admin_addr()
    }

    /// The address of the HTTP API, if there is one.
    pub fn api_addr(&self) -> Option<SocketAddr> {
        self.control.api_addr()
    }

    /// The kernel interface in use.
    pub fn driver(&self) -> ResolvedDriver {
        self.driver
    }

    /// The counters of each shard.
    pub fn metrics(&self) -> &[Arc<ShardMetrics>] {
        &self.metrics
    }

    /// The sockets that a new process would need, for `HandOver::new`; `None` when they
    /// were taken before.
    pub fn take_hand_over_sockets(&mut self) -> Option<HandOverSockets> {
        self.hand_over_sockets.take()
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
        self.let_go_of_files();
        !self.handle.failed.load(Ordering::Relaxed)
    }
}

impl RunningServer {
    /// Leaves the files of the sockets to the process that has them now, if one has.
    fn let_go_of_files(&mut self) {
        if self.handle.lifecycle.take_over() == TakeOver::BY_NEW_PROCESS {
            self.unix_files.iter_mut().for_each(SocketFile::leave);
        }
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        self.let_go_of_files();
    }
}

/// The phase and counters of a server, readable from any thread.
#[derive(Debug, Clone)]
pub struct Vitals {
    metrics: Vec<Arc<ShardMetrics>>,
    handle: ServerHandle,
}

impl Vitals {
    /// The phase the server is in.
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

    /// The processes that have handed over to this one and still drain, and the
    /// sessions that they have left.
    pub fn predecessors(&self) -> (u64, u64) {
        let predecessors = self.handle.lifecycle.predecessors();
        (predecessors.processes(), predecessors.sessions())
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
