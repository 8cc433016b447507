//! Memory: the host's, the control group's, and the part that the kernel allows
//! TCP.
//!
//! The memory of a connection is measured, not guessed: [`crate::budget`].

use crate::doctor::check::{MEMORY_CONF, UNIT};
use crate::doctor::{Amount, Asked, Check, Stops, Verdict};
use crate::number::grouped;
use crate::{Bound, Group, Memory, Reading, Root, TcpMemory, page_bytes};

const CONCERN: &str = "memory";

/// The bounds of memory.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Of the host, in bytes: all, and the part that can still be had.
    pub host: Reading<(u64, u64)>,
    /// The tightest limit of the control groups.
    pub group: Option<GroupMemory>,
    /// The tightest of their limits above which processes are held up.
    pub group_high: Option<GroupMemory>,
    /// Of the buffers of all TCP sockets.
    pub tcp_mem: Reading<TcpMemory>,
    /// Of one socket's received bytes: least, first, most.
    pub rmem: Reading<[u64; 3]>,
    /// Of one socket's bytes to send: least, first, most.
    pub wmem: Reading<[u64; 3]>,
    /// Sockets that no process holds any more.
    pub max_orphans: Reading<u64>,
    /// The word in brackets of the setting of huge pages.
    pub huge_pages: Reading<String>,
    /// Bytes in a page.
    pub page_bytes: u64,
}

/// A limit of a control group.
#[derive(Debug, Clone)]
pub struct GroupMemory {
    limit_bytes: u64,
    used_bytes: u64,
    file: String,
}

impl GroupMemory {
    fn read(root: &Root, process: &str, bound: Bound) -> Option<GroupMemory> {
        let group = Group::of(root, process, bound)?;
        Some(GroupMemory {
            limit_bytes: group.limit_bytes(root)?,
            used_bytes: group.used_bytes(root).unwrap_or(0),
            file: group.limit_path().display().to_string(),
        })
    }
}

impl Facts {
    /// Reads them; the group is that of `process`, an id or `self`.
    pub fn read(root: &Root, process: &str) -> Facts {
        let page_bytes = page_bytes();
        Facts {
            host: root.parsed("/proc/meminfo", |text| {
                let memory = Memory::parse(text);
                memory.total_bytes.zip(memory.available_bytes)
            }),
            group: GroupMemory::read(root, process, Bound::Max),
            group_high: GroupMemory::read(root, process, Bound::High),
            tcp_mem: root.parsed("/proc/sys/net/ipv4/tcp_mem", |text| {
                TcpMemory::parse(text, page_bytes)
            }),
            rmem: root.parsed("/proc/sys/net/ipv4/tcp_rmem", three),
            wmem: root.parsed("/proc/sys/net/ipv4/tcp_wmem", three),
            max_orphans: root.sysctl("net.ipv4.tcp_max_orphans"),
            huge_pages: root.parsed(HUGE_PAGES, chosen),
            page_bytes,
        }
    }

    /// Judges them.
    pub fn checks(&self, asked: &Asked) -> Vec<Check> {
        let mut checks = vec![self.host(asked)];
        checks.extend(group(self.group.as_ref(), Bound::Max, asked));
        checks.extend(group(self.group_high.as_ref(), Bound::High, asked));
        checks.push(self.tcp_mem(asked));
        checks.push(self.buffer("net.ipv4.tcp_rmem", &self.rmem, 131_072, asked));
        checks.push(self.buffer("net.ipv4.tcp_wmem", &self.wmem, 16_384, asked));
        checks.push(self.max_orphans(asked));
        checks.push(self.huge_pages());
        checks
    }

    fn host(&self, asked: &Asked) -> Check {
        let check = Check::new(CONCERN, "memory of the host", "/proc/meminfo");
        match &self.host {
            Ok((total, available)) => room(check, *available, asked, "available", *total)
                .now("take a host with more memory, or spread the connections over several"),
            Err(reason) => check.unknown(reason),
        }
    }

