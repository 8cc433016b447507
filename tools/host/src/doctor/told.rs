//! The facts that the doctor is told, because only the server's own code knows
//! them.

use crate::{Reading, Settings};

/// The facts that the doctor is told, because only the server's own code knows
/// them.
#[derive(Debug, Clone)]
pub struct Told {
    /// The settings of the running server, or the defaults if there is none.
    pub settings: Reading<Settings>,
    /// The defaults; they count where the settings of a running server cannot be read.
    pub defaults: Settings,
    /// Whether a ring with all a shard needs was set up and entered; else the
    /// server's own words why not.
    pub ring: Reading<Result<(), String>>,
}
