//! Whole runs of the binary: shows that a quick run of several kinds of load
//! leaves a report that can be read, shown, quoted and compared, and that the
//! impossible is refused with words that say what to do.
//!
//! How: the real server and the real load generator, as built for the tests, on
//! the smallest scenarios of each kind. Nothing is said about speed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use corecast_bench::report::read_json;
use corecast_bench::results::{Reading, Results, Role};

const BENCH: &str = env!("CARGO_BIN_EXE_corecast-bench");

/// A program of this workspace, which stands beside the driver's own.
fn sibling(name: &str) -> Option<PathBuf> {
    let path = Path::new(BENCH).with_file_name(name);
    if path.is_file() {
        return Some(path);
    }
    eprintln!("SKIPPED: whole runs: no {name} was built; test the whole workspace");
    None
}

fn bench(arguments: &[&str]) -> Output {
    let output = Command::new(BENCH).args(arguments).output();
    output.expect("the driver runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The words with which a command line is refused.
fn refusal(arguments: &[&str]) -> String {
    let output = bench(arguments);
    assert!(!output.status.success(), "{arguments:?}");
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
    text(&output.stderr)
}

struct Run {
    directory: tempfile::TempDir,
    output: Output,
}

impl Run {
    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    fn results(&self) -> Results {
        read_json(&fs::read_to_string(self.path("report.json")).unwrap()).unwrap()
    }
}

/// A quick run with `arguments`; `None` without the programs it needs.
fn quick_run(arguments: &[&str]) -> Option<Run> {
    let [server, load] = ["corecast", "corecast-load"].map(sibling);
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let output = Command::new(BENCH)
        .args(["run", "--quick"])
        .arg("--server")
        .arg(server?)
        .arg("--load")
        .arg(load?)
        .arg("--json")
        .arg(file("report.json"))
        .arg("--report")
        .arg(file("report.html"))
        .arg("--markdown")
        .arg(file("report.md"))
        .args(arguments)
        .output()
        .expect("the driver runs");
    Some(Run { directory, output })
}

#[test]
fn a_run_is_measured_reported_quoted_and_compared() {
    let every_kind = [
        "--set=full",
        "--only=handshakes",
        "--only=churn",
        "--only=chat",
        "--only=generators",
        "--driver=auto",
    ];
    let Some(run) = quick_run(&every_kind) else {
        return;
    };
    let (table, progress) = (text(&run.output.stdout), text(&run.output.stderr));
    assert!(run.output.status.success(), "{table}\n{progress}");
    for wanted in ["handshakes", "corecast", "floor accept", "GOALS"] {
        assert!(table.contains(wanted), "no {wanted} in:\n{table}");
    }
    assert!(progress.contains("servers on"), "{progress}");
    assert!(
        progress.contains("churn, corecast, round 1: "),
        "{progress}"
    );

    let results = run.results();
    let names: Vec<_> = results.contests.iter().map(|it| it.name.as_str()).collect();
    let wanted = ["chat-two-shards", "handshakes", "churn", "generators-echo"];
    assert_eq!(names, wanted);
    for contest in &results.contests {
        assert!(contest.failures.is_empty());
        for entry in &contest.entries {
            let [Some(Reading::Timed(sample))] = &entry.rounds[..] else {
                panic!("{}: {:?}", contest.name, entry.rounds);
            };
            assert!(sample.messages > 0);
            assert!(sample.server_cpu_seconds.unwrap() > 0.0);
        }
    }
    let churn = &results.contests[2].entries[0];
    assert_eq!(churn.role, Role::Server);
    assert!(churn.samples().all(|sample| sample.latency.is_some()));
    assert!(
        fs::read_to_string(run.path("report.html"))
            .unwrap()
            .contains("<svg")
    );

    let report = run.path("report.json");
    let compared = bench(&["compare", &report, &report]);
    assert!(compared.status.success(), "{}", text(&compared.stdout));
    assert!(text(&compared.stdout).contains("churn"));

    let readme = run.path("README.md");
    fs::write(
        &readme,
        "# Title\n<!-- figures -->\nold\n<!-- /figures -->\nend\n",
    )
    .unwrap();
    // A quick run of a part is nothing to quote.
    assert!(refusal(&["quote", &report, &readme]).contains("partial"));
    let json = fs::read_to_string(&report).unwrap();
    fs::write(
        &report,
        json.replace("\"is_partial\": true", "\"is_partial\": false"),
    )
    .unwrap();
    assert!(bench(&["quote", &report, &readme]).status.success());
    let quoted = fs::read_to_string(&readme).unwrap();
    assert!(quoted.starts_with("# Title\n") && quoted.ends_with("end\n"));
    assert!(quoted.contains("Opening handshakes") && !quoted.contains("old"));
    fs::write(&readme, "# Title\n").unwrap();
    assert!(refusal(&["quote", &report, &readme]).contains("figures -->"));
}

/// Every answer of a channel is compared before it is timed, so a run that ends
/// well has seen joins, pushes and leaves answered as the protocol demands.
#[test]
fn channels_are_checked_and_timed() {
    let small = [
        "--set=full",
        "--only=phoenix-lobby-s500",
        "--only=phoenix-joins-c500",
    ];
    let Some(run) = quick_run(&[&small[..], &["--driver=auto"]].concat()) else {
        return;
    };
    let (table, progress) = (text(&run.output.stdout), text(&run.output.stderr));
    assert!(run.output.status.success(), "{table}\n{progress}");
    let results = run.results();
    let [lobby, joins] = &results.contests[..] else {
        panic!("{:?}", results.contests);
    };
    for name in ["corecast", "floor sendloop"] {
        let entry = lobby.entry(name).unwrap();
        let samples: Vec<_> = entry.samples().collect();
        assert!(samples[0].messages >= 500, "{name}: {samples:?}");
        let times = samples[0].latency.unwrap();
        assert!(0.0 < times.p50 && times.p50 <= times.max, "{times:?}");
    }
    assert!(
        joins
            .entry("corecast")
            .unwrap()
            .samples()
            .all(|it| it.messages > 0)
    );
}

#[test]
fn a_contestant_that_does_not_come_up_is_a_line_and_fails_nobody_else() {
    let directory = tempfile::tempdir().unwrap();
    let rivals = directory.path().join("list");
    fs::write(&rivals, "broken\tfalse\n").unwrap();
    let rivals = format!("--rivals={}", rivals.display());
    let Some(run) = quick_run(&["--only=handshakes", "--driver=auto", &rivals]) else {
        return;
    };
    assert_eq!(run.output.status.code(), Some(0));
    assert!(text(&run.output.stdout).contains("ended before it listened"));
    let results = run.results();
    let rounds = |name: &str| results.contests[0].entry(name).unwrap().rounds.clone();
    assert_eq!(rounds("broken"), [None]);
    assert!(rounds("corecast")[0].is_some());
}

#[test]
fn what_cannot_be_is_refused_with_what_to_do() {
    let words = refusal(&["run", "--only", "nothing-like-this"]);
    assert!(words.contains("there are echo-20B-c10000"), "{words}");
    let words = refusal(&["run", "--server", "not/there"]);
    assert!(words.contains("make build-bench"), "{words}");
    let words = refusal(&["run", "--no-server", "--only=hand", "--load-cpus", "7000"]);
    assert!(words.contains("core 7000"), "{words}");
    let words = refusal(&["run", "--against", "ws://127.0.0.1:1"]);
    assert!(words.contains("name=ws://host:port"), "{words}");
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "{}").unwrap();
    let path = file.path().display().to_string();
    let words = refusal(&["compare", &path, &path]);
    assert!(words.contains("corecast-bench"), "{words}");
}
