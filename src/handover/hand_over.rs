//! When a server is replaced, and what happens on the way.
//!
//! # Invariants worth naming
//!
//! - Whether the server stops or is replaced is decided under one lock. A stop
//!   that comes first ends the new process; one that comes after `go` drains this
//!   process and leaves the listeners, which are the new process's, alone.
//! - No request is lost: [`HandOver::begin`] starts, keeps or refuses it, and
//!   says which.
//! - Words for the log and the service manager come before the drain, because
//!   a server without sessions has drained, and its process ended, at once.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::guardian::Guardian;
use super::new_process::{HandOverError, NewProcess};
use super::predecessor::report;
use super::program::Program;
use super::sockets::HandOverSockets;
use crate::server::ServerHandle;
use crate::service::Service;
use crate::shutdown::Phase;
use crate::sys::{self, Signal};

/// Time a new process has until it could serve. Starting takes milliseconds; this
/// is for a host that is overloaded.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// A server's hand-overs: none, one under way, or the last.
#[derive(Debug)]
pub struct HandOver {
    handle: ServerHandle,
    service: Arc<Service>,
    origin: Origin,
    state: Mutex<State>,
}

/// The origin of this process: its program's file and its parent.
#[derive(Debug)]
pub struct Origin {
    program: Program,
    guardian: Option<Guardian>,
}

impl Origin {
    /// Looks at both. To be called first in a program: later the file may have
    /// been replaced, and the parent may have ended.
    pub fn of_this_process() -> Self {
        Origin {
            program: Program::running(),
            guardian: Guardian::of_this_process(),
        }
    }
}

#[derive(Debug)]
enum State {
    /// The sockets are this process's.
    Serving(HandOverSockets),
    /// A new process is being started.
    UnderWay {
        /// The link to it, once there is one.
        link: Option<UnixStream>,
        /// Whether another hand-over was asked for meanwhile.
        again: bool,
    },
    /// The process with this number has the sockets.
    Over(u32),
}

/// How a hand-over was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Begun {
    /// A new process is being started.
    Now,
    /// One is being started already, and another hand-over follows: with the
    /// program and the configuration as they will be then.
    AfterThisOne,
}

/// How a server was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stopped {
    /// It drains from now on.
    Now,
    /// It does, and the hand-over that was under way is given up.
    InsteadOfHandOver,
    /// It was draining already.
    Before,
}

/// Why there is no hand-over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The server is to stop.
    #[error("the server is draining")]
    Draining,
    /// Another process has taken over.
    #[error("process {0} has taken over from this one already; send the signal there")]
    Over(u32),
    /// The new process could not outlive this process, for this reason.
    #[error("{0}")]
    Guarded(String),
    /// There is no thread for it.
    #[error("no thread for it: {0}")]
    Thread(#[source] io::Error),
}

impl HandOver {
    /// The hand-overs of a server, of which `service` is to hear.
    pub fn new(
        handle: ServerHandle,
        sockets: HandOverSockets,
        service: Arc<Service>,
        origin: Origin,
    ) -> Arc<Self> {
        Arc::new(HandOver {
            handle,
            service,
            origin,
            state: Mutex::new(State::Serving(sockets)),
        })
    }

    /// Starts a new process and hands over to it when it is ready, on a thread of
    /// its own. If that fails, the log says why, and the server goes on.
    ///
    /// # Errors
    /// When no new process is started, now or later.
    pub fn begin(self: &Arc<Self>) -> Result<Begun, Refused> {
        let mut state = self.state();
        if let State::Over(new_process) = *state {
            return Err(Refused::Over(new_process));
        }
        if self.handle.phase() != Phase::Running {
            return Err(Refused::Draining);
        }
        if let Some(guardian) = &self.origin.guardian {
            return Err(Refused::Guarded(guardian.to_string()));
        }
        let begun = State::UnderWay {
            link: None,
            again: false,
        };
        match std::mem::replace(&mut *state, begun) {
            State::Serving(sockets) => {
                let started = self.start_thread(sockets);
                if let Err((sockets, refused)) = started {
                    *state = State::Serving(sockets);
                    return Err(refused);
                }
                Ok(Begun::Now)
            }
            State::UnderWay { link, .. } => {
                *state = State::UnderWay { link, again: true };
                Ok(Begun::AfterThisOne)
            }
            State::Over(new_process) => {
                *state = State::Over(new_process);
                Err(Refused::Over(new_process))
            }
        }
    }

