//! The results as JSON, and back.

use corecast_kit::stored::{self, Kind, ReadError};
use serde::Serialize;
use serde_json::Value;

use crate::results::{Contest, Entry, FORMAT, Results, Spread, Verdict};

/// The kind of document that this tool keeps.
const REPORT: Kind = Kind {
    name: "report",
    tool: "corecast-bench",
    format: FORMAT,
};

/// The results as JSON, for scripts and for comparing runs.
///
/// Each entry also has a `summary`, so that a script need not compute medians;
/// [`read_json`] passes over it.
pub fn json(results: &Results) -> String {
    let mut value = serde_json::to_value(results).expect("results have only string keys");
    for (contest, in_json) in results.contests.iter().zip(items(&mut value["contests"])) {
        for (entry, in_json) in contest.entries.iter().zip(items(&mut in_json["entries"])) {
            in_json["summary"] = summary(contest, entry);
        }
    }
    let mut text = format!("{value:#}");
    text.push('\n');
    text
}

fn items(array: &mut Value) -> impl Iterator<Item = &mut Value> {
    array.as_array_mut().into_iter().flatten()
}

/// The summary of an entry's readings.
fn summary(contest: &Contest, entry: &Entry) -> Value {
    #[derive(Serialize)]
    struct Summary {
        per_second: Option<Spread>,
        client_bound: bool,
        server_cpu_micros: Option<Spread>,
        rate_to_floor: Option<Spread>,
        cpu_to_floor: Option<Spread>,
        rate_to_baseline: Option<Spread>,
        resident_bytes: Option<Spread>,
        memory_to_baseline: Option<Spread>,
        verdicts: Vec<Verdict>,
    }
    let (floor, baseline) = (contest.fastest_floor(), contest.baseline());
    let summary = Summary {
        per_second: entry.rate(),
        client_bound: entry.is_client_bound(),
        server_cpu_micros: entry.server_micros(),
        rate_to_floor: floor.and_then(|floor| contest.rate_ratio(entry, floor)),
        cpu_to_floor: floor.and_then(|floor| contest.cpu_ratio(entry, floor)),
        rate_to_baseline: baseline.and_then(|baseline| contest.rate_ratio(entry, baseline)),
        resident_bytes: entry.resident_bytes(),
        memory_to_baseline: baseline.and_then(|baseline| contest.memory_ratio(entry, baseline)),
        verdicts: contest.verdicts(entry),
    };
    serde_json::to_value(summary).expect("a summary has only string keys")
}

/// Reads a text that [`json`] has written.
///
/// # Errors
///
/// The text is not JSON, no report, of another format, or damaged.
pub fn read_json(text: &str) -> Result<Results, ReadError> {
    stored::read(text, REPORT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{contest, entry, results, sample_results, window};
    use crate::results::{Goal, Role};

    #[test]
    fn what_is_written_is_read_back() {
        let windows = || [window(100, 0.5, 0.75), window(200, 0.25, 1.0)];
        let mut contest = contest("echo", vec![entry("corecast", Role::Server, windows())]);
        contest.entries[0].rounds.push(None);
        contest.goals = vec![
            Goal::OfFloor(0.97),
            Goal::SlowestCore {
                of: "one".into(),
                share: 0.9,
            },
        ];
        for results in [results(vec![contest]), results(Vec::new())] {
            assert_eq!(read_json(&json(&results)).unwrap(), results);
        }
    }

    #[test]
    fn a_realistic_run_reads_the_same() {
        let results = sample_results();
        let read = read_json(&json(&results)).unwrap();
        // Compared as text, because a fraction may differ in its last bit.
        assert_eq!(crate::report::table(&read), crate::report::table(&results));
    }

    #[test]
    fn each_entry_has_a_summary() {
        let value: Value = serde_json::from_str(&json(&sample_results())).unwrap();
        let summary = &value["contests"][0]["entries"][0]["summary"];
        assert_eq!(summary["per_second"]["median"], 68_573.0);
        assert_eq!(summary["verdicts"][0]["met"], true);
        assert!(summary["rate_to_floor"]["median"].as_f64().unwrap() < 1.0);
        assert!(summary["rate_to_baseline"]["median"].as_f64().unwrap() > 1.0);
    }

    #[test]
    fn another_format_is_refused() {
        let other = json(&sample_results()).replace("\"format\": 2", "\"format\": 7");
        let error = read_json(&other).unwrap_err().to_string();
        assert!(error.contains("format 7"), "{error}");
    }
}
