//! Memory of the host, and of the kernel's sockets.

use super::clock::page_bytes;
use super::root::Root;
use super::text::field_bytes;

/// The values of `/proc/meminfo`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// All of it.
    pub total_bytes: Option<u64>,
    /// The memory that programs can still have without swapping.
    pub available_bytes: Option<u64>,
    /// The memory of the kernel's objects, such as sockets and descriptors.
    pub slab_bytes: Option<u64>,
}

impl Memory {
    /// Reads it now.
    pub fn read(root: &Root) -> Memory {
        root.read("/proc/meminfo")
            .map(|text| Memory::parse(&text))
            .unwrap_or_default()
    }

    /// Its lines are in KiB.
    pub fn parse(meminfo: &str) -> Memory {
        Memory {
            total_bytes: field_bytes(meminfo, "MemTotal"),
            available_bytes: field_bytes(meminfo, "MemAvailable"),
            slab_bytes: field_bytes(meminfo, "Slab"),
        }
    }
}

/// The TCP sockets of this host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sockets {
    /// Sockets of IPv4 that are bound or connected.
    pub in_use: u64,
    /// Sockets no process holds any more, whose last bytes are on their way.
    pub orphans: u64,
    /// Closed connections in TIME_WAIT, each of which keeps its port.
    pub time_wait: u64,
    /// All sockets, of both families.
    pub allocated: u64,
    /// Memory of their buffers in bytes; `tcp_mem` bounds it.
    pub memory_bytes: u64,
}

impl Sockets {
    /// Reads them now.
    pub fn read(root: &Root) -> Option<Sockets> {
        Sockets::parse(&root.read("/proc/net/sockstat")?, page_bytes())
    }

    /// A line such as `TCP: inuse 1 orphan 0 tw 0 alloc 1 mem 293`.
    fn parse(sockstat: &str, page_bytes: u64) -> Option<Sockets> {
        let line = sockstat
            .lines()
            .find_map(|line| line.strip_prefix("TCP:"))?;
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let value = |name: &str| -> Option<u64> {
            fields
                .chunks_exact(2)
                .find(|pair| pair[0] == name)
                .and_then(|pair| pair[1].parse().ok())
        };
        Some(Sockets {
            in_use: value("inuse")?,
            orphans: value("orphan")?,
            time_wait: value("tw")?,
            allocated: value("alloc")?,
            memory_bytes: value("mem")?.saturating_mul(page_bytes),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo_is_in_kib() {
        let text = "MemTotal:       100 kB\nMemFree: 1 kB\nMemAvailable:    40 kB\nSlab: 7 kB\n";
        let memory = Memory::parse(text);
        assert_eq!(memory.total_bytes, Some(102_400));
        assert_eq!(memory.available_bytes, Some(40_960));
        assert_eq!(memory.slab_bytes, Some(7_168));
        assert_eq!(Memory::parse(""), Memory::default());
    }

    #[test]
    fn sockets_are_counted_and_their_memory_is_in_pages() {
        let text = "sockets: used 16\nTCP: inuse 11 orphan 2 tw 33 alloc 44 mem 5\nUDP: inuse 0\n";
        let sockets = Sockets {
            in_use: 11,
            orphans: 2,
            time_wait: 33,
            allocated: 44,
            memory_bytes: 20_480,
        };
        assert_eq!(Sockets::parse(text, 4096), Some(sockets));
        assert_eq!(Sockets::parse("UDP: inuse 0\n", 4096), None);
    }
}
