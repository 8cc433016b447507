//! The kernel's table of connections.

use super::root::{Reading, Root, sysctl_path};

/// The hash table in which the kernel finds the socket of each packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EstablishedTable {
    /// Its buckets, also where this network namespace shares them with the host.
    pub buckets: u64,
}

impl EstablishedTable {
    /// The kernel's name for its size, which is fixed when the host starts or the
    /// network namespace is made.
    pub const SIZE: &str = "net.ipv4.tcp_ehash_entries";
    /// The size that new network namespaces get; 0 for a share of their parent's.
    pub const SIZE_OF_NEW: &str = "net.ipv4.tcp_child_ehash_entries";
    /// The kernel makes no larger one.
    const MAX_BUCKETS: u64 = 1 << 24;

    /// Reads it.
    ///
    /// # Errors
    /// Why not: Linux tells since 6.1.
    pub fn read(root: &Root) -> Reading<EstablishedTable> {
        // Negative where it is shared.
        let parse = |text: &str| text.trim().parse::<i64>().ok();
        let buckets = root.parsed(sysctl_path(Self::SIZE), parse)?.unsigned_abs();
        Ok(EstablishedTable { buckets })
    }

    /// The size that gives each of so many sockets a bucket, as far as there are
    /// such tables.
    pub fn buckets_for(sockets: u64) -> u64 {
        sockets
            .checked_next_power_of_two()
            .map_or(Self::MAX_BUCKETS, |buckets| buckets.min(Self::MAX_BUCKETS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_two_up_to_the_largest() {
        assert_eq!(EstablishedTable::buckets_for(1_200), 2_048);
        assert_eq!(EstablishedTable::buckets_for(1 << 30), 1 << 24);
        assert_eq!(EstablishedTable::buckets_for(u64::MAX), 1 << 24);
    }
}
