//! From a command to a plan and a scenario.

use std::sync::Arc;
use std::time::Duration;

use super::setup::{Setup, planned};
use super::verdict::Asked;
use super::watcher::Watcher;
use super::{Error, results};
use crate::cli::{
    ArrivalArg, BroadcastArgs, ChatArgs, ChurnArgs, Command, CommonArgs, ConnectArgs, EchoArgs,
    EnduranceArgs, MessageArgs, MessageForm, PhoenixArgs, RunArgs, SoakArgs,
};
use crate::dialect::{Dialect, Wording};
use crate::engine::{self, Pace, Plan, Scenario, Stop};
use crate::progress::ProgressPlan;
use crate::scenario::{
    Broadcast, BroadcastPlan, Churn, Crowd, Echo, Flood, Idle, Load, Rooms, RoomsPlan, Scripted,
};
use crate::script::Script;

/// Runs a command that needs a server. Returns whether everything went well.
pub(super) fn run(command: Command, stop: &Stop) -> Result<bool, Error> {
    match command {
        Command::Connect(args) => connect(&args, stop),
        Command::Message(args) => message(&args, stop),
        Command::Endurance(args) => endurance(&args, stop),
        Command::Echo(args) => echo(&args, stop),
        Command::Broadcast(args) => broadcast(&args, stop),
        Command::Chat(args) => chat(&args, stop),
        Command::Churn(args) => churn(&args, stop),
        Command::Soak(args) => soak(&args, stop),
        Command::Phoenix(args) => phoenix(&args, stop),
        Command::Run(args) => scripted(&args, stop),
        Command::Merge(_) => Err(Error::msg("merging needs no server")),
    }
}

/// Runs a plan and shows what came of it.
fn finish<S: Scenario>(
    name: &str,
    mut setup: Setup,
    plan: Plan,
    asked: Asked,
    make: impl Fn(usize) -> S + Sync,
    stop: &Stop,
) -> Result<bool, Error> {
    results::check(&setup.output)?;
    let outcome = setup.outcome(name);
    let progress = ProgressPlan {
        title: format!("{name} against {}", outcome.targets.join(", ")),
        connections: plan.connections,
        measured: plan.measured,
        messages: asked.messages,
        quiet: setup.output.quiet,
    };
    let output = setup.output.clone();
    let mut watcher = Watcher::new(&setup, &plan, asked, &progress)?;
    let outcome = engine::run(plan, outcome, make, stop, &mut watcher)?;
    let outcome = watcher.finish(outcome);
    results::show(&outcome, &output)?;
    Ok(outcome.problems().is_empty())
}

fn setup(common: &CommonArgs, connections: u64) -> Result<Setup, Error> {
    let mut urls = vec![common.target.url.clone()];
    urls.extend(common.target.targets.iter().cloned());
    Setup::new(
        &urls,
        &common.target.handshake,
        &common.engine,
        &common.output,
        connections,
    )
}

/// How messages are written to the first server.
fn wording(form: &MessageForm, url: &str, setup: &mut Setup) -> Result<Wording, Error> {
    let dialect = dialect(form, url);
    setup.set("Messages", format!("{} bytes, {dialect}", form.size));
    Wording::new(dialect, form.size as usize).map_err(Error::msg)
}

fn dialect(form: &MessageForm, url: &str) -> Dialect {
    let path = url.splitn(4, '/').nth(3).unwrap_or_default();
    form.protocol
        .unwrap_or_else(|| Dialect::of_path(&format!("/{path}")))
}

fn connect(args: &ConnectArgs, stop: &Stop) -> Result<bool, Error> {
    let mut setup = setup(&args.common, args.connections)?;
    setup.set_time("Held for", args.hold);
    let asked = Asked {
        connection_rate: args.arrival.arrival_rate,
        ..Asked::default()
    };
    let pace = setup.pace(&args.arrival);
    let plan = setup.plan(args.connections, pace, Some(args.hold));
    finish(
        "connect",
        setup,
        plan,
        asked,
        |_| Idle::new(args.ping),
        stop,
    )
}

fn message(args: &MessageArgs, stop: &Stop) -> Result<bool, Error> {
    let mut setup = setup(&args.common, args.connections)?;
    let asked = Asked {
        messages: Some(args.messages),
        message_rate: args.rate,
        connection_rate: args.arrival.arrival_rate,
        confirms: true,
        at_maximum: args.rate.is_none(),
        ..Asked::default()
    };
    let dialect = dialect(&args.form, &args.common.target.url);
    setup.set(
        "Messages",
        format!("{} of {} bytes, {dialect}", args.messages, args.form.size),
    );
    let pace = setup.pace(&args.arrival);
    let plan = setup.plan(args.connections, pace, None);
    let (threads, total) = (setup.threads, Some(args.messages));
    let size = args.form.size as usize;
    let make = |thread| Flood::new(dialect, size, total, args.rate, thread, threads);
    finish("message", setup, plan, asked, make, stop)
}