    /// Idle connections have nothing in their buffers; those with anything in
    /// them take a page at least.
    fn tcp_mem(&self, asked: &Asked) -> Check {
        let check = Check::sysctl(CONCERN, "net.ipv4.tcp_mem");
        let memory = match &self.tcp_mem {
            Ok(memory) => memory,
            Err(reason) => return check.unknown(reason),
        };
        let needed = asked
            .connections
            .saturating_mul(asked.role.ends() * self.page_bytes);
        let burst = memory.pressure_bytes / (asked.role.ends() * self.page_bytes).max(1);
        let check = check
            .value(Amount::Bytes(memory.pressure_bytes))
            .needed(Amount::Bytes(needed))
            .stops(Stops::Burst(burst));
        let check = if memory.pressure_bytes >= needed {
            check.verdict(Verdict::Fits, "each may have a page of bytes on its way")
        } else {
            check.verdict(
                Verdict::Slows,
                format!(
                    "when more than {} have bytes on their way, the kernel keeps all buffers small, \
                     and above {} it gives none",
                    grouped(burst),
                    Amount::Bytes(memory.max_bytes)
                ),
            )
        };
        let pages = needed / self.page_bytes.max(1);
        check.set(
            MEMORY_CONF,
            format!("{} {} {}", pages / 4 * 3, pages, pages / 2 * 3),
        )
    }

    fn buffer(&self, name: &str, reading: &Reading<[u64; 3]>, usual: u64, asked: &Asked) -> Check {
        let check = Check::sysctl(CONCERN, name);
        let [least, first, most] = match reading {
            Ok(values) => *values,
            Err(reason) => return check.unknown(reason),
        };
        let check = check.value(Amount::words(format!("{least} {first} {most}")));
        // Only sockets with something in their buffers take memory for them, so
        // a large first value is no wall; but many slow readers would share it.
        if first <= usual {
            return check.verdict(
                Verdict::Fits,
                format!(
                    "a socket begins with {} and may grow to {}; an idle one takes nothing",
                    Amount::Bytes(first),
                    Amount::Bytes(most)
                ),
            );
        }
        check
            .needed(Amount::words(format!("{least} {usual} {most}")))
            .verdict(
                Verdict::Advice,
                format!(
                    "slow readers of {} connections may keep {} in the kernel",
                    grouped(asked.connections),
                    Amount::Bytes(asked.connections.saturating_mul(first))
                ),
            )
            .set(MEMORY_CONF, format!("{least} {usual} {most}"))
    }

    fn max_orphans(&self, asked: &Asked) -> Check {
        let check = Check::sysctl(CONCERN, "net.ipv4.tcp_max_orphans");
        let most = match &self.max_orphans {
            Ok(most) => *most,
            Err(reason) => return check.unknown(reason),
        };
        let check = check
            .value(Amount::Count(most))
            .needed(Amount::Count(asked.connections))
            .stops(Stops::Burst(most));
        match most >= asked.connections {
            true => check.verdict(Verdict::Fits, "all may be closed at once"),
            false => check.verdict(
                Verdict::Slows,
                "when more are closed at once, the others are reset, and their last bytes are lost",
            ),
        }
        .set(MEMORY_CONF, asked.connections)
    }

    fn huge_pages(&self) -> Check {
        let check = Check::new(CONCERN, "transparent huge pages", HUGE_PAGES);
        match &self.huge_pages {
            Ok(setting) => check
                .value(Amount::words(setting))
                .verdict(Verdict::Fits, "corecast switches them off for itself"),
            Err(reason) => check.unknown(reason),
        }
    }
}

const HUGE_PAGES: &str = "/sys/kernel/mm/transparent_hugepage/enabled";

