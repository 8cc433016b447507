//! One contestant, one round: brings it up, puts the load on it, ends it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use corecast_kit::address::free_address;
use corecast_kit::process::{Place, Process};

use crate::During;
use crate::cli::{Against, Driver, RunArgs};
use crate::contestant::{Contestant, Field, Start};
use crate::cores::{self, Cores, Layout};
use crate::floor::Floor;
use crate::load::echo::Echo;
use crate::load::{Account, Peer, Protocol, Window};
use crate::results::{Reading, Sample};
use crate::scenario::{Load, Scenario};
use crate::shards::Shards;
use crate::tool::{Counts, Subject, ToolLoad};
use crate::{Error, Result};

/// The load generator's arguments in the open loop of a latency scenario.
const OPEN_LOOP: &str = "echo {url}/echo -d {seconds}s --warm-up {warm_up}s";

/// Attempts to start a contestant whose port another process has taken.
const ATTEMPTS: usize = 3;

/// Measures `contestant` in `scenario` once.
///
/// On a busy host the port that was free a moment ago can be taken by the time
/// the contestant binds it; then another one is tried.
pub fn measure(
    args: &RunArgs,
    cores: &Cores,
    scenario: &Scenario,
    contestant: &Contestant,
) -> Result<Reading> {
    let mut attempt = 1;
    loop {
        match measure_once(args, cores, scenario, contestant) {
            Err(Error::Process(words)) if attempt < ATTEMPTS && names_taken_port(&words) => {
                attempt += 1;
            }
            outcome => return outcome,
        }
    }
}

/// Whether the last lines of a contestant say that its port is in use.
fn names_taken_port(words: &str) -> bool {
    ["in use", "EADDRINUSE"]
        .iter()
        .any(|sign| words.contains(sign))
}

fn measure_once(
    args: &RunArgs,
    cores: &Cores,
    scenario: &Scenario,
    contestant: &Contestant,
) -> Result<Reading> {
    let mut layout = scenario.field.layout(cores);
    if let Start::Corecast { shards, .. } = &contestant.start {
        layout.server.truncate(*shards);
    }
    let round = Round {
        args,
        scenario,
        window: args.window(),
        load: contestant.load.as_ref().unwrap_or(&scenario.load),
        layout: &layout,
    };
    let (program, protocol) = match &contestant.start {
        Start::Printed(rate) => return Ok(Reading::Timed(printed(*rate))),
        Start::Running(against) => return round.measure(round.running(against)),
        Start::Corecast { .. } => (args.server.clone(), Protocol::WebSocket),
        Start::Command(command) => (PathBuf::from(&command[0]), Protocol::WebSocket),
        Start::Floor(_) => (own_binary()?, Protocol::Raw),
    };
    let mut peer = Peer::new(free_address()?, protocol);
    peer.opcode = args.opcode();
    let mut admin = None;
    let arguments: Vec<OsString> = match &contestant.start {
        Start::Corecast { shards, driver } => {
            let address = free_address()?;
            admin = Some(address);
            let fixed = round.server_arguments(&peer, address.to_string(), *shards, *driver);
            fixed.into_iter().map(OsString::from).collect()
        }
        Start::Floor(floor) => {
            let fixed = round.floor_arguments(*floor, &peer);
            fixed.into_iter().map(OsString::from).collect()
        }
        Start::Command(command) => {
            let mut arguments = command[1..].to_vec();
            arguments.extend(["--listen".into(), peer.address.to_string().into()]);
            arguments
        }
        Start::Running(_) | Start::Printed(_) => Vec::new(),
    };
    let place = Place {
        cpus: &layout.server,
        pages: scenario.pages(),
        log: None,
    };
    let mut command = Command::new(program);
    let address = peer.address.into();
    let contender = Process::serve(command.args(arguments), place, address)?;
    let subject = Contact {
        pid: Some(contender.pid()),
        shards: match (&scenario.field, admin) {
            (Field::TwoShards, Some(admin)) => Some(Shards::new(contender.pid(), admin)),
            _ => None,
        },
        // The conventional server says it on its own address.
        stats: admin.unwrap_or(peer.address).to_string(),
        peer,
    };
    round
        .measure(subject)
        .map_err(|error| contender.explain(error))
}

/// The settings that all contestants of a round share.
struct Round<'a> {
    args: &'a RunArgs,
    scenario: &'a Scenario,
    window: Window,
    load: &'a Load,
    layout: &'a Layout,
}

/// A contestant that is up.
struct Contact {
    peer: Peer,
    pid: Option<u32>,
    shards: Option<Shards>,
    stats: String,
}

