//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use corecast_host::number::{count, positive, rate, size, time, time_or_zero};

use crate::dialect::Dialect;
use crate::script::DEFAULT_TIMEOUT;
use crate::sources::Sources;

/// Loads WebSocket servers: any number of clients from one machine, and the
/// truth about what stopped them.
///
/// Exit status: 0 when everything went well; 1 when connections failed,
/// deliveries were lost or something climbed that should not; 2 when there was
/// nothing to measure, such as a wrong URL or a server that is not there.
#[derive(Debug, Parser)]
#[command(name = "corecast-load", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Open connections and hold them
    Connect(ConnectArgs),
    /// Send a number of messages, as fast as they go or at a rate
    Message(MessageArgs),
    /// Send messages for a time, as fast as they go or at a rate
    Endurance(EnduranceArgs),
    /// Send messages that must come back, and time them
    Echo(EchoArgs),
    /// Publish to many subscribers, and time the first, the median and the last
    Broadcast(BroadcastArgs),
    /// Rooms of users who talk, come and go at random
    Chat(ChatArgs),
    /// Connect, exchange messages, leave, and again
    Churn(ChurnArgs),
    /// Hold a steady load for long, and fail if anything climbs
    Soak(SoakArgs),
    /// Join Phoenix channels, push, receive, and show signs of life
    Phoenix(PhoenixArgs),
    /// Run a scenario from a file
    Run(RunArgs),
    /// Join the JSON results of several machines into one
    Merge(MergeArgs),
}

/// Which servers.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub struct TargetArgs {
    /// The server, as ws://HOST:PORT/PATH. `{connection}`, `{user}` and
    /// `{room}` in the path become numbers
    pub url: String,
    /// Another server; connections go to all of them in turn
    #[arg(long = "target", value_name = "URL")]
    pub targets: Vec<String>,
    #[command(flatten)]
    /// The handshake.
    pub handshake: HandshakeArgs,
}

/// What the opening handshake says.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub struct HandshakeArgs {
    /// A header of the opening handshake, as 'Name: value'; repeatable
    #[arg(long = "header", value_name = "HEADER")]
    pub headers: Vec<String>,
    /// A subprotocol to offer, which the server must then select
    #[arg(long, value_name = "NAME")]
    pub subprotocol: Option<String>,
}

/// How the generator works.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Generator")]
pub struct EngineArgs {
    /// Local addresses to connect from: 'auto' (as many loopback addresses as
    /// the ports need), a range 127.0.0.2-127.0.0.60, a network 127.1.0.0/24,
    /// or a list with commas
    #[arg(long, default_value = "auto")]
    pub sources: Sources,
    /// Threads; by default one per core, and more when a thread's descriptor
    /// table cannot hold its share
    #[arg(long, value_name = "N", value_parser = positive)]
    pub threads: Option<u64>,
    /// Cores to pin the threads to, such as 0,2-3; by default all this process
    /// may use
    #[arg(long, value_name = "LIST")]
    pub cpus: Option<String>,
    /// The kernel interface
    #[arg(long, value_enum, default_value_t = DriverArg::Auto)]
    pub driver: DriverArg,
    /// How long a connection, a handshake or an answer may take [default: 10s,
    /// or what the scenario file says]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub timeout: Option<Duration>,
    /// How connections are ended
    #[arg(long, value_enum, default_value_t = CloseArg::Frame)]
    pub close: CloseArg,
}

impl EngineArgs {
    /// How long a connection, a handshake or an answer may take.
    pub fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(DEFAULT_TIMEOUT)
    }
}

/// The kernel interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DriverArg {
    /// io_uring where it can be had, else epoll
    Auto,
    /// io_uring
    Uring,
    /// epoll
    Epoll,
}

/// How connections are ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CloseArg {
    /// With a close frame, waiting for the server's
    Frame,
    /// With a TCP reset
    Reset,
}

/// How connections arrive.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Arrival")]
pub struct ArrivalArgs {
    /// Handshakes under way at one time, where nothing else sets the pace
    /// [default: 256, or 64 for each thread if that is more]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub parallel: Option<u64>,
    /// Open in batches of this size
    #[arg(long, value_name = "N", value_parser = positive, conflicts_with = "arrival_rate")]
    pub batch: Option<u64>,
    /// Pause between batches
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time, requires = "batch")]
    pub pause: Duration,
    /// Open this many per second, however long the server takes
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub arrival_rate: Option<f64>,
    /// The distances between arrivals
    #[arg(long, value_enum, default_value_t = ArrivalArg::Exponential, requires = "arrival_rate")]
    pub arrival: ArrivalArg,
}

