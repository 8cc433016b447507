//! The `corecast` binary: reads what was typed, runs a server, ends it on a signal.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use corecast::cli::{self, Command, ServeOptions};
use corecast::handover::{HandOver, Inherited, Origin};
use corecast::orders::Orders;
use corecast::service::Service;
use corecast::{Endpoint, Server, StartError, StopSignals, log, sys};
use corecast_host::plan::{Plan, Question};
use corecast_host::{Root, Settings};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    StopSignals::let_through();
    match cli::parse() {
        Command::PrintConfig(text) | Command::Print(text) => print(&text),
        Command::Check(options) => check(options),
        Command::Health(health) => health_of(&health),
        Command::Plan { question, json } => plan(&question, json),
        Command::Serve(options) => serve(options),
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
            // If this fails too, no way is left to report it.
            let _ = writeln!(
                io::stderr(),
                "error: cannot write to standard output: {error}"
            );
            ExitCode::FAILURE
        }
    }
}

/// Prints the budget; the exit code says whether what was given is enough.
fn plan(question: &Question, json: bool) -> ExitCode {
    let plan = Plan::of(question, &Settings::from(&ServeOptions::default().config));
    let text = if json { plan.json() } else { plan.table() };
    match print(&text) {
        ExitCode::SUCCESS if !plan.problems.is_empty() => ExitCode::FAILURE,
        printed => printed,
    }
}

/// Does all that a start does but listen, and says whether one could follow.
fn check(options: ServeOptions) -> ExitCode {
    log::init(options.log, options.log_level);
    sys::use_small_pages();
    for note in &options.notes {
        tracing::warn!("{note}");
    }
    let shards = options.shards();
    let checked = Server::new(options.config).and_then(|server| {
        // SAFETY: as in `serve`.
        let server = unsafe { server.with_a_descriptor_table_per_shard() };
        server.check()
    });
    match checked {
        Ok(driver) => print(&format!(
            "ok: a server with this configuration can start here (driver {}, shards {shards})\n",
            driver.as_str()
        )),
        Err(error) => fail(&error),
    }
}

/// Asks the running server; the exit code says whether it is ready.
fn health_of(health: &cli::Health) -> ExitCode {
    match health.ask() {
        Ok(answer) => print(&format!("{answer}\n")),
        Err(problem) => {
            // If this fails too, no way is left to report it.
            let _ = writeln!(io::stderr(), "error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn doctor(options: &cli::DoctorOptions) -> ExitCode {
    match options.run(&Root::default()) {
        Ok((text, fits)) => match print(&text) {
            ExitCode::SUCCESS if !fits => ExitCode::FAILURE,
            code => code,
        },
        Err(problem) => {
            // If this fails too, no way is left to report it.
            let _ = writeln!(io::stderr(), "error: {problem}");
            ExitCode::from(2)
        }
    }
}

fn serve(options: ServeOptions) -> ExitCode {
    log::init(options.log, options.log_level);
    sys::use_small_pages();
    let origin = Origin::of_this_process();
    // Before any thread is started, so that all of them hold the signals back.
    let signals = match StopSignals::block_all() {
        Ok(signals) => signals,
        Err(error) => return fail(&error),
    };
    sys::ignore_stray_signals();
    let inherited = match Inherited::take() {
        Ok(inherited) => inherited,
        Err(error) => return fail(&error),
    };
    let orders = match Orders::wait_for(signals, options.clone(), inherited.refusal()) {
        Ok(orders) => orders,
        Err(error) => return fail(&StartError::Thread(error)),
    };
    let service = Service::from_environment();
    let has_old_process = inherited.has_old_process();
    let (demo, home_page) = (options.demo, options.has_home_page());
    let shards = options.shards();
    let drain_delay = options.drain_delay();
    // The rest is for the last steps.
    let drain_time = options.drain_time() + Duration::from_secs(10);
    for note in &options.notes {
        tracing::warn!("{note}");
    }
    let started = Server::new(options.config).and_then(|server| {
        // SAFETY: the built-in handlers use no descriptors, and the log goes to standard
        // error, which is open from the beginning to the end.
        let server = unsafe { server.with_a_descriptor_table_per_shard() };
        server.inherit(inherited).start()
    });
    let mut server = match started {
        Ok(server) => server,
        Err(error) => return fail(&error),
    };
    let tcp = server.endpoints().iter().map(Endpoint::url);
    let unix = server.unix_sockets();
    let unix = unix.map(|path| format!("unix:{}", path.display()));
    let urls: Vec<_> = tcp.chain(unix).collect();
    // The old process has said it, with the number of this process.
    if !has_old_process {
        service.ready(&format!("listening on {}", urls.join(", ")));
    }
    let handle = server.handle();
    let sockets = server
        .take_hand_over_sockets()
        .expect("nobody else has taken it");
    let hand_over = HandOver::new(handle.clone(), sockets, Arc::clone(&service), origin);
    orders.started(handle, hand_over, drain_delay, drain_time);
    // A program that reads that it listens may send a signal.
    let driver = server.driver().as_str();
    for url in &urls {
        tracing::info!(driver, shards, "listening on {url}");
    }
    let address = server.local_addr();
    if demo {
        tracing::info!("serving the demo's routes, which anybody who reaches this may use");
    }
    if home_page {
        tracing::info!("open http://{address}/ in two browser windows to chat");
    }
    if let Some(admin) = server.admin_addr() {
        tracing::info!("metrics and health on http://{admin}/");
    }
    if let Some(api) = server.api_addr() {
        tracing::info!("the HTTP API on http://{api}/");
    }
    if let Err(error) = service.report_on(server.vitals()) {
        return fail(&StartError::Thread(error));
    }
    let drained = server.wait();
    service.leave();
    tracing::info!("stopped");
    if drained {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    tracing::error!("{error}");
    ExitCode::FAILURE
}