impl Round<'_> {
    fn running(&self, against: &Against) -> Contact {
        let mut peer = against.peer.clone();
        peer.opcode = self.args.opcode();
        Contact {
            // If it runs on this host, its CPU time can be read.
            pid: corecast_kit::host::find_server(&[peer.address.into()]),
            shards: None,
            stats: peer.address.to_string(),
            peer,
        }
    }

    fn measure(&self, contact: Contact) -> Result<Reading> {
        let Contact { peer, pid, .. } = &contact;
        let account = || Account {
            server: *pid,
            cores: Some(self.layout.clone()),
            shards: contact.shards.clone(),
        };
        let sample = match self.load {
            Load::Echo(echo) => echo.measure(peer, self.window, account()),
            Load::PartLoad(part_load) => part_load.measure(peer, self.window, account),
            Load::Broadcast(broadcast) => broadcast.measure(peer, self.window, account()),
            Load::Handshakes(handshakes) => handshakes.measure(peer, self.window, account()),
            Load::Lobby(lobby) => lobby.measure(peer, self.window, account()),
            Load::Joins(joins) => joins.measure(peer, self.window, account()),
            Load::Tool(tool) => self.tool(tool, &contact, &[]),
            Load::Latency { echo, share } => self.latency(*echo, *share, &contact, account()),
            Load::Idle(idle) => {
                let server = pid.ok_or_else(|| {
                    Error::Usage("the memory of a server elsewhere cannot be read".into())
                })?;
                return idle.measure(peer, server).map(Reading::Idle);
            }
        };
        sample.map(Reading::Timed)
    }

    fn tool(&self, tool: &ToolLoad, contact: &Contact, arguments: &[String]) -> Result<Sample> {
        let Contact { peer, pid, .. } = contact;
        let asks_the_server = matches!(self.scenario.field, Field::Seeds { .. });
        let subject = Subject {
            url: format!("ws://{}{}", peer.address, peer.path_prefix),
            pid: *pid,
            stats: asks_the_server.then(|| format!("http://{}", contact.stats)),
        };
        let program = &self.args.load;
        tool.measure(program, &subject, self.window, self.layout, arguments)
    }

    /// The highest rate, then a share of it in an open loop.
    fn latency(
        &self,
        echo: Echo,
        share: f64,
        contact: &Contact,
        account: Account,
    ) -> Result<Sample> {
        let highest = echo.measure(&contact.peer, self.window, account)?.rate();
        let tool = ToolLoad {
            arguments: OPEN_LOOP,
            counts: Counts::Received,
            latency: Some("echo"),
            connections: echo.connections,
            seconds: None,
        };
        let arguments = [
            "--connections".into(),
            echo.connections.to_string(),
            "--size".into(),
            echo.payload_bytes.to_string(),
            "--rate".into(),
            format!("{:.0}", highest * share),
        ];
        self.tool(&tool, contact, &arguments)
    }

    fn server_arguments(
        &self,
        peer: &Peer,
        admin: String,
        shards: usize,
        driver: Driver,
    ) -> Vec<String> {
        // The control plane of a server that is timed or weighed gets no requests.
        let asked = matches!(self.scenario.field, Field::TwoShards | Field::Seeds { .. });
        let mut arguments = vec!["serve".into(), "--listen".into(), peer.address.to_string()];
        arguments.extend(["--admin".into(), if asked { admin } else { "off".into() }]);
        arguments.extend(["--shards".into(), shards.to_string()]);
        arguments.extend(["--cpus".into(), cores::list(&self.layout.server)]);
        arguments.extend(["--driver".into(), driver.as_str().into()]);
        arguments.extend(self.args.server_arg.iter().cloned());
        arguments
    }

    fn floor_arguments(&self, floor: Floor, peer: &Peer) -> Vec<String> {
        let fixed = ["floor", floor.as_str(), "--listen"].map(String::from);
        let mut arguments = Vec::from(fixed);
        arguments.push(peer.address.to_string());
        arguments.extend(["--cpu".into(), self.layout.server[0].to_string()]);
        let unit_bytes = self.scenario.unit_bytes(peer);
        arguments.extend(["--unit".into(), unit_bytes.to_string()]);
        arguments
    }
}

/// A figure from elsewhere as a window of one second.
fn printed(rate: f64) -> Sample {
    Sample {
        messages: rate.round() as u64,
        seconds: 1.0,
        ..Sample::default()
    }
}

fn own_binary() -> Result<PathBuf> {
    std::env::current_exe().during("looking for this program's own binary")
}