fn endurance(args: &EnduranceArgs, stop: &Stop) -> Result<bool, Error> {
    let mut setup = setup(&args.common, args.connections)?;
    let asked = Asked {
        message_rate: args.rate,
        connection_rate: args.arrival.arrival_rate,
        confirms: true,
        at_maximum: args.rate.is_none(),
        ..Asked::default()
    };
    let dialect = dialect(&args.form, &args.common.target.url);
    setup.set("Messages", format!("{} bytes, {dialect}", args.form.size));
    setup.set_time("Measured for", args.duration);
    let pace = setup.pace(&args.arrival);
    let plan = setup.plan(args.connections, pace, Some(args.duration));
    let (threads, size) = (setup.threads, args.form.size as usize);
    let make = |thread| Flood::new(dialect, size, None, args.rate, thread, threads);
    finish("endurance", setup, plan, asked, make, stop)
}

fn echo(args: &EchoArgs, stop: &Stop) -> Result<bool, Error> {
    let mut setup = setup(&args.common, args.connections)?;
    let wording = wording(&args.form, &args.common.target.url, &mut setup)?;
    let load = load(args.pipeline, args.rate, &mut setup);
    let asked = Asked {
        message_rate: args.rate,
        connection_rate: args.arrival.arrival_rate,
        at_maximum: args.rate.is_none(),
        latency: args.rate.map(|_| "echo"),
        ..Asked::default()
    };
    setup.set_time("Measured for", args.duration);
    let pace = setup.pace(&args.arrival);
    let mut plan = setup.plan(args.connections, pace, Some(args.duration));
    plan.warm_up = args.warm_up;
    let threads = setup.threads;
    let make = |_| Echo::new(wording.clone(), load, threads);
    finish("echo", setup, plan, asked, make, stop)
}

/// A closed loop of some depth, or an open one at a rate.
fn load(depth: u64, rate: Option<f64>, setup: &mut Setup) -> Load {
    match rate {
        Some(rate) => {
            setup.set("Load", format!("open loop, {rate} per second"));
            Load::Rate(rate)
        }
        None => {
            setup.set("Load", format!("closed loop, {depth} under way"));
            Load::Pipeline(u32::try_from(depth).unwrap_or(u32::MAX))
        }
    }
}

fn broadcast(args: &BroadcastArgs, stop: &Stop) -> Result<bool, Error> {
    if args.publishers > args.subscribers {
        return Err(Error::msg(format!(
            "--publishers {} are more than --subscribers {}, of whom they are a part",
            args.publishers, args.subscribers
        )));
    }
    let mut setup = setup(&args.common, args.subscribers)?;
    let wording = wording(&args.form, &args.common.target.url, &mut setup)?;
    let load = load(args.outstanding, args.rate, &mut setup);
    setup.set("Publishers", args.publishers);
    setup.set_time("Measured for", args.duration);
    let asked = Asked {
        publication_rate: args.rate,
        connection_rate: args.arrival.arrival_rate,
        at_maximum: args.rate.is_none(),
        latency: args.rate.map(|_| "delivery"),
        ..Asked::default()
    };
    let pace = setup.pace(&args.arrival);
    let mut plan = setup.plan(args.subscribers, pace, Some(args.duration));
    plan.warm_up = args.warm_up;
    plan.publishers = args.publishers as usize;
    let threads = setup.threads;
    let broadcast = BroadcastPlan {
        wording,
        publishers: args.publishers as u32,
        load,
        to_self: !args.no_self,
        timeout: args.common.engine.timeout(),
    };
    let make = |thread| Broadcast::new(broadcast.clone(), thread, threads);
    finish("broadcast", setup, plan, asked, make, stop)
}

fn chat(args: &ChatArgs, stop: &Stop) -> Result<bool, Error> {
    let connections = args.rooms * args.users;
    let mut setup = setup(&args.common, connections)?;
    let wording = wording(&args.form, &args.common.target.url, &mut setup)?;
    if args.rooms > 1
        && wording.dialect() != Dialect::Phoenix
        && !setup.urls.iter().all(|url| url.contains("{room}"))
    {
        return Err(Error::msg(format!(
            "--rooms {} need a path for each: write {{room}} where its number goes, as in \
             ws://127.0.0.1:8080/rooms/{{room}}",
            args.rooms
        )));
    }
    setup.set("Rooms", format!("{} of {} users", args.rooms, args.users));
    let rooms = RoomsPlan {
        wording,
        users_per_room: args.users as u32,
        rate_per_user: args.rate,
        stay: args.stay.0,
        away: args.away,
        heartbeat: Duration::from_secs(30),
    };
    let pace = setup.pace(&args.arrival);
    talk("chat", setup, rooms, connections, pace, args.duration, stop)
}

fn phoenix(args: &PhoenixArgs, stop: &Stop) -> Result<bool, Error> {
    let connections = args.channels * args.users;
    let mut setup = setup(&args.common, connections)?;
    let wording = Wording::new(Dialect::Phoenix, args.size as usize).map_err(Error::msg)?;
    setup.set(
        "Channels",
        format!("{} of {} users", args.channels, args.users),
    );
    let rooms = RoomsPlan {
        wording,
        users_per_room: args.users as u32,
        rate_per_user: args.rate,
        stay: None,
        away: Duration::ZERO,
        heartbeat: args.heartbeat,
    };
    let pace = setup.pace(&args.arrival);
    talk(
        "phoenix",
        setup,
        rooms,
        connections,
        pace,
        args.duration,
        stop,
    )
}

