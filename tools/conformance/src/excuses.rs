//! The file that names the cases that may be NON-STRICT, each with its reason.

use std::fs;
use std::path::Path;

use corecast_kit::During;
use serde::Deserialize;

use crate::cases::{self, CaseId};
use crate::configuration::Configuration;
use crate::report::Record;
use crate::suite::Suite;
use crate::{Error, Result};

/// One case that may be NON-STRICT in one configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excuse {
    /// The suite with this verdict.
    pub suite: Suite,
    /// The configuration.
    pub configuration: Configuration,
    /// Which case.
    pub case: CaseId,
    /// Why the verdict says nothing against corecast.
    pub reason: String,
}

/// All that may be NON-STRICT.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Excuses(Vec<Excuse>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    non_strict: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    suite: Suite,
    configuration: Configuration,
    case: String,
    reason: String,
}

impl Excuses {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// As [`parse`](Excuses::parse), or the file cannot be read.
    pub fn read(path: &Path) -> Result<Excuses> {
        let name = path.display();
        let text = fs::read_to_string(path).during(format!("reading {name}"))?;
        Excuses::parse(&text).map_err(|error| Error::Usage(format!("{name}: {error}")))
    }

    /// Reads the file's text.
    ///
    /// # Errors
    ///
    /// The fault in it: a case that does not exist, one named twice, an entry
    /// without a reason.
    pub fn parse(text: &str) -> std::result::Result<Excuses, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut excuses: Vec<Excuse> = Vec::new();
        for entry in file.non_strict {
            let excuse = Excuse {
                suite: entry.suite,
                configuration: entry.configuration,
                case: entry.case.parse()?,
                reason: entry.reason.trim().to_owned(),
            };
            let case = &excuse.case;
            if !cases::required().any(|required| required == *case) {
                return Err(format!("there is no case {case}"));
            }
            if excuse.reason.is_empty() {
                return Err(format!("case {case} has no reason"));
            }
            let is_same = |other: &Excuse| {
                (other.suite, other.configuration, &other.case)
                    == (excuse.suite, excuse.configuration, case)
            };
            if excuses.iter().any(is_same) {
                return Err(format!(
                    "case {case} is named twice for {} in {}",
                    excuse.suite, excuse.configuration
                ));
            }
            excuses.push(excuse);
        }
        Ok(Excuses(excuses))
    }

    /// Those of one run.
    pub fn of(&self, record: &Record) -> impl Iterator<Item = &Excuse> {
        let run = (record.suite, record.configuration);
        let excuses = self.0.iter();
        excuses.filter(move |excuse| (excuse.suite, excuse.configuration) == run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(case: &str, reason: &str) -> String {
        format!(
            "[[non_strict]]\nsuite = \"kosoku\"\nconfiguration = \"server-uring\"\n\
             case = \"{case}\"\nreason = \"{reason}\"\n"
        )
    }

    #[test]
    fn the_repository_has_a_file_that_can_be_read() {
        Excuses::parse(include_str!("../non-strict.toml")).unwrap();
    }

    #[test]
    fn an_entry_names_a_case_once_with_a_reason() {
        let one = entry("6.4.1", "the suite's clock");
        assert_eq!(Excuses::parse(&one).unwrap().0.len(), 1);
        let refused = |text: String| Excuses::parse(&text).unwrap_err();
        assert!(refused(entry("6.4.9", "x")).contains("no case 6.4.9"));
        assert!(refused(entry("12.1.1", "x")).contains("no case 12.1.1"));
        assert!(refused(entry("6.4.1", " ")).contains("no reason"));
        assert!(refused(one.clone() + &one).contains("twice"));
        assert!(refused(one.replace("kosoku", "another")).contains("another"));
        assert!(refused(one.replace("uring", "kqueue")).contains("kqueue"));
        assert!(refused(one + "note = \"x\"\n").contains("note"));
    }
}
