//! `corecast doctor`, asked for JSON.

use std::process::Command;

use serde_json::Value;

use super::{corecast, run};

/// A report and the exit status it came with.
pub struct Report {
    pub code: i32,
    pub json: Value,
}

impl Report {
    /// Asks with these words.
    #[track_caller]
    pub fn ask(words: &[&str]) -> Report {
        Report::of(&mut corecast(), words)
    }

    /// Asks with a command that was prepared.
    #[track_caller]
    pub fn of(command: &mut Command, words: &[&str]) -> Report {
        let (code, out, err) = run(command.args(["doctor", "--json"]).args(words));
        assert!(code == 0 || code == 1, "{words:?}: {code}: {err}");
        let json: Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(json["fits"], code == 0, "the exit status says the same");
        Report { code, json }
    }

    /// The check of the limit whose name begins so.
    #[track_caller]
    pub fn check(&self, limit: &str) -> &Value {
        let checks = self.json["checks"].as_array().expect("checks");
        checks
            .iter()
            .find(|check| check["limit"].as_str().unwrap().starts_with(limit))
            .unwrap_or_else(|| panic!("no check of {limit}: {:#}", self.json))
    }

    /// The first wall: the limit's name and at how many connections it stops.
    #[track_caller]
    pub fn wall(&self) -> (String, u64) {
        let wall = &self.json["wall"];
        let limit = wall["limit"].as_str().expect("a wall");
        (limit.to_owned(), wall["connections"].as_u64().unwrap())
    }
}
