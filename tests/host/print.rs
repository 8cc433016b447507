//! `corecast print` writes the files of a deployment where there is no checkout, and
//! `corecast doctor` names them with the lines that they have.
//!
//! How: the output of the real program beside the files of this repository.

use std::fs;
use std::path::Path;

use crate::support::{corecast, run};

fn file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn printed(words: &[&str]) -> String {
    let (code, stdout, stderr) = run(corecast().arg("print").args(words));
    assert_eq!((code, &*stderr), (0, ""), "{words:?}");
    stdout
}

#[test]
fn the_files_are_those_of_the_repository() {
    assert_eq!(printed(&["unit"]), file("tools/deploy/corecast.service"));
    let profile = file("tools/deploy/seccomp-io-uring.json");
    assert_eq!(printed(&["seccomp"]), profile);
    let ports = file("sysctl/40-corecast-ports.conf");
    for part in ["ports", "40-corecast-ports.conf"] {
        assert_eq!(printed(&["sysctl", part]), ports);
    }
    let all = printed(&["sysctl"]);
    let mut names = 0;
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("sysctl")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(all.contains(&text));
        names += 1;
    }
    assert_eq!(names, 5);
    let (code, _, stderr) = run(corecast().args(["print", "sysctl", "port"]));
    assert_eq!(code, 2);
    assert!(
        stderr.contains("use files, listen, memory, ports, conntrack"),
        "{stderr}"
    );
}

/// What the doctor says to write into a file stands there so, where the file is enough.
#[test]
fn the_doctors_lines_are_those_of_the_files() {
    let mut doctor = corecast();
    doctor.args([
        "doctor",
        "--connections",
        "100k",
        "--role",
        "both",
        "--pid",
        "none",
    ]);
    let (_, stdout, _) = run(doctor.arg("--json"));
    let report: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let all = printed(&["sysctl"]);
    for check in report["checks"].as_array().unwrap() {
        let remedy = &check["fix"]["for_good"];
        let Some(name) = remedy["file"]
            .as_str()
            .and_then(|file| file.strip_prefix("/etc/sysctl.d/"))
            .filter(|name| name.contains("-corecast-"))
        else {
            continue;
        };
        let line = remedy["line"].as_str().unwrap();
        let mut lines = all.lines().map(|line| line.trim_start_matches('-'));
        assert!(lines.any(|known| known == line), "{line} is not in {name}");
    }
}