fn talk(
    name: &str,
    mut setup: Setup,
    rooms: RoomsPlan,
    connections: u64,
    pace: Pace,
    duration: Duration,
    stop: &Stop,
) -> Result<bool, Error> {
    setup.set(
        "Messages per user",
        format!("{} per second", rooms.rate_per_user),
    );
    setup.set_time("Measured for", duration);
    setup.dialing.users_per_room = rooms.users_per_room;
    let asked = Asked::default();
    let plan = setup.plan(connections, pace, Some(duration));
    finish(
        name,
        setup,
        plan,
        asked,
        |_| Rooms::new(rooms.clone()),
        stop,
    )
}

fn churn(args: &ChurnArgs, stop: &Stop) -> Result<bool, Error> {
    let expected = match args.arrival_rate {
        // Room for the messages that a stalled server would let pile up in a
        // timeout.
        Some(rate) => (rate * args.common.engine.timeout().as_secs_f64()) as u64,
        None => args.connections,
    };
    let mut setup = setup(&args.common, expected)?;
    let wording = wording(&args.form, &args.common.target.url, &mut setup)?;
    setup.set("Exchanges", args.exchanges);
    setup.set_time("Measured for", args.duration);
    let asked = Asked {
        connection_rate: args.arrival_rate,
        at_maximum: args.arrival_rate.is_none(),
        latency: args.arrival_rate.map(|_| "handshake"),
        ..Asked::default()
    };
    let (pace, connections) = match args.arrival_rate {
        Some(rate) => {
            let all = (rate * args.duration.as_secs_f64() * 2.0) as u64 + 1_000;
            (planned(rate, ArrivalArg::Exponential), all)
        }
        None => {
            let parallel = args.connections as usize;
            (Pace::Maximum { parallel }, args.connections)
        }
    };
    let mut plan = setup.plan(connections, pace, Some(args.duration));
    plan.opens_first = false;
    let exchanges = args.exchanges as u32;
    let returns = args.arrival_rate.is_none();
    let make = |_| Churn::new(wording.clone(), exchanges, returns);
    finish("churn", setup, plan, asked, make, stop)
}

fn scripted(args: &RunArgs, stop: &Stop) -> Result<bool, Error> {
    let script = Script::read(&args.file).map_err(Error::msg)?;
    let script = Arc::new(script);
    let urls = match args.targets.as_slice() {
        [] => &script.targets,
        instead => instead,
    };
    let seed = rand::random();
    let crowd = Crowd::of(&script, seed);
    let mut engine = args.engine.clone();
    let timeout = engine.timeout.unwrap_or(script.timeout);
    engine.timeout = Some(timeout);
    let mut setup = Setup::new(urls, &args.handshake, &engine, &args.output, crowd.users)?;
    setup.set("Scenario", &script.name);
    setup.set_time("Users arrive for", script.arrival_time());
    if let Some(duration) = script.duration {
        setup.set_time("At most", duration);
    }
    let mut plan = setup.plan(crowd.users, crowd.pace, script.duration);
    plan.opens_first = false;
    let make = |_| Scripted::new(Arc::clone(&script), timeout, seed);
    finish("run", setup, plan, Asked::default(), make, stop)
}

fn soak(args: &SoakArgs, stop: &Stop) -> Result<bool, Error> {
    let mut setup = setup(&args.common, args.connections)?;
    let sample = args.sample.unwrap_or_else(|| {
        let part = args.duration / 30;
        part.clamp(Duration::from_millis(250), Duration::from_secs(60))
    });
    let rate = args.rate * args.connections as f64;
    setup.set("Load", format!("{} per second and connection", args.rate));
    setup.set_time("Held for", args.duration);
    setup.set_time("Looked at every", sample);
    let dialect = dialect(&args.form, &args.common.target.url);
    let asked = Asked {
        message_rate: Some(rate),
        connection_rate: args.arrival.arrival_rate,
        soak: Some((sample, args.tolerance / 100.0)),
        shared_host: args.shared_host,
        // The JSON chat counts these messages and does not answer them.
        confirms: dialect == Dialect::Chat,
        latency: Some("echo"),
        ..Asked::default()
    };
    let pace = setup.pace(&args.arrival);
    let plan = setup.plan(args.connections, pace, Some(args.duration));
    let threads = setup.threads;
    if dialect == Dialect::Chat {
        let size = args.form.size as usize;
        let make = |thread| Flood::new(dialect, size, None, Some(rate), thread, threads);
        return finish("soak", setup, plan, asked, make, stop);
    }
    let wording = wording(&args.form, &args.common.target.url, &mut setup)?;
    let make = |_| Echo::new(wording.clone(), Load::Rate(rate), threads);
    finish("soak", setup, plan, asked, make, stop)
}
