//! When a server is replaced, and what happens on the way.

use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::successor::{Estate, HandOverError, Successor};
use crate::server::ServerHandle;
use crate::service::Service;
use crate::shutdown::Phase;

/// Time a successor has until it could serve. Starting takes milliseconds; this
/// is for a host that is overloaded.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// A server's successions: none, one under way, or the last.
#[derive(Debug)]
pub struct Succession {
    handle: ServerHandle,
    service: Arc<Service>,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// The estate is ours.
    Serving(Estate),
    /// A successor is being started. The link to it, once there is one.
    UnderWay(Option<UnixStream>),
    /// Another process has the estate.
    Over,
}

impl Succession {
    /// The successions of a server, of which `service` is to hear.
    pub fn new(handle: ServerHandle, estate: Estate, service: Arc<Service>) -> Arc<Self> {
        Arc::new(Succession {
            handle,
            service,
            state: Mutex::new(State::Serving(estate)),
        })
    }

    /// Starts a successor and hands over to it when it is ready, on a thread of
    /// its own. If that cannot be, says why in the log, and the server goes on.
    pub fn begin(self: &Arc<Self>) {
        if process::id() == 1 {
            tracing::error!(
                "no hand-over: this is process 1 of its container, and a successor would end with \
                 it; run it under an init (docker run --init), or start another container beside it"
            );
            return;
        }
        let mut state = self.state();
        if self.handle.phase() != Phase::Running {
            tracing::warn!("no hand-over: the server is draining");
            return;
        }
        let estate = match std::mem::replace(&mut *state, State::UnderWay(None)) {
            State::Serving(estate) => estate,
            before => {
                *state = before;
                tracing::warn!("no hand-over: one is under way already");
                return;
            }
        };
        drop(state);
        let succession = Arc::clone(self);
        // The estate must come back when there is no thread.
        let parcel = Arc::new(Mutex::new(Some(estate)));
        let carried = Arc::clone(&parcel);
        let thread = thread::Builder::new()
            .name("hand-over".to_owned())
            .spawn(move || {
                if let Some(estate) = lock(&carried).take() {
                    succession.run(estate);
                }
            });
        if let Err(error) = thread {
            tracing::error!(
                "the hand-over failed: no thread for it: {error}; this process goes on"
            );
            if let Some(estate) = lock(&parcel).take() {
                *self.state() = State::Serving(estate);
            }
        }
    }

    /// Ends a hand-over that is under way, as when the server is to stop.
    pub fn abandon(&self) {
        if let State::UnderWay(Some(link)) = &*self.state() {
            // Gone already is as good.
            let _ = link.shutdown(Shutdown::Both);
        }
    }

    /// Whether another process serves now.
    pub fn is_over(&self) -> bool {
        matches!(*self.state(), State::Over)
    }

    fn run(&self, estate: Estate) {
        self.service.reloading();
        match self.hand_over(&estate) {
            Ok(successor) => {
                self.service.handed_over_to(successor);
                *self.state() = State::Over;
                // Before anybody could be told that this server is draining.
                if let Some(admin) = &estate.admin {
                    (admin.retire)();
                }
                self.handle.hand_over();
                tracing::info!("process {successor} has taken over; draining");
            }
            Err(error) => {
                if self.handle.phase() == Phase::Running {
                    tracing::error!("the hand-over failed: {error}; this process goes on");
                } else {
                    tracing::info!("the hand-over was given up, because the server stops");
                }
                *self.state() = State::Serving(estate);
                if self.handle.phase() == Phase::Running {
                    self.service.goes_on();
                }
            }
        }
    }

    fn hand_over(&self, estate: &Estate) -> Result<u32, HandOverError> {
        let mut successor = Successor::start(estate)?;
        *self.state() = State::UnderWay(successor.link().ok());
        if self.handle.phase() != Phase::Running {
            return Err(HandOverError::Ended(None));
        }
        successor.wait_until_ready(READY_TIMEOUT)?;
        successor.go()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
