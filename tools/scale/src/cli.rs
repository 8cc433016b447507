//! The command line.

use std::convert::Infallible;
use std::net::{SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use corecast_host::cpus;
use corecast_kit::{During, Result, sys};

use crate::{floor, network};

/// Opens very many connections on one machine and tells what each costs.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    /// What is to be done.
    pub command: Command,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Measure memory per connection and processor time per delivery at growing sizes
    Measure(MeasureArgs),
    /// Hold one number of connections for minutes, with heartbeats, broadcasts and newcomers
    Hold(HoldArgs),
    /// Put what was measured into a document, as tables and charts
    Report(ReportArgs),
    /// Serve as the floor: a loop of sends on each of many threads, until killed
    Floor(FloorArgs),
}

/// The programs that are started, and where.
#[derive(Debug, Clone, Args)]
pub struct Setup {
    /// The server's binary
    #[arg(long, value_name = "PATH", default_value = "target/release/corecast")]
    pub server: PathBuf,
    /// The load generator's binary
    #[arg(
        long,
        value_name = "PATH",
        default_value = "target/release/corecast-load"
    )]
    pub load: PathBuf,
    /// Another argument for the server; may be repeated
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub server_arg: Vec<String>,
    /// Stay in the host's network, with its table of connections, also as root
    #[arg(long)]
    pub host_network: bool,
}

impl Setup {
    /// Makes room for so many connections in the kernel's table, unless asked not to.
    ///
    /// # Errors
    /// See [`network::with_room_for`].
    pub fn prepare_network(&self, connections: u64) -> Result<()> {
        match self.host_network {
            true => Ok(()),
            false => network::with_room_for(connections),
        }
    }
}

/// The options of `measure`.
#[derive(Debug, Args)]
pub struct MeasureArgs {
    /// The options that both kinds of run need.
    #[command(flatten)]
    pub setup: Setup,
    /// Connections, such as 10k or 1M; one size after the other
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "10k,100k,1M",
          value_parser = corecast_host::number::positive)]
    pub connections: Vec<u64>,
    /// Rounds; each begins with the other contestant
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(1..=99))]
    pub rounds: u32,
    /// Leave the floor out
    #[arg(long)]
    pub no_floor: bool,
    /// Write every reading to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// The options of `hold`.
#[derive(Debug, Args)]
pub struct HoldArgs {
    /// The options that both kinds of run need.
    #[command(flatten)]
    pub setup: Setup,
    /// Connections, such as 10k or 1M
    #[arg(long, value_name = "N", default_value = "1M",
          value_parser = corecast_host::number::positive)]
    pub connections: u64,
    /// How long they are held once they are open
    #[arg(long, value_name = "TIME", default_value = "10m",
          value_parser = corecast_host::number::time)]
    pub hold: Duration,
    /// Time between two broadcasts to all
    #[arg(long, value_name = "TIME", default_value = "1m",
          value_parser = corecast_host::number::time)]
    pub publish_every: Duration,
    /// Where figures and charts are written
    #[arg(long, value_name = "DIRECTORY", default_value = "target/scale/hold")]
    pub directory: PathBuf,
}

/// The options of `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// A file of `measure --json`; may be repeated
    #[arg(long, value_name = "FILE")]
    pub cost: Vec<PathBuf>,
    /// A directory of `hold`; may be repeated
    #[arg(long, value_name = "DIRECTORY")]
    pub held: Vec<PathBuf>,
    /// One that is shown in charts of its own too, whose names begin with the directory's
    #[arg(long, value_name = "DIRECTORY")]
    pub shown: Vec<PathBuf>,
    /// The document, with the lines '<!-- figures -->' and '<!-- /figures -->'
    #[arg(long, value_name = "FILE", default_value = "docs/road-to-2-million.md")]
    pub into: PathBuf,
    /// Where the charts are written
    #[arg(
        long,
        value_name = "DIRECTORY",
        default_value = "docs/road-to-2-million"
    )]
    pub charts: PathBuf,
}

/// The options of `floor`.
#[derive(Debug, Args)]
pub struct FloorArgs {
    /// Where to listen
    #[arg(long, value_name = "IP:PORT")]
    listen: SocketAddrV4,
    /// Threads, each with a table of descriptors of its own
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
}

impl FloorArgs {
    /// Serves until the process is killed.
    ///
    /// # Errors
    /// When it cannot.
    pub fn serve(&self) -> Result<Infallible> {
        sys::raise_open_files().during("raising the limit of open files")?;
        let address = SocketAddr::V4(self.listen);
        floor::serve(address, usize::from(self.threads), &cpus::usable())
            .during(format!("serving the floor on {address}"))
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
    fn sizes_are_a_list() {
        let line = "scale measure --connections 10k,1M";
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        let Command::Measure(args) = cli.command else {
            panic!("not a measurement");
        };
        assert_eq!(args.connections, [10_000, 1_000_000]);
    }
}
