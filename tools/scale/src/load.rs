//! Runs of `corecast-load`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use corecast_kit::outcome::Outcome;
use corecast_kit::outcome::read_json;
use corecast_kit::process::{Place, Process};
use corecast_kit::{During, Error, Result};

use crate::contestant::Running;

/// Time in which so many connections are open, and later closed, on the slowest
/// host that is to be waited for.
pub fn climb(connections: u64) -> Duration {
    Duration::from_micros(400 * connections)
}

/// Runs `program` with these words against `subject` and reads its results,
/// which it writes to `json`.
///
/// # Errors
/// When it measured nothing, did not end in time, or found anything lost.
pub fn run(
    program: &Path,
    words: &str,
    subject: &Running,
    json: &Path,
    limit: Duration,
) -> Result<Outcome> {
    let mut line: Vec<String> = words.split_whitespace().map(String::from).collect();
    let pid = subject.process.pid().to_string();
    line.extend(["--quiet".into(), "--server-pid".into(), pid]);
    line.extend(["--json".into(), json.display().to_string()]);
    if let Some(admin) = subject.admin {
        line.extend(["--stats".into(), format!("http://{admin}")]);
    }
    let mut command = Command::new(program);
    let output = Process::run(command.args(&line), Place::default(), limit)?;
    let text = std::fs::read_to_string(json).during(format!(
        "reading what {} {} measured; it wrote:\n{output}",
        program.display(),
        line.join(" ")
    ))?;
    let outcome = read_json(&text).map_err(|error| Error::Process(error.to_string()))?;
    let problems = outcome.problems();
    if !problems.is_empty() {
        return Err(Error::Wrong(problems.join("; ")));
    }
    Ok(outcome)
}
