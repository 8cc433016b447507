//! One whole run: every scenario, every round, every contestant.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::{Against, RunArgs};
use crate::contest::{Contest, Entry, Role};
use crate::error::During;
use crate::floor::Floor;
use crate::host::Host;
use crate::load::{Account, Peer, Protocol};
use crate::process::{Contender, free_address};
use crate::report::Report;
use crate::scenario::{Load, Outcome, Scenario};
use crate::watchdog::Watchdog;
use crate::{Error, Result, sys};

/// Measures and prints. True when every scenario ran; whether it met its
/// target is for the reader of the report.
pub fn run(args: &RunArgs) -> Result<bool> {
    let scenarios: Vec<_> = Scenario::all()
        .into_iter()
        .filter(|scenario| args.wants(scenario.name))
        .collect();
    if scenarios.is_empty() {
        let names: Vec<_> = Scenario::all()
            .iter()
            .map(|scenario| scenario.name)
            .collect();
        return Err(Error::Usage(format!(
            "no scenario has a name with that; there are {}",
            names.join(", ")
        )));
    }
    if !args.no_server && !args.server.is_file() {
        return Err(Error::Usage(format!(
            "there is no server at {}; build it with: cargo build --release",
            args.server.display()
        )));
    }
    let host = Host::read()?;
    let open_files = sys::raise_open_files().during("raising the limit of open files")?;
    if open_files < 18_500 {
        eprintln!(
            "corecast-bench: at most {open_files} open files; scenarios with 18,000 \
             connections will fail. Raise it with: ulimit -Hn 20000"
        );
    }
    // The host was read first: afterwards this process sees one core only.
    sys::pin_to_cpu(args.load_cpu).during(format!("pinning to core {}", args.load_cpu))?;

    let progress = Progress::new(args, &scenarios);
    let contests: Vec<_> = scenarios
        .into_iter()
        .map(|scenario| contest(args, scenario, &progress))
        .collect();
    progress.finish();

    let report = Report::new(args, host, &contests);
    println!("{report}");
    if let Some(path) = &args.json {
        let file = std::fs::File::create(path).during(format!("creating {}", path.display()))?;
        report
            .write_json(file)
            .during(format!("writing {}", path.display()))?;
    }
    Ok(contests.iter().all(|contest| contest.failures.is_empty()))
}

/// What takes part besides its [`Entry`]: how to bring it up.
enum Contestant {
    Server,
    Against(Against),
    Floor(Floor),
}

fn contestants(args: &RunArgs, scenario: &Scenario) -> Vec<(Contestant, Entry)> {
    let mut all = Vec::new();
    if !args.no_server {
        let name = format!("server ({})", args.driver.as_str());
        all.push((Contestant::Server, Entry::new(name, Role::Server)));
    }
    // Nothing is known about the memory of a process elsewhere.
    if !matches!(scenario.load, Load::Idle(_)) {
        for against in &args.against {
            let entry = Entry::new(&against.name, Role::Against);
            all.push((Contestant::Against(against.clone()), entry));
        }
    }
    for &floor in scenario.floors {
        all.push((Contestant::Floor(floor), Entry::floor(floor)));
    }
    all
}

/// Number of measurements in a scenario, for the progress bar.
fn measurements(args: &RunArgs, scenario: &Scenario) -> usize {
    contestants(args, scenario).len() * args.rounds()
}

fn contest(args: &RunArgs, scenario: Scenario, progress: &Progress) -> Contest {
    let (contestants, entries): (Vec<_>, Vec<_>) = contestants(args, &scenario).into_iter().unzip();
    let mut contest = Contest::new(scenario, entries);
    for round in 0..args.rounds() {
        for (contestant, entry) in contestants.iter().zip(&mut contest.entries) {
            let work = format!(
                "{}, {}, round {}",
                contest.scenario.name,
                entry.name,
                round + 1
            );
            progress.begin(&work);
            let _watchdog = Watchdog::guard(&work, contest.scenario.limit(args.window()));
            let outcome = measure(args, &contest.scenario, contestant);
            match outcome {
                Ok(outcome) => {
                    progress.end(&work, &outcome, contest.scenario.unit);
                    entry.rounds.push(Some(outcome));
                }
                Err(error) => {
                    let failure = format!("{work}: {error}");
                    progress.say(&format!("FAILED {failure}"));
                    contest.failures.push(failure);
                    entry.rounds.push(None);
                }
            }
        }
    }
    contest
}

