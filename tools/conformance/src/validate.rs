//! The check that a run is valid.

use std::fmt;

use crate::cases::{self, CaseId};
use crate::excuses::Excuses;
use crate::report::{Meaning, Run};

/// A fault of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// A case that must be in the report is not.
    Missing(CaseId),
    /// A case in the report is none of those we know.
    Unknown(CaseId),
    /// Neither passed nor informational.
    Failed {
        /// The case.
        case: CaseId,
        /// The suite's word on the exchange of messages.
        behavior: String,
        /// The suite's word on the close handshake.
        behavior_close: String,
    },
    /// NON-STRICT, and no entry says why.
    NonStrict(CaseId),
    /// An entry says why it is NON-STRICT, but it is not.
    StaleExcuse(CaseId),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Missing(case) => write!(f, "case {case} is missing in the report"),
            Problem::Unknown(case) => write!(f, "case {case} is in the report, but not known"),
            Problem::Failed {
                case,
                behavior,
                behavior_close,
            } => write!(f, "case {case}: {behavior}, its close {behavior_close}"),
            Problem::NonStrict(case) => {
                write!(f, "case {case}: NON-STRICT, without an entry that says why")
            }
            Problem::StaleExcuse(case) => {
                write!(
                    f,
                    "case {case} has an entry, but is not NON-STRICT any more"
                )
            }
        }
    }
}

/// Everything that is wrong with a run, in the order of the cases.
pub fn problems(run: &Run, excuses: &Excuses) -> Vec<Problem> {
    let is_excused = |case: &CaseId| {
        let mut excuses = excuses.of(&run.record);
        excuses.any(|excuse| excuse.case == *case)
    };
    let mut problems = Vec::new();
    for case in cases::required() {
        let Some(verdict) = run.verdicts.get(&case) else {
            problems.push(Problem::Missing(case));
            continue;
        };
        let meaning = verdict.meaning();
        if meaning == Meaning::Failed {
            problems.push(Problem::Failed {
                case: case.clone(),
                behavior: verdict.behavior.clone(),
                behavior_close: verdict.behavior_close.clone(),
            });
        }
        match (meaning == Meaning::NonStrict, is_excused(&case)) {
            (true, false) => problems.push(Problem::NonStrict(case)),
            (false, true) => problems.push(Problem::StaleExcuse(case)),
            (true, true) | (false, false) => {}
        }
    }
    let unknown = run.verdicts.keys();
    let unknown = unknown.filter(|case| !cases::required().any(|known| known == **case));
    problems.extend(unknown.cloned().map(Problem::Unknown));
    problems
}

/// How a run went, in one line, with a line for each problem.
pub fn summary(run: &Run, problems: &[Problem]) -> String {
    let of = |meaning| {
        let verdicts = run.verdicts.values();
        verdicts.filter(|one| one.meaning() == meaning).count()
    };
    let missing = problems.iter();
    let missing = missing.filter(|problem| matches!(problem, Problem::Missing(_)));
    let mut text = format!(
        "{} ({}): {} passed, {} informational, {} NON-STRICT, {} failed, {} missing, in {:.1} s",
        run.record.configuration,
        run.record.suite,
        of(Meaning::Passed),
        of(Meaning::Informational),
        of(Meaning::NonStrict),
        of(Meaning::Failed),
        missing.count(),
        run.record.seconds,
    );
    for problem in problems {
        text.push_str(&format!("\n  {problem}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::test_support::{case, run_where_all_pass, verdict};

    fn no_excuse() -> Excuses {
        Excuses::default()
    }

    fn excuse(case: &str) -> Excuses {
        let text = format!(
            "[[non_strict]]\nsuite = \"kosoku\"\nconfiguration = \"server-uring\"\n\
             case = \"{case}\"\nreason = \"a reason\"\n"
        );
        Excuses::parse(&text).unwrap()
    }

    #[test]
    fn a_run_where_all_pass_has_no_problem() {
        let run = run_where_all_pass();
        let problems = problems(&run, &no_excuse());
        assert_eq!(problems, []);
        let summary = summary(&run, &problems);
        assert!(summary.contains("301 passed, 0 informational"), "{summary}");
        assert_eq!(summary.lines().count(), 1);
    }

    #[test]
    fn informational_is_no_problem() {
        let mut run = run_where_all_pass();
        let informational = verdict("INFORMATIONAL", "INFORMATIONAL");
        run.verdicts.insert(case("7.1.6"), informational);
        assert_eq!(problems(&run, &no_excuse()), []);
    }

    #[test]
    fn a_failure_is_named_with_both_verdicts() {
        for (behavior, behavior_close) in [
            ("FAILED", "OK"),
            ("OK", "UNCLEAN"),
            ("UNIMPLEMENTED", "OK"),
            ("", ""),
        ] {
            let mut run = run_where_all_pass();
            let bad = verdict(behavior, behavior_close);
            run.verdicts.insert(case("9.3.1"), bad);
            let expected = Problem::Failed {
                case: case("9.3.1"),
                behavior: behavior.to_owned(),
                behavior_close: behavior_close.to_owned(),
            };
            let found = problems(&run, &no_excuse());
            assert_eq!(found, [expected]);
            let summary = summary(&run, &found);
            assert!(summary.contains("\n  case 9.3.1: "), "{summary}");
            // An excuse is for NON-STRICT only.
            assert_eq!(problems(&run, &excuse("9.3.1")).len(), 2);
        }
    }

    #[test]
    fn a_missing_case_is_a_problem() {
        let mut run = run_where_all_pass();
        run.verdicts.remove(&case("6.22.34"));
        let missing = Problem::Missing(case("6.22.34"));
        assert_eq!(problems(&run, &no_excuse()), [missing]);
        run.verdicts.clear();
        let found = problems(&run, &no_excuse());
        assert_eq!(found.len(), 301);
        assert!(summary(&run, &found).contains(" 0 passed"));
        assert!(summary(&run, &found).contains(" 301 missing"));
    }

    #[test]
    fn a_case_we_do_not_know_is_a_problem() {
        let mut run = run_where_all_pass();
        run.verdicts.insert(case("1.3.1"), verdict("OK", "OK"));
        let unknown = Problem::Unknown(case("1.3.1"));
        assert_eq!(problems(&run, &no_excuse()), [unknown]);
    }

    #[test]
    fn non_strict_needs_an_excuse_for_this_suite_and_configuration() {
        let mut run = run_where_all_pass();
        run.verdicts
            .insert(case("6.4.1"), verdict("NON-STRICT", "OK"));
        let unexcused = [Problem::NonStrict(case("6.4.1"))];
        assert_eq!(problems(&run, &no_excuse()), unexcused);
        assert_eq!(problems(&run, &excuse("6.4.1")), []);
        run.record.configuration = crate::configuration::Configuration::ServerEpoll;
        assert_eq!(problems(&run, &excuse("6.4.1")), unexcused);
    }

    #[test]
    fn an_excuse_that_nothing_needs_is_a_problem() {
        let run = run_where_all_pass();
        let stale = [Problem::StaleExcuse(case("6.4.1"))];
        assert_eq!(problems(&run, &excuse("6.4.1")), stale);
    }
}
