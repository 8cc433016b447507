//! `corecast doctor` as a person or a script meets it: the table with its fixes and its
//! last sentence, the JSON's fields, exit codes, and refused options.
//!
//! How: runs the binary on this host, whose limits are whatever they are, so that the
//! demand decides: one connection fits, a trillion does not.

use crate::support::doctor::Report;
use crate::support::{corecast, run};

const NOBODY: &str = "--pid=none";

#[test]
fn one_connection_fits_and_a_trillion_does_not() {
    let (code, out, err) = run(corecast().args(["doctor", NOBODY, "--connections", "1"]));
    assert_eq!(code, 0, "{out}{err}");
    let last = out.lines().last().unwrap();
    assert!(
        last.starts_with("1 connection fits; the first wall is "),
        "{out}"
    );

    let words = ["doctor", NOBODY, "--connections", "1_000_000M"];
    let (code, out, err) = run(corecast().args(words));
    assert_eq!(code, 1, "{out}{err}");
    let last = out.lines().last().unwrap();
    assert!(
        last.starts_with("1,000,000,000,000 connections do not fit: the first wall is "),
        "{out}"
    );
    for words in [
        "memory of the host",
        "TOO LOW",
        "for good  ",
        "sysctl -w fs.",
        "for good",
    ] {
        assert!(out.contains(words), "no '{words}' in {out}");
    }
}

#[test]
fn what_fits_is_shown_when_it_is_asked_for() {
    let lines = |words: &[&str]| {
        let (_, out, _) = run(corecast()
            .args(["doctor", NOBODY, "--connections=1"])
            .args(words));
        out
    };
    assert!(!lines(&[]).contains("fs.file-max"));
    assert!(lines(&["--all"]).contains("fs.file-max"));
}

#[test]
fn json_has_every_field_for_every_limit() {
    let report = Report::ask(&[NOBODY, "--role=both", "--connections=2k", "--sources=7"]);
    let asked = &report.json["asked"];
    assert_eq!(asked["connections"], 2_000);
    assert_eq!(
        (&asked["sources"], &asked["targets"]),
        (&7.into(), &1.into())
    );
    assert_eq!(asked["role"], "both");
    assert!(report.json["running"].is_null());
    let sentence = report.json["sentence"].as_str().unwrap();
    assert!(sentence.starts_with("2,000 connections "), "{sentence}");
    let (limit, connections) = report.wall();
    assert!(connections > 0 && sentence.contains(&limit), "{sentence}");

    for limit in [
        "RLIMIT_NOFILE of each shard",
        "RLIMIT_NOFILE of each thread of corecast-load",
        "fs.nr_open",
        "fs.file-max",
        "net.core.somaxconn",
        "net.ipv4.tcp_max_syn_backlog",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_migrate_req",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_tw_reuse",
        "net.ipv4.tcp_max_tw_buckets",
        "memory of the host",
        "net.ipv4.tcp_mem",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
        "net.ipv4.tcp_max_orphans",
        "transparent huge pages",
        "net.netfilter.nf_conntrack_max",
        "kernel",
        "io_uring_setup",
        "kernel.io_uring_disabled",
        "RLIMIT_MEMLOCK",
        "seccomp",
        "cores",
        "isolated cores",
        "NUMA nodes",
        "max-sessions",
        "kernel.threads-max",
    ] {
        report.check(limit);
    }
    for check in report.json["checks"].as_array().unwrap() {
        let text = |field: &str| {
            check[field]
                .as_str()
                .unwrap_or_else(|| panic!("{field}: {check}"))
        };
        for field in ["concern", "limit", "where", "why"] {
            assert!(!text(field).is_empty(), "{field}: {check}");
        }
        let verdict = text("verdict");
        let verdicts = ["fits", "too_low", "slows", "advice", "unknown"];
        assert!(verdicts.contains(&verdict), "{check}");
        assert_eq!(check["value"].is_null(), verdict == "unknown", "{check}");
        assert!(check.get("needed").is_some() && check.get("fix").is_some());
        let stops = check["stops"]["what"].as_str().unwrap();
        let at = check["stops"]["at"].is_u64();
        match stops {
            "connections" | "burst" => assert!(at, "{check}"),
            _ => assert!(stops == "nothing" && !at, "{check}"),
        }
        if verdict == "too_low" {
            assert!(check["fix"]["now"].is_string(), "{check}");
        }
    }
}

#[test]
fn what_cannot_be_judged_is_refused() {
    let own = std::process::id().to_string();
    for (words, said) in [
        (
            &["--connections", "0"][..],
            "--connections: must be at least 1",
        ),
        (
            &["--connections", "many"],
            "'many' is not a number like 5000, 50k or 1.5M",
        ),
        (&["--role", "proxy"], "use server, client or both"),
        (&["--sources=-1"], "--sources: '-1' is not a number"),
        (&["--shards", "0"], "--shards: must be at least 1"),
        (&["--pid", "first"], "--pid: 'first' is not a process id"),
        (&["--pid", &own], "not 'corecast'"),
        (&["--pid", "4294967295"], "there is no process 4294967295"),
        (&["--frobnicate"], "--frobnicate"),
    ] {
        let (code, out, err) = run(corecast().arg("doctor").args(words));
        assert_eq!(code, 2, "{words:?}: {out}{err}");
        assert!(err.contains(said), "{words:?}: no '{said}' in {err}");
        assert!(out.is_empty(), "{out}");
    }
}
