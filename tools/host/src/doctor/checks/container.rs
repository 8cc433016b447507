//! The bounds that a container, a unit or the host sets for a process besides
//! memory: threads and processor time.

use std::path::Path;

use crate::doctor::check::UNIT;
use crate::doctor::running::network;
use crate::doctor::{Amount, Asked, Check, Role, Stops, Verdict};
use crate::number::grouped;
use crate::{Reading, Root, Unread, cgroup};

const CONCERN: &str = "container";
/// Threads of the server or the generator that are not shards: the main
/// thread, signals, the control plane, watching, and the kernel's workers.
const OTHERS: u64 = 8;

/// The bounds of threads and processor time.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Threads of the host.
    pub threads_max: Reading<u64>,
    /// Threads the group may have and has, with the file; `None` without a limit.
    pub pids: Option<(u64, u64, String)>,
    /// Hundredths of a core the group may have, with the file.
    pub cpu: Option<(u64, String)>,
    /// The kind of container that this looks like.
    pub container: Option<&'static str>,
    /// Whether the process is a server that runs.
    pub running: bool,
    /// Whether its network is another one than that of this process.
    pub other_network: bool,
}

impl Facts {
    /// Reads them for `process`, an id or `self`.
    pub fn read(root: &Root, process: &str) -> Facts {
        let groups = root
            .read(format!("/proc/{process}/cgroup"))
            .unwrap_or_default();
        Facts {
            threads_max: root.sysctl("kernel.threads-max"),
            pids: tightest(
                cgroup::directories(&groups, "pids")
                    .iter()
                    .filter_map(|directory| {
                        let file = directory.path.join("pids.max");
                        let most = root.read_number(&file)?;
                        let now = root.read_number(directory.path.join("pids.current"))?;
                        Some((most, now, shown(&file)))
                    }),
                |(most, now, _)| most.saturating_sub(*now),
            ),
            cpu: tightest(
                cgroup::directories(&groups, "cpu")
                    .iter()
                    .filter_map(|directory| quota(root, directory)),
                |(share, _)| *share,
            ),
            container: container(root, &groups),
            running: process != "self",
            other_network: network(root, process) != network(root, "self"),
        }
    }

    /// Judges them.
    pub fn checks(&self, asked: &Asked) -> Vec<Check> {
        let mut checks = vec![self.threads(asked)];
        checks.extend(self.pids(asked));
        checks.extend(self.cpu(asked));
        checks.extend(self.container());
        checks.extend(self.network());
        checks
    }

    /// The kernel parameters of a network are those of the process that reads
    /// them, and a server in another network has others.
    fn network(&self) -> Option<Check> {
        self.other_network.then(|| {
            let reason = Unread::new(
                "the server is in another network namespace, and what is said of net. is not its \
                 own; ask there: nsenter --target PID --net corecast doctor --pid PID",
            );
            Check::new(CONCERN, "network namespace", "/proc/PID/ns/net").unknown(&reason)
        })
    }

    fn threads(&self, asked: &Asked) -> Check {
        let check = Check::sysctl(CONCERN, "kernel.threads-max");
        let needed = threads(asked);
        match &self.threads_max {
            Err(reason) => check.unknown(reason),
            Ok(most) => {
                let check = check
                    .value(Amount::Count(*most))
                    .needed(Amount::Count(needed));
                match *most >= needed {
                    true => check.verdict(Verdict::Fits, "a thread for each shard and a few more"),
                    false => check
                        .verdict(Verdict::TooLow, "a thread for each shard and a few more")
                        .stops(Stops::Connections(0)),
                }
                .now(format!("sysctl -w kernel.threads-max={needed}"))
            }
        }
    }

