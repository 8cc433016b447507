//! Reading the configuration again in a server that runs (SIGHUP).
//!
//! The level of the log is the one setting that can change then; everything
//! else is fixed when the shards start, and takes a hand-over.

use std::env;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tracing::level_filters::LevelFilter;

use crate::cli::{self, Command, ServeOptions};
use crate::log;
use crate::server::Server;
use crate::sys::Signal;

/// The key of the setting that can change in a running server.
const LOG_LEVEL: &str = "log_level";

/// Reads the configuration again, as often as it is asked.
#[derive(Debug)]
pub(super) struct Reload {
    /// The options that count.
    current: Mutex<ServeOptions>,
    progress: Mutex<Progress>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Idle,
    /// A thread reads the configuration.
    Reading,
    /// It reads it once more after that, because it was asked to meanwhile.
    ReadingTwice,
}

impl Reload {
    /// For a server with these options.
    pub(super) fn new(current: ServeOptions) -> Self {
        Reload {
            current: Mutex::new(current),
            progress: Mutex::new(Progress::Idle),
        }
    }

    /// Reads the configuration on a thread of its own: its file may be one that
    /// makes its reader wait. What came of it is told in the log.
    pub(super) fn begin(self: &Arc<Self>, signal: Signal) {
        let mut progress = lock(&self.progress);
        if *progress != Progress::Idle {
            *progress = Progress::ReadingTwice;
            tracing::info!("{signal}: the configuration is being read, and is read once more then");
            return;
        }
        let reload = Arc::clone(self);
        let thread = thread::Builder::new()
            .name("reload".to_owned())
            .spawn(move || {
                loop {
                    reload.run(signal);
                    let mut progress = lock(&reload.progress);
                    if *progress != Progress::ReadingTwice {
                        *progress = Progress::Idle;
                        return;
                    }
                    *progress = Progress::Reading;
                }
            });
        match thread {
            Ok(_) => *progress = Progress::Reading,
            Err(error) => {
                tracing::error!(
                    "{signal}: every setting stays as it is: no thread to read: {error}"
                );
            }
        }
    }

    fn run(&self, signal: Signal) {
        match read() {
            Ok(options) => self.apply(signal, &options),
            Err(error) => tracing::error!(
                "{signal}: every setting stays as it is, because the configuration cannot stand: \
                 {error}"
            ),
        }
    }

    /// Applies what can be applied, and says what could not.
    fn apply(&self, signal: Signal, options: &ServeOptions) {
        let mut current = lock(&self.current);
        let differing = options.differing(&current);
        let (level, rest): (Vec<_>, Vec<_>) = differing.iter().partition(|key| *key == LOG_LEVEL);
        let (before, after) = (current.log_level, options.log_level);
        // The line is to be seen under whichever level lets it through.
        if after > before {
            log::set_level(after);
        }
        match (level.is_empty(), rest.is_empty()) {
            (true, true) => {
                tracing::info!(
                    "{signal}: the configuration was read again; no setting has changed"
                );
            }
            (false, true) => tracing::info!("{signal}: {}", changed(after)),
            (unchanged, false) => {
                let rest: Vec<_> = rest.into_iter().map(String::as_str).collect();
                let applied = if unchanged {
                    String::new()
                } else {
                    format!("{}; ", changed(after))
                };
                tracing::warn!(
                    "{signal}: {applied}not applied, because these take a hand-over (SIGUSR2) or a \
                     restart: {}",
                    rest.join(", ")
                );
            }
        }
        if after < before {
            log::set_level(after);
        }
        current.log_level = after;
    }
}

fn changed(level: LevelFilter) -> String {
    format!("{LOG_LEVEL} is {level} from now on")
}

/// Reads what this process was started with, its configuration file as it is
/// now, and looks whether a server could be made of it.
fn read() -> Result<ServeOptions, Box<dyn Error>> {
    let command = cli::try_parse_from(env::args_os(), &|name| env::var_os(name))?;
    let Command::Serve(options) = command else {
        return Err("it is not that of a server".into());
    };
    Server::new(options.config.clone())?;
    Ok(options)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
