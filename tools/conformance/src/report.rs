//! The results of a suite: the verdict on each case, and the run that they are of.
//!
//! Both suites write Autobahn's `index.json`: by agent, by case. Beside it
//! stands the driver's record of the run.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use corecast_kit::During;
use serde::{Deserialize, Serialize};
use strum::IntoEnumIterator;

use crate::cases::CaseId;
use crate::configuration::Configuration;
use crate::suite::Suite;
use crate::{Error, Result};

/// The file in which a suite sums up its verdicts.
pub const INDEX: &str = "index.json";
/// The file in which the driver says which run they are of.
pub const RECORD: &str = "run.json";

/// Which run the verdicts are of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The suite that ran the cases.
    pub suite: Suite,
    /// The suite's version.
    pub suite_version: String,
    /// The tested configuration.
    pub configuration: Configuration,
    /// The version of corecast that was tested.
    pub corecast: String,
    /// When it began, as in 2026-01-31T12:00:00Z.
    pub started: String,
    /// How long it took.
    pub seconds: f64,
    /// Options of the server beyond those that every run has.
    pub server_options: Vec<String>,
}

/// A suite's word on one case.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// On the exchange of messages: `OK`, `NON-STRICT`, `INFORMATIONAL`, or worse.
    pub behavior: String,
    /// On the close handshake.
    pub behavior_close: String,
}

/// The meaning of a verdict here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// As the RFC has it.
    Passed,
    /// The RFC leaves it open; the suite only tells what happened.
    Informational,
    /// Allowed, but not what the RFC recommends.
    NonStrict,
    /// Everything else, whatever its name.
    Failed,
}

impl Verdict {
    /// Its meaning.
    pub fn meaning(&self) -> Meaning {
        if !matches!(self.behavior_close.as_str(), "OK" | "INFORMATIONAL") {
            return Meaning::Failed;
        }
        match self.behavior.as_str() {
            "OK" => Meaning::Passed,
            "INFORMATIONAL" => Meaning::Informational,
            "NON-STRICT" => Meaning::NonStrict,
            _ => Meaning::Failed,
        }
    }
}

/// One run: its record, and the verdict on each case.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Which run it was.
    pub record: Record,
    /// The verdicts.
    pub verdicts: BTreeMap<CaseId, Verdict>,
}

impl Run {
    /// Reads the results that a run left in a folder.
    ///
    /// # Errors
    ///
    /// A file that is missing or invalid.
    pub fn read(directory: &Path) -> Result<Run> {
        let read = |name: &str| {
            let path = directory.join(name);
            let text = fs::read_to_string(&path).during(format!("reading {}", path.display()))?;
            Ok((text, path))
        };
        let (text, path) = read(RECORD)?;
        let record = serde_json::from_str(&text)
            .map_err(|error| Error::Usage(format!("{}: {error}", path.display())))?;
        let (text, path) = read(INDEX)?;
        let verdicts = parse_index(&text)
            .map_err(|error| Error::Usage(format!("{}: {error}", path.display())))?;
        Ok(Run { record, verdicts })
    }

    /// Reads every run below a folder, sorted by suite and configuration.
    ///
    /// # Errors
    ///
    /// As [`read`](Run::read), where there is a record.
    pub fn read_all(directory: &Path) -> Result<Vec<Run>> {
        let mut runs = Vec::new();
        for suite in Suite::iter() {
            for configuration in Configuration::iter() {
                let directory = directory.join(suite.name()).join(configuration.name());
                if directory.join(RECORD).exists() {
                    runs.push(Run::read(&directory)?);
                }
            }
        }
        Ok(runs)
    }
}

/// Reads the text of an `index.json`, which must be about one agent only.
///
/// # Errors
///
/// The fault in it, in words.
pub fn parse_index(text: &str) -> std::result::Result<BTreeMap<CaseId, Verdict>, String> {
    let agents: BTreeMap<String, BTreeMap<String, Verdict>> =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    if agents.len() > 1 {
        return Err(format!("it is about {} agents, not one", agents.len()));
    }
    let cases = agents.into_values().flatten();
    cases
        .map(|(case, verdict)| Ok((case.parse()?, verdict)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_verdicts_count() {
        for (behavior, behavior_close, meaning) in [
            ("OK", "OK", Meaning::Passed),
            ("OK", "INFORMATIONAL", Meaning::Passed),
            ("INFORMATIONAL", "INFORMATIONAL", Meaning::Informational),
            ("NON-STRICT", "OK", Meaning::NonStrict),
            ("UNIMPLEMENTED", "OK", Meaning::Failed),
            ("FAILED", "OK", Meaning::Failed),
            ("ERROR", "OK", Meaning::Failed),
            ("ok", "OK", Meaning::Failed),
            ("OK", "UNCLEAN", Meaning::Failed),
            ("OK", "WRONG CODE", Meaning::Failed),
            ("OK", "FAILED BY CLIENT", Meaning::Failed),
            ("INFORMATIONAL", "FAILED", Meaning::Failed),
            ("NON-STRICT", "UNCLEAN", Meaning::Failed),
        ] {
            let verdict = Verdict {
                behavior: behavior.to_owned(),
                behavior_close: behavior_close.to_owned(),
            };
            assert_eq!(verdict.meaning(), meaning, "{behavior}, {behavior_close}");
        }
    }

    #[test]
    fn an_index_is_about_one_agent() {
        let case = r#"{"behavior": "OK", "behaviorClose": "OK", "duration": 1,
                       "remoteCloseCode": 1000, "reportfile": "x.json"}"#;
        let index = parse_index(&format!(r#"{{"a": {{"1.1.1": {case}}}}}"#)).unwrap();
        assert_eq!(index.len(), 1);
        assert_eq!(index[&"1.1.1".parse().unwrap()].behavior, "OK");
        let two = format!(r#"{{"a": {{"1.1.1": {case}}}, "b": {{"1.1.2": {case}}}}}"#);
        assert!(parse_index(&two).unwrap_err().contains("2 agents"));
        assert!(parse_index(r#"{"a": {"x": {}}}"#).is_err());
        assert_eq!(parse_index("{}").unwrap().len(), 0);
    }
}

/// The parts from which the tests of several modules build their runs.
#[cfg(test)]
pub(crate) mod test_support {
    use super::*;
    use crate::cases;

    pub fn case(text: &str) -> CaseId {
        text.parse().unwrap()
    }

    pub fn verdict(behavior: &str, behavior_close: &str) -> Verdict {
        Verdict {
            behavior: behavior.to_owned(),
            behavior_close: behavior_close.to_owned(),
        }
    }

    pub fn run_where_all_pass() -> Run {
        Run {
            record: Record {
                suite: Suite::Kosoku,
                suite_version: "0.1.0".to_owned(),
                configuration: Configuration::ServerUring,
                corecast: "0.1.0".to_owned(),
                started: "2026-01-31T12:00:00Z".to_owned(),
                seconds: 9.0,
                server_options: Vec::new(),
            },
            verdicts: cases::required()
                .map(|case| (case, verdict("OK", "OK")))
                .collect(),
        }
    }
}
