//! The predictions of `corecast doctor` for a place before a run goes there.
//!
//! The doctor runs in a process of its own, so that it has the limits and the
//! namespace that the run will have. That process is the test program again,
//! with the command line's own parser and the doctor's code.

use std::env;
use std::process::{Command, Stdio};

use corecast::cli;
use corecast_host::Root;
use serde_json::Value;

/// The words that the doctor is asked with, in its process.
const ASKED: &str = "CORECAST_LOAD_TEST_DOCTOR";
/// The words of a doctor's process before its answer.
const ANSWER: &str = "the doctor says ";

/// The answer of the doctor.
#[derive(Debug)]
pub struct Prediction(Value);

/// Asks the doctor, in circumstances that `prepare` makes. The test program
/// must have a test `doctor_process` that calls [`examine_if_asked`].
#[track_caller]
pub fn ask(words: &str, prepare: impl FnOnce(&mut Command)) -> Prediction {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "doctor_process", "--nocapture"])
        .env(ASKED, words)
        .stdin(Stdio::null());
    prepare(&mut command);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let answer = text.lines().find_map(|line| line.split_once(ANSWER));
    let Some((_, answer)) = answer else {
        panic!("the doctor said nothing: {output:?}");
    };
    Prediction(serde_json::from_str(answer).unwrap())
}

/// Becomes the doctor, if this process is to be one; else returns at once.
pub fn examine_if_asked() {
    let Ok(asked) = env::var(ASKED) else { return };
    let words = ["corecast", "doctor", "--pid", "none", "--json"];
    let words = words.into_iter().chain(asked.split_whitespace());
    let Ok(cli::Command::Doctor(options)) = cli::try_parse_from(words, &|_| None) else {
        panic!("these are no words for the doctor: {asked}");
    };
    let (text, _) = options.run(&Root::default()).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    println!("\n{ANSWER}{report}");
}

impl Prediction {
    /// The limit that is reached first, and at how many connections.
    #[track_caller]
    pub fn wall(&self) -> (&str, u64) {
        let wall = &self.0["wall"];
        let limit = wall["limit"].as_str().expect("there is a wall");
        (limit, wall["connections"].as_u64().unwrap())
    }

    /// Whether the load that was asked for fits.
    pub fn fits(&self) -> bool {
        self.0["fits"].as_bool().unwrap()
    }

    /// The check of a limit.
    #[track_caller]
    fn check(&self, limit: &str) -> &Value {
        let mut checks = self.0["checks"].as_array().unwrap().iter();
        let found = checks.find(|check| check["limit"] == limit);
        found.unwrap_or_else(|| panic!("nothing about {limit} in {:#}", self.0))
    }

    /// How many may come at once because of a limit; `None` if it stops no burst.
    #[track_caller]
    pub fn burst(&self, limit: &str) -> Option<u64> {
        let stops = &self.check(limit)["stops"];
        (stops["what"] == "burst").then(|| stops["at"].as_u64().unwrap())
    }

    /// The verdict on a limit.
    #[track_caller]
    pub fn verdict(&self, limit: &str) -> &str {
        self.check(limit)["verdict"].as_str().unwrap()
    }
}

/// Checks that the number of connections held is the one predicted, to a few
/// per cent.
#[track_caller]
pub fn expect_near(held: u64, predicted: u64) {
    println!("{held} held, {predicted} predicted");
    let off = held.abs_diff(predicted) as f64 / predicted as f64;
    assert!(off <= 0.05, "{held} were held, {predicted} predicted");
}
