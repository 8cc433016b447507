//! Reading the configuration again in a server that runs (SIGHUP).
//!
//! The rows of the table of settings say which settings can change then; the others
//! are fixed when the shards start, and take a hand-over.

use std::env;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::cli::{self, Change, Command, ServeOptions};
use crate::log;
use crate::server::{Server, ServerHandle};
use crate::sys::Signal;

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
    /// makes its reader wait. The log says what came of it.
    pub(super) fn begin(self: &Arc<Self>, signal: Signal, server: &ServerHandle) {
        let mut progress = lock(&self.progress);
        if *progress != Progress::Idle {
            *progress = Progress::ReadingTwice;
            tracing::info!("{signal}: the configuration is being read, and is read once more then");
            return;
        }
        let (reload, server) = (Arc::clone(self), server.clone());
        let thread = thread::Builder::new()
            .name("reload".to_owned())
            .spawn(move || {
                loop {
                    reload.run(signal, &server);
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

    fn run(&self, signal: Signal, server: &ServerHandle) {
        let applied = read().and_then(|options| {
            server.reload(&options.config)?;
            Ok(options)
        });
        match applied {
            Ok(options) => self.apply(signal, &options),
            Err(error) => tracing::error!(
                "{signal}: every setting stays as it is, because the configuration cannot stand: \
                 {error}"
            ),
        }
    }

    /// Says what the server has taken up and what it could not, and sets the level of
    /// the log.
    fn apply(&self, signal: Signal, options: &ServeOptions) {
        let mut current = lock(&self.current);
        let changes = options.changed_from(&current);
        let (before, after) = (current.log_level, options.log_level);
        // The line is to be seen under whichever level lets it through.
        if after > before {
            log::set_level(after);
        }
        let (taken, left): (Vec<_>, Vec<_>) = changes.iter().partition(|change| change.is_live);
        let is_named = |key: &String| {
            let table = key.strip_suffix(".token").unwrap_or("topics");
            taken.iter().any(|change| change.key == table)
        };
        let keys = options.token_keys().into_iter();
        let read: Vec<_> = keys.filter(|key| !is_named(key)).collect();
        let mut taken: Vec<_> = taken.into_iter().map(in_force).collect();
        let changed = !taken.is_empty();
        for key in read {
            taken.push(format!("the key of {key} was read again"));
        }
        if options.config.api.is_some() && options.config.api_key_file.is_some() {
            taken.push("the keys of api_key_file were read again".to_owned());
        }
        if !changed && left.is_empty() {
            taken.push("no setting has changed".to_owned());
        }
        let left: Vec<_> = left.into_iter().map(not_in_force).collect();
        match (changed, left.is_empty()) {
            (false, true) => tracing::info!(
                "{signal}: the configuration was read again; {}",
                taken.join("; ")
            ),
            (true, true) => tracing::info!("{signal}: {}", taken.join("; ")),
            (_, false) => {
                let taken: String = taken.iter().map(|taken| format!("{taken}; ")).collect();
                tracing::warn!(
                    "{signal}: {taken}not applied, because these take a hand-over (SIGUSR2) or a \
                     restart: {}",
                    left.join(", ")
                );
            }
        }
        if after < before {
            log::set_level(after);
        }
        current.take_up(options);
    }
}

/// A change that counts from now on.
fn in_force(change: &Change) -> String {
    match &change.values {
        Some([before, after]) => format!("{} is {after} from now on, not {before}", change.key),
        None => format!("{} is as configured from now on", change.key),
    }
}

/// A change that does not count yet.
fn not_in_force(change: &Change) -> String {
    match &change.values {
        Some([before, after]) => format!("{} (stays {before}, configured is {after})", change.key),
        None => change.key.clone(),
    }
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
