//! The cause that stopped a run: the limit that was hit, with its numbers and a
//! remedy.
//!
//! Most apparent limits of a server are the load generator's: its ports, its
//! descriptors, its one full core. Each rule here knows one limit; it looks at
//! the [`Evidence`] and, when the limit was hit, says so in one sentence.
//!
//! # Invariants worth naming
//!
//! - Every cause for which connections failed or were lost is in exactly one
//!   finding: rules that know why come first and take the connections they
//!   explain; the last rule takes all that are left.
//! - So is every loss of deliveries on connections that stayed.
//! - An unknown fact accuses neither side. A server that is not seen is neither
//!   full nor idle.
//! - An event that harmed no connection and held no figure down is a note at most.

mod answers;
mod bottleneck;
mod case;
mod descriptors;
mod evidence;
mod kernel;
mod ports;
mod queues;
#[cfg(test)]
mod tests;
mod words;

pub use evidence::{Evidence, Rate, Seen};

use crate::cause::Cause;
use crate::outcome::Finding;
use case::Case;

/// A value of at least this share of its limit has reached it: the missing part
/// came and went between two looks.
const NEARLY: f64 = 0.95;

/// The limits that stopped the run, the worst first; empty when there was none.
pub fn diagnose(evidence: &Evidence) -> Vec<Finding> {
    let mut case = Case::new(evidence);
    // The events on this machine are certain and come first; then this host's
    // view of the server; then the evidence of the answers.
    ports::used_up(&mut case);
    descriptors::of_the_client(&mut case);
    kernel::memory(&mut case);
    kernel::tracked_connections(&mut case);
    descriptors::server_gone(&mut case);
    let server_full = descriptors::of_the_server(&mut case);
    queues::accept(&mut case, server_full);
    queues::half_open(&mut case);
    answers::explain_the_rest(&mut case);
    answers::explain_lost_deliveries(&mut case);
    bottleneck::plateau(&mut case);
    bottleneck::growing_latency(&mut case);
    bottleneck::stolen_time(&mut case);
    case.close()
}

/// Whether the figures were limited by the load generator rather than by the
/// server: it ran out of ports or descriptors, or its processor time bounded
/// the rate while the server had room.
pub fn client_bound(evidence: &Evidence) -> bool {
    let out_of_its_own = [Cause::PortsUsedUp, Cause::Descriptors]
        .iter()
        .any(|cause| evidence.failed.get(cause).is_some_and(|count| *count > 0));
    out_of_its_own || bottleneck::is_the_client(evidence)
}

/// Whether `used` has reached `limit`, where there is one.
fn nearly(used: u64, limit: Option<u64>) -> bool {
    limit.is_some_and(|limit| limit > 0 && used as f64 >= limit as f64 * NEARLY)
}