/// The room under a limit of a control group.
fn group(memory: Option<&GroupMemory>, bound: Bound, asked: &Asked) -> Option<Check> {
    let GroupMemory {
        limit_bytes,
        used_bytes,
        file,
    } = memory?;
    let name = file.rsplit('/').next().unwrap_or("memory.max");
    let check = Check::new(CONCERN, name, file.as_str());
    let free = limit_bytes.saturating_sub(*used_bytes);
    let needed = used_bytes + asked.further() * asked.per_connection().bytes();
    let (how, setting) = match bound {
        Bound::Max => ("free", "MemoryMax"),
        Bound::High => ("free before the group is held up", "MemoryHigh"),
    };
    Some(
        room(check, free, asked, how, *limit_bytes)
            .now(format!("echo {needed} > {file}"))
            .for_good(UNIT, format!("{setting}={needed}")),
    )
}

/// So many bytes can still be had; connections take them one by one.
fn room(check: Check, free: u64, asked: &Asked, how: &str, all: u64) -> Check {
    let each = asked.per_connection();
    let needed = asked.further().saturating_mul(each.bytes());
    let reach = asked.open + free / each.bytes().max(1);
    let why = format!(
        "of {} in all; a connection takes {} B of the program and {} B of the kernel here, as measured",
        Amount::Bytes(all),
        each.user_bytes,
        grouped(each.kernel_bytes)
    );
    let verdict = match free >= needed {
        true => Verdict::Fits,
        false => Verdict::TooLow,
    };
    check
        .value(Amount::words(format!("{} {how}", Amount::Bytes(free))))
        .needed(Amount::Bytes(needed))
        .verdict(verdict, why)
        .stops(Stops::Connections(reach))
}

/// Three numbers.
fn three(text: &str) -> Option<[u64; 3]> {
    let mut numbers = text
        .split_ascii_whitespace()
        .map(|number| number.parse().ok());
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}

