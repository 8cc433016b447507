//! The control plane: metrics, health and statistics over HTTP, on one
//! ordinary thread apart from the shards. The HTTP API for backends, if there is one, is
//! served on the same thread, at an address of its own.
//!
//! # Invariants worth naming
//!
//! - It cannot stall a shard: all that the pages do to one is to load atomics, and the
//!   HTTP API speaks to shards over a ring that is as bounded as those between them.
//! - It is bounded: so many connections, so long for a request's head, so long
//!   for a connection. Past that a client waits or is cut off, never the server.
//! - The address is bound before a server has started, so that a busy port is an
//!   error at start-up and not a line in a log.

mod balance;
mod connections;
mod exposition;
mod fields;
mod format;
mod pages;
mod process;
mod stats;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use axum::Router;
use tokio::runtime;
use tokio::sync::{oneshot, watch};

#[cfg(feature = "api")]
pub use crate::api::ApiMetrics;
use crate::config::Steer;
use crate::metrics::ShardMetrics;
use crate::shutdown::Lifecycle;
pub(crate) use connections::Limits;
#[cfg(feature = "api")]
pub(crate) use connections::Peer;

/// How long the end of the thread is waited for.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// The state of a server that the control plane can see.
#[derive(Debug, Clone)]
pub struct ServerView {
    /// The counters of each shard, by its number.
    pub shards: Vec<Arc<ShardMetrics>>,
    /// The phase the server is in.
    pub lifecycle: Arc<Lifecycle>,
    /// The facts that do not change while it runs.
    pub info: ServerInfo,
    /// The counters of the HTTP API, if there is one.
    #[cfg(feature = "api")]
    pub api: Option<Arc<ApiMetrics>>,
}

/// The facts about a server that do not change while it runs.
#[derive(Debug, Clone)]
pub struct ServerInfo {
    /// The version of corecast.
    pub version: &'static str,
    /// The kernel interface in use, as in `uring`.
    pub driver: String,
    /// Which shard a connection is given to, as the kernel does it.
    pub steer: Steer,
    /// The number of shards.
    pub shards: usize,
    /// The addresses WebSocket connections are accepted on, their ports resolved; at
    /// least one.
    pub endpoints: Vec<SocketAddr>,
    /// When the server was started.
    pub started: Instant,
}

/// A running control plane. It stops when this is dropped.
#[derive(Debug)]
pub struct ControlHandle {
    /// Kept for a new process, until they are asked for.
    listeners: Vec<TcpListener>,
    begin: Option<oneshot::Sender<()>>,
    retire: Arc<watch::Sender<bool>>,
    /// Told when it has stopped accepting.
    has_left: Arc<Mutex<mpsc::Receiver<()>>>,
    /// Dropping it is the signal to stop.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Closed by the thread's end.
    ended: mpsc::Receiver<()>,
}

/// Something that is served over HTTP on the thread of the control plane.
pub(crate) struct HttpService {
    /// Its name in the log.
    pub(crate) name: &'static str,
    pub(crate) listener: TcpListener,
    pub(crate) router: Router,
    pub(crate) limits: Limits,
}

impl HttpService {
    /// The pages of the control plane.
    pub(crate) fn pages(listener: TcpListener, view: ServerView) -> Self {
        HttpService {
            name: "the control plane",
            listener,
            router: pages::router(view),
            limits: Limits::default(),
        }
    }
}

impl ControlHandle {
    /// The address of the first service, its port resolved.
    #[cfg(test)]
    pub fn local_addr(&self) -> SocketAddr {
        self.listeners[0].local_addr().expect("it listens")
    }

    /// Lets it accept.
    pub(crate) fn begin(&mut self) {
        if let Some(begin) = self.begin.take() {
            let _ = begin.send(());
        }
    }

    /// A second hold on its listeners, for a new process; once.
    pub(crate) fn take_listeners(&mut self) -> Vec<TcpListener> {
        std::mem::take(&mut self.listeners)
    }

    /// Makes it stop accepting, in favour of a new process that has its listeners too,
    /// and waits until it has; but not for ever. A client that keeps its connection
    /// open is told to close it with the next answer, and so reaches the new process.
    pub(crate) fn retirement(&self) -> Box<dyn Fn() + Send> {
        let (retire, has_left) = (Arc::clone(&self.retire), Arc::clone(&self.has_left));
        Box::new(move || {
            retire.send_replace(true);
            if let Ok(has_left) = has_left.lock() {
                let _ = has_left.recv_timeout(LAST_WAIT);
            }
        })
    }

