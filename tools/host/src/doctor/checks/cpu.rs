//! Processors: one shard per core, on cores that are near each other.

use crate::doctor::{Amount, Asked, Check, Verdict};
use crate::{Reading, Root, text};

const CONCERN: &str = "cpu";
const ONLINE: &str = "/sys/devices/system/cpu/online";
const ISOLATED: &str = "/sys/devices/system/cpu/isolated";
const NODES: &str = "/sys/devices/system/node/online";

/// The known facts about the processors.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Cores that are on.
    pub online: Reading<Vec<u32>>,
    /// Cores this process may use; empty when that is not known.
    pub usable: Vec<u32>,
    /// Cores that the scheduler leaves alone.
    pub isolated: Reading<Vec<u32>>,
    /// Nodes of memory, each with cores of its own.
    pub nodes: Reading<Vec<u32>>,
}

impl Facts {
    /// Reads them.
    pub fn read(root: &Root) -> Facts {
        let list = |path| root.text(path).map(|text| numbers(&text));
        let usable = match root.is_real() {
            true => crate::cpus::usable(),
            false => Vec::new(),
        };
        Facts {
            online: list(ONLINE),
            usable: usable.into_iter().map(|core| core as u32).collect(),
            isolated: list(ISOLATED),
            nodes: list(NODES),
        }
    }

    /// Judges them.
    pub fn checks(&self, asked: &Asked) -> Vec<Check> {
        vec![self.cores(asked), self.isolated(), self.nodes()]
    }

    fn cores(&self, asked: &Asked) -> Check {
        let check = Check::new(CONCERN, "cores", ONLINE);
        let online = match &self.online {
            Ok(online) => online.len() as u64,
            Err(reason) => return check.unknown(reason),
        };
        let usable = match self.usable.len() as u64 {
            0 => online,
            usable => usable,
        };
        let check = check.value(match usable == online {
            true => Amount::Count(online),
            false => Amount::words(format!("{usable} of {online}")),
        });
        if !asked.role.serves() {
            return check.verdict(Verdict::Fits, "the load generator has a thread on each");
        }
        let check = check.needed(Amount::Count(asked.shards));
        if asked.shards > usable {
            return check.verdict(
                Verdict::Advice,
                format!(
                    "{} shards share {usable} cores; each has a table of descriptors of its own, \
                     but they take each other's time",
                    asked.shards
                ),
            );
        }
        if asked.role.connects() && asked.shards == usable {
            return check.verdict(
                Verdict::Advice,
                "the load generator takes the same cores; leave it some with --cpus",
            );
        }
        check.verdict(Verdict::Fits, "one shard on a core")
    }

    fn isolated(&self) -> Check {
        let check = Check::new(CONCERN, "isolated cores", ISOLATED);
        let isolated = match &self.isolated {
            Ok(isolated) => isolated,
            Err(reason) => return check.unknown(reason),
        };
        if isolated.is_empty() {
            return check
                .value(Amount::words("none"))
                .verdict(Verdict::Fits, "the scheduler uses all cores");
        }
        let list = list(isolated);
        let check = check.value(Amount::words(&list));
        if isolated.iter().all(|core| self.usable.contains(core)) {
            return check.verdict(Verdict::Fits, "shards may be pinned to them");
        }
        check
            .verdict(
                Verdict::Advice,
                "nobody else runs there: a shard pinned to one is never interrupted, but by \
                 itself no program gets onto one",
            )
            .now(format!("taskset -c {list} corecast serve --cpus {list} …"))
    }

    fn nodes(&self) -> Check {
        let check = Check::new(CONCERN, "NUMA nodes", NODES);
        let nodes = match &self.nodes {
            Ok(nodes) => nodes.len() as u64,
            Err(reason) => return check.unknown(reason),
        };
        let check = check.value(Amount::Count(nodes));
        if nodes <= 1 {
            return check.verdict(Verdict::Fits, "all memory is equally near");
        }
        check
            .verdict(
                Verdict::Advice,
                "memory of another node is further off; shards are fastest on the node of their \
                 network card",
            )
            .now(
                "cat /sys/class/net/*/device/numa_node /sys/devices/system/node/node*/cpulist   \
                 # then: corecast serve --cpus LIST",
            )
    }
}

fn numbers(list: &str) -> Vec<u32> {
    text::ranges(list).flatten().take(1 << 16).collect()
}

fn list(cores: &[u32]) -> String {
    let words: Vec<String> = cores.iter().map(u32::to_string).collect();
    words.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Role;
    use crate::doctor::testing::{Host, asked, of};

    fn host(isolated: &str, nodes: &str) -> Host {
        let host = Host::new();
        host.put(ONLINE, "0-3\n");
        host.put(ISOLATED, isolated);
        host.put(NODES, nodes);
        host
    }

    fn verdict(facts: &Facts, limit: &str, asked: &Asked) -> Verdict {
        of(&facts.checks(asked), limit).verdict
    }

    #[test]
    fn more_shards_than_cores_share_them() {
        let facts = Facts::read(&host("\n", "0\n").root);
        let shards = |shards, role| Asked {
            shards,
            role,
            ..asked(10)
        };
        assert_eq!(
            verdict(&facts, "cores", &shards(4, Role::Server)),
            Verdict::Fits
        );
        assert_eq!(
            verdict(&facts, "cores", &shards(5, Role::Server)),
            Verdict::Advice
        );
        assert_eq!(
            verdict(&facts, "cores", &shards(4, Role::Both)),
            Verdict::Advice
        );
        assert_eq!(
            verdict(&facts, "cores", &shards(9, Role::Client)),
            Verdict::Fits
        );
    }

    #[test]
    fn cores_that_were_set_apart_are_named() {
        let mut facts = Facts::read(&host("2-3\n", "0\n").root);
        facts.usable = vec![0, 1];
        let checks = facts.checks(&asked(10));
        let check = of(&checks, "isolated cores");
        assert_eq!(check.verdict, Verdict::Advice);
        let now = check.fix.as_ref().unwrap().now.as_ref().unwrap();
        assert!(now.starts_with("taskset -c 2,3 "), "{now}");
        facts.usable = vec![2, 3];
        assert_eq!(verdict(&facts, "isolated cores", &asked(10)), Verdict::Fits);
    }

    #[test]
    fn several_nodes_are_worth_a_word() {
        let one = Facts::read(&host("", "0\n").root);
        assert_eq!(verdict(&one, "NUMA nodes", &asked(1)), Verdict::Fits);
        let two = Facts::read(&host("", "0-1\n").root);
        assert_eq!(verdict(&two, "NUMA nodes", &asked(1)), Verdict::Advice);
    }

    #[test]
    fn what_a_host_does_not_say_is_unknown() {
        for check in Facts::read(&Host::new().root).checks(&asked(1)) {
            assert_eq!(check.verdict, Verdict::Unknown, "{check:?}");
        }
    }
}