/// The distances between arrivals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ArrivalArg {
    /// Random, as of users who do not know each other
    Exponential,
    /// All the same
    Even,
}

/// What is shown and kept.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Results")]
pub struct OutputArgs {
    /// Write everything that was measured, for `merge` and for programs
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the time series
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Write a page with charts
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Serve that page while the run goes on
    #[arg(long, value_name = "ADDRESS")]
    pub live: Option<SocketAddr>,
    /// The server's statistics (corecast's /stats); by default looked for on
    /// 127.0.0.1:9090 when the server is on this machine
    #[arg(long, value_name = "URL")]
    pub stats: Option<String>,
    /// The server's process, whose CPU and memory are watched; by default the
    /// one on this machine that listens on the target's port
    #[arg(long, value_name = "PID")]
    pub server_pid: Option<u32>,
    /// Show no progress
    #[arg(short, long)]
    pub quiet: bool,
}

/// Everything that all scenarios share.
#[derive(Debug, Clone, Args)]
pub struct CommonArgs {
    #[command(flatten)]
    /// Which servers.
    pub target: TargetArgs,
    #[command(flatten)]
    /// How the generator works.
    pub engine: EngineArgs,
    #[command(flatten)]
    /// What is shown and kept.
    pub output: OutputArgs,
}

/// How messages are written.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Messages")]
pub struct MessageForm {
    /// What the server understands: raw bytes, text, corecast's JSON chat, or
    /// Phoenix channels; by default told from the path
    #[arg(long, value_name = "raw|text|chat|phoenix")]
    pub protocol: Option<Dialect>,
    /// Payload bytes of a message, without what the protocol puts around it
    #[arg(long, value_name = "SIZE", default_value = "64", value_parser = size)]
    pub size: u64,
}

/// `connect`
#[derive(Debug, Clone, Args)]
pub struct ConnectArgs {
    /// Connections
    #[arg(short, long, value_name = "N", default_value = "1000", value_parser = positive)]
    pub connections: u64,
    /// How long to hold them all
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time_or_zero)]
    pub hold: Duration,
    /// Ping each connection this often
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub ping: Option<Duration>,
    #[command(flatten)]
    /// How they arrive.
    pub arrival: ArrivalArgs,
    #[command(flatten)]
    /// The options that all scenarios share.
    pub common: CommonArgs,
}

/// `message`
#[derive(Debug, Clone, Args)]
pub struct MessageArgs {
    /// Connections
    #[arg(short, long, value_name = "N", default_value = "1000", value_parser = positive)]
    pub connections: u64,
    /// Messages, over all connections in turn
    #[arg(short, long, value_name = "N", default_value = "100k", value_parser = positive)]
    pub messages: u64,
    /// Messages per second over all connections; by default as fast as they go
    #[arg(long, value_parser = rate)]
    pub rate: Option<f64>,
    #[command(flatten)]
    /// How messages are written.
    pub form: MessageForm,
    #[command(flatten)]
    /// How they arrive.
    pub arrival: ArrivalArgs,
    #[command(flatten)]
    /// The options that all scenarios share.
    pub common: CommonArgs,
}

/// `endurance`
#[derive(Debug, Clone, Args)]
pub struct EnduranceArgs {
    /// Connections
    #[arg(short, long, value_name = "N", default_value = "1000", value_parser = positive)]
    pub connections: u64,
    /// How long to send
    #[arg(short, long, value_name = "TIME", default_value = "60s", value_parser = time)]
    pub duration: Duration,
    /// Messages per second over all connections; by default as fast as they go
    #[arg(long, value_parser = rate)]
    pub rate: Option<f64>,
    #[command(flatten)]
    /// How messages are written.
    pub form: MessageForm,
    #[command(flatten)]
    /// How they arrive.
    pub arrival: ArrivalArgs,
    #[command(flatten)]
    /// The options that all scenarios share.
    pub common: CommonArgs,
}