/// Brings a contestant up, measures it and ends it.
fn measure(args: &RunArgs, scenario: &Scenario, contestant: &Contestant) -> Result<Outcome> {
    let account = |server| Account {
        server,
        cores: Some((args.server_cpu, args.load_cpu)),
    };
    let window = args.window();
    let (program, protocol) = match contestant {
        Contestant::Against(against) => {
            let mut peer = against.peer.clone();
            peer.opcode = args.opcode();
            return scenario.measure(&peer, window, account(None));
        }
        Contestant::Server => (args.server.clone(), Protocol::WebSocket),
        Contestant::Floor(_) => (own_binary()?, Protocol::Raw),
    };
    let mut peer = Peer::new(free_address()?, protocol);
    peer.opcode = args.opcode();
    let arguments = match contestant {
        Contestant::Floor(floor) => floor_arguments(args, scenario, *floor, &peer),
        _ => server_arguments(args, &peer),
    };
    let mut contender = Contender::start(
        &program,
        arguments.into_iter().map(OsString::from),
        scenario.pages(),
        args.server_cpu,
        peer.address,
    )?;
    scenario
        .measure(&peer, window, account(Some(contender.pid())))
        .map_err(|error| contender.explain(error))
}

fn own_binary() -> Result<PathBuf> {
    std::env::current_exe().during("looking for this program's own binary")
}

fn server_arguments(args: &RunArgs, peer: &Peer) -> Vec<String> {
    let mut arguments: Vec<String> = ["serve", "--admin", "off", "--shards", "1", "--listen"]
        .map(String::from)
        .into();
    arguments.push(peer.address.to_string());
    arguments.extend(["--cpus".into(), args.server_cpu.to_string()]);
    arguments.extend(["--driver".into(), args.driver.as_str().into()]);
    arguments.extend(args.server_arg.iter().cloned());
    arguments
}

fn floor_arguments(args: &RunArgs, scenario: &Scenario, floor: Floor, peer: &Peer) -> Vec<String> {
    vec![
        "floor".into(),
        floor.as_str().into(),
        "--listen".into(),
        peer.address.to_string(),
        "--cpu".into(),
        args.server_cpu.to_string(),
        "--unit".into(),
        scenario.unit_bytes(peer).to_string(),
    ]
}

/// A bar on a terminal, plain lines elsewhere. It never ticks by itself: the
/// load's core has better things to do while a window is open.
struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    fn new(args: &RunArgs, scenarios: &[Scenario]) -> Progress {
        let total: usize = scenarios
            .iter()
            .map(|scenario| measurements(args, scenario))
            .sum();
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total as u64);
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}")
            {
                bar.set_style(style);
            }
            bar
        });
        Progress { bar }
    }

    fn begin(&self, work: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(work.to_owned());
            bar.tick();
        }
    }

    fn end(&self, work: &str, outcome: &Outcome, unit: &str) {
        match &self.bar {
            Some(bar) => bar.inc(1),
            None => self.say(&format!("{work}: {}", summary(outcome, unit))),
        }
    }

    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => eprintln!("{line}"),
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        // Lets the terminal settle before the report goes to another stream.
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn summary(outcome: &Outcome, unit: &str) -> String {
    match outcome {
        Outcome::Timed(sample) => format!("{:.0} {unit}/s", sample.rate()),
        Outcome::Idle(sample) => format!(
            "{:.0} B resident, {:.0} B kernel per session",
            sample.resident_bytes, sample.kernel_bytes
        ),
    }
}
