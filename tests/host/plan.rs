//! `corecast plan`: the budget of a load on paper.
//!
//! How: the real binary, its table and its JSON. The sums themselves are tested
//! beside the code, against the documents the project began with.

use std::process::{Command, Output};

use serde_json::Value;

#[derive(Debug)]
struct Run {
    status: i32,
    stdout: String,
    stderr: String,
}

#[track_caller]
fn plan(words: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_corecast"));
    let Output {
        status,
        stdout,
        stderr,
    } = command.arg("plan").args(words).output().unwrap();
    Run {
        status: status.code().expect("it ends by itself"),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

/// The figure of a line in the JSON.
#[track_caller]
fn figure(plan: &Value, name: &str) -> f64 {
    let sections = plan["sections"].as_array().unwrap();
    let mut lines = sections
        .iter()
        .flat_map(|section| section["lines"].as_array().unwrap());
    let line = lines.find(|line| line["name"] == name);
    let line = line.unwrap_or_else(|| panic!("no line {name} in {plan:#}"));
    line["value"].as_f64().unwrap()
}

#[test]
fn the_table_has_every_resource_with_arithmetic_and_origin() {
    let run = plan(&[
        "--connections",
        "100k",
        "--rate",
        "100k",
        "--payload",
        "200",
    ]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{run:#?}");
    for words in [
        "100,000 connections; 100,000 messages of 200 B per second",
        "MEMORY OF THE SERVER'S HOST",
        "100,000 × 4,045 B",
        "DESCRIPTORS",
        "PORTS OF THE CLIENTS",
        "100,000 / 28,232, rounded up",
        "NETWORK OF THE SERVER",
        "CORES OF THE SERVER",
        "TIMES AND HEARTBEATS",
        "Where the constants come from:",
        "make bench",
        "To set on the server's host:",
        "LimitNOFILE=",
        "sysctl/10-corecast-files.conf",
        "A test of this size needs:",
        "4 client addresses with the default port range, 15 for opening to stay fast; 2 and 7 with sysctl/40-corecast-ports.conf",
    ] {
        assert!(
            run.stdout.contains(words),
            "no '{words}' in\n{}",
            run.stdout
        );
    }
    // No line of the table is wider than the terminal.
    let wide = |line: &&str| line.starts_with('|') && line.chars().count() > 100;
    assert_eq!(run.stdout.lines().find(wide), None);
}

#[test]
fn json_has_the_same_figures() {
    let run = plan(&["-c", "1M", "--rate", "1", "--fan-out", "all", "--json"]);
    assert_eq!(run.status, 0, "{run:#?}");
    let plan: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(plan["question"]["connections"], 1_000_000);
    assert_eq!(plan["question"]["fan_out"], 1_000_000);
    assert_eq!(plan["question"]["ping_interval_seconds"], 30.0);
    assert_eq!(figure(&plan, "sources_default_range"), 36.0);
    assert_eq!(figure(&plan, "sources_widest_range"), 16.0);
    assert_eq!(figure(&plan, "pings").round(), 33_333.0);
    assert!((figure(&plan, "cores_deliveries") - 8.8).abs() < 1e-9);
    for line in plan["sections"][0]["lines"].as_array().unwrap() {
        assert_eq!(line["unit"], "bytes");
        assert!(!line["arithmetic"].as_str().unwrap().is_empty(), "{line}");
    }
    assert!(plan["problems"].as_array().unwrap().is_empty());
    assert!(!plan["to_set"].as_array().unwrap().is_empty());
}

/// The exit status says whether what was given is enough.
#[test]
fn what_does_not_fit_is_said() {
    let run = plan(&["-c", "100k", "--sources", "1"]);
    assert_eq!(run.status, 1, "{run:#?}");
    let last = run.stdout.trim_end().lines().last().unwrap();
    assert_eq!(
        last,
        "  - 1 source address can open 64,512 connections to 1 target at most: 2 are needed."
    );
    let run = plan(&["-c", "100k", "--sources", "1", "--targets", "2"]);
    assert_eq!(run.status, 0, "{run:#?}");
    let run = plan(&["-c", "1M", "--rate", "1M", "--cores", "4"]);
    assert_eq!(run.status, 1, "{run:#?}");
    assert!(run.stdout.contains("4 cores cannot do it"), "{run:#?}");
}

#[test]
fn mistakes_are_refused_with_what_would_be_right() {
    for (words, said) in [
        (&[][..], "--connections"),
        (&["-c", "0"], "--connections: must be at least 1"),
        (
            &["-c", "many"],
            "--connections: 'many' is not a number like 5000, 50k or 1.5M",
        ),
        (&["-c", "1k", "--rate", "-1"], "--rate"),
        (
            &["-c", "1k", "--rate", "nan"],
            "--rate: 'nan' is not a rate",
        ),
        (
            &["-c", "1k", "--payload", "big"],
            "--payload: 'big' is not a size",
        ),
        (
            &["-c", "1k", "--payload", "2GiB"],
            "--payload: 2147483648 B is out of range; allowed: 0 to 1GiB",
        ),
        (
            &["-c", "1k", "--fan-out", "0"],
            "--fan-out: must be at least 1",
        ),
        (
            &["-c", "1k", "--fan-out", "2k"],
            "--fan-out: a message cannot be sent to 2000 sessions when there are 1000",
        ),
        (&["-c", "1k", "--fan-out", "some"], "or all"),
        (&["-c", "1k", "--ping-interval", "30"], "--ping-interval"),
        (&["-c", "1k", "--cores", "0"], "--cores: must be at least 1"),
        (
            &["-c", "1k", "--cores", "2k"],
            "--cores: 2000 is out of range; allowed: 1 to 1024",
        ),
        (
            &["-c", "1000000000000000"],
            "--connections: 1000000000000000 is out of range",
        ),
        (
            &["-c", "1k", "--sources", "0"],
            "--sources: must be at least 1",
        ),
    ] {
        let run = plan(words);
        assert_eq!(
            (run.status, run.stdout.as_str()),
            (2, ""),
            "{words:?}: {run:#?}"
        );
        assert!(
            run.stderr.contains(said),
            "{words:?}: no '{said}' in {run:#?}"
        );
    }
}