    /// Closes the listener and every connection, and waits for the thread to
    /// end; but not for ever, as a thread that hangs must not keep a server
    /// that has drained.
    #[cfg(test)]
    pub fn stop(self) {}
}

impl Drop for ControlHandle {
    fn drop(&mut self) {
        self.stop.take();
        if self.ended.recv_timeout(LAST_WAIT) == Err(mpsc::RecvTimeoutError::Timeout) {
            tracing::warn!("the control plane hangs and is left behind");
            return;
        }
        if let Some(thread) = self.thread.take() {
            // A panic of that thread has been reported by its hook already.
            let _ = thread.join();
        }
    }
}

/// Binds the address of a service, which a flag sets.
///
/// # Errors
///
/// The address cannot be bound; the message names it and the remedy.
pub(crate) fn bind(name: &str, flag: &str, address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).map_err(|cause| explain(name, flag, address, &cause))
}

/// Starts the control plane on a thread of its own.
///
/// # Errors
///
/// The address cannot be bound (the message names it and the remedy), or the
/// thread or its runtime cannot be had.
#[cfg(test)]
pub fn spawn(address: SocketAddr, view: ServerView) -> io::Result<ControlHandle> {
    let listener = bind("the control plane", "--admin", address)?;
    let mut control = prepare(vec![HttpService::pages(listener, view)])?;
    control.begin();
    Ok(control)
}

/// Makes everything that the services need, so that nothing can fail any more when they
/// are to [begin](ControlHandle::begin). There is one at least.
///
/// # Errors
///
/// The thread or its runtime cannot be had.
pub(crate) fn prepare(services: Vec<HttpService>) -> io::Result<ControlHandle> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut listeners, mut serving) = (Vec::new(), Vec::new());
    for service in services {
        service.listener.set_nonblocking(true)?;
        listeners.push(service.listener.try_clone()?);
        serving.push({
            let _entered = runtime.enter();
            connections::Service::new(service)?
        });
    }
    let (begin, begun) = oneshot::channel::<()>();
    let (stop, stopped) = oneshot::channel::<()>();
    let (retire, retired) = watch::channel(false);
    let (ends, ended) = mpsc::channel();
    let (left, has_left) = mpsc::channel();
    let thread = thread::Builder::new()
        .name("control".to_owned())
        .spawn(move || {
            let _ends: mpsc::Sender<()> = ends;
            // The runtime is dropped at the end and takes the open connections with it.
            runtime.block_on(async {
                let life = async {
                    if begun.await.is_ok() {
                        let serve = |service| connections::serve(service, retired.clone());
                        let services: Vec<_> =
                            serving.into_iter().map(serve).map(tokio::spawn).collect();
                        for service in services {
                            // A panic has been reported by its hook.
                            let _ = service.await;
                        }
                        let _: Result<(), _> = left.send(());
                    }
                    // Connections live on, and so do the clients that asked on them.
                    std::future::pending::<()>().await;
                };
                tokio::select! {
                    () = life => {}
                    _ = stopped => {}
                }
            });
        })
        .map_err(|cause| {
            let remedy = "raise the limit on threads with 'ulimit -u' (TasksMax= in a unit, pids.max of a \
                          container), or use --admin off";
            io::Error::new(cause.kind(), format!("no thread for the control plane: {cause}; {remedy}"))
        })?;
    Ok(ControlHandle {
        listeners,
        begin: Some(begin),
        retire: Arc::new(retire),
        has_left: Arc::new(Mutex::new(has_left)),
        stop: Some(stop),
        thread: Some(thread),
        ended,
    })
}

/// Says what failed, the likely cause and what to do about it.
fn explain(name: &str, flag: &str, address: SocketAddr, cause: &io::Error) -> io::Error {
    let port = address.port();
    let remedy = match cause.kind() {
        io::ErrorKind::AddrInUse => format!(
            "another program has it (see: ss -ltnp 'sport = :{port}'); choose another with {flag} ADDR, or {flag} off"
        ),
        io::ErrorKind::AddrNotAvailable => format!(
            "this host has no such address (see: ip -brief address); choose another with {flag} ADDR"
        ),
        io::ErrorKind::PermissionDenied => {
            format!("port {port} is privileged; choose one from 1024 up with {flag} ADDR")
        }
        _ => format!("choose another with {flag} ADDR, or {flag} off"),
    };
    io::Error::new(
        cause.kind(),
        format!("{name} cannot listen on {address}: {cause}; {remedy}"),
    )
}
