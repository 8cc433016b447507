//! The measured contestants: the server, and the floor it is compared with.

use std::net::SocketAddrV4;
use std::process::Command;

use corecast_kit::address::free_address;
use corecast_kit::process::{Pages, Place, Process};
use corecast_kit::{During, Result};
use serde::{Deserialize, Serialize};

use crate::cli::Setup;

/// A measured contestant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Contestant {
    /// `corecast serve`.
    #[strum(serialize = "corecast")]
    Server,
    /// A loop of sends on as many threads.
    Floor,
}

impl Contestant {
    /// The word in tables.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Starts it with so many threads.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(self, setup: &Setup, threads: u64, more: &[String]) -> Result<Running> {
        let address = free_address()?;
        let admin = free_address()?;
        let (program, words) = match self {
            Contestant::Server => {
                let words = format!("serve --listen {address} --admin {admin} --shards {threads}");
                (setup.server.clone(), words)
            }
            Contestant::Floor => {
                let own = std::env::current_exe().during("finding this program")?;
                (own, format!("floor --listen {address} --threads {threads}"))
            }
        };
        let more = more.iter().filter(|_| self == Contestant::Server);
        let arguments = words.split(' ').chain(more.map(String::as_str));
        let place = Place {
            pages: Pages::Small,
            ..Place::default()
        };
        let mut command = Command::new(program);
        let process = Process::serve(command.args(arguments), place, address.into())?;
        Ok(Running {
            process,
            address,
            admin: (self == Contestant::Server).then_some(admin),
        })
    }
}

/// One that listens. Dropping it ends it.
pub struct Running {
    /// Its process.
    pub process: Process,
    /// The address it listens on.
    pub address: SocketAddrV4,
    /// The address of its statistics, if it has any.
    pub admin: Option<SocketAddrV4>,
}
