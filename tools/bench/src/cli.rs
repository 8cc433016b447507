//! The command line: its options, and the task that they resolve to.

use std::convert::Infallible;
use std::net::{SocketAddr, SocketAddrV4, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use corecast_host::number;
use corecast_kit::sys;

use crate::During;
use crate::Result;
use crate::floor::Floor;
use crate::load::{Opcode, Peer, Protocol, Window};
use crate::scenario::Set;

/// Measures a WebSocket server next to the floors of this kernel.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

/// The meaning of a run's exit status.
const EXIT_STATUS: &str = "\
Exit status:
  0  corecast answered rightly and lost nothing wherever it was measured,
     whether or not it met its goals. The report says what other contestants
     did wrong and which scenarios this host makes impossible
  1  corecast gave a wrong answer, lost something, ended, or could not run
  2  nothing could be measured: a mistake on the command line, a program or a
     file that cannot be used, or a host on which no scenario is possible";

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure (the default)
    #[command(after_help = EXIT_STATUS)]
    Run(Box<RunArgs>),
    /// List the scenarios of a set
    List(ListArgs),
    /// Compare two reports; fails if anything became slower or larger
    Compare(CompareArgs),
    /// Put the figures of a report into a document, between its `figures` comments
    Quote(QuoteArgs),
    /// Serve as one of the floors until killed
    Floor(FloorArgs),
}

/// The task that a command line asks for.
#[derive(Debug)]
pub enum Task {
    /// Measure.
    Run(Box<RunArgs>),
    /// Name the scenarios of a set.
    List(Set),
    /// Compare two reports.
    Compare(CompareArgs),
    /// Put figures into a document.
    Quote(QuoteArgs),
    /// Be a floor.
    Floor(FloorArgs),
}

impl Cli {
    /// The task, with `run` as the default.
    pub fn resolve(self) -> Task {
        match self.command {
            None => Task::Run(Box::new(self.run)),
            Some(Command::Run(args)) => Task::Run(args),
            Some(Command::List(args)) => Task::List(args.set),
            Some(Command::Compare(args)) => Task::Compare(args),
            Some(Command::Quote(args)) => Task::Quote(args),
            Some(Command::Floor(args)) => Task::Floor(args),
        }
    }
}

/// The options of `list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Which scenarios
    #[arg(long, value_enum, default_value_t = Set::Standard)]
    pub set: Set,
}

/// The options of `compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The earlier report.json
    pub old: PathBuf,
    /// The later one
    pub new: PathBuf,
}

/// The options of `quote`.
#[derive(Debug, Args)]
pub struct QuoteArgs {
    /// The report.json
    pub report: PathBuf,
    /// The file with the comments
    pub document: PathBuf,
}

/// The options of `floor`.
#[derive(Debug, Args)]
pub struct FloorArgs {
    /// Which floor
    floor: Floor,
    /// Where to listen
    #[arg(long, value_name = "IP:PORT")]
    listen: SocketAddrV4,
    /// The core to be pinned to
    #[arg(long, value_name = "N")]
    cpu: Option<usize>,
    /// Size of one publication on the wire, for sendloop
    #[arg(long, value_name = "BYTES", default_value_t = 26,
          value_parser = clap::value_parser!(u16).range(1..))]
    unit: u16,
}

impl FloorArgs {
    /// Serves until the process is killed.
    pub fn serve(&self) -> Result<Infallible> {
        sys::raise_open_files().during("raising the limit of open files")?;
        if let Some(cpu) = self.cpu {
            sys::pin_to_cpus(&[cpu]).during(format!("pinning to core {cpu}"))?;
        }
        let listener = Floor::listen(self.listen)?;
        self.floor.serve(listener, usize::from(self.unit))
    }
}

/// The kernel interface the server is told to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Driver {
    /// The server decides.
    Auto,
    /// io_uring.
    Uring,
    /// epoll.
    Epoll,
}

impl Driver {
    /// The word the server understands.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The options of `run`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Which scenarios
    #[arg(long, value_enum, default_value_t = Set::Standard)]
    pub set: Set,
    /// The server's binary, started as `serve --listen … --shards 1 …`
    #[arg(long, value_name = "PATH", default_value = "target/release/corecast")]
    pub server: PathBuf,
    /// The load generator's binary, for what the built-in load does not do
    #[arg(
        long,
        value_name = "PATH",
        default_value = "target/release/corecast-load"
    )]
    pub load: PathBuf,
    /// The conventional server's binary, started as `--listen …`
    #[arg(long, value_name = "PATH")]
    pub baseline: Option<PathBuf>,
    /// A list of other servers to start: on each line a name, a command and its
    /// arguments, with tabs between them
    #[arg(long, value_name = "FILE")]
    pub rivals: Option<PathBuf>,
    /// Another argument for the server; may be repeated
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub server_arg: Vec<String>,
    /// The kernel interface the server is to use
    #[arg(long, value_enum, default_value_t = Driver::Auto)]
    pub driver: Driver,
    /// Also measure the server on epoll
    #[arg(long)]
    pub both_drivers: bool,
    /// Leave the server out: floors and others only
    #[arg(long)]
    pub no_server: bool,
    /// Leave the floors out
    #[arg(long)]
    pub no_floors: bool,
    /// Another running server to compare with; may be repeated
    #[arg(long, value_name = "NAME=ws://HOST:PORT[/PREFIX]")]
    pub against: Vec<Against>,
    /// Only scenarios whose name contains this; may be repeated
    #[arg(long, value_name = "SUBSTRING")]
    pub only: Vec<String>,
    /// One short round: whether it works, not how fast it is
    #[arg(long)]
    pub quick: bool,
    /// Rounds; the report shows their median and range
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Time measured in each round, in seconds or as in 500ms [default: 3, or 1 for the standard set]
    #[arg(long, value_name = "S", value_parser = seconds)]
    seconds: Option<f64>,
    /// Time of load before it counts, in seconds or as in 500ms
    #[arg(long, value_name = "S", default_value = "0.5", value_parser = seconds)]
    warm_up: f64,
    /// Send text messages instead of binary ones
    #[arg(long)]
    text: bool,
    /// Cores of servers and floors, such as 0-3,8 [default: half of them]
    #[arg(long, value_name = "LIST", value_parser = cpu_list)]
    server_cpus: Option<CpuList>,
    /// Cores of the load [default: the other half]
    #[arg(long, value_name = "LIST", value_parser = cpu_list)]
    load_cpus: Option<CpuList>,
    /// Write every figure of every round to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a page with charts to this file
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Write the short table, as Markdown, to this file
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
}

