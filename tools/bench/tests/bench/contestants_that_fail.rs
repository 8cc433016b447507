//! Whole runs with contestants that fail in different ways: shows that each is
//! a line in every report, that the others are measured, and that the exit
//! status is that of the server alone.
//!
//! How: this test program plays every contestant, see [`fake`], under the
//! scenario of opening handshakes. Nothing is said about speed.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, exit};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use corecast_bench::Cause;
use corecast_bench::report::read_json;
use corecast_bench::results::{Entry, Results};
use corecast_kit::websocket::accept_for;

const BENCH: &str = env!("CARGO_BIN_EXE_corecast-bench");

/// Handshakes before one that dies in the middle; the check takes 64.
const LIFE: usize = 200;

/// Not a test: a contestant, if the environment says which and where it listens.
#[test]
#[ignore = "the other tests start it"]
fn fake() {
    let (Ok(manner), Ok(address)) = (std::env::var("MANNER"), std::env::var("LISTEN")) else {
        return;
    };
    if manner == "ends" {
        eprintln!("no luck today");
        exit(7);
    }
    // The script's own path: there is a mark beside it once this has been said.
    let mark = PathBuf::from(std::env::var("SCRIPT").unwrap()).with_extension("mark");
    if manner == "taken" && !mark.exists() {
        fs::write(mark, "").unwrap();
        eprintln!("Address already in use (os error 98)");
        exit(1);
    }
    let listener = TcpListener::bind(address).unwrap();
    if manner == "silent" {
        // Connections are made and never answered.
        thread::sleep(Duration::from_secs(600));
    }
    let answered = AtomicUsize::new(0);
    thread::scope(|scope| {
        while let Ok((stream, _)) = listener.accept() {
            scope.spawn(|| {
                // The load resets each connection once it is answered.
                let _ = answer(stream, &manner);
                if answered.fetch_add(1, Ordering::Relaxed) == LIFE && manner == "dies" {
                    eprintln!("dead in the middle");
                    exit(8);
                }
            });
        }
    });
}

fn answer(mut stream: TcpStream, manner: &str) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let request = String::from_utf8_lossy(&request);
    let key = request
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))
        .unwrap_or_default();
    let accept = accept_for(if manner == "wrong" { "another" } else { key });
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(response.as_bytes())?;
    stream.read(&mut [0]).map(drop)
}

/// Some contestants, each in its manner, and what a run makes of them.
struct Run {
    directory: tempfile::TempDir,
}

impl Run {
    fn new() -> Run {
        let directory = tempfile::tempdir().unwrap();
        Run { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn results(&self) -> Results {
        read_json(&self.read("report.json")).unwrap()
    }

    /// A program that plays a contestant of this manner.
    fn program(&self, manner: &str) -> PathBuf {
        let path = self.path(manner);
        let this = std::env::current_exe().unwrap();
        // Of all arguments only the one after `--listen` means anything to it.
        let script = format!(
            "#!/bin/sh\nwhile [ \"$1\" != --listen ]; do shift; done\n\
             SCRIPT=$0 MANNER={manner} LISTEN=$2 exec '{}' --exact contestants_that_fail::fake --ignored --nocapture\n",
            this.display()
        );
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn start(&self, server: &Path, rivals: &[&str], arguments: &[&str]) -> Output {
        let lines = rivals
            .iter()
            .map(|manner| format!("{manner}\t{}\n", self.program(manner).display()));
        fs::write(self.path("list"), lines.collect::<String>()).unwrap();
        Command::new(BENCH)
            .args(["run", "--quick", "--only=handshakes"])
            .arg("--server")
            .arg(server)
            .arg("--rivals")
            .arg(self.path("list"))
            .arg("--json")
            .arg(self.path("report.json"))
            .arg("--report")
            .arg(self.path("report.html"))
            .arg("--markdown")
            .arg(self.path("report.md"))
            .args(arguments)
            .output()
            .expect("the driver runs")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn has_figure(entry: &Entry) -> bool {
    entry.rounds.iter().all(Option::is_some)
}

#[test]
fn every_failure_of_others_is_a_line_and_the_run_goes_on() {
    let run = Run::new();
    let (right, ends) = (run.program("right"), run.program("ends"));
    let baseline = format!("--baseline={}", ends.display());
    let manners = ["silent", "wrong", "dies", "right", "taken"];
    let output = run.start(&right, &manners, &[&baseline]);
    let (table, progress) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{table}\n{progress}");
    assert!(
        progress.contains("no figure in 5 measurements"),
        "{progress}"
    );

    let results = run.results();
    let contest = &results.contests[0];
    let reasons = [
        ("baseline", "ended before it listened"),
        ("baseline (plain)", "no luck today"),
        ("silent", "0 of 4 connections established"),
        ("wrong", "a 101 that does not accept"),
        ("dies", "dead in the middle"),
    ];
    assert_eq!(contest.failures.len(), reasons.len());
    for ((name, reason), failure) in reasons.iter().zip(&contest.failures) {
        assert_eq!(&failure.contestant, name);
        assert_eq!(failure.cause, Cause::Contestant);
        assert!(failure.reason.contains(reason), "{failure}");
        assert!(!has_figure(contest.entry(name).unwrap()), "{name}");
        // The same reason in every form of the report.
        for form in [&table, &run.read("report.html"), &run.read("report.md")] {
            assert!(form.contains(reason), "{reason} in\n{form}");
        }
    }
    for name in ["corecast", "right", "taken", "floor accept"] {
        assert!(has_figure(contest.entry(name).unwrap()), "{name}");
    }
}

#[test]
fn a_server_that_fails_decides_the_exit_status_and_ends_nothing() {
    for (manner, reason) in [
        ("ends", "no luck today"),
        ("wrong", "a 101 that does not accept"),
        ("dies", "dead in the middle"),
    ] {
        let run = Run::new();
        let output = run.start(&run.program(manner), &["right"], &[]);
        let (table, progress) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(1), "{table}\n{progress}");
        assert!(progress.contains("corecast failed in 1 measurement;"));
        assert!(table.contains(reason) && run.read("report.md").contains(reason));
        let results = run.results();
        assert!(!has_figure(results.contests[0].entry("corecast").unwrap()));
        assert!(has_figure(results.contests[0].entry("right").unwrap()));
    }
}

#[test]
fn a_baseline_that_was_not_built_is_left_out() {
    let run = Run::new();
    let output = run.start(&run.program("right"), &[], &["--baseline=not/there"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let results = run.results();
    assert!(
        results
            .absent
            .iter()
            .any(|it| it.contains("no baseline at not/there"))
    );
    assert!(results.contests[0].entry("baseline").is_none());
}

#[test]
fn a_server_that_is_no_program_could_not_run() {
    let run = Run::new();
    let server = run.path("text");
    fs::write(&server, "not a program\n").unwrap();
    let output = run.start(&server, &["right"], &[]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let failure = &run.results().contests[0].failures[0];
    assert!(failure.reason.contains("Permission denied"), "{failure}");
}

#[test]
fn nothing_to_measure_has_an_exit_status_of_its_own() {
    let run = Run::new();
    let output = run.start(&run.path("not-there"), &[], &[]);
    assert_eq!(output.status.code(), Some(2));
    let output = run.start(&run.program("right"), &[], &["--load-cpus=7000"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_help_says_what_each_status_means() {
    let output = Command::new(BENCH).args(["run", "--help"]).output();
    let help = text(&output.unwrap().stdout);
    for line in [
        "Exit status:",
        "  0  corecast",
        "  1  corecast",
        "  2  nothing",
    ] {
        assert!(help.contains(line), "{line} in\n{help}");
    }
}
