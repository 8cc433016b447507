//! Which cores the servers get and which the load.

use std::collections::BTreeMap;
use std::fs;

use corecast_host::cpus;

use crate::{Error, Result};

/// The host's cores, split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cores {
    /// For servers and floors.
    pub server: Vec<usize>,
    /// For the load.
    pub load: Vec<usize>,
    /// How they were split, a sentence.
    pub how: String,
}

/// The cores of one measurement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// For the server or floor.
    pub server: Vec<usize>,
    /// For the load.
    pub load: Vec<usize>,
}

impl Layout {
    /// All cores of the measurement, each once.
    pub fn all(&self) -> Vec<usize> {
        let mut all = [&self.server[..], &self.load[..]].concat();
        all.sort_unstable();
        all.dedup();
        all
    }
}

impl Cores {
    /// The cores as they were asked for. Cores that were not asked for are
    /// split in half.
    pub fn resolve(server: Option<Vec<usize>>, load: Option<Vec<usize>>) -> Result<Cores> {
        let usable = cpus::usable();
        for core in server.iter().chain(&load).flatten() {
            if !usable.contains(core) {
                return Err(Error::Usage(format!(
                    "this process may not use core {core}, only {}",
                    list(&usable)
                )));
            }
        }
        let others = |taken: &[usize]| -> Vec<usize> {
            let free = usable.iter().filter(|core| !taken.contains(core));
            free.copied().collect()
        };
        let (server, load) = match (server, load) {
            (None, None) => return Ok(split(&physical_cores(&usable))),
            (Some(server), Some(load)) => (server, load),
            (Some(server), None) => (server.clone(), others(&server)),
            (None, Some(load)) => (others(&load), load),
        };
        if server.is_empty() || load.is_empty() {
            return Err(Error::Usage(format!(
                "no core of {} is left for {}",
                list(&usable),
                if load.is_empty() {
                    "the load"
                } else {
                    "servers"
                }
            )));
        }
        let how = format!(
            "as asked for: servers on {}, load on {}",
            list(&server),
            list(&load)
        );
        Ok(Cores { server, load, how })
    }

    /// One core for the server. The load may have all of its own, though the
    /// built-in load uses one.
    pub fn one(&self) -> Layout {
        Layout {
            server: vec![self.server[0]],
            load: self.load.clone(),
        }
    }

    /// Two cores for the server. If only one is free for it, server and load
    /// share both.
    pub fn two(&self) -> Layout {
        if let [first, second, ..] = self.server[..] {
            return Layout {
                server: vec![first, second],
                load: self.load.clone(),
            };
        }
        let mut both = vec![self.server[0], self.load[0]];
        both.dedup();
        Layout {
            server: both.clone(),
            load: both,
        }
    }

    /// Everything each side has.
    pub fn whole(&self) -> Layout {
        Layout {
            server: self.server.clone(),
            load: self.load.clone(),
        }
    }
}

/// Splits physical cores, each with its hardware threads, in half. The first
/// threads of all cores come first on each side.
fn split(physical: &[Vec<usize>]) -> Cores {
    let threads_in_turn = |cores: &[Vec<usize>]| -> Vec<usize> {
        let most = cores.iter().map(Vec::len).max().unwrap_or(0);
        let place = |at| cores.iter().filter_map(move |core| core.get(at));
        (0..most).flat_map(place).copied().collect()
    };
    if let [only] = physical {
        // Its hardware threads, if it has several, are better than one for all.
        let (server, load) = (only[0], *only.last().unwrap_or(&only[0]));
        return Cores {
            server: vec![server],
            load: vec![load],
            how: format!(
                "WARNING: servers (on {server}) and load (on {load}) share the only core; only \
                 CPU time per message means much"
            ),
        };
    }
    let (server, load) = physical.split_at(physical.len() / 2);
    let (server, load) = (threads_in_turn(server), threads_in_turn(load));
    let how = format!(
        "{} cores, threads of one core on one side: servers on {}, load on {}",
        physical.len(),
        list(&server),
        list(&load)
    );
    Cores { server, load, how }
}

/// The cores by their hardware threads, in the order of their first thread.
fn physical_cores(usable: &[usize]) -> Vec<Vec<usize>> {
    let mut by_first: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for &core in usable {
        let path = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
        let siblings = fs::read_to_string(path).ok();
        let first = siblings
            .and_then(|text| cpus::parse(text.trim()).ok())
            .and_then(|siblings| siblings.first().copied())
            .unwrap_or(core);
        by_first.entry(first).or_default().push(core);
    }
    by_first.into_values().collect()
}

/// As command lines have them: `0,2,3`.
pub fn list(cpus: &[usize]) -> String {
    let names: Vec<_> = cpus.iter().map(usize::to_string).collect();
    names.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_of_one_core_stay_on_one_side() {
        let cores = split(&[vec![0, 4], vec![1, 5], vec![2, 6], vec![3, 7]]);
        assert_eq!(cores.server, [0, 1, 4, 5]);
        assert_eq!(cores.load, [2, 3, 6, 7]);
        assert_eq!(cores.one().all(), [0, 2, 3, 6, 7]);
        assert_eq!(cores.two().server, [0, 1]);
        assert_eq!(cores.two().load, cores.load);
    }

    #[test]
    fn two_shards_on_two_cores_share_them_with_the_load() {
        let cores = split(&[vec![0], vec![1]]);
        assert_eq!((cores.one().server, cores.one().load), (vec![0], vec![1]));
        assert_eq!(cores.two().server, [0, 1]);
        assert_eq!(cores.two().load, [0, 1]);
    }

    #[test]
    fn a_single_core_is_shared_and_said_to_be() {
        let cores = split(&[vec![0]]);
        assert_eq!(cores.one().all(), [0]);
        assert_eq!(cores.two().all(), [0]);
        assert!(cores.how.contains("WARNING"));
        let cores = split(&[vec![0, 1]]);
        assert_eq!((cores.server, cores.load), (vec![0], vec![1]));
        assert!(cores.how.contains("WARNING"));
    }

    #[test]
    fn cores_that_are_not_there_are_refused() {
        let error = Cores::resolve(Some(vec![8_000]), None).unwrap_err();
        assert!(error.to_string().contains("core 8000"));
        let all = cpus::usable();
        let error = Cores::resolve(Some(all), None).unwrap_err();
        assert!(error.to_string().contains("left for the load"));
    }
}
