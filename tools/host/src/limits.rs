//! The limits of this host and of this process, as they were set.

use super::cgroup::Group;
use super::clock::page_bytes;
use super::memory::Memory;
use super::root::Root;
use super::text::ranges;

/// Limits as they stood at one moment. `None`: this kernel does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Ports the kernel takes for outgoing connections.
    pub ports: Option<PortRange>,
    /// Descriptors in each table of this process.
    pub descriptors: Option<Descriptors>,
    /// The most that `descriptors` can be raised to (`fs.nr_open`).
    pub max_descriptors: Option<u64>,
    /// Open files of the whole host (`fs.file-max`).
    pub max_files: Option<u64>,
    /// Files the whole host had open.
    pub open_files: Option<u64>,
    /// Longest accept queue of a listener, in connections (`net.core.somaxconn`).
    pub accept_queue: Option<u64>,
    /// Half-open connections of a listener (`net.ipv4.tcp_max_syn_backlog`).
    pub syn_backlog: Option<u64>,
    /// The firewall's table of connections, where the host has one.
    pub conntrack: Option<Conntrack>,
    /// Memory of all TCP sockets' buffers.
    pub tcp_memory: Option<TcpMemory>,
    /// The host's memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Memory in bytes that programs could still have.
    pub available_bytes: Option<u64>,
    /// Memory in bytes of this process's control group, if that is limited.
    pub cgroup_bytes: Option<u64>,
}

impl Limits {
    /// Reads them now.
    pub fn read(root: &Root) -> Limits {
        let memory = Memory::read(root);
        let reserved = root
            .read("/proc/sys/net/ipv4/ip_local_reserved_ports")
            .unwrap_or_default();
        Limits {
            ports: root
                .read("/proc/sys/net/ipv4/ip_local_port_range")
                .and_then(|range| PortRange::parse(&range, &reserved)),
            descriptors: root
                .read("/proc/self/limits")
                .and_then(|text| Descriptors::parse(&text)),
            max_descriptors: root.read_number("/proc/sys/fs/nr_open"),
            max_files: root.read_number("/proc/sys/fs/file-max"),
            open_files: open_files(root),
            accept_queue: root.read_number("/proc/sys/net/core/somaxconn"),
            syn_backlog: root.read_number("/proc/sys/net/ipv4/tcp_max_syn_backlog"),
            conntrack: Conntrack::read(root),
            tcp_memory: root
                .read("/proc/sys/net/ipv4/tcp_mem")
                .and_then(|text| TcpMemory::parse(&text, page_bytes())),
            memory_bytes: memory.total_bytes,
            available_bytes: memory.available_bytes,
            cgroup_bytes: Group::find(root).and_then(|group| group.limit_bytes(root)),
        }
    }
}

/// The ephemeral ports: those the kernel chooses for outgoing connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// The first of them.
    pub first: u16,
    /// The last of them; it is used as well.
    pub last: u16,
    /// How many between them the kernel leaves out (`ip_local_reserved_ports`).
    pub reserved: u32,
}

impl PortRange {
    /// How many ports the range spans: last − first + 1.
    pub fn span(&self) -> u32 {
        (u32::from(self.last) + 1).saturating_sub(u32::from(self.first))
    }

    /// How many of them the kernel gives out.
    pub fn usable(&self) -> u32 {
        self.span().saturating_sub(self.reserved)
    }

    /// `ip_local_port_range` is two numbers, `ip_local_reserved_ports` a list
    /// without overlaps.
    pub fn parse(range: &str, reserved: &str) -> Option<PortRange> {
        let mut ports = range.split_ascii_whitespace();
        let first: u16 = ports.next()?.parse().ok()?;
        let last: u16 = ports.next()?.parse().ok()?;
        let within = |part: std::ops::RangeInclusive<u32>| {
            let from = (*part.start()).max(first.into());
            let to = (*part.end()).min(last.into());
            (to + 1).saturating_sub(from)
        };
        Some(PortRange {
            first,
            last,
            reserved: ranges(reserved).map(within).sum(),
        })
    }
}

/// How many descriptors a table may hold (`RLIMIT_NOFILE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptors {
    /// The limit in force.
    pub soft: u64,
    /// The value to which the process may raise it by itself.
    pub hard: u64,
}

