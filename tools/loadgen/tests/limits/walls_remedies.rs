//! Every option that a remedy names is there.
//!
//! How: the options in the sources of all findings and errors are looked for in
//! the help of the generator's commands and of the server.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The files with the wording of findings and errors.
const WORDED: [&str; 5] = ["app", "diagnosis", "engine", "sources.rs", "target"];

/// All options that a text names.
fn options(text: &str) -> BTreeSet<String> {
    let option = |after: &str| {
        let end = after.find(|c: char| !c.is_ascii_lowercase() && c != '-');
        let name = after[..end.unwrap_or(after.len())].trim_end_matches('-');
        (!name.is_empty()).then(|| format!("--{name}"))
    };
    let after = text.split("--").skip(1);
    after.filter_map(option).collect()
}

/// The sources below a path, without comments and tests.
fn sources(path: &Path) -> String {
    if path.is_dir() {
        let entries = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let wanted = entries.filter(|path| !path.ends_with("tests") && !path.ends_with("tests.rs"));
        return wanted.map(|path| sources(&path)).collect();
    }
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let code = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    code.collect::<Vec<_>>().join("\n")
}

fn help(words: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_corecast-load"));
    let output = command.args(words).arg("--help").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn options_of_remedies_exist() {
    let commands = [
        "connect",
        "message",
        "endurance",
        "echo",
        "broadcast",
        "chat",
        "churn",
        "soak",
        "phoenix",
        "run",
        "merge",
    ];
    let mut known = options(&help(&[]));
    for command in commands {
        known.extend(options(&help(&[command])));
    }
    let server = corecast::cli::try_parse_from(["corecast", "serve", "--help"], &|_| None);
    known.extend(options(&server.err().unwrap().to_string()));

    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let named = options(&WORDED.map(|part| sources(&src.join(part))).join("\n"));
    for expected in ["--sources", "--threads", "--max-sessions", "--backlog"] {
        assert!(named.contains(expected), "{expected} in {named:?}");
    }
    let missing: Vec<_> = named.difference(&known).collect();
    assert!(missing.is_empty(), "{missing:?} are no options");
}
