//! The contestants of a scenario, and how each is started.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use corecast_kit::sys;

use crate::During;
use crate::cli::{Against, Driver, RunArgs};
use crate::cores::{Cores, Layout};
use crate::floor::Floor;
use crate::results::{Entry, Role};
use crate::scenario::{Load, Scenario};
use crate::tool::ToolLoad;
use crate::{Error, Result};

/// The server's name in the report.
pub const SERVER: &str = "corecast";
/// The server on the other kernel interface.
pub const EPOLL: &str = "corecast (epoll)";
/// The server with one shard, where it otherwise has two.
pub const ONE_SHARD: &str = "corecast (1 shard)";
/// The server under the other generator.
pub const GENERATOR: &str = "corecast (by corecast-load)";
/// The conventional server's name in the report.
pub const BASELINE: &str = "baseline";
/// The same as its library's examples would have it: default buffers, a flush
/// for each message.
pub const PLAIN: &str = "baseline (plain)";
/// The figures of the documents the project began with.
const PRINTED: &str = "printed in the seeds";

/// The contestants of a scenario, and their cores.
#[derive(Debug, Clone)]
pub enum Field {
    /// Everybody, each on one core, the load on another.
    OneCore,
    /// Those that speak the chat, on two cores.
    Chat,
    /// The server alone, on one core: no other contestant speaks Phoenix Channels.
    Phoenix,
    /// The server with two shards beside itself with one, and the baseline on
    /// two cores.
    TwoShards,
    /// The server under the benchmark's load and under this one.
    TwoGenerators(ToolLoad),
    /// The server and the baseline on all cores there are for servers, beside
    /// a figure that was printed elsewhere.
    Seeds {
        /// That figure, per second.
        printed: f64,
    },
}

impl Field {
    /// The names under which the server itself takes part.
    pub fn own_names(&self) -> Vec<&'static str> {
        match self {
            Field::OneCore | Field::Phoenix => vec![SERVER, EPOLL],
            Field::TwoShards => vec![SERVER, ONE_SHARD],
            Field::TwoGenerators(_) => vec![SERVER, GENERATOR],
            Field::Chat | Field::Seeds { .. } => vec![SERVER],
        }
    }

    /// The cores of each side.
    pub fn layout(&self, cores: &Cores) -> Layout {
        match self {
            Field::OneCore | Field::Phoenix | Field::TwoGenerators(_) => cores.one(),
            Field::Chat | Field::TwoShards => cores.two(),
            Field::Seeds { .. } => cores.whole(),
        }
    }
}

/// One that takes part.
#[derive(Debug, Clone)]
pub struct Contestant {
    /// Its name in the report.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// How it is brought up.
    pub start: Start,
    /// The load on it, if not the scenario's.
    pub load: Option<Load>,
}

impl Contestant {
    fn new(name: &str, role: Role, start: Start) -> Contestant {
        Contestant {
            name: name.to_owned(),
            role,
            start,
            load: None,
        }
    }
}

/// How a contestant is brought up.
#[derive(Debug, Clone)]
pub enum Start {
    /// The server, with so many shards.
    Corecast {
        /// Threads that serve.
        shards: usize,
        /// The kernel interface.
        driver: Driver,
    },
    /// This command, followed by `--listen IP:PORT`.
    Command(Vec<OsString>),
    /// It runs already.
    Running(Against),
    /// One of the floors.
    Floor(Floor),
    /// Not at all: this many per second are printed somewhere.
    Printed(f64),
}

/// A server that others wrote, as `tools/bench/rivals/prepare` lists them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rival {
    /// Its name in the report.
    pub name: String,
    /// Its command, without the address.
    pub command: Vec<OsString>,
}

impl Rival {
    /// Reads a list with a name, a command and its arguments on each line, with
    /// tabs between them.
    pub fn read_list(path: &Path) -> Result<Vec<Rival>> {
        let text = fs::read_to_string(path).during(format!("reading {}", path.display()))?;
        let rival = |line: &str| {
            let mut words = line.split('\t');
            let name = words.next().filter(|name| !name.is_empty())?.to_owned();
            let command: Vec<_> = words.map(OsString::from).collect();
            (!command.is_empty()).then_some(Rival { name, command })
        };
        text.lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| {
                rival(line).ok_or_else(|| {
                    Error::Usage(format!(
                        "{}: '{line}' is not a name and a command with tabs between them",
                        path.display()
                    ))
                })
            })
            .collect()
    }
}