impl Descriptors {
    /// The line `Max open files  SOFT  HARD  files` of `/proc/PID/limits`.
    pub fn parse(limits: &str) -> Option<Descriptors> {
        let value = |text: &str| match text {
            "unlimited" => Some(u64::MAX),
            number => number.parse().ok(),
        };
        let mut fields = limits
            .lines()
            .find_map(|line| line.strip_prefix("Max open files"))?
            .split_ascii_whitespace();
        Some(Descriptors {
            soft: value(fields.next()?)?,
            hard: value(fields.next()?)?,
        })
    }
}

/// The firewall's table of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conntrack {
    /// Connections in it.
    pub count: u64,
    /// The most it holds; the packets of others are dropped.
    pub max: u64,
}

impl Conntrack {
    /// Reads it now; `None` on a host that does not track connections.
    pub fn read(root: &Root) -> Option<Conntrack> {
        Some(Conntrack {
            count: Conntrack::count(root)?,
            max: root.read_number("/proc/sys/net/netfilter/nf_conntrack_max")?,
        })
    }

    /// Connections the firewall tracks now.
    pub fn count(root: &Root) -> Option<u64> {
        root.read_number("/proc/sys/net/netfilter/nf_conntrack_count")
    }
}

/// `net.ipv4.tcp_mem`, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpMemory {
    /// Above it the kernel keeps the sockets' buffers small.
    pub pressure_bytes: u64,
    /// Above it the kernel gives sockets no memory.
    pub max_bytes: u64,
}

impl TcpMemory {
    /// Three numbers of pages: low, pressure, high.
    pub fn parse(text: &str, page_bytes: u64) -> Option<TcpMemory> {
        let mut pages = text.split_ascii_whitespace().skip(1);
        let mut bytes = || {
            Some(
                pages
                    .next()?
                    .parse::<u64>()
                    .ok()?
                    .saturating_mul(page_bytes),
            )
        };
        Some(TcpMemory {
            pressure_bytes: bytes()?,
            max_bytes: bytes()?,
        })
    }
}

/// Files the whole host has open now.
pub fn open_files(root: &Root) -> Option<u64> {
    file_nr(&root.read("/proc/sys/fs/file-nr")?)
}

/// `file-nr` begins with the files that are open.
fn file_nr(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_the_range_are_ports() {
        let linux = PortRange::parse("32768\t60999\n", "\n").unwrap();
        assert_eq!((linux.span(), linux.usable()), (28_232, 28_232));
        let other = PortRange::parse("49152 65535", "").unwrap();
        assert_eq!(other.span(), 16_384, "not 65535 - 49152 = 16,383");
        assert_eq!(PortRange::parse("5 5", "").unwrap().span(), 1);
        assert_eq!(PortRange::parse("9 5", "").unwrap().span(), 0);
        assert_eq!(PortRange::parse("32768", ""), None);
    }

    #[test]
    fn only_ports_of_the_range_are_left_out() {
        let reserved = "80,32760-32769,40000,60990-65000\n";
        let range = PortRange::parse("32768 60999", reserved).unwrap();
        assert_eq!(range.reserved, 2 + 1 + 10);
        assert_eq!(range.usable(), 28_219);
    }

    #[test]
    fn open_files_have_a_soft_and_a_hard_limit() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max cpu time              unlimited            unlimited            seconds   \n\
                    Max open files            1024                 unlimited            files     \n";
        let descriptors = Descriptors {
            soft: 1024,
            hard: u64::MAX,
        };
        assert_eq!(Descriptors::parse(text), Some(descriptors));
        assert_eq!(Descriptors::parse("Max cpu time 1 2"), None);
    }

    #[test]
    fn tcp_memory_is_in_pages() {
        let memory = TcpMemory {
            pressure_bytes: 8_192,
            max_bytes: 12_288,
        };
        assert_eq!(TcpMemory::parse("1\t2\t3\n", 4096), Some(memory));
        assert_eq!(TcpMemory::parse("1 2", 4096), None);
    }

    #[test]
    fn file_nr_begins_with_what_is_open() {
        assert_eq!(file_nr("536\t0\t2466193\n"), Some(536));
        assert_eq!(file_nr(""), None);
    }

    #[test]
    fn this_host_has_ports_and_descriptors() {
        let limits = Limits::read(&Root::default());
        assert!(limits.ports.is_some_and(|ports| ports.usable() > 0));
        assert!(limits.descriptors.is_some_and(|limit| limit.soft > 0));
        assert!(limits.memory_bytes > limits.available_bytes);
    }
}
