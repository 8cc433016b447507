//! The `corecast-baseline` binary: a runtime around [`corecast_baseline::Server`].

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use corecast_baseline::Server;
use corecast_baseline::cli::Options;
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Time the sessions have to be dropped at the end.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until SIGTERM or SIGINT.
fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    // One descriptor per connection. If the limit stays too low,
    // `accept_pauses` shows it.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = options.threads {
        builder.worker_threads(threads.get());
    }
    let runtime = builder.enable_all().build()?;
    let stopped = runtime.block_on(async {
        // Before the address is printed, so that no signal comes too early.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let server = Server::bind(options.listen, options.style)?;
        println!("listening on ws://{}", server.local_addr());
        // A task, because the future given to block_on runs outside of the workers.
        let serving = tokio::spawn(server.run());
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
            ended = serving => ended.map_err(Into::into),
        }
    });
    runtime.shutdown_timeout(SHUTDOWN_LIMIT);
    stopped
}
