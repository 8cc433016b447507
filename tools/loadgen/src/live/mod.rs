//! A run to watch in a browser while it goes on.
//!
//! # Invariants worth naming
//!
//! - It cannot slow a run: to publish is to clone an outcome into an [`Arc`].
//!   Rendering and serving happen on this module's own thread, and only on
//!   request.
//! - A published outcome is rendered at most once, however many watch.
//! - The address is bound before [`LivePage::start`] returns, so that a busy
//!   port is an error at start-up.
//! - Readers that watched when the run ended have its last state: on dropping, the
//!   thread waits for a moment while there is a reader, and the page keeps its
//!   contents.

mod pages;
mod state;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime;
use tokio::sync::oneshot;

use crate::outcome::Outcome;
use state::State;

/// A page asks once a second. A reader that has not asked for this long has gone.
const GONE_AFTER: Duration = Duration::from_secs(3);
/// How long a page that is watched is served beyond the end of the run.
const FAREWELL: Duration = Duration::from_millis(1_500);

/// A page that shows a run while it goes on. Dropping it declares the run
/// finished and stops serving.
#[derive(Debug)]
pub struct LivePage {
    address: SocketAddr,
    state: Arc<State>,
    /// Dropping it is the signal to stop.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Why a page cannot be served.
#[derive(Debug)]
pub struct LiveError {
    address: SocketAddr,
    cause: io::Error,
}

impl fmt::Display for LiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LiveError { address, cause } = self;
        write!(f, "the live page cannot be served on {address}: {cause}")?;
        let port = address.port();
        match cause.kind() {
            io::ErrorKind::AddrInUse => write!(
                f,
                "; another program has it (see: ss -ltnp 'sport = :{port}'), choose another port, or 0 for a free one"
            ),
            io::ErrorKind::AddrNotAvailable => f.write_str(
                "; this host has no such address (see: ip -brief address), choose another",
            ),
            io::ErrorKind::PermissionDenied => {
                write!(f, "; port {port} is privileged, choose one from 1024 up")
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for LiveError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

impl LivePage {
    /// Serves on `address`; port 0 takes a free one. Until the first outcome
    /// is published the page says that there is none.
    ///
    /// # Errors
    ///
    /// The address cannot be bound, or the thread or its runtime cannot be had.
    pub fn start(address: SocketAddr) -> Result<LivePage, LiveError> {
        LivePage::serve(address).map_err(|cause| LiveError { address, cause })
    }

    fn serve(address: SocketAddr) -> io::Result<LivePage> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let state = Arc::new(State::default());
        let router = pages::router(Arc::clone(&state));
        let (stop, stopped) = oneshot::channel::<()>();
        let watched = Arc::clone(&state);
        let thread = thread::Builder::new()
            .name("live".to_owned())
            .spawn(move || {
                // The runtime is dropped at the end and takes the open connections with it.
                runtime.block_on(async {
                    let server = tokio::spawn(axum::serve(listener, router).into_future());
                    // An error of it means that the sender was dropped: the signal.
                    let _ = stopped.await;
                    if watched.is_watched(GONE_AFTER) {
                        tokio::time::sleep(FAREWELL).await;
                    }
                    server.abort();
                });
            })?;
        Ok(LivePage {
            address,
            state,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The address it is served on, its port resolved.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Shows this outcome from now on. It costs a clone.
    pub fn publish(&self, outcome: &Outcome) {
        self.state.publish(outcome.clone());
    }

    /// The outcome that was published last is final: the page gives its verdict
    /// and says that the run has finished. It is served until this is dropped.
    pub fn finish(&self) {
        self.state.finish();
    }
}

impl Drop for LivePage {
    fn drop(&mut self) {
        self.finish();
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A panic of that thread has been reported by its hook already.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