/// The resources that the host allows.
#[derive(Debug, Clone, Copy)]
pub struct Means {
    /// Open files of one process.
    pub open_files: u64,
    /// io_uring can be had.
    pub io_uring: bool,
}

impl Means {
    /// Raises the limit of open files and tries io_uring.
    pub fn find() -> Result<Means> {
        Ok(Means {
            open_files: sys::raise_open_files().during("raising the limit of open files")?,
            io_uring: io_uring::IoUring::new(2).is_ok(),
        })
    }
}

/// Those that take part in `scenario`, in the order of the report, and a
/// sentence for each that cannot.
pub fn line_up(
    args: &RunArgs,
    scenario: &Scenario,
    cores: &Cores,
    rivals: &[Rival],
    means: Means,
) -> (Vec<Contestant>, Vec<String>) {
    let mut all = own(args, scenario, cores, means);
    let mut absent = Vec::new();
    match conventional(args, scenario, means) {
        Ok(baselines) => all.extend(baselines),
        Err(sentence) => absent.push(sentence),
    }
    all.extend(others(args, scenario, rivals));
    let floors = if args.no_floors { &[] } else { scenario.floors };
    let floors = floors.iter();
    let floors = floors.filter(|floor| means.io_uring || !floor.needs_io_uring());
    all.extend(floors.map(|&floor| {
        let name = format!("floor {}", floor.as_str());
        Contestant::new(&name, Role::Floor, Start::Floor(floor))
    }));
    if let Field::Seeds { printed } = scenario.field {
        let start = Start::Printed(printed);
        all.push(Contestant::new(PRINTED, Role::Printed, start));
    }
    (all, absent)
}

/// The server, in the ways in which it takes part.
fn own(args: &RunArgs, scenario: &Scenario, cores: &Cores, means: Means) -> Vec<Contestant> {
    if args.no_server {
        return Vec::new();
    }
    let corecast = |name, role, shards| {
        let driver = args.driver;
        Contestant::new(name, role, Start::Corecast { shards, driver })
    };
    let server = |shards| corecast(SERVER, Role::Server, shards);
    match &scenario.field {
        Field::OneCore | Field::Phoenix if args.both_drivers && args.driver != Driver::Epoll => {
            let (shards, driver) = (1, Driver::Epoll);
            let start = Start::Corecast { shards, driver };
            vec![server(1), Contestant::new(EPOLL, Role::Variant, start)]
        }
        Field::OneCore | Field::Phoenix => vec![server(1)],
        Field::Chat => vec![server(2)],
        Field::TwoShards => vec![server(2), corecast(ONE_SHARD, Role::Variant, 1)],
        Field::TwoGenerators(tool) => {
            let mut other = corecast(GENERATOR, Role::Variant, 1);
            other.load = Some(Load::Tool(tool.clone()));
            vec![server(1), other]
        }
        Field::Seeds { .. } => {
            let cores = scenario.field.layout(cores).server.len();
            let shards = shards_for(scenario.connections(), means.open_files, cores);
            vec![server(shards)]
        }
    }
}

/// The conventional server in its styles, or why it cannot take part.
fn conventional(
    args: &RunArgs,
    scenario: &Scenario,
    means: Means,
) -> std::result::Result<Vec<Contestant>, String> {
    let Some(path) = &args.baseline else {
        return Ok(Vec::new());
    };
    let styled = |name, role, style: &str| {
        let command = vec![path.into(), "--style".into(), style.into()];
        Contestant::new(name, role, Start::Command(command))
    };
    let open_files = means.open_files;
    if scenario.connections() as u64 > open_files.saturating_sub(SPARE_FILES) {
        return Err(format!(
            "{}: {BASELINE} is left out, because it holds all connections in one process and \
             {open_files} open files are allowed (ulimit -Hn)",
            scenario.name
        ));
    }
    let tuned = || styled(BASELINE, Role::Baseline, "tuned");
    Ok(match scenario.field {
        Field::OneCore => vec![tuned(), styled(PLAIN, Role::Rival, "plain")],
        Field::Phoenix | Field::TwoGenerators(_) => Vec::new(),
        Field::Chat | Field::TwoShards | Field::Seeds { .. } => vec![tuned()],
    })
}

/// Servers of others.
fn others(args: &RunArgs, scenario: &Scenario, rivals: &[Rival]) -> Vec<Contestant> {
    let started = rivals.iter().map(|rival| {
        let start = Start::Command(rival.command.clone());
        Contestant::new(&rival.name, Role::Rival, start)
    });
    let running = args.against.iter().map(|against| {
        let start = Start::Running(against.clone());
        Contestant::new(&against.name, Role::Against, start)
    });
    match (&scenario.field, &scenario.load) {
        // Nothing is known about the memory of a process elsewhere.
        (Field::OneCore, Load::Idle(_)) => started.collect(),
        (Field::OneCore, _) => started.chain(running).collect(),
        (Field::Chat, _) => running.collect(),
        _ => Vec::new(),
    }
}

