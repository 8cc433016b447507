//! One whole run: every scenario, every round, every contestant.
//!
//! Contestants are interleaved, because a machine's speed drifts by more than
//! the differences that matter here, and each round begins with another one (A B
//! C, B C A, …), because what ran before leaves its traces.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use crate::cli::RunArgs;
use crate::contestant::{Contestant, Means, Rival, line_up};
use crate::cores::{self, Cores};
use crate::error::During;
use crate::host::Host;
use crate::measure::measure;
use crate::progress::Progress;
use crate::results::{Contest, Entry, FORMAT, Results, Settings};
use crate::scenario::Scenario;
use crate::watchdog::Watchdog;
use crate::{Error, Result, host, report, sys};

/// Connections of the largest scenario on one core, and some descriptors more.
const WANTED_FILES: u64 = 18_500;

/// Measures, prints and writes. True when every scenario ran; whether it met
/// its goals is for the reader of the report.
pub fn run(args: &RunArgs) -> Result<bool> {
    let scenarios = wanted(args)?;
    for (what, path) in programs(args, &scenarios) {
        if !path.is_file() {
            return Err(Error::Usage(format!(
                "there is no {what} at {}; build it with: make build-bench",
                path.display()
            )));
        }
    }
    let rivals = match &args.rivals {
        Some(path) => Rival::read_list(path)?,
        None => Vec::new(),
    };
    // Before hours of measuring, not after.
    for path in [&args.json, &args.report, &args.markdown]
        .into_iter()
        .flatten()
    {
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.during(format!("opening {}", path.display()))?;
    }
    // Afterwards this process sees one core only.
    let host = Host::read()?;
    let cores = Cores::resolve(args.server_cpus(), args.load_cpus())?;
    let means = Means::find()?;
    let load_cpu = cores.load[0];
    sys::pin_to_cpus(&[load_cpu]).during(format!("pinning to core {load_cpu}"))?;
    eprintln!("corecast-bench: {}", cores.how);

    let mut absent = doubts(args, &cores, means);
    let contests: Vec<_> = scenarios
        .into_iter()
        .map(|scenario| {
            let (contestants, missing) = line_up(args, &scenario, &cores, &rivals, means);
            absent.extend(missing);
            (scenario, contestants)
        })
        .filter(|(_, contestants)| !contestants.is_empty())
        .collect();
    for sentence in &absent {
        eprintln!("corecast-bench: {sentence}");
    }
    if contests.is_empty() {
        return Err(Error::Usage("nobody takes part in these scenarios".into()));
    }
    let rounds = args.rounds();
    let measurements: usize = contests.iter().map(|(_, all)| all.len() * rounds).sum();
    let progress = Progress::new(measurements);
    let mut results = Results {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").into(),
        host,
        settings: settings(args, cores.clone()),
        contests: Vec::new(),
        absent,
    };
    for (scenario, contestants) in &contests {
        let contest = contest(args, &cores, scenario, contestants, &progress);
        results.contests.push(contest);
        // What was measured outlives whatever ends a long run.
        write(&args.json, report::json, &results)?;
    }
    progress.finish();
    println!("{}", report::table(&results));
    let page = write(&args.report, report::page, &results);
    write(&args.markdown, report::markdown, &results).and(page)?;
    Ok(results.failures().next().is_none())
}

fn write(path: &Option<PathBuf>, text: fn(&Results) -> String, results: &Results) -> Result<()> {
    match path {
        Some(path) => fs::write(path, text(results)).during(format!("writing {}", path.display())),
        None => Ok(()),
    }
}

/// What must be known to judge the figures, a sentence each.
fn doubts(args: &RunArgs, cores: &Cores, means: Means) -> Vec<String> {
    let mut doubts = Vec::new();
    if means.open_files < WANTED_FILES {
        doubts.push(format!(
            "at most {} open files; scenarios with 18,000 connections will fail. Raise it with: \
             ulimit -Hn {WANTED_FILES}",
            means.open_files
        ));
    }
    if !means.io_uring {
        doubts.push(
            "io_uring cannot be had here: its floors are left out, and the server uses epoll \
             with --driver auto"
                .into(),
        );
    }
    let wanted = &cores.one().server;
    for against in &args.against {
        let pid = corecast_load::host::find_server(&[against.peer.address.into()]);
        let allowed = pid.and_then(host::allowed_cpus);
        if let (Some(pid), Some(allowed)) = (pid, allowed)
            && allowed.iter().any(|core| !wanted.contains(core))
        {
            let list = cores::list(wanted);
            doubts.push(format!(
                "{} (process {pid}) may use other cores than {list}, which the others have, the \
                 load's among them. Pin it with: taskset -acp {list} {pid}",
                against.name
            ));
        }
    }
    doubts
}

fn wanted(args: &RunArgs) -> Result<Vec<Scenario>> {
    let all = Scenario::all(args.set);
    let names = all.iter().map(|scenario| scenario.name.clone());
    let names: Vec<String> = names.collect();
    let wanted: Vec<_> = all
        .into_iter()
        .filter(|scenario| args.wants(&scenario.name))
        .collect();
    match wanted.is_empty() {
        true => Err(Error::Usage(format!(
            "no scenario has a name with that; there are {}",
            names.join(", ")
        ))),
        false => Ok(wanted),
    }
}

/// The programs that must be there.
fn programs<'a>(args: &'a RunArgs, scenarios: &[Scenario]) -> Vec<(&'static str, &'a Path)> {
    let mut programs = Vec::new();
    if !args.no_server {
        programs.push(("server", args.server.as_path()));
    }
    if scenarios.iter().any(Scenario::needs_tool) {
        programs.push(("load generator", &args.load));
    }
    if let Some(baseline) = &args.baseline {
        programs.push(("baseline", baseline));
    }
    programs
}

fn settings(args: &RunArgs, cores: Cores) -> Settings {
    let window = args.window();
    Settings {
        set: args.set.as_str().into(),
        command: std::env::args().collect(),
        is_partial: args.quick || !args.only.is_empty(),
        driver: args.driver.as_str().into(),
        server_cpus: cores.server,
        load_cpus: cores.load,
        cores: cores.how,
        rounds: args.rounds(),
        warm_up_seconds: window.warm_up.as_secs_f64(),
        measured_seconds: window.measured.as_secs_f64(),
    }
}

fn contest(
    args: &RunArgs,
    cores: &Cores,
    scenario: &Scenario,
    contestants: &[Contestant],
    progress: &Progress,
) -> Contest {
    let mut contest = Contest {
        name: scenario.name.clone(),
        title: scenario.title.clone(),
        group: scenario.group.into(),
        unit: scenario.unit.into(),
        note: scenario.note.into(),
        goals: scenario.goals.clone(),
        entries: contestants.iter().map(Entry::from).collect(),
        failures: Vec::new(),
    };
    for round in 1..=args.rounds() {
        for place in 0..contestants.len() {
            let next = (place + round - 1) % contestants.len();
            let (contestant, entry) = (&contestants[next], &mut contest.entries[next]);
            let work = format!("{}, {}, round {round}", scenario.name, contestant.name);
            progress.begin(&work);
            let _watchdog = Watchdog::guard(&work, scenario.limit(args.window()));
            match measure(args, cores, scenario, contestant) {
                Ok(reading) => {
                    progress.end(&work, &reading, scenario.unit);
                    entry.rounds.push(Some(reading));
                }
                Err(error) => {
                    let failure = format!("{work}: {error}");
                    progress.fail(&failure);
                    contest.failures.push(failure);
                    entry.rounds.push(None);
                }
            }
        }
    }
    contest
}
