//! `corecast plan`: its options, and the question they become.

use std::time::Duration;

use clap::Args;
use corecast_host::number::{count, positive, rate, size, time_or_zero};
use corecast_host::plan::Question;

use super::{CliError, Command};

/// How `corecast plan --help` ends.
const EXAMPLES: &str = "\
Numbers may be written 50k, 1.5M or 1_000_000; sizes 64KiB; times 500ms, 30s or 2m.
Nothing is read from this host: corecast doctor does that.

  corecast plan --connections 100k --rate 100k --payload 200
  corecast plan --connections 1M --rate 1 --fan-out all --cores 16
  corecast plan --connections 2M --sources 20 --json

Exit status: 0; 1 when the given cores or sources do not suffice; 2 for a mistake.";

/// The largest payload that corecast can be set to take.
const MAX_PAYLOAD_BYTES: u64 = 1 << 30;
/// The most connections a plan is made for: beyond it no address is left.
const MAX_CONNECTIONS: u64 = 1 << 40;

/// What was typed.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub(super) struct PlanArgs {
    /// Connections at one time
    #[arg(long, short = 'c', value_name = "N", value_parser = positive)]
    connections: u64,

    /// Messages that all clients together send, per second [default: none]
    #[arg(long, value_name = "R", value_parser = rate_or_none)]
    rate: Option<f64>,

    /// Bytes of a message's payload
    #[arg(long, value_name = "SIZE", default_value = "20", value_parser = size)]
    payload: u64,

    /// Sessions that each message is sent to, or all; an answer to its sender is 1
    #[arg(long, value_name = "F", default_value = "1", value_parser = fan_out)]
    fan_out: FanOut,

    /// Source addresses that the clients of a test have; says whether they suffice
    #[arg(long, value_name = "N", value_parser = positive)]
    sources: Option<u64>,

    /// Addresses and ports of the server that the clients connect to
    #[arg(long, value_name = "N", default_value = "1", value_parser = positive)]
    targets: u64,

    /// Cores of the server, a shard on each [default: as many as are needed]
    #[arg(long, value_name = "N", value_parser = cores)]
    cores: Option<u64>,

    /// Silence after which the server sends a ping, or 0 for never
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time_or_zero)]
    ping_interval: Duration,

    /// Connections that are opened per second [default: as many as the cores can]
    #[arg(long, value_name = "R", value_parser = rate)]
    connect_rate: Option<f64>,

    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// How many sessions a message is for.
#[derive(Debug, Clone, Copy)]
enum FanOut {
    All,
    Sessions(u64),
}

impl PlanArgs {
    /// The question, if it can stand.
    pub(super) fn resolve(self) -> Result<Command, CliError> {
        if self.connections > MAX_CONNECTIONS {
            return Err(CliError::setting(
                "--connections",
                format!(
                    "{} is out of range; allowed: 1 to {MAX_CONNECTIONS}",
                    self.connections
                ),
            ));
        }
        let payload = self.payload;
        if payload > MAX_PAYLOAD_BYTES {
            return Err(CliError::setting(
                "--payload",
                format!("{payload} B is out of range; allowed: 0 to 1GiB"),
            ));
        }
        let fan_out = match self.fan_out {
            FanOut::All => self.connections,
            FanOut::Sessions(sessions) if sessions > self.connections => {
                return Err(CliError::setting(
                    "--fan-out",
                    format!(
                        "a message cannot be sent to {sessions} sessions when there are {}; \
                         write 'all' for all of them",
                        self.connections
                    ),
                ));
            }
            FanOut::Sessions(sessions) => sessions,
        };
        let question = Question {
            connections: self.connections,
            rate: self.rate.unwrap_or(0.0),
            payload_bytes: payload,
            fan_out,
            sources: self.sources,
            targets: self.targets,
            cores: self.cores,
            ping_interval: Some(self.ping_interval).filter(|interval| !interval.is_zero()),
            connect_rate: self.connect_rate,
        };
        Ok(Command::Plan {
            question,
            json: self.json,
        })
    }
}

fn rate_or_none(text: &str) -> Result<f64, String> {
    match text {
        "0" => Ok(0.0),
        text => rate(text),
    }
}

fn fan_out(text: &str) -> Result<FanOut, String> {
    if text == "all" {
        return Ok(FanOut::All);
    }
    match count(text) {
        Ok(0) => Err("must be at least 1: an answer to the sender is 1".into()),
        Ok(sessions) => Ok(FanOut::Sessions(sessions)),
        Err(problem) => Err(format!("{problem}, or all")),
    }
}

/// Cores of one host: as many as the server can have shards.
fn cores(text: &str) -> Result<u64, String> {
    match positive(text)? {
        cores @ 1..=1024 => Ok(cores),
        cores => Err(format!("{cores} is out of range; allowed: 1 to 1024")),
    }
}
