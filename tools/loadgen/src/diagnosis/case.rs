//! The connections that still want an explanation, and the findings so far.

use std::collections::BTreeMap;
use std::fmt;

use super::Evidence;
use super::words::count;
use crate::cause::Cause;
use crate::outcome::{Finding, Severity};

/// A diagnosis on its way. Rules take the connections that they explain, so
/// that none is explained twice.
pub(super) struct Case<'e> {
    pub evidence: &'e Evidence,
    failed: BTreeMap<Cause, u64>,
    lost: BTreeMap<Cause, u64>,
    findings: Vec<Finding>,
}

/// Connections with one explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Affected {
    pub failed: u64,
    pub lost: u64,
}

impl Affected {
    pub fn any(self) -> bool {
        self.failed + self.lost > 0
    }

    /// These and others.
    pub fn and(self, other: Affected) -> Affected {
        Affected {
            failed: self.failed + other.failed,
            lost: self.lost + other.lost,
        }
    }

    /// How bad it is: when nothing was lost to it, as bad as `otherwise`.
    pub fn severity(self, otherwise: Severity) -> Severity {
        match self.any() {
            true => Severity::Failure,
            false => otherwise,
        }
    }
}

impl fmt::Display for Affected {
    /// The beginning of a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let were = |number| if number == 1 { "was" } else { "were" };
        let (failed, lost) = (self.failed, self.lost);
        match (failed, lost) {
            (0, 0) => f.write_str("No connection was lost"),
            (_, 0) => write!(f, "{} could not be opened", count(failed, "connection")),
            (0, _) => {
                let connections = count(lost, "open connection");
                write!(f, "{connections} {} lost", were(lost))
            }
            (_, _) => {
                let connections = count(failed, "connection");
                let ones = count(lost, "open one");
                let were = were(lost);
                write!(
                    f,
                    "{connections} could not be opened and {ones} {were} lost"
                )
            }
        }
    }
}

impl<'e> Case<'e> {
    pub fn new(evidence: &'e Evidence) -> Self {
        let some = |counts: &BTreeMap<Cause, u64>| {
            let counts = counts.iter().filter(|(_, count)| **count > 0);
            counts.map(|(cause, count)| (*cause, *count)).collect()
        };
        Case {
            evidence,
            failed: some(&evidence.failed),
            lost: some(&evidence.lost),
            findings: Vec::new(),
        }
    }

    /// Takes the connections that failed or were lost for these causes.
    pub fn take(&mut self, causes: &[Cause]) -> Affected {
        let lost = causes.iter().filter_map(|cause| self.lost.remove(cause));
        let lost = lost.sum();
        Affected {
            lost,
            ..self.take_failed(causes)
        }
    }

    /// Takes those that failed, but not those that were lost when open.
    pub fn take_failed(&mut self, causes: &[Cause]) -> Affected {
        let failed = causes.iter().filter_map(|cause| self.failed.remove(cause));
        let failed = failed.sum();
        Affected { failed, lost: 0 }
    }

    /// The causes that nothing has explained yet, the most frequent first.
    pub fn left(&self) -> Vec<Cause> {
        let mut counts = self.failed.clone();
        for (cause, count) in &self.lost {
            *counts.entry(*cause).or_default() += count;
        }
        let mut causes: Vec<_> = counts.into_iter().collect();
        causes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        causes.into_iter().map(|(cause, _)| cause).collect()
    }

    pub fn find(&mut self, severity: Severity, what: impl Into<String>, remedy: impl Into<String>) {
        self.findings.push(Finding {
            severity,
            what: what.into(),
            remedy: remedy.into(),
        });
    }

    /// The findings by severity; those of one severity stay in the order in
    /// which they were made.
    pub fn close(mut self) -> Vec<Finding> {
        self.findings.sort_by_key(|finding| finding.severity);
        self.findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_explained_once() {
        let evidence = Evidence {
            failed: [(Cause::Reset, 2), (Cause::Refused, 7), (Cause::Memory, 0)].into(),
            lost: [(Cause::Reset, 3)].into(),
            ..Default::default()
        };
        let mut case = Case::new(&evidence);
        assert_eq!(case.left(), [Cause::Refused, Cause::Reset]);
        let reset = case.take_failed(&[Cause::Reset]);
        assert_eq!((reset.failed, reset.lost), (2, 0));
        let reset = case.take(&[Cause::Reset, Cause::EndOfStream]);
        assert_eq!((reset.failed, reset.lost), (0, 3));
        assert!(!case.take(&[Cause::Reset]).any());
        assert_eq!(case.left(), [Cause::Refused]);
    }

    #[test]
    fn failed_and_lost_are_told_apart() {
        let text = |failed, lost| Affected { failed, lost }.to_string();
        assert_eq!(text(1, 0), "1 connection could not be opened");
        assert_eq!(text(0, 1), "1 open connection was lost");
        assert_eq!(
            text(1_200, 3),
            "1,200 connections could not be opened and 3 open ones were lost"
        );
    }
}
