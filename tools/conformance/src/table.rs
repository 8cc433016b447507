//! The page with the results, as Markdown.

use std::fmt::Write;

use strum::IntoEnumIterator;

use crate::cases::{self, CaseId, GROUPS};
use crate::configuration::Configuration;
use crate::excuses::Excuses;
use crate::report::{Meaning, Run};
use crate::suite::Suite;
use crate::validate::{self, Problem};
use crate::{Error, Result};

const HEAD: &str = "\
# Conformance

<!-- Written by `make conformance-table` from the results of `make conformance`; do not edit. -->

The test cases of the Autobahn project are what WebSocket servers and clients are commonly judged by. `make conformance` runs all 301 of them outside of compression against the release binary of `corecast serve`, on both drivers, as it is and with reads forced to one byte (`--max-read-bytes 1`, so that no header, no character and no message arrives whole), and against a client built on the library's codec, again as it is and reading single bytes.

Each cell counts the cases *passed / informational / failed*. Informational are cases in which the RFC leaves open what should happen; the suites only tell what did: 7.1.6 sends a message, a close frame and a ping in one go (corecast returns the message, then the close frame), 7.13.1 and 7.13.2 close with the codes 5000 and 65535 (answered with 1002). A NON-STRICT verdict (allowed, but not what the RFC recommends) counts as failed here unless `tools/conformance/non-strict.toml` names the case with a reason.
";

const TAIL: &str = "\
## What is not run

Groups 12 and 13, compression: corecast never agrees to permessage-deflate, so they have nothing to test and the suites call all of them UNIMPLEMENTED.

## Repeating it

```sh
make conformance         # install the suite, run everything, fail on any verdict that should not be
make conformance-table   # write this page from the results
```

It needs cargo, make, and a python3 of version 3.10 or newer with venv and pip; the suite comes from the Python package index, and everything is kept below `target/conformance/`. With a Python 2.7 that has pip, and a C compiler (on the `PATH`, in pyenv, or named by `PYTHON2`), the original `autobahntestsuite` is used, else `kosoku`, which runs the original's case files with a runner of its own on Python 3; the first line of the output says which and why. The original is told to wait 30 seconds for a close frame instead of one; kosoku has no such setting and may call a case UNCLEAN on a machine that is very busy. `make conformance ARGS='--suite kosoku'` chooses, `ARGS='--only uring'` runs a part, and `ARGS='-- --max-message-bytes 64KiB'` gives the server more options, here one with which cases of group 9 must fail.
";

/// The page about these runs, sorted by suite and configuration.
///
/// # Errors
///
/// There is no run, a suite was not run in every configuration, or a server had
/// options of its own.
pub fn page(runs: &[Run], excuses: &Excuses) -> Result<String> {
    let mut page = HEAD.to_owned();
    for suite in Suite::iter() {
        let runs: Vec<&Run> = runs
            .iter()
            .filter(|run| run.record.suite == suite)
            .collect();
        if !runs.is_empty() {
            page.push('\n');
            section(&mut page, suite, &runs, excuses)?;
        }
    }
    if runs.is_empty() {
        return Err(Error::Usage(
            "there are no results; run make conformance first".to_owned(),
        ));
    }
    page.push('\n');
    page.push_str(TAIL);
    Ok(page)
}

fn section(page: &mut String, suite: Suite, runs: &[&Run], excuses: &Excuses) -> Result<()> {
    for configuration in Configuration::iter() {
        if !runs
            .iter()
            .any(|run| run.record.configuration == configuration)
        {
            return Err(Error::Usage(format!(
                "{configuration} was not run with {suite}; \
                 run make conformance ARGS='--suite {suite}' first"
            )));
        }
    }
    if let Some(run) = runs
        .iter()
        .find(|run| !run.record.server_options.is_empty())
    {
        return Err(Error::Usage(format!(
            "{} was run with {suite} and the options {}; run it without them first",
            run.record.configuration,
            run.record.server_options.join(" ")
        )));
    }
    let first = &runs[0].record;
    let date = first.started.split('T').next().unwrap_or_default();
    let what = match suite {
        Suite::AutobahnTestSuite => "the original",
        Suite::Kosoku => "the original's cases on Python 3",
    };
    let line = format!(
        "## {suite} {}\n\n{date}, corecast {}, {what}.\n\n| group | cases |",
        first.suite_version, first.corecast
    );
    page.push_str(&line);
    for run in runs {
        let _ = write!(page, " {} |", run.record.configuration.title());
    }
    page.push_str("\n|---|---|");
    page.push_str(&"---|".repeat(runs.len()));
    page.push('\n');
    for group in GROUPS {
        let title = format!("{} {}", group.number, group.title);
        row(page, &title, runs, excuses, |number| number == group.number);
    }
    row(page, "all", runs, excuses, |_| true);
    page.push_str("| seconds | |");
    for run in runs {
        let _ = write!(page, " {:.0} |", run.record.seconds);
    }
    page.push('\n');
    footnotes(page, runs, excuses);
    Ok(())
}

/// One row: the number of cases that there should be, and their verdicts in
/// each run.
fn row(
    page: &mut String,
    title: &str,
    runs: &[&Run],
    excuses: &Excuses,
    belongs: impl Fn(u32) -> bool,
) {
    let cases = cases::required().filter(|case| belongs(case.group()));
    let cases = cases.count();
    let _ = write!(page, "| {title} | {cases} |");
    for run in runs {
        let of = |meaning| {
            let verdicts = run.verdicts.iter();
            let of_group = verdicts.filter(|(case, _)| belongs(case.group()));
            of_group
                .filter(|(_, verdict)| verdict.meaning() == meaning)
                .count()
        };
        let (passed, informational) = (of(Meaning::Passed), of(Meaning::Informational));
        let excused = excused(run, excuses)
            .filter(|case| belongs(case.group()))
            .count();
        // Whatever is missing has failed, too.
        let failed = cases.saturating_sub(passed + informational + excused);
        let _ = write!(page, " {passed} / {informational} / {failed}");
        if excused > 0 {
            let _ = write!(page, ", {excused} excused");
        }
        page.push_str(" |");
    }
    page.push('\n');
}

