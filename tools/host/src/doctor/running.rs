//! A corecast that runs on this host, of which the limits are its own.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::{Descriptors, Reading, Root, Unread, tables, text};

/// A running server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Running {
    /// Its process id.
    pub pid: u32,
    /// Its shards: threads of that name.
    pub shards: u64,
    /// Cores its shards may run on.
    pub cores: BTreeSet<u32>,
    /// Descriptors in all its tables; nothing if this process may not see them.
    pub open: Option<u64>,
    /// How many descriptors each of its tables may hold.
    #[serde(skip)]
    pub descriptors: Reading<Descriptors>,
    /// The systemd unit it runs in.
    pub unit: Option<String>,
}

impl Running {
    /// Reads a server by its process id.
    ///
    /// # Errors
    /// That there is no such process, or that it is none of corecast.
    pub fn read(root: &Root, pid: u32) -> Result<Running, String> {
        let process = format!("/proc/{pid}");
        let name = root
            .text(format!("{process}/comm"))
            .map_err(|error| format!("there is no process {pid}: {error}"))?;
        if name.trim() != NAME {
            let name = name.trim();
            return Err(format!("process {pid} is '{name}', not '{NAME}'"));
        }
        let shards: Vec<String> = root
            .names(format!("{process}/task"))
            .into_iter()
            .map(|tid| format!("{process}/task/{tid}"))
            .filter(|task| {
                root.read(format!("{task}/comm"))
                    .is_some_and(|name| name.starts_with("shard-"))
            })
            .collect();
        let tables: Option<Vec<u64>> = shards
            .iter()
            .map(|task| tables::len(root, format!("{task}/fd")))
            .collect();
        Ok(Running {
            pid,
            shards: shards.len() as u64,
            cores: shards
                .iter()
                .filter_map(|task| root.read(format!("{task}/status")))
                .flat_map(|status| allowed(&status))
                .collect(),
            open: tables.map(|tables| tables.iter().sum()),
            descriptors: root.parsed(format!("{process}/limits"), Descriptors::parse),
            unit: root
                .read(format!("{process}/cgroup"))
                .and_then(|groups| unit(&groups)),
        })
    }

    /// Sessions it has, as far as its descriptors tell.
    pub fn sessions(&self) -> u64 {
        let others = self.shards * super::checks::descriptors::others(self.shards);
        self.open.unwrap_or(0).saturating_sub(others)
    }
}

/// The program's name as the kernel keeps it.
const NAME: &str = "corecast";

/// The one running server in this network of the host. Of several the one with the lowest id
/// is not a choice to make here: they are all named in the error.
///
/// # Errors
/// That there are several, and which.
pub fn find_running(root: &Root) -> Result<Option<Running>, String> {
    let found: Vec<Running> = root
        .names("/proc")
        .into_iter()
        .filter_map(|name| name.parse::<u32>().ok())
        // Others of this name, such as this very program, have no shards.
        .filter_map(|pid| Running::read(root, pid).ok())
        .filter(|running| running.shards > 0)
        // One in another network has other parameters than those read here.
        .filter(|running| network(root, &running.pid.to_string()) == network(root, "self"))
        .collect();
    match found.len() {
        0 | 1 => Ok(found.into_iter().next()),
        _ => {
            let pids: Vec<String> = found.iter().map(|server| server.pid.to_string()).collect();
            Err(format!(
                "several servers are running, with the process ids {}; say which with --pid, \
                 or --pid none to judge this process's limits",
                pids.join(", ")
            ))
        }
    }
}

/// The network namespace of a process.
pub(super) fn network(root: &Root, process: &str) -> Option<std::path::PathBuf> {
    std::fs::read_link(root.path(format!("/proc/{process}/ns/net"))).ok()
}

/// The unit in the text of a `/proc/PID/cgroup`: the innermost name that ends
/// as services do.
pub(super) fn unit(groups: &str) -> Option<String> {
    groups
        .lines()
        .filter_map(|line| line.splitn(3, ':').nth(2))
        .flat_map(|path| path.rsplit('/'))
        .find(|name| name.ends_with(".service"))
        .map(str::to_owned)
}

/// The cores in the line `Cpus_allowed_list:  0-3,8` of a thread's status.
fn allowed(status: &str) -> BTreeSet<u32> {
    status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .map(|list| text::ranges(list).flatten().take(1 << 16).collect())
        .unwrap_or_default()
}

/// The limits of this very process.
///
/// # Errors
/// That they cannot be read.
pub(super) fn own_descriptors(root: &Root) -> Result<Descriptors, Unread> {
    root.parsed("/proc/self/limits", Descriptors::parse)
}

/// A field of `/proc/PID/status` that is a number.
pub(super) fn status(root: &Root, process: &str, name: &str) -> Reading<u64> {
    root.parsed(format!("/proc/{process}/status"), |status| {
        text::field(status, name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::testing::Host;

    const LIMITS: &str = "Max open files            900                 1000             files\n";

    fn host_with(pids: &[u32]) -> Host {
        let host = Host::new();
        for pid in pids {
            host.put(&format!("/proc/{pid}/comm"), "corecast\n");
            host.put(&format!("/proc/{pid}/limits"), LIMITS);
            host.put(
                &format!("/proc/{pid}/cgroup"),
                "0::/system.slice/corecast.service\n",
            );
            for shard in 0..2 {
                let task = format!("/proc/{pid}/task/{}", pid + 1 + shard);
                host.put(&format!("{task}/comm"), &format!("shard-{shard}\n"));
                host.put(&format!("{task}/fd/0"), "");
                let status = format!("Cpus_allowed:\t4\nCpus_allowed_list:\t{}\n", 2 + shard);
                host.put(&format!("{task}/status"), &status);
            }
            host.put(&format!("/proc/{pid}/task/{pid}/comm"), "corecast\n");
        }
        host
    }

    #[test]
    fn a_server_is_found_by_its_name_and_its_shards() {
        let host = host_with(&[70]);
        host.put("/proc/99/comm", "corecast\n");
        host.put("/proc/99/task/99/comm", "corecast\n");
        let running = find_running(&host.root).unwrap().unwrap();
        assert_eq!((running.pid, running.shards), (70, 2));
        assert_eq!(running.cores, [2, 3].into());
        assert_eq!(running.unit.as_deref(), Some("corecast.service"));
        let limit = running.descriptors.clone().unwrap();
        assert_eq!((limit.soft, limit.hard), (900, 1_000));
        assert_eq!(find_running(&Host::new().root), Ok(None));
    }

    #[test]
    fn of_several_a_person_must_choose() {
        let host = host_with(&[70, 80]);
        let error = find_running(&host.root).unwrap_err();
        assert!(error.contains("70, 80"), "{error}");
        assert_eq!(Running::read(&host.root, 80).unwrap().pid, 80);
    }

    #[test]
    fn other_processes_are_refused() {
        let host = host_with(&[]);
        host.put("/proc/5/comm", "nginx\n");
        let error = Running::read(&host.root, 5).unwrap_err();
        assert_eq!(error, "process 5 is 'nginx', not 'corecast'");
        assert!(
            Running::read(&host.root, 6)
                .unwrap_err()
                .contains("no process 6")
        );
    }

    #[test]
    fn a_unit_is_the_innermost_service() {
        assert_eq!(
            unit("0::/user.slice/user@0.service/app.slice/a.service\n").as_deref(),
            Some("a.service")
        );
        assert_eq!(unit("0::/user.slice/session-1.scope\n"), None);
    }
}