/// Cores by their numbers. A type of its own, because a list of values would
/// mean an option that can be repeated.
type CpuList = std::sync::Arc<[usize]>;

fn cpu_list(text: &str) -> std::result::Result<CpuList, String> {
    corecast_host::cpus::parse(text).map(CpuList::from)
}

impl RunArgs {
    /// The cores of servers and floors, if they were given.
    pub fn server_cpus(&self) -> Option<Vec<usize>> {
        self.server_cpus.as_deref().map(Vec::from)
    }

    /// The cores of the load, if they were given.
    pub fn load_cpus(&self) -> Option<Vec<usize>> {
        self.load_cpus.as_deref().map(Vec::from)
    }

    /// How many rounds.
    pub fn rounds(&self) -> usize {
        if self.quick { 1 } else { self.rounds as usize }
    }

    /// How long each is. Bounded, so that a run always ends.
    pub fn window(&self) -> Window {
        let seconds = |seconds: f64| Duration::from_secs_f64(seconds.clamp(0.01, 600.0));
        if self.quick {
            return Window {
                warm_up: Duration::from_millis(200),
                measured: Duration::from_secs(1),
            };
        }
        let default = if self.set == Set::Standard { 1.0 } else { 3.0 };
        Window {
            warm_up: seconds(self.warm_up),
            measured: seconds(self.seconds.unwrap_or(default)),
        }
    }

    /// The kind of messages.
    pub fn opcode(&self) -> Opcode {
        if self.text {
            Opcode::Text
        } else {
            Opcode::Binary
        }
    }

    /// Whether a scenario is wanted.
    pub fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part.as_str()))
    }
}

/// Reads a time that is in seconds where it has no unit.
fn seconds(text: &str) -> std::result::Result<f64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Ok(seconds);
    }
    let time = number::time_or_zero(text);
    time.map(|time| time.as_secs_f64())
        .map_err(|_| format!("'{text}' is not a time; write seconds, as in 3 or 0.5, or 500ms"))
}

/// A server somewhere else.
#[derive(Debug, Clone)]
pub struct Against {
    /// Its name in the report.
    pub name: String,
    /// Its address, protocol and messages.
    pub peer: Peer,
}

impl FromStr for Against {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Against, String> {
        let form = || format!("'{text}' is not of the form name=ws://host:port");
        let (name, url) = text.split_once('=').ok_or_else(form)?;
        let rest = url.strip_prefix("ws://").ok_or_else(form)?;
        let (host, prefix) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        let address = host
            .to_socket_addrs()
            .map_err(|error| format!("{host}: {error}"))?
            .find_map(|address| match address {
                SocketAddr::V4(address) => Some(address),
                SocketAddr::V6(_) => None,
            })
            .ok_or_else(|| format!("{host} has no IPv4 address"))?;
        let mut peer = Peer::new(address, Protocol::WebSocket);
        peer.path_prefix = prefix.trim_end_matches('/').to_owned();
        Ok(Against {
            name: name.to_owned(),
            peer,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_is_the_default() {
        let task = |line: &str| Cli::try_parse_from(line.split(' ')).unwrap().resolve();
        assert!(matches!(task("bench --quick"), Task::Run(args) if args.quick));
        assert!(matches!(task("bench run --quick"), Task::Run(args) if args.quick));
        let floor = task("bench floor sendloop --listen 127.0.0.1:1 --unit 26");
        assert!(matches!(floor, Task::Floor(_)));
    }

    #[test]
    fn times_are_seconds_or_have_a_unit() {
        for (text, read) in [("3", 3.0), ("0.5", 0.5), ("500ms", 0.5), ("1m", 60.0)] {
            assert_eq!(seconds(text), Ok(read), "{text}");
        }
        assert!(seconds("soon").unwrap_err().contains("500ms"));
    }

    #[test]
    fn others_are_named_by_url() {
        let against: Against = "uws=ws://127.0.0.1:9001/bench/".parse().unwrap();
        assert_eq!(against.name, "uws");
        assert_eq!(against.peer.address.port(), 9001);
        assert_eq!(against.peer.path_prefix, "/bench");
        assert!("ws://127.0.0.1:9001".parse::<Against>().is_err());
    }
}