    /// Hands the sockets over on a new thread, or gives it back.
    fn start_thread(
        self: &Arc<Self>,
        sockets: HandOverSockets,
    ) -> Result<(), (HandOverSockets, Refused)> {
        let hand_over = Arc::clone(self);
        // The sockets must come back when there is no thread.
        let parcel = Arc::new(Mutex::new(Some(sockets)));
        let carried = Arc::clone(&parcel);
        let thread = thread::Builder::new()
            .name("hand-over".to_owned())
            .spawn(move || {
                if let Some(sockets) = lock(&carried).take() {
                    hand_over.run(sockets);
                }
            });
        thread.map(drop).map_err(|error| {
            let sockets = lock(&parcel).take().expect("no thread has taken it");
            (sockets, Refused::Thread(error))
        })
    }

    /// Drains the server, which will have ended after this time, and tells the
    /// service manager. A hand-over that is under way is given up. `announce` is
    /// called before the drain begins, because a server without sessions may end
    /// at once.
    pub fn stop(&self, within: Duration, announce: impl FnOnce(Stopped)) {
        let state = self.state();
        self.service.stopping(within);
        announce(match &*state {
            State::UnderWay { .. } => Stopped::InsteadOfHandOver,
            State::Serving(_) if self.handle.phase() < Phase::Unready => Stopped::Now,
            State::Serving(_) | State::Over(_) => Stopped::Before,
        });
        match &*state {
            // If the thread that hands over has not come to it yet.
            State::Over(_) => self.handle.hand_over(),
            State::Serving(_) | State::UnderWay { .. } => {
                self.handle.drain();
            }
        }
        if let State::UnderWay {
            link: Some(link), ..
        } = &*state
        {
            // Gone already is as good.
            let _ = link.shutdown(Shutdown::Both);
        }
    }

    fn run(self: &Arc<Self>, sockets: HandOverSockets) {
        self.service.reloading();
        match self.hand_over(&sockets) {
            Ok(link) => {
                // Before any client could be told that this server is draining.
                if let Some(control) = &sockets.control {
                    (control.retire)();
                }
                self.handle.hand_over();
                if let Ok(link) = link {
                    report(&self.handle, &link);
                }
            }
            Err(error) => {
                if self.give_up(&error, sockets) {
                    tracing::info!("starting the new process that was asked for meanwhile");
                    if let Err(refused) = self.begin() {
                        tracing::warn!("no hand-over: {refused}");
                    }
                }
            }
        }
    }

    /// Starts a new process and says `go` to it, unless the server is to stop.
    /// Returns the link to it.
    fn hand_over(
        &self,
        sockets: &HandOverSockets,
    ) -> Result<io::Result<UnixStream>, HandOverError> {
        let mut new_process = NewProcess::start(&self.origin.program, sockets)?;
        if let State::UnderWay { link, .. } = &mut *self.state() {
            *link = new_process.link().ok();
        }
        if self.handle.phase() != Phase::Running {
            return Err(HandOverError::Ended(None));
        }
        new_process.wait_until_ready(READY_TIMEOUT)?;
        let mut state = self.state();
        if self.handle.phase() != Phase::Running {
            return Err(HandOverError::Ended(None));
        }
        let again = matches!(*state, State::UnderWay { again: true, .. });
        let (new_process, link) = new_process.go()?;
        *state = State::Over(new_process);
        // All of this under the lock: a stop could end the process before it.
        tracing::info!("process {new_process} has taken over; draining");
        self.service.handed_over_to(new_process);
        if again {
            pass_on(new_process);
        }
        Ok(link)
    }

    /// Takes the sockets back after a hand-over that has failed. Returns whether
    /// another one is to follow.
    fn give_up(&self, error: &HandOverError, sockets: HandOverSockets) -> bool {
        let mut state = self.state();
        let again = matches!(*state, State::UnderWay { again: true, .. });
        *state = State::Serving(sockets);
        if self.handle.phase() == Phase::Running {
            tracing::error!("the hand-over failed: {error}; this process goes on");
            self.service.goes_on();
            again
        } else {
            // The stop of the server has been logged already.
            false
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// Sends the request for another hand-over to the process that serves now.
fn pass_on(new_process: u32) {
    let signal = Signal::User2;
    match sys::send_signal(new_process, signal) {
        Ok(()) => tracing::info!("{signal} came twice; process {new_process} gets the second"),
        Err(error) => {
            tracing::error!("{signal} came twice; process {new_process} cannot get it: {error}");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
