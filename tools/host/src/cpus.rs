//! The cores of a host: those this process may use, and lists of them as people
//! write them.

/// The most cores a Linux kernel can be built for.
const MOST: usize = 8192;

/// The cores this process may use, by their numbers in rising order; empty if
/// the kernel does not say.
pub fn usable() -> Vec<usize> {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    cores.into_iter().map(|core| core.id).collect()
}

/// Reads a list of cores.
///
/// ```
/// assert_eq!(corecast_host::cpus::parse("0-3,8"), Ok(vec![0, 1, 2, 3, 8]));
/// assert!(corecast_host::cpus::parse("3-0").is_err());
/// ```
///
/// # Errors
///
/// A sentence that says how a list is written, if this is none.
pub fn parse(text: &str) -> Result<Vec<usize>, String> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (first.trim().parse::<usize>(), last.trim().parse()) {
            (Ok(first), Ok(last)) if first <= last && last < MOST => cpus.extend(first..=last),
            _ => {
                return Err(format!(
                    "'{text}' is not a list of cores; write numbers and ranges, as in 0-3,8"
                ));
            }
        }
    }
    Ok(cpus)
}