/// `echo`
#[derive(Debug, Clone, Args)]
pub struct EchoArgs {
    /// Connections
    #[arg(short, long, value_name = "N", default_value = "100", value_parser = positive)]
    pub connections: u64,
    /// How long to measure
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub duration: Duration,
    /// Time before, in which messages flow but do not count
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time_or_zero)]
    pub warm_up: Duration,
    /// Messages of each connection that are under way at one time
    #[arg(short, long, value_name = "N", default_value = "1", value_parser = positive, conflicts_with = "rate")]
    pub pipeline: u64,
    /// Messages per second over all connections, however long answers take;
    /// latency counts from the planned time
    #[arg(long, value_parser = rate)]
    pub rate: Option<f64>,
    #[command(flatten)]
    /// How messages are written.
    pub form: MessageForm,
    #[command(flatten)]
    /// How they arrive.
    pub arrival: ArrivalArgs,
    #[command(flatten)]
    /// The options that all scenarios share.
    pub common: CommonArgs,
}

/// `broadcast`
#[derive(Debug, Clone, Args)]
pub struct BroadcastArgs {
    /// Subscribers
    #[arg(short, long, alias = "connections", value_name = "N", default_value = "1000", value_parser = positive)]
    pub subscribers: u64,
    /// How many of the subscribers publish
    #[arg(short, long, value_name = "N", default_value = "1", value_parser = positive)]
    pub publishers: u64,
    /// How long to measure
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub duration: Duration,
    /// Time before, in which messages flow but do not count
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time_or_zero)]
    pub warm_up: Duration,
    /// Publications of each publisher that are under way at one time
    #[arg(short, long, value_name = "N", default_value = "1", value_parser = positive, conflicts_with = "rate")]
    pub outstanding: u64,
    /// Publications per second of all publishers together, however long the
    /// deliveries take
    #[arg(long, value_parser = rate)]
    pub rate: Option<f64>,
    /// The server does not send a publication back to its publisher
    #[arg(long)]
    pub no_self: bool,
    #[command(flatten)]
    /// How messages are written.
    pub form: MessageForm,
    #[command(flatten)]
    /// How they arrive.
    pub arrival: ArrivalArgs,
    #[command(flatten)]
    /// The options that all scenarios share.
    pub common: CommonArgs,
}

/// `chat`
#[derive(Debug, Clone, Args)]
pub struct ChatArgs {
    /// Rooms; more than one need `{room}` in the path
    #[arg(long, value_name = "N", default_value = "1", value_parser = positive)]
    pub rooms: u64,
    /// Users of each room
    #[arg(long, value_name = "N", default_value = "50", value_parser = positive)]
    pub users: u64,
    /// Messages per second each user sends on average
    #[arg(long, default_value = "0.2", value_parser = rate)]
    pub rate: f64,
    /// How long a user stays on average; 'forever' for as long as the run
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub stay: Stay,
    /// How long a user who has left stays away on average
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time)]
    pub away: Duration,
    /// How long to measure
    #[arg(short, long, value_name = "TIME", default_value = "30s", value_parser = time)]
    pub duration: Duration,
    #[command(flatten)]
    /// How messages are written.
    pub form: MessageForm,
    #[command(flatten)]
    /// How they arrive.
    pub arrival: ArrivalArgs,
    #[command(flatten)]
    /// The options that all scenarios share.
    pub common: CommonArgs,
}

/// How long a user stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stay(pub Option<Duration>);

impl std::str::FromStr for Stay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "forever" => Ok(Stay(None)),
            text => time(text).map(|stay| Stay(Some(stay))),
        }
    }
}

/// `churn`
#[derive(Debug, Clone, Args)]
pub struct ChurnArgs {
    /// Connections at one time, each of which comes back as soon as it has left
    #[arg(short, long, value_name = "N", default_value = "100", value_parser = positive)]
    pub connections: u64,
    /// Instead, this many new connections per second, however long they take
    #[arg(long, value_name = "RATE", value_parser = rate, conflicts_with = "connections")]
    pub arrival_rate: Option<f64>,
    /// Messages that each sends and gets back before it leaves
    #[arg(long, value_name = "N", default_value = "1", value_parser = count)]
    pub exchanges: u64,
    /// How long to measure
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub duration: Duration,
    #[command(flatten)]
    /// How messages are written.
    pub form: MessageForm,
    #[command(flatten)]
    /// The options that all scenarios share.
    pub common: CommonArgs,
}

