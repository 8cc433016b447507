//! The kernel's table of connections: it slows, but stops nothing.

use crate::doctor::{Amount, Asked, Check, Verdict};
use crate::number::grouped;
use crate::{EstablishedTable, Reading, Root};

const CONCERN: &str = "sockets";
/// Sockets in a bucket that do not show yet: with eight a delivery took a quarter
/// more of the server's time (docs/road-to-2-million.md).
const UNNOTICED: u64 = 2;

/// The known facts about the table.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The table itself.
    pub table: Reading<EstablishedTable>,
}

impl Facts {
    /// Reads them.
    pub fn read(root: &Root) -> Facts {
        Facts {
            table: EstablishedTable::read(root),
        }
    }

    /// Judges them.
    pub fn checks(&self, asked: &Asked) -> Vec<Check> {
        vec![self.buckets(asked)]
    }

    fn buckets(&self, asked: &Asked) -> Check {
        let check = Check::sysctl(CONCERN, EstablishedTable::SIZE);
        let buckets = match &self.table {
            Ok(table) => table.buckets.max(1),
            Err(reason) => return check.unknown(reason),
        };
        let sockets = asked.connections.saturating_mul(asked.role.ends());
        let needed = EstablishedTable::buckets_for(sockets.div_ceil(UNNOTICED));
        let check = check
            .value(Amount::Count(buckets))
            .needed(Amount::Count(needed));
        if buckets >= needed {
            let why = "each packet finds its socket at once";
            return check.verdict(Verdict::Fits, why);
        }
        check
            .verdict(
                Verdict::Advice,
                format!(
                    "{} sockets share a bucket, and every packet goes through half of them to find its own",
                    grouped(sockets.div_ceil(buckets))
                ),
            )
            .now(format!(
                "sysctl -w {}={needed} and start in a new network namespace (ip netns add)",
                EstablishedTable::SIZE_OF_NEW
            ))
            .for_good(
                "the kernel's command line",
                format!("thash_entries={needed}"),
            )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Role;
    use crate::doctor::testing::{Host, asked, of};

    const BUCKETS: &str = EstablishedTable::SIZE;

    #[test]
    fn a_crowded_table_is_told() {
        let host = Host::new();
        host.sysctl(BUCKETS, 262_144);
        let facts = Facts::read(&host.root);
        let few = facts.checks(&asked(500_000));
        assert_eq!(of(&few, BUCKETS).verdict, Verdict::Fits);
        let mut million = asked(1_000_000);
        million.role = Role::Both;
        let checks = facts.checks(&million);
        let check = of(&checks, BUCKETS);
        assert_eq!(check.verdict, Verdict::Advice);
        assert!(check.why.starts_with("8 sockets"), "{}", check.why);
        let line = check.fix.clone().unwrap().for_good.unwrap().line;
        assert_eq!(line, "thash_entries=1048576");
    }

    #[test]
    fn a_shared_table_counts_and_one_that_is_not_told_is_unknown() {
        let host = Host::new();
        let unknown = Facts::read(&host.root).checks(&asked(1));
        assert_eq!(unknown[0].verdict, Verdict::Unknown);
        host.sysctl(BUCKETS, -262_144);
        let shared = Facts::read(&host.root).checks(&asked(1));
        assert_eq!(shared[0].value, Some(Amount::Count(262_144)));
        assert_eq!(shared[0].verdict, Verdict::Fits);
        // Nothing overflows.
        Facts::read(&host.root).checks(&asked(u64::MAX));
    }
}
