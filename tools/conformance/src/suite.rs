//! The two suites: the original, and the one that runs its cases on Python 3.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, IntoStaticStr};

/// A suite that runs the cases, in the order of preference.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    ValueEnum,
    Serialize,
    Deserialize,
    Display,
    EnumIter,
    IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Suite {
    /// The original, for Python 2.7.
    #[value(name = "autobahntestsuite")]
    AutobahnTestSuite,
    /// The original's case files with a runner of its own, for Python 3.
    Kosoku,
}

impl Suite {
    /// The name of its package.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The packages to install, the suite among them, in pip's own form.
    pub const fn requirements(self) -> &'static str {
        match self {
            Suite::AutobahnTestSuite => include_str!("../requirements-autobahntestsuite.txt"),
            Suite::Kosoku => include_str!("../requirements-kosoku.txt"),
        }
    }

    /// The version that is installed.
    pub fn version(self) -> &'static str {
        let mut lines = self.requirements().lines();
        lines
            .find_map(|line| line.strip_prefix(self.name())?.strip_prefix("=="))
            .expect("the requirements pin the suite itself")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strum::IntoEnumIterator;

    #[test]
    fn everything_that_is_installed_is_pinned() {
        for suite in Suite::iter() {
            let lines = suite.requirements().lines();
            for line in lines.filter(|line| !line.starts_with('#')) {
                assert!(line.contains("=="), "{suite}: {line}");
            }
        }
        assert_eq!(Suite::Kosoku.version(), "0.1.0");
        assert_eq!(Suite::AutobahnTestSuite.version(), "25.10.1");
    }
}