/// The cases that are NON-STRICT and may be.
fn excused<'a>(run: &'a Run, excuses: &'a Excuses) -> impl Iterator<Item = &'a CaseId> {
    let excuses = excuses.of(&run.record).map(|excuse| &excuse.case);
    excuses.filter(|case| {
        let verdict = run.verdicts.get(case);
        verdict.is_some_and(|verdict| verdict.meaning() == Meaning::NonStrict)
    })
}

/// Names the cases that are informational, excused or wrong.
fn footnotes(page: &mut String, runs: &[&Run], excuses: &Excuses) {
    let mut informational: Vec<String> = Vec::new();
    for (case, verdict) in runs.iter().flat_map(|run| &run.verdicts) {
        let case = case.to_string();
        if verdict.meaning() == Meaning::Informational && !informational.contains(&case) {
            informational.push(case);
        }
    }
    if !informational.is_empty() {
        let _ = writeln!(page, "\nInformational: {}.", informational.join(", "));
    }
    for run in runs {
        for excuse in excuses.of(&run.record) {
            let (case, configuration) = (&excuse.case, excuse.configuration);
            let reason = &excuse.reason;
            let _ = writeln!(page, "\nExcused: {case} in {configuration}: {reason}");
        }
        let problems = validate::problems(run, excuses);
        for problem in problems.iter().map(Problem::to_string) {
            let _ = writeln!(page, "\n**{}**: {problem}", run.record.configuration);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::test_support::{case, run_where_all_pass, verdict};

    fn all_configurations() -> Vec<Run> {
        let runs = Configuration::iter();
        runs.map(|configuration| {
            let mut run = run_where_all_pass();
            run.record.configuration = configuration;
            let informational = verdict("INFORMATIONAL", "INFORMATIONAL");
            run.verdicts.insert(case("7.1.6"), informational);
            run
        })
        .collect()
    }

    fn line<'a>(page: &'a str, start: &str) -> &'a str {
        let mut lines = page.lines();
        lines.find(|line| line.starts_with(start)).expect(start)
    }

    #[test]
    fn each_group_is_a_row_and_each_configuration_a_column() {
        let page = page(&all_configurations(), &Excuses::default()).unwrap();
        assert!(page.contains("## kosoku 0.1.0\n\n2026-01-31, corecast 0.1.0"));
        assert_eq!(
            line(&page, "| 6 "),
            format!("| 6 UTF-8 | 145 |{}", " 145 / 0 / 0 |".repeat(6))
        );
        assert_eq!(
            line(&page, "| 7 "),
            format!("| 7 Close handshake | 37 |{}", " 36 / 1 / 0 |".repeat(6))
        );
        assert_eq!(
            line(&page, "| all "),
            format!("| all | 301 |{}", " 300 / 1 / 0 |".repeat(6))
        );
        assert_eq!(line(&page, "Informational"), "Informational: 7.1.6.");
        let columns = |line: &str| line.matches('|').count();
        assert_eq!(
            columns(line(&page, "|---")),
            columns(line(&page, "| group"))
        );
    }

    #[test]
    fn what_is_wrong_is_counted_and_named() {
        let mut runs = all_configurations();
        runs[1]
            .verdicts
            .insert(case("9.3.1"), verdict("FAILED", "OK"));
        runs[2].verdicts.remove(&case("9.3.2"));
        let page = page(&runs, &Excuses::default()).unwrap();
        let row = line(&page, "| 9 ");
        assert!(
            row.contains("| 54 / 0 / 0 | 53 / 0 / 1 | 53 / 0 / 1 | 54 / 0 / 0 |"),
            "{row}"
        );
        assert!(page.contains("**server-epoll**: case 9.3.1: FAILED"));
        assert!(page.contains("**server-uring-bytewise**: case 9.3.2 is missing"));
    }

    #[test]
    fn what_is_excused_is_shown_with_its_reason() {
        let mut runs = all_configurations();
        let non_strict = verdict("NON-STRICT", "OK");
        runs[0].verdicts.insert(case("6.4.1"), non_strict.clone());
        runs[1].verdicts.insert(case("6.4.1"), non_strict);
        let excuses = Excuses::parse(
            "[[non_strict]]\nsuite = \"kosoku\"\nconfiguration = \"server-uring\"\n\
             case = \"6.4.1\"\nreason = \"its clock\"\n",
        )
        .unwrap();
        let page = page(&runs, &excuses).unwrap();
        let row = line(&page, "| 6 ");
        assert!(
            row.contains("| 144 / 0 / 0, 1 excused | 144 / 0 / 1 | 145"),
            "{row}"
        );
        assert!(page.contains("Excused: 6.4.1 in server-uring: its clock"));
        assert!(page.contains("**server-epoll**: case 6.4.1: NON-STRICT"));
    }

    #[test]
    fn only_whole_and_plain_runs_become_a_page() {
        let refused = |runs: &[Run]| page(runs, &Excuses::default()).unwrap_err().to_string();
        assert!(refused(&[]).contains("make conformance first"));
        let mut runs = all_configurations();
        runs[3].record.server_options = vec!["--shards".to_owned(), "1".to_owned()];
        assert!(refused(&runs).contains("--shards 1"));
        runs.pop();
        assert!(refused(&runs).contains("client-bytewise was not run"));
    }
}
