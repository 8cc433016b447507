//! The binary, run to its end or watched on its way.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use corecast_load::outcome::{Deliveries, Outcome};
use corecast_load::report::read_json;
use tempfile::TempDir;

use super::{DEADLINE, poll_until};

/// A run that has ended.
#[derive(Debug)]
pub struct Run {
    /// The exit status.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    /// The outcome that `--json` wrote, if it wrote any.
    pub outcome: Option<Outcome>,
}

/// Runs a scenario to its end, given the words of the command line.
#[track_caller]
pub fn load(arguments: &str) -> Run {
    Going::start(arguments).end()
}

impl Run {
    /// The run went well, and nothing was found wrong.
    #[track_caller]
    pub fn passed(self) -> Outcome {
        assert_eq!(self.code, 0, "{self}");
        let outcome = self.outcome.expect("a run that passes writes its outcome");
        assert_eq!(outcome.problems(), Vec::<String>::new());
        assert!(!outcome.interrupted);
        outcome
    }

    /// The run found something wrong, and says so in these words.
    #[track_caller]
    pub fn failed(self, words: &[&str]) -> Outcome {
        assert_eq!(self.code, 1, "{self}");
        for words in words {
            assert!(self.stdout.contains(words), "no '{words}' in: {self}");
        }
        self.outcome.expect("a run that fails writes its outcome")
    }

    /// There was nothing to measure: one sentence says why, in these words.
    #[track_caller]
    pub fn refused(self, words: &[&str]) {
        assert_eq!(self.code, 2, "{self}");
        assert_eq!(self.stderr.trim_end().lines().count(), 1, "{self}");
        assert!(self.stderr.starts_with("corecast-load: "), "{self}");
        for words in words {
            assert!(self.stderr.contains(words), "no '{words}' in: {self}");
        }
        assert!(self.stdout.is_empty() && self.outcome.is_none(), "{self}");
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Run {
            code,
            stdout,
            stderr,
            ..
        } = self;
        write!(f, "exit status {code}\n{stdout}\nand on stderr:\n{stderr}")
    }
}

/// A run under way. Dropping it kills it.
pub struct Going {
    child: Child,
    folder: TempDir,
}

impl Going {
    #[track_caller]
    pub fn start(arguments: &str) -> Going {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_corecast-load"));
        command.args(arguments.split_whitespace());
        command
            .arg("--json")
            .arg(folder.path().join("outcome.json"));
        // Files rather than pipes: a shard of a server in this process may hold
        // a copy of a pipe's other end, and then its end never comes.
        let file = |name| File::create(folder.path().join(name)).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .expect("the binary runs");
        Going { child, folder }
    }

    /// Its standard error so far.
    pub fn stderr(&self) -> String {
        self.text("stderr")
    }

    /// Waits until it has said this.
    #[track_caller]
    pub fn expect_said(&mut self, words: &str) {
        let said = poll_until(DEADLINE, || self.stderr().contains(words));
        assert!(said, "never said '{words}': {}", self.stderr());
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: libc::c_int) {
        // SAFETY: kill takes no pointers; the child was not waited for yet, so
        // its number is still its own.
        let sent = unsafe { libc::kill(self.child.id() as libc::pid_t, signal) };
        assert_eq!(sent, 0, "the run is there to get a signal");
    }

    /// Waits for its end, which must come.
    #[track_caller]
    pub fn end(mut self) -> Run {
        let ended = poll_until(DEADLINE, || self.child.try_wait().unwrap().is_some());
        if !ended {
            let _ = self.child.kill();
        }
        let status = self.child.wait().unwrap();
        let run = Run {
            code: status.code().unwrap_or(-1),
            stdout: self.text("stdout"),
            stderr: self.text("stderr"),
            outcome: fs::read_to_string(self.path("outcome.json"))
                .ok()
                .filter(|text| !text.is_empty())
                .map(|text| read_json(&text).expect("--json writes what can be read back")),
        };
        assert!(ended, "the run does not end: {run}");
        assert_eq!(status.signal(), None, "{run}");
        run
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        let bytes = fs::read(self.path(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All of `count` connections were opened, were open together, and were ended
/// by the generator alone.
#[track_caller]
pub fn expect_connections(outcome: &Outcome, count: u64) {
    let connections = &outcome.connections;
    let seen = (
        connections.asked,
        connections.opened,
        connections.peak,
        connections.closed,
    );
    assert_eq!(
        seen,
        (count, count, count, count),
        "asked, opened, peak, closed"
    );
    assert_eq!(connections.failures() + connections.losses(), 0);
}

/// Of all that was published each of `receivers` had everything once and in
/// order. Returns the counts.
#[track_caller]
pub fn expect_deliveries(outcome: &Outcome, receivers: u64) -> Deliveries {
    let deliveries = outcome.deliveries.clone().expect("something was sent");
    assert!(deliveries.publications > 0);
    let expected = deliveries.publications * receivers;
    let whole = Deliveries {
        publications: deliveries.publications,
        expected,
        received: expected,
        ..Deliveries::default()
    };
    assert_eq!(deliveries, whole);
    deliveries
}
