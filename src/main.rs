//! The `corecast` binary: reads what was typed, runs a server, ends it on a signal.

use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;

use corecast::cli::{self, Command, ServeOptions};
use corecast::error::StartError;
use corecast::log;
use corecast::server::{Server, ServerHandle};
use corecast::sys::{self, StopSignals};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::parse() {
        Command::PrintConfig(text) => print(&text),
        #[cfg(feature = "doctor")]
        Command::Plan { question, json } => plan(&question, json),
        Command::Serve(options) => serve(options),
        #[cfg(feature = "doctor")]
        Command::Doctor(options) => doctor(&options),
    }
}

fn print(text: &str) -> ExitCode {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where this fails too there is nobody left to tell.
            let _ = writeln!(
                io::stderr(),
                "error: cannot write to standard output: {error}"
            );
            ExitCode::FAILURE
        }
    }
}

/// Prints the budget; the exit code says whether what was given is enough.
#[cfg(feature = "doctor")]
fn plan(question: &corecast::plan::Question, json: bool) -> ExitCode {
    let plan = corecast::plan::Plan::of(question);
    let text = if json { plan.json() } else { plan.table() };
    match print(&text) {
        ExitCode::SUCCESS if !plan.problems.is_empty() => ExitCode::FAILURE,
        printed => printed,
    }
}

#[cfg(feature = "doctor")]
fn doctor(options: &cli::DoctorOptions) -> ExitCode {
    match options.run(&corecast::host::Root::default()) {
        Ok((text, fits)) => match print(&text) {
            ExitCode::SUCCESS if !fits => ExitCode::FAILURE,
            code => code,
        },
        Err(problem) => {
            // Where this fails too there is nobody left to tell.
            let _ = writeln!(io::stderr(), "error: {problem}");
            ExitCode::from(2)
        }
    }
}

fn serve(options: ServeOptions) -> ExitCode {
    log::init(options.log, options.log_level);
    sys::use_small_pages();
    // Before any thread is started, so that all of them hold the signals back.
    let signals = match StopSignals::block() {
        Ok(signals) => signals,
        Err(error) => return fail(&error),
    };
    let shards = options.config.shards;
    let server = match Server::new(options.config).and_then(Server::start) {
        Ok(server) => server,
        Err(error) => return fail(&error),
    };
    let address = server.local_addr();
    tracing::info!(
        driver = server.driver().as_str(),
        shards,
        "listening on ws://{address}"
    );
    tracing::info!("open http://{address}/ in two browser windows to chat");
    if let Some(admin) = server.admin_addr() {
        tracing::info!("metrics and health on http://{admin}/");
    }
    let handle = server.handle();
    let waiting = thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || drain_on_signals(&signals, &handle));
    if let Err(error) = waiting {
        return fail(&StartError::Thread(error));
    }
    let drained = server.wait();
    tracing::info!("stopped");
    if drained {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The first signal drains the server, the second makes it hurry.
fn drain_on_signals(signals: &StopSignals, handle: &ServerHandle) {
    loop {
        let signal = signals.wait();
        if handle.drain() {
            tracing::info!("{signal}: draining; a second signal closes all sessions at once");
        } else {
            tracing::info!("{signal}: closing all sessions now");
            handle.hurry();
        }
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    tracing::error!("{error}");
    ExitCode::FAILURE
}
