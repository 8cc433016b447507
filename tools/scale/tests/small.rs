//! Whole runs of the binary at a size that takes seconds: shows that server and
//! floor serve the same load, that held connections are judged, and that a
//! number which a host cannot hold is refused.
//!
//! How: the real server and the real load generator, as built for the tests.
//! Nothing is said about speed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use corecast_scale::contestant::Contestant;
use corecast_scale::hold::Held;
use corecast_scale::reading::Reading;

const SCALE: &str = env!("CARGO_BIN_EXE_corecast-scale");

/// A program of this workspace, which stands beside the driver's own.
fn sibling(name: &str) -> Option<PathBuf> {
    let path = Path::new(SCALE).with_file_name(name);
    if path.is_file() {
        return Some(path);
    }
    eprintln!("SKIPPED: whole runs: no {name} was built; test the whole workspace");
    None
}

/// Runs the driver; `None` without the programs it needs.
fn scale(arguments: &[&str]) -> Option<Output> {
    scale_as(Command::new(SCALE), arguments)
}

/// As [`scale`], by a command that ends with the driver.
fn scale_as(mut command: Command, arguments: &[&str]) -> Option<Output> {
    let (server, load) = (sibling("corecast")?, sibling("corecast-load")?);
    let output = command
        .args(arguments)
        .arg("--server")
        .arg(server)
        .arg("--load")
        .arg(load)
        .output();
    Some(output.expect("the driver runs"))
}

fn words(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

#[test]
fn server_and_floor_deliver_to_everybody() {
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("readings.json");
    let path = json.display().to_string();
    let arguments = [
        "measure",
        "--connections",
        "600",
        "--rounds",
        "1",
        "--json",
        &path,
    ];
    let Some(output) = scale(&arguments) else {
        return;
    };
    assert!(output.status.success(), "{}", words(&output));
    let readings = fs::read_to_string(json).unwrap();
    let readings: Vec<Reading> = serde_json::from_str(&readings).unwrap();
    let whose: Vec<_> = readings.iter().map(|reading| reading.contestant).collect();
    assert_eq!(whose, [Contestant::Server, Contestant::Floor]);
    for reading in &readings {
        assert_eq!(reading.connections, 600);
        assert!(
            reading.publications > 0 && reading.server_micros > 0.0,
            "{reading:?}"
        );
    }
}

#[test]
fn what_is_held_is_pinged_and_newcomers_are_served() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().display().to_string();
    let arguments = [
        "hold",
        "--connections",
        "600",
        "--hold",
        "5s",
        "--publish-every",
        "1s",
        "--server-arg=--ping-interval=1s",
        "--directory",
        &path,
    ];
    let Some(output) = scale(&arguments) else {
        return;
    };
    assert!(output.status.success(), "{}", words(&output));
    let held = fs::read_to_string(directory.path().join("hold.json")).unwrap();
    let held: Held = serde_json::from_str(&held).unwrap();
    assert_eq!(held.failures, [""; 0]);
    assert_eq!(held.reading.connections, 600);
    assert_eq!(held.deliveries, 600 * held.reading.publications);
    assert!(
        held.reading.publications >= 4 && held.pings >= 600,
        "{held:?}"
    );
    let newcomers = held.during_broadcasts.count + held.between_broadcasts.count;
    assert!(newcomers > 10, "{held:?}");
    assert!(directory.path().join("load.html").is_file());
}

/// Within networks of the test's own, so that no setting of the host is touched:
/// the first gives the second a table of 1,024 buckets, too few for 600 connections.
#[test]
fn a_small_table_of_connections_is_left_for_a_larger_one() {
    let small = "echo 1024 >/proc/sys/net/ipv4/tcp_child_ehash_entries && exec unshare --net \
                 sh -c 'ip link set lo up && exec \"$0\" \"$@\"' \"$0\" \"$@\"";
    let within = |program: &str| {
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", small, program]);
        command
    };
    let can = within("true").output();
    if !can.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: a small table of connections: no networks of its own can be made here");
        return;
    }
    let run = |more: &[&str]| {
        let sizes = [
            "measure",
            "--connections",
            "600",
            "--rounds",
            "1",
            "--no-floor",
        ];
        let output = scale_as(within(SCALE), &[&sizes[..], more].concat())?;
        assert!(output.status.success(), "{}", words(&output));
        Some(words(&output))
    };
    let moved = "In a network of its own with 2048 buckets for sockets; with the host's 1024";
    let (Some(left), Some(stayed)) = (run(&[]), run(&["--host-network"])) else {
        return;
    };
    assert!(left.contains(moved), "{left}");
    assert!(!stayed.contains("buckets"), "{stayed}");
}

#[test]
fn more_than_the_tables_hold_is_refused() {
    let Some(output) = scale(&["hold", "--connections", "100000M"]) else {
        return;
    };
    assert!(!output.status.success());
    assert!(
        words(&output).contains("do not fit into tables of"),
        "{}",
        words(&output)
    );
}