    fn pids(&self, asked: &Asked) -> Option<Check> {
        let (most, now, file) = self.pids.as_ref()?;
        // A server that runs has its threads, and they are counted already.
        let needed = match self.running {
            true if asked.role == Role::Server => *now,
            _ => now + threads(asked),
        };
        let check = Check::new(CONCERN, "pids.max", file.as_str())
            .value(Amount::Count(*most))
            .needed(Amount::Count(needed));
        let why = format!("threads count, of which there are {}", grouped(*now));
        Some(
            match *most >= needed {
                true => check.verdict(Verdict::Fits, why),
                false => check
                    .verdict(
                        Verdict::TooLow,
                        why + "; a server without them does not start",
                    )
                    .stops(Stops::Connections(0)),
            }
            .now(format!(
                "echo {needed} > {file}   # docker run --pids-limit {needed}"
            ))
            .for_good(UNIT, format!("TasksMax={needed}")),
        )
    }

    fn cpu(&self, asked: &Asked) -> Option<Check> {
        let (share, file) = self.cpu.as_ref()?;
        let name = file.rsplit('/').next().unwrap_or("cpu.max");
        let needed = asked.shards * 100;
        let cores = |share: u64| Amount::words(format!("{:.2} cores", share as f64 / 100.0));
        let check = Check::new(CONCERN, name, file.as_str())
            .value(cores(*share))
            .needed(cores(needed));
        Some(
            match *share >= needed {
                true => check.verdict(Verdict::Fits, "a core for each shard"),
                false => check.verdict(
                    Verdict::Slows,
                    "when its share of a tenth of a second is used up, every shard stands still \
                     for the rest of it",
                ),
            }
            .now(format!(
                "corecast serve --shards {}   # or a larger share: docker run --cpus {}",
                (share / 100).max(1),
                asked.shards
            ))
            .for_good(UNIT, format!("CPUQuota={needed}%")),
        )
    }

    fn container(&self) -> Option<Check> {
        let kind = self.container?;
        Some(
            Check::new(CONCERN, "container", "/proc/self/cgroup")
                .value(Amount::words(kind))
                .verdict(
                    Verdict::Fits,
                    "limits of the host itself are shown as the container sees them; those of \
                     net. are its own",
                ),
        )
    }
}

/// Threads that will be started.
fn threads(asked: &Asked) -> u64 {
    asked.shards.saturating_mul(asked.role.ends()) + OTHERS * asked.role.ends()
}

fn tightest<T>(limits: impl Iterator<Item = T>, room: impl Fn(&T) -> u64) -> Option<T> {
    limits.min_by_key(room)
}

/// The share of processor time of a group, in hundredths of a core.
fn quota(root: &Root, directory: &cgroup::Directory) -> Option<(u64, String)> {
    let (quota, period, file) = match directory.version {
        1 => {
            let file = directory.path.join("cpu.cfs_quota_us");
            // No quota is −1, which is no number here.
            let quota = root.read_number(&file)?;
            let period = root.read_number(directory.path.join("cpu.cfs_period_us"))?;
            (quota, period, file)
        }
        _ => {
            let file = directory.path.join("cpu.max");
            let text = root.read(&file)?;
            let mut numbers = text.split_ascii_whitespace();
            let quota: u64 = numbers.next()?.parse().ok()?;
            (quota, numbers.next()?.parse().ok()?, file)
        }
    };
    Some((quota.saturating_mul(100) / period.max(1), shown(&file)))
}

