//! One whole run: every scenario, every round, every contestant.
//!
//! Contestants are interleaved, because a machine's speed drifts by more than
//! the differences that matter here, and each round begins with another one (A B
//! C, B C A, …), because the program that ran before leaves its traces.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use corecast_kit::address::try_loopback;
use corecast_kit::sys;

use crate::During;
use crate::cli::RunArgs;
use crate::contestant::{BASELINE, Contestant, Means, Rival, SERVER, line_up};
use crate::cores::{self, Cores};
use crate::host::Host;
use crate::measure::measure;
use crate::progress::{Progress, note};
use crate::results::{Contest, Entry, FORMAT, Failure, Reading, Results, Settings};
use crate::scenario::Scenario;
use crate::watchdog::guarded;
use crate::{Error, Result, host, report};

/// Connections of the largest scenario on one core, and some descriptors more.
const WANTED_FILES: u64 = 18_500;

/// Measures, prints and writes. True unless the server itself did something
/// wrong; whether it met its goals is for the reader of the report.
///
/// # Errors
/// If nothing could be measured, or the report could not be written.
pub fn run(mut args: RunArgs) -> Result<bool> {
    let no_baseline = args.baseline.take_if(|path| !path.is_file());
    let args = Arc::new(args);
    let scenarios = wanted(&args)?;
    for (what, path) in programs(&args, &scenarios) {
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
    if let Err(error) = try_loopback() {
        return Err(Error::Usage(format!(
            "127.0.0.1 cannot be reached: {error}; every contestant listens there. Give the loopback device its IPv4 address \
             with: ip addr add 127.0.0.1/8 dev lo && ip link set lo up"
        )));
    }
    // Afterwards this process sees one core only.
    let host = Host::read();
    let cores = Cores::resolve(args.server_cpus(), args.load_cpus())?;
    let means = Means::find()?;
    let load_cpu = cores.load[0];
    sys::pin_to_cpus(&[load_cpu]).during(format!("pinning to core {load_cpu}"))?;
    note(&format!("corecast-bench: {}", cores.how));

    let mut absent = doubts(&args, &cores, means);
    absent.extend(no_baseline.map(|path| {
        format!(
            "there is no {BASELINE} at {}; build it with: make build-bench",
            path.display()
        )
    }));
    let mut skipped = Vec::new();
    let mut contests = Vec::new();
    for scenario in scenarios {
        match scenario.possible_with(means.open_files) {
            Ok(()) => {}
            Err(sentence) => {
                skipped.push(sentence);
                continue;
            }
        }
        let (contestants, missing) = line_up(&args, &scenario, &cores, &rivals, means);
        absent.extend(missing);
        if !contestants.is_empty() {
            contests.push((scenario, contestants));
        }
    }
    for sentence in &absent {
        note(&format!("corecast-bench: {sentence}"));
    }
    for sentence in &skipped {
        note(&format!("corecast-bench: skipped: {sentence}"));
    }
    if contests.is_empty() {
        return Err(Error::Usage(match skipped.is_empty() {
            true => "nobody takes part in these scenarios".into(),
            false => "none of these scenarios is possible on this host".into(),
        }));
    }
    let rounds = args.rounds();
    let measurements: usize = contests.iter().map(|(_, all)| all.len() * rounds).sum();
    let progress = Progress::new(measurements);
    let mut results = Results {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").into(),
        host,
        settings: settings(&args, cores.clone(), !skipped.is_empty()),
        contests: Vec::new(),
        absent,
        skipped,
    };
    for (scenario, contestants) in &contests {
        let contest = contest(&args, &cores, scenario, contestants, &progress);
        results.contests.push(contest);
        // The report is written after each scenario, so that whatever ends a
        // long run does not lose its results. A full disk may have room again
        // at the end.
        if let Err(error) = write(&args.json, report::json, &results) {
            progress.say(&format!("corecast-bench: {error}"));
        }
    }
    progress.finish();
    // A reader that has seen enough, such as `head`, is no reason to write no files.
    let _ = writeln!(std::io::stdout(), "{}", report::table(&results));
    let written = [
        write(&args.json, report::json, &results),
        write(&args.report, report::page, &results),
        write(&args.markdown, report::markdown, &results),
    ];
    written.into_iter().collect::<Result<Vec<()>>>()?;
    conclude(&args, &results)
}

/// Says which facts the exit status rests on: those of the server itself and
/// nothing else.
fn conclude(args: &RunArgs, results: &Results) -> Result<bool> {
    let own = results.own_failures();
    let others = results.failures().count() - own;
    let counted = |count| match count {
        1 => "1 measurement".to_owned(),
        _ => format!("{count} measurements"),
    };
    if others > 0 {
        note(&format!(
            "corecast-bench: no figure in {}, through no fault of {SERVER}; the report says why, \
             and the exit status passes over it",
            counted(others)
        ));
    }
    if own > 0 {
        note(&format!(
            "corecast-bench: {SERVER} failed in {}; the report says why",
            counted(own)
        ));
        return Ok(false);
    }
    if !args.no_server && !results.has_own_figures() {
        return Err(Error::Usage(format!(
            "{SERVER} was not measured at all; the report says why"
        )));
    }
    Ok(true)
}

fn write(path: &Option<PathBuf>, text: fn(&Results) -> String, results: &Results) -> Result<()> {
    match path {
        Some(path) => fs::write(path, text(results)).during(format!("writing {}", path.display())),
        None => Ok(()),
    }
}

/// The facts without which the figures cannot be judged, a sentence each.
fn doubts(args: &RunArgs, cores: &Cores, means: Means) -> Vec<String> {
    let mut doubts = Vec::new();
    if means.open_files < WANTED_FILES {
        doubts.push(format!(
            "at most {} open files; scenarios with more connections are skipped. Raise it with: \
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
        let pid = corecast_kit::host::find_server(&[against.peer.address.into()]);
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

/// The programs that must be there: ours. Others that are not are left out.
fn programs<'a>(args: &'a RunArgs, scenarios: &[Scenario]) -> Vec<(&'static str, &'a Path)> {
    let mut programs = Vec::new();
    if !args.no_server {
        programs.push(("server", args.server.as_path()));
    }
    if scenarios.iter().any(Scenario::needs_tool) {
        programs.push(("load generator", &args.load));
    }
    programs
}

fn settings(args: &RunArgs, cores: Cores, skips: bool) -> Settings {
    let window = args.window();
    Settings {
        set: args.set.as_str().into(),
        command: std::env::args().collect(),
        is_partial: args.quick || !args.only.is_empty() || skips,
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
    args: &Arc<RunArgs>,
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
            match guarded_measure(args, cores, scenario, contestant) {
                Ok(reading) => {
                    progress.end(&work, &reading, scenario.unit);
                    entry.rounds.push(Some(reading));
                }
                Err(error) => {
                    let failure = Failure {
                        contestant: contestant.name.clone(),
                        round,
                        cause: error.cause(),
                        reason: error.to_string().trim_end().to_owned(),
                    };
                    progress.fail(&format!("{}, {failure}", scenario.name));
                    contest.failures.push(failure);
                    entry.rounds.push(None);
                }
            }
        }
    }
    contest
}

fn guarded_measure(
    args: &Arc<RunArgs>,
    cores: &Cores,
    scenario: &Scenario,
    contestant: &Contestant,
) -> Result<Reading> {
    let limit = scenario.limit(args.window());
    let args = Arc::clone(args);
    let (cores, scenario) = (cores.clone(), scenario.clone());
    let contestant = contestant.clone();
    guarded(limit, move || {
        measure(&args, &cores, &scenario, &contestant)
    })
}
