//! Whole runs on hosts that forbid something: shows that a scenario which a
//! limit makes impossible is skipped with a line that says what is needed, that
//! the others are measured, and what the exit status is if none is possible.
//!
//! How: floors alone, which need no other program, under a low limit of open
//! files and in a network without a loopback address. Nothing is said about speed.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

use corecast_bench::report::read_json;
use corecast_kit::sys;

const BENCH: &str = env!("CARGO_BIN_EXE_corecast-bench");

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A quick run in a shell that has lowered the limit of open files.
fn run_with_open_files(limit: u32, arguments: &str) -> Output {
    let line = format!("ulimit -n {limit} && exec '{BENCH}' run --quick --no-server {arguments}");
    let output = Command::new("sh").args(["-c", &line]).output();
    output.expect("there is a shell")
}

#[test]
fn a_scenario_with_more_connections_than_open_files_is_skipped() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let output = run_with_open_files(
        1_024,
        &format!(
            "--only=handshakes --only=idle-memory --json={} --report={} --markdown={}",
            file("report.json").display(),
            file("report.html").display(),
            file("report.md").display()
        ),
    );
    let table = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let read = |name: &str| fs::read_to_string(file(name)).unwrap();
    for form in [&table, &read("report.html"), &read("report.md")] {
        assert!(form.contains("ulimit -Hn 18400"), "{form}");
    }
    let results = read_json(&read("report.json")).unwrap();
    assert_eq!(results.skipped.len(), 1);
    let measured = &results.contests[0];
    assert_eq!(measured.name, "handshakes");
    assert!(measured.entry("floor accept").unwrap().rounds[0].is_some());
    assert!(results.settings.is_partial);
}

#[test]
fn a_host_on_which_nothing_is_possible_has_a_status_of_its_own() {
    let output = run_with_open_files(1_024, "--only=idle-memory");
    let words = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{words}");
    assert!(words.contains("none of these scenarios is possible"));
}

#[test]
fn a_network_without_a_loopback_address_is_named_with_its_remedy() {
    let mut command = Command::new(BENCH);
    command.args(["run", "--quick", "--no-server", "--only=handshakes"]);
    // SAFETY: the closure makes one system call and allocates nothing.
    unsafe { command.pre_exec(sys::leave_network) };
    let Ok(output) = command.output() else {
        eprintln!("SKIPPED: a network of its own; this process may not make one");
        return;
    };
    let words = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{words}");
    assert!(words.contains("ip addr add 127.0.0.1/8 dev lo"), "{words}");
}
