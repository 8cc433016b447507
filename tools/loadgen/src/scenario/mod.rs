//! What the connections of a run do, one file per scenario.

mod echo;
mod idle;

pub use echo::{Echo, Load};
pub use idle::Idle;
