//! How an installed suite is started, as a client or as a server.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use corecast_kit::During;
use corecast_kit::address::free_address;
use serde_json::{Value, json};

use crate::Result;
use crate::cases::EXCLUDED;
use crate::suite::Suite;

/// Seconds the original waits for the other end to open or close. It would wait
/// one for a close frame, and blame a busy machine on the other end.
const PATIENCE: u32 = 30;

/// A suite that can be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Which.
    pub suite: Suite,
    /// Its program.
    pub program: PathBuf,
}

/// The way in which a fuzzing server's address becomes known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listens {
    /// The kernel chooses, and the server prints the address after these words.
    Printed(&'static str),
    /// The address that it was told.
    At(SocketAddr),
}

impl Installed {
    /// The command that runs all cases against a server and leaves its verdicts
    /// in the folder `results`.
    ///
    /// # Errors
    ///
    /// The suite's settings cannot be written there.
    pub fn fuzzing_client(&self, server: SocketAddr, results: &Path) -> Result<Command> {
        Ok(match self.suite {
            Suite::AutobahnTestSuite => {
                let options = json!({"serverConnectionDropTimeout": PATIENCE});
                let url = format!("ws://{server}/");
                let server = json!({"agent": "corecast", "url": url, "options": options});
                self.original("fuzzingclient", results, json!({"servers": [server]}))?
            }
            Suite::Kosoku => {
                let mut command = self.kosoku("fuzzingclient", results);
                command.arg(server.to_string());
                command
            }
        })
    }

    /// The command that serves all cases to a client and leaves its verdicts in
    /// the folder `results`, and the way in which its address becomes known.
    ///
    /// # Errors
    ///
    /// The suite's settings cannot be written there, or no port is free.
    pub fn fuzzing_server(&self, results: &Path) -> Result<(Command, Listens)> {
        Ok(match self.suite {
            Suite::AutobahnTestSuite => {
                let address = free_address()?.into();
                let url = format!("ws://{address}");
                let mut command = self.original("fuzzingserver", results, json!({"url": url}))?;
                // No pages about itself.
                command.args(["--webport", "0"]);
                (command, Listens::At(address))
            }
            Suite::Kosoku => {
                let mut command = self.kosoku("fuzzingserver", results);
                command.arg("127.0.0.1:0");
                (
                    command,
                    Listens::Printed("fuzzingserver listening on ws://"),
                )
            }
        })
    }

    /// The original is told everything by a file.
    fn original(&self, mode: &str, results: &Path, settings: Value) -> Result<Command> {
        let mut spec = json!({
            "outdir": results,
            "options": {"openHandshakeTimeout": PATIENCE, "closeHandshakeTimeout": PATIENCE},
            "cases": ["*"],
            "exclude-cases": EXCLUDED,
            "exclude-agent-cases": {},
        });
        if let (Some(spec), Value::Object(settings)) = (spec.as_object_mut(), settings) {
            spec.extend(settings);
        }
        let path = results.join("spec.json");
        fs::write(&path, spec.to_string()).during(format!("writing {}", path.display()))?;
        let mut command = Command::new(&self.program);
        command.args(["--mode", mode, "--spec"]).arg(path);
        Ok(command)
    }

    fn kosoku(&self, mode: &str, results: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["--mode", mode, "--outdir"])
            .arg(results)
            .args(EXCLUDED.map(|cases| format!("--exclude={cases}")));
        command
    }
}