/// `soak`
#[derive(Debug, Clone, Args)]
pub struct SoakArgs {
    /// Connections
    #[arg(short, long, value_name = "N", default_value = "1000", value_parser = positive)]
    pub connections: u64,
    /// How long to hold the load
    #[arg(short, long, value_name = "TIME", default_value = "30m", value_parser = time)]
    pub duration: Duration,
    /// Messages per second of each connection
    #[arg(long, default_value = "1", value_parser = rate)]
    pub rate: f64,
    /// How often the server is looked at; by default every minute, or a
    /// thirtieth of the time if that is less
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub sample: Option<Duration>,
    /// By how much, in percent, something may rise over the run
    #[arg(long, value_name = "PERCENT", default_value = "2")]
    pub tolerance: f64,
    /// Others use this host too: the kernel's memory, which is that of the whole
    /// host, may climb
    #[arg(long)]
    pub shared_host: bool,
    #[command(flatten)]
    /// How messages are written.
    pub form: MessageForm,
    #[command(flatten)]
    /// How they arrive.
    pub arrival: ArrivalArgs,
    #[command(flatten)]
    /// The options that all scenarios share.
    pub common: CommonArgs,
}

/// `phoenix`
#[derive(Debug, Clone, Args)]
pub struct PhoenixArgs {
    /// Channels, named room:0, room:1, …
    #[arg(long, value_name = "N", default_value = "1", value_parser = positive)]
    pub channels: u64,
    /// Users of each channel
    #[arg(long, value_name = "N", default_value = "100", value_parser = positive)]
    pub users: u64,
    /// Pushes per second of each user on average
    #[arg(long, default_value = "0.1", value_parser = rate)]
    pub rate: f64,
    /// How often a user shows that it is alive
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    pub heartbeat: Duration,
    /// How long to measure
    #[arg(short, long, value_name = "TIME", default_value = "30s", value_parser = time)]
    pub duration: Duration,
    /// Payload bytes of a push's body
    #[arg(long, value_name = "SIZE", default_value = "64", value_parser = size)]
    pub size: u64,
    #[command(flatten)]
    /// How they arrive.
    pub arrival: ArrivalArgs,
    #[command(flatten)]
    /// The options that all scenarios share.
    pub common: CommonArgs,
}

/// `run`
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// The scenario
    #[arg(value_name = "SCENARIO.toml")]
    pub file: PathBuf,
    /// The server, in place of the scenario's; repeatable
    #[arg(long = "target", value_name = "URL")]
    pub targets: Vec<String>,
    #[command(flatten)]
    /// The handshake.
    pub handshake: HandshakeArgs,
    #[command(flatten)]
    /// How the generator works.
    pub engine: EngineArgs,
    #[command(flatten)]
    /// What is shown and kept.
    pub output: OutputArgs,
}

/// `merge`
#[derive(Debug, Clone, Args)]
pub struct MergeArgs {
    /// Results that `--json` wrote
    #[arg(required = true, num_args = 1.., value_name = "FILE.json")]
    pub files: Vec<PathBuf>,
    /// Write the joined result
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the joined time series
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Write a page with charts
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_url_is_all_a_scenario_needs() {
        for scenario in [
            "connect",
            "message",
            "endurance",
            "echo",
            "broadcast",
            "chat",
            "churn",
            "soak",
            "phoenix",
        ] {
            Cli::try_parse_from(["corecast-load", scenario, "ws://h/"]).unwrap();
        }
    }

    /// As `corecast serve` reads them.
    #[test]
    fn numbers_sizes_and_times_have_one_spelling() {
        let read = |words: &[&str]| {
            let words = [&["corecast-load", "echo", "ws://h/"], words].concat();
            Cli::try_parse_from(words).map_err(|error| error.to_string())
        };
        for words in [
            &["--connections", "1M"][..],
            &["--connections", "1_000"],
            &["--size", "64KiB"],
            &["--size", "1kB"],
            &["--warm-up", "500ms"],
            &["--warm-up", "0"],
        ] {
            read(words).unwrap_or_else(|problem| panic!("{words:?}: {problem}"));
        }
        for (words, problem) in [
            (&["--size", "64K"][..], "could be 64kB or 64KiB"),
            (&["--warm-up", "10"], "write a number and a unit"),
            (&["--connections", "1,2"], "is not a number like"),
        ] {
            let error = read(words).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
    }
}
