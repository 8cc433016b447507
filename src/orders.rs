//! The orders that signals give a server. `docs/deployment.md` lists them all.
//!
//! # Invariants worth naming
//!
//! - Signals are waited for from the first moment on. One that comes while the
//!   server starts is kept until it has started. A new process that is told to stop
//!   gives its place back to the old process, and a second signal to stop ends a
//!   start that hangs.
//! - Each signal leaves one line in the log that says what came of it.
//! - Nothing here waits for anything but the next signal: a file that cannot be
//!   read holds up a reload, and no stop.

mod reload;

use std::io;
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use self::reload::Reload;
use crate::cli::ServeOptions;
use crate::config::show_time;
use crate::handover::{Begun, HandOver, Refusal, Stopped};
use crate::server::ServerHandle;
use crate::sys::{Signal, StopSignals};

/// Obeys signals, on a thread of its own.
#[derive(Debug)]
pub struct Orders {
    stage: Mutex<Stage>,
    reload: Arc<Reload>,
}

#[derive(Debug)]
enum Stage {
    Starting {
        /// A way back to the old process, if this is a new process.
        refusal: Option<Refusal>,
        /// The signals that have come meanwhile.
        kept: Vec<Signal>,
    },
    Running(Running),
}

#[derive(Debug)]
struct Running {
    handle: ServerHandle,
    hand_over: Arc<HandOver>,
    /// The time before a drain.
    drain_delay: Duration,
    /// The time after which a drain is over.
    drain_time: Duration,
    stop_requested: bool,
}

impl Orders {
    /// Obeys signals from now on, for a server that will have these options, and
    /// that replaces another one if there is something to refuse.
    ///
    /// # Errors
    /// When there is no thread.
    pub fn wait_for(
        signals: StopSignals,
        options: ServeOptions,
        refusal: Option<Refusal>,
    ) -> io::Result<Arc<Self>> {
        let kept = Vec::new();
        let orders = Arc::new(Orders {
            stage: Mutex::new(Stage::Starting { refusal, kept }),
            reload: Arc::new(Reload::new(options)),
        });
        let obeying = Arc::clone(&orders);
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                loop {
                    obeying.obey(signals.wait());
                }
            })?;
        Ok(orders)
    }

    /// The server has started. Asked to stop it is unready for `drain_delay`, and has
    /// drained after `drain_time` from the signal on.
    pub fn started(
        &self,
        handle: ServerHandle,
        hand_over: Arc<HandOver>,
        drain_delay: Duration,
        drain_time: Duration,
    ) {
        let mut running = Running {
            handle,
            hand_over,
            drain_delay,
            drain_time,
            stop_requested: false,
        };
        let mut stage = self.stage();
        if let Stage::Starting { kept, .. } = &mut *stage {
            for signal in std::mem::take(kept) {
                running.obey(signal, &self.reload);
            }
        }
        *stage = Stage::Running(running);
    }

    fn obey(&self, signal: Signal) {
        match &mut *self.stage() {
            Stage::Running(running) => running.obey(signal, &self.reload),
            Stage::Starting { refusal, kept } => {
                if stops(signal) && kept.iter().any(|kept| stops(*kept)) {
                    tracing::error!("{signal}: ending before the server has started");
                    process::exit(1);
                }
                if stops(signal) && refusal.as_ref().is_some_and(Refusal::refuse) {
                    tracing::info!(
                        "{signal}: this process does not take over and ends; the one before goes on"
                    );
                } else if stops(signal) {
                    tracing::info!(
                        "{signal}: kept until the server has started; a second signal ends it now"
                    );
                } else {
                    tracing::info!("{signal}: kept until the server has started");
                }
                // For the server that has taken over before it could refuse.
                kept.push(signal);
            }
        }
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a signal asks a server to stop.
fn stops(signal: Signal) -> bool {
    matches!(
        signal,
        Signal::Interrupt
            | Signal::Terminate
            | Signal::Quit
            | Signal::PowerFailure
            | Signal::ProcessorTime
    )
}

impl Running {
    fn obey(&mut self, signal: Signal, reload: &Arc<Reload>) {
        match signal {
            Signal::User2 => self.replace(signal),
            Signal::HangUp => reload.begin(signal, &self.handle),
            Signal::User1 => tracing::info!(
                "{signal}: nothing to reopen, the log goes to standard error and not to a file"
            ),
            // The kernel repeats it every second.
            Signal::ProcessorTime if self.stop_requested => {}
            Signal::ProcessorTime => {
                tracing::error!("{signal}: the limit on processor time (RLIMIT_CPU) is reached");
                self.stop(signal);
            }
            stop if self.stop_requested => {
                tracing::info!("{stop}: closing all sessions now");
                self.handle.hurry();
            }
            stop => self.stop(stop),
        }
    }

    fn replace(&self, signal: Signal) {
        match self.hand_over.begin() {
            Ok(Begun::Now) => tracing::info!("{signal}: starting a new process"),
            Ok(Begun::AfterThisOne) => tracing::info!(
                "{signal}: a hand-over is under way already, and another one follows it"
            ),
            Err(refused) => tracing::error!("{signal}: no hand-over: {refused}"),
        }
    }

    /// The first signal to stop drains the server, the second makes it hurry.
    fn stop(&mut self, signal: Signal) {
        self.stop_requested = true;
        let delay = show_time(self.drain_delay);
        let has_delay = !self.drain_delay.is_zero();
        self.hand_over.stop(self.drain_time, |stopped| {
            let what = match stopped {
                Stopped::Now if has_delay => {
                    &format!("unready for {delay}, in which health checks fail, then draining")
                }
                Stopped::Now => "draining",
                Stopped::InsteadOfHandOver if has_delay => &format!(
                    "giving up the hand-over that is under way; unready for {delay}, then draining"
                ),
                Stopped::InsteadOfHandOver => {
                    "giving up the hand-over that is under way, and draining"
                }
                Stopped::Before => "draining already",
            };
            tracing::info!("{signal}: {what}; a second signal closes all sessions at once");
        });
    }
}
