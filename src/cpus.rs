//! The cores of the host that this process may use.

/// Their numbers in rising order; empty if the kernel does not say.
pub(crate) fn usable() -> Vec<usize> {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    cores.into_iter().map(|core| core.id).collect()
}