/// Descriptors a process needs for other things than connections.
pub(crate) const SPARE_FILES: u64 = 200;

/// Enough shards that the table of each holds its share, however unevenly the
/// kernel spreads the connections; one per core at least.
fn shards_for(connections: usize, open_files: u64, cores: usize) -> usize {
    let comfortable = (open_files.saturating_sub(SPARE_FILES) as usize * 4 / 5).max(1);
    connections.div_ceil(comfortable).max(cores)
}

impl From<&Contestant> for Entry {
    fn from(contestant: &Contestant) -> Entry {
        Entry::new(contestant.name.clone(), contestant.role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Task};
    use crate::scenario::Set;
    use clap::Parser;

    fn names(line: &str, scenario: &str, open_files: u64) -> (Vec<String>, Vec<String>) {
        let line = format!("bench {line}");
        let Task::Run(args) = Cli::try_parse_from(line.split_whitespace())
            .unwrap()
            .resolve()
        else {
            panic!("not a run");
        };
        let sets = [Set::Full, Set::Seeds].map(Scenario::all);
        let scenario = sets.concat().into_iter().find(|it| it.name == scenario);
        let rival = Rival {
            name: "bun".into(),
            command: vec!["bun".into()],
        };
        let cores = Cores {
            server: vec![0],
            load: vec![1],
            how: String::new(),
        };
        let means = Means {
            open_files,
            io_uring: true,
        };
        let (all, absent) = line_up(&args, &scenario.unwrap(), &cores, &[rival], means);
        (all.into_iter().map(|it| it.name).collect(), absent)
    }

    #[test]
    fn everybody_takes_part_on_one_core() {
        let (names, absent) = names(
            "--baseline b --against uws=ws://127.0.0.1:1 --both-drivers",
            "handshakes",
            20_000,
        );
        let wanted = [SERVER, EPOLL, BASELINE, PLAIN, "bun", "uws", "floor accept"];
        assert_eq!(names, wanted);
        assert!(absent.is_empty());
    }

    #[test]
    fn only_those_who_can_take_part_in_the_others() {
        let all = "--baseline b --against uws=ws://127.0.0.1:1";
        let lines_up = |scenario| names(all, scenario, 20_000).0;
        assert_eq!(lines_up("chat-two-shards"), [SERVER, BASELINE, "uws"]);
        assert_eq!(lines_up("cross-core-s10000"), [SERVER, ONE_SHARD, BASELINE]);
        assert_eq!(lines_up("generators-echo"), [SERVER, GENERATOR]);
        assert_eq!(lines_up("phoenix-joins-c10000"), [SERVER]);
        let memory = lines_up("idle-memory");
        assert_eq!(memory, [SERVER, BASELINE, PLAIN, "bun", "floor epoll"]);
    }

    #[test]
    fn who_cannot_hold_the_connections_is_left_out_and_named() {
        let (names_here, absent) = names("--baseline b", "seed-connections", 20_000);
        assert_eq!(names_here, [SERVER, "printed in the seeds"]);
        assert!(absent[0].contains("20000 open files"), "{absent:?}");
        let (names_there, absent) = names("--baseline b", "seed-connections", 1_000_000);
        assert_eq!(names_there, [SERVER, BASELINE, "printed in the seeds"]);
        assert!(absent.is_empty());
    }

    #[test]
    fn shards_are_as_many_as_their_tables_need() {
        assert_eq!(shards_for(50_000, 20_000, 1), 4);
        assert_eq!(shards_for(50_000, 1_000_000, 1), 1);
        assert_eq!(shards_for(50_000, 1_000_000, 8), 8);
    }

    #[test]
    fn a_list_of_rivals_is_read_or_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "bun\tbun\trun\ta.js\n\nnode\tnode\tb c.js\n").unwrap();
        let rivals = Rival::read_list(file.path()).unwrap();
        assert_eq!(rivals[0].command, ["bun", "run", "a.js"]);
        assert_eq!(rivals[1].command, ["node", "b c.js"]);
        fs::write(file.path(), "bun bun run a.js\n").unwrap();
        let error = Rival::read_list(file.path()).unwrap_err().to_string();
        assert!(error.contains("with tabs between"), "{error}");
    }
}
