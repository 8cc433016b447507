//! The configuration file, the command line and the environment with any text.
//!
//! Nothing panics, and every mistake is named: its place, and the fault.
//! Settings that are accepted print as a file that is accepted again and means
//! the same. One option with one value is read alike as a flag and as a
//! variable.

#![no_main]

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{Seek, Write};

use corecast::cli::{CliError, Command, try_parse_from};
use libfuzzer_sys::fuzz_target;
use tempfile::NamedTempFile;

/// The input: a file's text, flags, and variables.
#[derive(Default)]
struct Typed<'a> {
    file: Option<&'a [u8]>,
    flags: Vec<&'a str>,
    variables: HashMap<&'a str, &'a str>,
}

thread_local! {
    static FILE: RefCell<NamedTempFile> =
        RefCell::new(NamedTempFile::new().expect("a place for a file"));
}

// The file's text, and after zero bytes words for the command line (`--shards=2`) and
// for the environment (`CORECAST_SHARDS=2`).
fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.split(|&byte| byte == 0);
    let mut typed = Typed {
        file: parts.next(),
        ..Typed::default()
    };
    for part in parts {
        let Ok(word) = std::str::from_utf8(part) else {
            continue;
        };
        if word.starts_with('-') {
            typed.flags.push(word);
            alike(word);
        } else if let Some((name, value)) = word.split_once('=') {
            typed.variables.insert(name, value);
        }
    }
    match parse(&typed, &[]) {
        Err(error) => named(&error, &typed),
        Ok(Command::PrintConfig(text)) => assert!(!text.is_empty()),
        Ok(mut resolved) => {
            // The printed settings have no old spellings.
            if let Command::Serve(options) = &mut resolved {
                options.notes.clear();
            }
            let Ok(Command::PrintConfig(text)) = parse(&typed, &["--print-config"]) else {
                panic!("what can be run can be printed");
            };
            let printed = Typed {
                file: Some(text.as_bytes()),
                ..Typed::default()
            };
            match parse(&printed, &[]) {
                Ok(again) => assert_eq!(again, resolved, "{text}"),
                Err(error) => panic!("{error}\n{text}"),
            }
        }
    }
});

fn parse(typed: &Typed<'_>, more: &[&str]) -> Result<Command, CliError> {
    FILE.with_borrow_mut(|file| {
        let mut words: Vec<OsString> = vec!["corecast".into(), "serve".into()];
        if let Some(text) = typed.file {
            file.as_file().set_len(0).expect("a file of one's own");
            file.rewind().expect("a file of one's own");
            file.write_all(text).expect("room for a file");
            words.extend(["--config".into(), file.path().into()]);
        }
        // After a word of `--` there are no flags.
        words.extend(more.iter().chain(&typed.flags).map(OsString::from));
        let variable = |name: &str| {
            // A file of another's choice is not read.
            let known = name != "CORECAST_CONFIG";
            typed
                .variables
                .get(name)
                .filter(|_| known)
                .map(OsString::from)
        };
        try_parse_from(words, &variable)
    })
}

fn named(error: &CliError, typed: &Typed<'_>) {
    let text = error.to_string();
    match error {
        CliError::Usage(_) => {
            assert!(!text.is_empty());
            assert!(!typed.flags.is_empty(), "a file alone is no misuse: {text}");
        }
        CliError::Setting { name, problem } => {
            assert!(!name.is_empty() && !problem.is_empty(), "{text}");
            let file = FILE.with_borrow(|file| file.path().display().to_string());
            let is_place = [&*file, "--", "CORECAST_"]
                .iter()
                .any(|start| name.starts_with(start));
            assert!(is_place, "{text}");
            assert_eq!(error.exit_code(), 2);
        }
    }
}

/// A flag with a value, and the variable of that name with that value.
fn alike(word: &str) {
    let Some((flag, value)) = word.split_once('=') else {
        return;
    };
    if value.is_empty() || ["--config", "--print-config", "--help", "--version"].contains(&flag) {
        return;
    }
    let Some(option) = flag.strip_prefix("--") else {
        return;
    };
    let name = format!("CORECAST_{}", option.replace('-', "_").to_uppercase());
    let as_flag = parse(
        &Typed {
            flags: vec![word],
            ..Typed::default()
        },
        &[],
    );
    let as_variable = parse(
        &Typed {
            variables: [(&*name, value)].into(),
            ..Typed::default()
        },
        &[],
    );
    match (as_flag, as_variable) {
        // No such option: such a variable is not looked up.
        (Err(CliError::Usage(_)), _) => {}
        (Ok(flag), Ok(variable)) => assert_eq!(flag, variable, "{word}"),
        (
            Err(CliError::Setting { problem: flag, .. }),
            Err(CliError::Setting {
                problem: variable, ..
            }),
        ) => assert_eq!(flag, variable, "{word}"),
        (flag, variable) => panic!("{word}: {flag:?} as a flag, {variable:?} as a variable"),
    }
}
