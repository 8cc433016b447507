//! `corecast-load` as the load, for what the benchmark's own load does not do:
//! open loops, close handshakes, the chat, tens of thousands of connections.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use corecast_kit::outcome::Outcome;
use corecast_kit::outcome::read_json;
use corecast_kit::process::{Place, Process};

use crate::During;
use crate::cores::{self, Layout};
use crate::load::Window;
use crate::results::{Latency, Sample};
use crate::{Error, Result};

/// A run of `corecast-load`.
#[derive(Debug, Clone)]
pub struct ToolLoad {
    /// Its arguments; `{url}`, `{seconds}` and `{warm_up}` are filled in.
    pub arguments: &'static str,
    /// The events that its figure counts.
    pub counts: Counts,
    /// The name of the times that are reported, as in the tool's JSON.
    pub latency: Option<&'static str>,
    /// The most connections that are open at one time.
    pub connections: usize,
    /// How long it takes at most by its own arguments, where it does not follow
    /// the window.
    pub seconds: Option<u64>,
}

/// The events that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// Messages received: answers or deliveries.
    Received,
    /// Messages sent.
    Sent,
    /// Connections opened.
    Opened,
}

/// The server that the tool talks to.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The URL before the path: `ws://127.0.0.1:8080`.
    pub url: String,
    /// The server's process, if it runs here.
    pub pid: Option<u32>,
    /// The URL of its statistics, which tell how many messages it has received.
    pub stats: Option<String>,
}

impl ToolLoad {
    /// Time after which a run has certainly gone wrong.
    pub fn limit(&self, window: Window) -> Duration {
        let own = Duration::from_secs(self.seconds.unwrap_or(0));
        own + window.warm_up + window.measured + Duration::from_secs(60)
    }

    /// Runs `program` against `subject` and reads what it has measured. More
    /// `arguments` follow those of this load.
    pub fn measure(
        &self,
        program: &Path,
        subject: &Subject,
        window: Window,
        layout: &Layout,
        arguments: &[String],
    ) -> Result<Sample> {
        let json = tempfile::NamedTempFile::new().during("making a file for the outcome")?;
        let mut line = self.command_line(subject, window);
        line.extend(arguments.iter().cloned());
        line.extend(["--quiet".into(), "--cpus".into(), cores::list(&layout.load)]);
        line.extend(["--json".into(), json.path().display().to_string()]);
        let place = Place {
            cpus: &layout.load,
            ..Place::default()
        };
        let mut command = Command::new(program);
        let output = Process::run(command.args(&line), place, self.limit(window))?;
        let text = std::fs::read_to_string(json.path()).during("reading the outcome")?;
        if text.is_empty() {
            return Err(Error::Driver(format!(
                "{} {} measured nothing and wrote:\n{output}",
                program.display(),
                line.join(" ")
            )));
        }
        let outcome = read_json(&text).map_err(|error| Error::Process(error.to_string()))?;
        self.sample(&outcome, layout)
    }

    fn command_line(&self, subject: &Subject, window: Window) -> Vec<String> {
        let filled = self
            .arguments
            .replace("{url}", &subject.url)
            .replace("{seconds}", &window.measured.as_secs_f64().to_string())
            .replace("{warm_up}", &window.warm_up.as_secs_f64().to_string());
        let mut line: Vec<String> = filled.split_whitespace().map(String::from).collect();
        if let Some(pid) = subject.pid {
            line.extend(["--server-pid".into(), pid.to_string()]);
        }
        if let Some(stats) = &subject.stats {
            line.extend(["--stats".into(), stats.clone()]);
        }
        line
    }

    /// The tool's figures as a window. Whatever it calls a failure fails the
    /// scenario too.
    fn sample(&self, outcome: &Outcome, layout: &Layout) -> Result<Sample> {
        let problems = outcome.problems();
        if !problems.is_empty() {
            return Err(Error::Wrong(problems.join("; ")));
        }
        let messages = &outcome.messages;
        let resources = &outcome.resources;
        let (count, seconds) = match self.counts {
            Counts::Received => (messages.received, messages.seconds),
            Counts::Sent => (messages.sent, messages.seconds),
            Counts::Opened => {
                let connections = &outcome.connections;
                (connections.opened, connections.opening_seconds)
            }
        };
        if count == 0 {
            return Err(Error::Stalled("nothing was answered in the window".into()));
        }
        // While connections open, the tool does not keep accounts.
        let server = resources.server.as_ref();
        let server = server.filter(|_| self.counts != Counts::Opened);
        let latency = self.latency.and_then(|name| outcome.latencies.get(name));
        Ok(Sample {
            messages: count,
            seconds,
            server_cpu_seconds: server.map(|server| server.cpu_seconds),
            server_cores: layout.server.len(),
            load_cpu_seconds: resources.client_cpu_seconds,
            load_cores: layout.load.len(),
            other_cpu_seconds: None,
            latency: latency.map(|latency| {
                let percentiles = latency.percentiles();
                Latency {
                    p50: percentiles.p50 as f64,
                    p99: percentiles.p99 as f64,
                    p99_9: percentiles.p99_9 as f64,
                    max: percentiles.max as f64,
                }
            }),
            slowest_core_rate: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: ToolLoad = ToolLoad {
        arguments: "echo {url}/echo -d {seconds}s --warm-up {warm_up}s",
        counts: Counts::Received,
        latency: Some("echo"),
        connections: 1,
        seconds: None,
    };

    const WINDOW: Window = Window {
        warm_up: Duration::from_millis(500),
        measured: Duration::from_secs(3),
    };

    #[test]
    fn the_command_line_is_filled_in() {
        let subject = Subject {
            url: "ws://127.0.0.1:1".into(),
            pid: Some(7),
            stats: Some("http://127.0.0.1:2".into()),
        };
        assert_eq!(
            LOAD.command_line(&subject, WINDOW).join(" "),
            "echo ws://127.0.0.1:1/echo -d 3s --warm-up 0.5s --server-pid 7 \
             --stats http://127.0.0.1:2"
        );
    }

    #[test]
    fn what_the_tool_calls_a_failure_fails_the_scenario() {
        let layout = Layout {
            server: vec![0],
            load: vec![1],
        };
        let mut outcome = Outcome::new("echo");
        outcome.messages.seconds = 2.0;
        assert!(LOAD.sample(&outcome, &layout).is_err());
        outcome.messages.received = 10;
        let sample = LOAD.sample(&outcome, &layout).unwrap();
        assert_eq!((sample.rate(), sample.latency), (5.0, None));
        outcome.failures.push("it climbs".into());
        let error = LOAD.sample(&outcome, &layout).unwrap_err().to_string();
        assert!(error.contains("it climbs"));
    }
}
