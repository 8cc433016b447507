//! The checks, one file per concern: its facts, how they are read, and the
//! checks that follow from them for a load.

pub mod conntrack;
pub mod container;
pub mod cpu;
pub mod descriptors;
pub mod established;
pub mod listen;
pub mod memory;
pub mod network_cards;
pub mod ports;
pub mod settings;
pub mod uring;

use super::{Asked, Check, Running, Told};
use crate::Root;

/// Every check, in the order in which a connection meets the limits. `told` has the
/// facts that only the server's own code knows.
pub fn all(root: &Root, asked: &Asked, running: Option<&Running>, told: &Told) -> Vec<Check> {
    let mut checks = Vec::new();
    let known = told.settings.as_ref().unwrap_or(&told.defaults);
    let process = running.map_or("self".to_owned(), |running| running.pid.to_string());
    checks.extend(descriptors::Facts::read(root, running).checks(asked));
    checks.extend(listen::Facts::read(root, known).checks(asked));
    checks.extend(ports::Facts::read(root, known).checks(asked));
    checks.extend(established::Facts::read(root).checks(asked));
    checks.extend(memory::Facts::read(root, &process).checks(asked));
    checks.extend(conntrack::Facts::read(root).checks(asked));
    checks.extend(uring::Facts::read(root, &process, &told.ring).checks(asked));
    checks.extend(cpu::Facts::read(root).checks(asked));
    checks.extend(network_cards::Facts::read(root, running).checks(asked));
    checks.extend(settings::checks(&told.settings, asked));
    checks.extend(container::Facts::read(root, &process).checks(asked));
    checks
}