/// The word in brackets: `always [madvise] never`.
fn chosen(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('[')?;
    Some(rest.split_once(']')?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Role;
    use crate::doctor::testing::{Host, asked, of};

    fn facts() -> Facts {
        Facts {
            host: Ok((24 << 30, 20 << 30)),
            group: None,
            group_high: None,
            tcp_mem: Ok(TcpMemory {
                pressure_bytes: 4 << 30,
                max_bytes: 6 << 30,
            }),
            rmem: Ok([4_096, 131_072, 6_291_456]),
            wmem: Ok([4_096, 16_384, 4_194_304]),
            max_orphans: Ok(1_000_000),
            huge_pages: Ok("madvise".into()),
            page_bytes: 4_096,
        }
    }

    const HOST: &str = "memory of the host";

    #[test]
    fn memory_is_what_each_connection_takes_at_each_end_here() {
        let judge = |role| {
            let asked = Asked {
                role,
                ..asked(4_000_000)
            };
            let checks = facts().checks(&asked);
            let check = of(&checks, HOST);
            (check.verdict, check.stops)
        };
        let server = 106 + 4_045 + 256;
        let client = 150 + 4_045 + 256;
        let reach = |each: u64| Stops::Connections((20u64 << 30) / each);
        assert_eq!(judge(Role::Server), (Verdict::Fits, reach(server)));
        assert_eq!(judge(Role::Both), (Verdict::TooLow, reach(server + client)));
    }

    #[test]
    fn connections_that_are_open_have_their_memory() {
        let asked = Asked {
            open: 1_000_000,
            ..asked(1_000_100)
        };
        let facts = Facts {
            host: Ok((24 << 30, 1 << 20)),
            ..facts()
        };
        let checks = facts.checks(&asked);
        let check = of(&checks, HOST);
        assert_eq!(check.verdict, Verdict::Fits);
        assert_eq!(
            check.stops,
            Stops::Connections(1_000_000 + (1 << 20) / 4_407)
        );
    }

    #[test]
    fn a_group_may_have_less_than_the_host() {
        let file = "/sys/fs/cgroup/a/memory.max".to_owned();
        let facts = Facts {
            group: Some(GroupMemory {
                limit_bytes: 512 << 20,
                used_bytes: 500 << 20,
                file,
            }),
            ..facts()
        };
        let checks = facts.checks(&asked(100_000));
        let check = of(&checks, "memory.max");
        assert_eq!(check.verdict, Verdict::TooLow);
        assert_eq!(check.stops, Stops::Connections((12 << 20) / 4_407));
        let line = &check.fix.as_ref().unwrap().for_good.as_ref().unwrap().line;
        assert!(line.starts_with("MemoryMax="));
        assert_eq!(of(&checks, HOST).verdict, Verdict::Fits);
    }

    /// The limits of a server below a slice, by the files of the host.
    #[test]
    fn the_tightest_limit_of_all_groups_counts() {
        let host = Host::new();
        host.put("/proc/7/cgroup", "0::/a/b\n");
        for (file, bytes) in [
            ("a/memory.max", 256 << 20),
            ("a/memory.high", 200 << 20),
            ("a/memory.current", 1 << 20),
            ("a/b/memory.max", 4u64 << 30),
            ("a/b/memory.current", 1 << 20),
        ] {
            host.put(&format!("/sys/fs/cgroup/{file}"), &format!("{bytes}\n"));
        }
        host.put("/sys/fs/cgroup/a/b/memory.high", "max\n");
        let checks = Facts::read(&host.root, "7").checks(&asked(100_000));
        for (limit, room, setting) in [
            ("memory.max", 255 << 20, "MemoryMax="),
            ("memory.high", 199 << 20, "MemoryHigh="),
        ] {
            let check = of(&checks, limit);
            assert_eq!(check.place, format!("/sys/fs/cgroup/a/{limit}"));
            assert_eq!(check.verdict, Verdict::TooLow);
            assert_eq!(check.stops, Stops::Connections(room / 4_407));
            let line = &check.fix.as_ref().unwrap().for_good.as_ref().unwrap().line;
            assert!(line.starts_with(setting), "{line}");
        }
    }

    #[test]
    fn buffers_slow_down_and_stop_nobody() {
        let facts = Facts {
            tcp_mem: Ok(TcpMemory {
                pressure_bytes: 4_096 * 1_000,
                max_bytes: 4_096 * 1_500,
            }),
            wmem: Ok([4_096, 1 << 20, 4 << 20]),
            max_orphans: Ok(10),
            ..facts()
        };
        let checks = facts.checks(&asked(2_000));
        let memory = of(&checks, "net.ipv4.tcp_mem");
        assert_eq!(
            (memory.verdict, memory.stops),
            (Verdict::Slows, Stops::Burst(1_000))
        );
        let fix = memory.fix.as_ref().unwrap();
        let command = "sysctl -w 'net.ipv4.tcp_mem=1500 2000 3000'";
        assert_eq!(fix.now.as_deref(), Some(command));
        let orphans = of(&checks, "net.ipv4.tcp_max_orphans");
        assert_eq!(
            (orphans.verdict, orphans.stops),
            (Verdict::Slows, Stops::Burst(10))
        );
        assert_eq!(of(&checks, "net.ipv4.tcp_wmem").verdict, Verdict::Advice);
        assert_eq!(of(&checks, "net.ipv4.tcp_rmem").verdict, Verdict::Fits);
    }

    #[test]
    fn values_are_in_brackets_and_in_threes() {
        assert_eq!(
            chosen("always [madvise] never\n").as_deref(),
            Some("madvise")
        );
        assert_eq!(chosen("always"), None);
        assert_eq!(
            three("4096\t87380\t6291456\n"),
            Some([4_096, 87_380, 6_291_456])
        );
        assert_eq!(three("1 2"), None);
    }

    #[test]
    fn what_a_host_does_not_say_is_unknown() {
        let checks = Facts::read(&Host::new().root, "self").checks(&asked(1));
        assert_eq!(checks.len(), 6, "no group, no check of it");
        for check in checks {
            assert_eq!(check.verdict, Verdict::Unknown, "{check:?}");
        }
    }
}
