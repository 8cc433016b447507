//! The exit status of `validate` and `table`, which `make` and CI rely on: 0 when
//! all is as it should be, 1 when a case is not, 2 when there is no verdict.
//!
//! How: the binary is run on results as a suite leaves them, with and without a
//! fault.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use corecast_conformance::cases;
use corecast_conformance::configuration::Configuration;
use strum::IntoEnumIterator;

const NO_EXCUSES: &str = "# none\n";

/// Writes the results of one configuration, in which one case may be different.
fn write_results(folder: &Path, configuration: Configuration, fault: Option<(&str, &str)>) {
    fs::create_dir_all(folder).unwrap();
    let verdicts = cases::required().map(|case| {
        let case = case.to_string();
        let behavior = match fault {
            Some((faulty, behavior)) if faulty == case => behavior,
            _ => "OK",
        };
        let verdict = serde_json::json!({"behavior": behavior, "behaviorClose": "OK"});
        (case, verdict)
    });
    let verdicts: serde_json::Map<_, _> = verdicts.collect();
    let index = serde_json::json!({"corecast": verdicts});
    fs::write(folder.join("index.json"), index.to_string()).unwrap();
    let record = serde_json::json!({
        "suite": "kosoku", "suite_version": "0.1.0", "configuration": configuration,
        "corecast": "0.1.0", "started": "2026-01-31T12:00:00Z", "seconds": 1.5,
        "server_options": [],
    });
    fs::write(folder.join("run.json"), record.to_string()).unwrap();
}

fn conformance(arguments: &[&Path]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_corecast-conformance"));
    command.args(arguments).output().unwrap()
}

fn validate(folder: &Path, excuses: &str) -> (Option<i32>, String) {
    let file = folder.join("non-strict.toml");
    fs::write(&file, excuses).unwrap();
    let output = conformance(&["validate".as_ref(), "--excuses".as_ref(), &file, folder]);
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn a_verdict_decides_the_exit_status() {
    let excuse = "[[non_strict]]\nsuite = \"kosoku\"\nconfiguration = \"client\"\n\
                  case = \"6.4.1\"\nreason = \"x\"\n";
    for (fault, excuses, status, words) in [
        (None, NO_EXCUSES, 0, "301 passed"),
        (
            Some(("7.1.6", "INFORMATIONAL")),
            NO_EXCUSES,
            0,
            "300 passed, 1 informational",
        ),
        (
            Some(("9.4.2", "FAILED")),
            NO_EXCUSES,
            1,
            "case 9.4.2: FAILED",
        ),
        (
            Some(("6.4.1", "NON-STRICT")),
            NO_EXCUSES,
            1,
            "case 6.4.1: NON-STRICT",
        ),
        (Some(("6.4.1", "NON-STRICT")), excuse, 0, "1 NON-STRICT"),
        (None, excuse, 1, "case 6.4.1 has an entry"),
        (None, "[[non_strict]]\n", 2, "missing field"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write_results(folder.path(), Configuration::Client, fault);
        let (code, said) = validate(folder.path(), excuses);
        assert_eq!(code, Some(status), "{said}");
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn without_results_there_is_no_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = validate(folder.path(), NO_EXCUSES);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("run.json"), "{said}");
}

#[test]
fn the_page_is_written_when_every_configuration_was_run() {
    let folder = tempfile::tempdir().unwrap();
    let excuses = folder.path().join("non-strict.toml");
    fs::write(&excuses, NO_EXCUSES).unwrap();
    let page = folder.path().join("docs/conformance.md");
    let write_page = || {
        conformance(&[
            "table".as_ref(),
            "--directory".as_ref(),
            folder.path(),
            "--excuses".as_ref(),
            &excuses,
            "--output".as_ref(),
            &page,
        ])
    };
    let results = folder.path().join("results/kosoku");
    for configuration in Configuration::iter() {
        assert_eq!(write_page().status.code(), Some(2));
        assert!(!page.exists());
        write_results(&results.join(configuration.name()), configuration, None);
    }
    let output = write_page();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("| all | 301 | 301 / 0 / 0 |"), "{page}");
}
