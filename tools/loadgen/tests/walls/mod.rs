//! The parts that the tests of walls share: runs of the real binary, servers
//! that set a limit or misbehave, and network namespaces in which the kernel's
//! settings and counters are a test's own.

// Each test program uses a part of this.
#![allow(dead_code)]

pub mod doctor;
pub mod namespace;
pub mod process;
pub mod server;

use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use corecast_load::outcome::{Finding, Outcome, Severity};
use corecast_load::report::read_json;

/// Longer than any run here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(40);

/// Times that something measured is tried on a machine that others use as well.
const ATTEMPTS: u32 = 6;

/// Time between the first and the second attempt; each later one is longer by as
/// much, because a disturbance of a machine often lasts for seconds.
const PAUSE: Duration = Duration::from_millis(500);

/// Leaves a line that `make test` repeats; the harness would swallow a `println`.
pub fn skip(what: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "\nSKIPPED: {what}: {why}");
}

/// Tries a measurement again when it does not show what it should: another
/// program may have had the cores. `look` says what is wrong with it. When the
/// tool itself says each time that others were in the way, there is nothing to
/// judge, and a line says so.
#[track_caller]
pub fn at_last(
    what: &str,
    mut measure: impl FnMut() -> Run,
    look: impl Fn(&Run) -> Result<(), String>,
) {
    let mut wrong = Vec::new();
    let mut disturbed = true;
    for attempt in 0..ATTEMPTS {
        std::thread::sleep(PAUSE * attempt);
        let run = measure();
        match look(&run) {
            Ok(()) => return,
            Err(problem) => wrong.push(problem),
        }
        disturbed &= run.was_disturbed();
    }
    match disturbed {
        true => skip(what, "other programs had the cores"),
        false => panic!("not in {ATTEMPTS} attempts:\n{}", wrong.join("\n")),
    }
}

/// The results of a run of the binary.
#[derive(Debug)]
pub struct Run {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
    outcome: Option<Outcome>,
}

/// Runs the binary with these words.
#[track_caller]
pub fn load(words: &[&str]) -> Run {
    load_with(words, |_| {})
}

/// As [`load`], in circumstances that `prepare` makes.
#[track_caller]
pub fn load_with(words: &[&str], prepare: impl FnOnce(&mut Command)) -> Run {
    let files = tempfile::tempdir().unwrap();
    let path = |name: &str| files.path().join(name);
    let mut command = Command::new(env!("CARGO_BIN_EXE_corecast-load"));
    command
        .args(words)
        .arg("--quiet")
        .arg("--json")
        .arg(path("json"))
        .stdin(Stdio::null())
        .stdout(File::create(path("stdout")).unwrap())
        .stderr(File::create(path("stderr")).unwrap());
    prepare(&mut command);
    let mut child = command.spawn().expect("the binary runs");
    let until = Instant::now() + DEADLINE;
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status.code(),
            None if Instant::now() > until => {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    let text = |name| std::fs::read_to_string(path(name)).unwrap_or_default();
    let json = text("json");
    Run {
        status: status.unwrap_or_else(|| {
            let (stdout, stderr) = (text("stdout"), text("stderr"));
            panic!("no end of {words:?} in {DEADLINE:?}, or a signal:\n{stdout}\n{stderr}")
        }),
        stdout: text("stdout"),
        stderr: text("stderr"),
        outcome: (!json.is_empty()).then(|| read_json(&json).expect("the JSON is an outcome")),
    }
}

impl Run {
    /// The measured outcome; there must be one.
    #[track_caller]
    pub fn outcome(&self) -> &Outcome {
        match &self.outcome {
            Some(outcome) => outcome,
            None => panic!("no outcome: {self:#?}"),
        }
    }

    pub fn findings(&self, severity: Severity) -> Vec<&Finding> {
        let all = self.outcome().findings.iter();
        all.filter(|finding| finding.severity == severity).collect()
    }

    /// Checks that the run failed for one reason, and that its finding says
    /// all of `what` and its remedy all of `remedy`.
    #[track_caller]
    pub fn expect_failure(&self, what: &[&str], remedy: &[&str]) {
        let failures = self.findings(Severity::Failure);
        assert_eq!((self.status, failures.len()), (1, 1), "{}", self.story());
        if let Err(problem) = says(failures[0], what, remedy) {
            panic!("{problem}");
        }
        self.expect_finding_in_table(failures[0]);
    }

    /// Whether everything went well and nothing held the figures down.
    pub fn is_good(&self) -> Result<(), String> {
        let limits = self.findings(Severity::Limit).len();
        match (self.status, self.findings(Severity::Failure).len(), limits) {
            (0, 0, 0) => Ok(()),
            _ => Err(self.story()),
        }
    }

    /// Checks that it is so.
    #[track_caller]
    pub fn expect_success(&self) {
        if let Err(problem) = self.is_good() {
            panic!("{problem}");
        }
    }

    /// Checks that there was nothing to measure, and that one line says all of
    /// `words`.
    #[track_caller]
    pub fn expect_unusable(&self, words: &[&str]) {
        let line = self.stderr.trim();
        assert_eq!((self.status, line.lines().count()), (2, 1), "{self:#?}");
        for word in words {
            assert!(line.contains(word), "no '{word}' in '{line}'");
        }
    }

    /// Whether one of the findings about a limit of the figures says all this.
    pub fn limit_says(&self, what: &[&str], remedy: &[&str]) -> Result<(), String> {
        let limits = self.findings(Severity::Limit);
        match limits.iter().any(|limit| says(limit, what, remedy).is_ok()) {
            true => Ok(()),
            false => Err(format!(
                "no limit says {what:?}, {remedy:?}: {}",
                self.story()
            )),
        }
    }

    /// Whether the tool says that others had the processors.
    fn was_disturbed(&self) -> bool {
        let disturbed = ["ther programs or interrupts took", "The hypervisor gave"];
        let findings = &self.outcome().findings;
        findings
            .iter()
            .any(|finding| disturbed.iter().any(|words| finding.what.contains(words)))
    }

    #[track_caller]
    fn expect_finding_in_table(&self, finding: &Finding) {
        let one_line = format!("{} — {}", finding.what, finding.remedy);
        let shown = self.stdout.lines().any(|line| line.contains(&one_line));
        assert!(shown, "no line '{one_line}' in\n{}", self.stdout);
    }

    /// The parts of it that matter when something is not as it should be.
    pub fn story(&self) -> String {
        let (problems, findings) = match &self.outcome {
            Some(outcome) => (outcome.problems(), outcome.findings.clone()),
            None => Default::default(),
        };
        format!(
            "status {}, problems {problems:#?}, findings {findings:#?}, said '{}'",
            self.status, self.stderr
        )
    }
}

fn says(finding: &Finding, what: &[&str], remedy: &[&str]) -> Result<(), String> {
    let missing = |text: &str, words: &[&str]| {
        let missing: Vec<String> = words
            .iter()
            .filter(|word| !text.contains(**word))
            .map(|word| format!("'{word}'"))
            .collect();
        (!missing.is_empty()).then(|| format!("{} not in {finding:#?}", missing.join(", ")))
    };
    match missing(&finding.what, what).or_else(|| missing(&finding.remedy, remedy)) {
        Some(problem) => Err(problem),
        None if finding.remedy.is_empty() => Err(format!("no remedy in {finding:#?}")),
        None => Ok(()),
    }
}