fn container(root: &Root, groups: &str) -> Option<&'static str> {
    if root.exists("/.dockerenv") {
        Some("docker")
    } else if root.exists("/run/.containerenv") {
        Some("podman")
    } else if groups.contains("kubepods") {
        Some("kubernetes")
    } else {
        None
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::testing::{Host, asked, of};

    fn host() -> Host {
        let host = Host::new();
        host.put("/proc/self/cgroup", "0::/a/b\n");
        host.sysctl("kernel.threads-max", 100_000);
        host
    }

    const GROUP: &str = "/sys/fs/cgroup/a";

    fn checks(host: &Host) -> Vec<Check> {
        Facts::read(&host.root, "self").checks(&asked(10))
    }

    #[test]
    fn a_server_without_threads_does_not_start_and_one_that_runs_has_them() {
        let host = host();
        for process in ["self", "7"] {
            host.put(&format!("/proc/{process}/cgroup"), "0::/a\n");
        }
        host.put("/sys/fs/cgroup/a/pids.max", "10\n");
        host.put("/sys/fs/cgroup/a/pids.current", "8\n");
        let judged = |process| {
            let checks = Facts::read(&host.root, process).checks(&asked(1));
            let check = of(&checks, "pids.max");
            (check.verdict, check.stops)
        };
        assert_eq!(judged("self"), (Verdict::TooLow, Stops::Connections(0)));
        assert_eq!(judged("7"), (Verdict::Fits, Stops::Nothing));
    }

    #[test]
    fn a_network_that_is_not_ours_is_unknown() {
        let host = host();
        for (process, network) in [("self", "net:[1]"), ("7", "net:[1]"), ("8", "net:[2]")] {
            let link = host.root.path(format!("/proc/{process}/ns/net"));
            std::fs::create_dir_all(link.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(network, link).unwrap();
        }
        let is_elsewhere = |process| {
            let checks = Facts::read(&host.root, process).checks(&asked(1));
            let mut found = checks
                .iter()
                .filter(|check| check.limit == "network namespace");
            found.next().map(|check| check.verdict)
        };
        assert_eq!((is_elsewhere("self"), is_elsewhere("7")), (None, None));
        assert_eq!(is_elsewhere("8"), Some(Verdict::Unknown));
    }

    #[test]
    fn a_host_without_groups_has_threads_only() {
        let checks = checks(&host());
        assert_eq!(checks.len(), 1);
        assert_eq!(of(&checks, "kernel.threads-max").verdict, Verdict::Fits);
    }

    #[test]
    fn the_tightest_group_counts() {
        let host = host();
        host.put(&format!("{GROUP}/b/pids.max"), "max\n");
        host.put(&format!("{GROUP}/b/pids.current"), "3\n");
        host.put(&format!("{GROUP}/pids.max"), "12\n");
        host.put(&format!("{GROUP}/pids.current"), "5\n");
        let checks = checks(&host);
        let check = of(&checks, "pids.max");
        assert_eq!(check.verdict, Verdict::TooLow);
        assert_eq!(check.needed, Some(Amount::Count(5 + 2 + OTHERS)));
        assert_eq!(check.place, format!("{GROUP}/pids.max"));
    }

    #[test]
    fn a_quota_below_the_shards_lets_them_stand_still() {
        let verdict = |text: &str| {
            let host = host();
            host.put(&format!("{GROUP}/cpu.max"), text);
            checks(&host)
                .into_iter()
                .find(|check| check.limit == "cpu.max")
                .map(|check| check.verdict)
        };
        assert_eq!(verdict("150000 100000\n"), Some(Verdict::Slows));
        assert_eq!(verdict("200000 100000\n"), Some(Verdict::Fits));
        assert_eq!(verdict("max 100000\n"), None);
    }

    #[test]
    fn groups_of_version_1_have_other_files() {
        let host = host();
        host.put("/proc/self/cgroup", "4:cpu,cpuacct:/x\n3:pids:/x\n");
        host.put("/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "50000\n");
        host.put("/sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n");
        host.put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
        host.put("/sys/fs/cgroup/pids/x/pids.max", "1000\n");
        host.put("/sys/fs/cgroup/pids/x/pids.current", "1\n");
        let checks = checks(&host);
        let check = of(&checks, "cpu.cfs_quota_us");
        assert_eq!(check.value, Some(Amount::words("0.50 cores")));
        assert_eq!(of(&checks, "pids.max").verdict, Verdict::Fits);
    }

    #[test]
    fn containers_leave_their_marks() {
        let host = host();
        host.put("/.dockerenv", "");
        assert_eq!(
            of(&checks(&host), "container").value,
            Some(Amount::words("docker"))
        );
    }

    #[test]
    fn what_a_host_does_not_say_is_unknown() {
        let checks = checks(&Host::new());
        assert_eq!(checks[0].verdict, Verdict::Unknown);
    }
}
