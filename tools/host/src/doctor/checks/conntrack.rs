//! The firewall's table of connections, and whether it sees ours at all.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use socket2::SockRef;

use crate::doctor::check::CONNTRACK_CONF;
use crate::doctor::{Amount, Asked, Check, Stops, Verdict};
use crate::number::grouped;
use crate::{Conntrack, Reading, Root, Unread};

const CONCERN: &str = "conntrack";
const NAME: &str = "net.netfilter.nf_conntrack_max";
const BUCKETS: &str = "net.netfilter.nf_conntrack_buckets";
/// Connections opened to see whether they are tracked.
const TRIED: u64 = 16;
/// How long one of them may take.
const PATIENCE: Duration = Duration::from_millis(500);

/// The bounds of tracked connections.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The table; `None` where the kernel has none.
    pub table: Option<Reading<Conntrack>>,
    /// Buckets the table is sorted into.
    pub buckets: Reading<u64>,
    /// Whether connections over loopback were seen to be tracked.
    pub tracked: Reading<bool>,
}

impl Facts {
    /// Reads them, and on a real host opens a few connections over loopback.
    pub fn read(root: &Root) -> Facts {
        let there = root.exists("/proc/sys/net/netfilter/nf_conntrack_max");
        Facts {
            table: there.then(|| {
                Conntrack::read(root).ok_or_else(|| {
                    Unread::new("cannot read /proc/sys/net/netfilter/nf_conntrack_*")
                })
            }),
            buckets: root.sysctl(BUCKETS),
            tracked: match there && root.is_real() {
                true => are_tracked(root),
                false => Err(Unread::new("no connections were tried")),
            },
        }
    }

    /// Judges them.
    pub fn checks(&self, asked: &Asked) -> Vec<Check> {
        let check = Check::sysctl(CONCERN, NAME);
        let table = match &self.table {
            None => {
                let why = "this kernel tracks no connections";
                let check = check.value(Amount::words("no table"));
                return vec![check.verdict(Verdict::Fits, why)];
            }
            Some(Err(reason)) => return vec![check.unknown(reason)],
            Some(Ok(table)) => table,
        };
        let others = table.count.saturating_sub(asked.open);
        let needed = asked.connections.saturating_add(others);
        let check = check
            .value(Amount::Count(table.max))
            .needed(Amount::Count(needed));
        let reach = Stops::Connections(table.max.saturating_sub(others));
        let fits = table.max >= needed;
        let full = "when the table is full, the packets of new connections are dropped in silence";
        let check = match (&self.tracked, fits) {
            (Ok(true), true) => check.stops(reach).verdict(
                Verdict::Fits,
                "connections are tracked, as was tried over loopback",
            ),
            (Ok(true), false) => check.stops(reach).verdict(
                Verdict::TooLow,
                format!("connections are tracked, as was tried over loopback; {full}"),
            ),
            (Ok(false), true) => {
                check.verdict(Verdict::Fits, "connections over loopback are not tracked")
            }
            (Ok(false), false) => check.verdict(
                Verdict::Advice,
                format!("connections over loopback are not tracked; where others are: {full}"),
            ),
            // Others being tracked is as good a sign.
            (Err(_), true) => check.verdict(
                Verdict::Fits,
                "whether connections are tracked was not tried",
            ),
            (Err(reason), false) if table.count == 0 => check.verdict(
                Verdict::Advice,
                format!("nothing is tracked now ({reason}); if it is: {full}"),
            ),
            (Err(_), false) => check.stops(reach).verdict(
                Verdict::TooLow,
                format!(
                    "{} connections are tracked now; {full}",
                    grouped(table.count)
                ),
            ),
        };
        vec![check.set(CONNTRACK_CONF, needed), self.buckets(table.max)]
    }

    fn buckets(&self, max: u64) -> Check {
        let check = Check::sysctl(CONCERN, BUCKETS);
        let buckets = match &self.buckets {
            Ok(buckets) => *buckets,
            Err(reason) => return check.unknown(reason),
        };
        let needed = max / 4;
        let check = check
            .value(Amount::Count(buckets))
            .needed(Amount::Count(needed));
        match buckets >= needed {
            true => check.verdict(Verdict::Fits, "a bucket holds four connections or fewer"),
            false => check.verdict(
                Verdict::Advice,
                "a full table has more than four connections in a bucket, through which each packet searches",
            ),
        }
        .set(CONNTRACK_CONF, needed)
    }
}

/// Opens a few connections over loopback and looks at the table's count.
fn are_tracked(root: &Root) -> Reading<bool> {
    let failed = |error: io::Error| Unread::new(format!("connections could not be tried: {error}"));
    let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let count = || Conntrack::count(root).ok_or_else(|| Unread::new("the count cannot be read"));
    let before = count()?;
    let mut held = Vec::new();
    for _ in 0..TRIED {
        // A firewall that drops would make it wait for minutes.
        held.push(TcpStream::connect_timeout(&address, PATIENCE).map_err(failed)?);
        held.push(listener.accept().map_err(failed)?.0);
    }
    let after = count()?;
    for stream in &held {
        // Reset, not closed: nothing is left that would keep a port for a minute.
        // If this is refused, the port is kept.
        let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
    }
    // Others may open and close meanwhile, but hardly half as many.
    Ok(after >= before + TRIED / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::testing::{Host, asked, of};

    fn facts(count: u64, max: u64, tracked: Reading<bool>) -> Facts {
        Facts {
            table: Some(Ok(Conntrack { count, max })),
            buckets: Ok(max / 4),
            tracked,
        }
    }

    fn judge(facts: &Facts) -> (Verdict, Stops) {
        let checks = facts.checks(&asked(100_000));
        let check = of(&checks, NAME);
        (check.verdict, check.stops)
    }

    #[test]
    fn a_table_is_a_wall_only_where_connections_are_in_it() {
        let reach = |connections| Stops::Connections(connections);
        let untried = || Err(Unread::new("not tried"));
        let cases = [
            (facts(50, 65_536, Ok(true)), Verdict::TooLow, reach(65_486)),
            (facts(50, 262_144, Ok(true)), Verdict::Fits, reach(262_094)),
            (facts(0, 65_536, Ok(false)), Verdict::Advice, Stops::Nothing),
            (facts(0, 262_144, Ok(false)), Verdict::Fits, Stops::Nothing),
            (facts(0, 65_536, untried()), Verdict::Advice, Stops::Nothing),
            (facts(9, 65_536, untried()), Verdict::TooLow, reach(65_527)),
        ];
        for (facts, verdict, stops) in cases {
            assert_eq!(judge(&facts), (verdict, stops), "{facts:?}");
        }
    }

    #[test]
    fn a_kernel_without_a_table_tracks_nothing() {
        let checks = Facts::read(&Host::new().root).checks(&asked(1));
        assert_eq!(checks.len(), 1);
        assert_eq!(checks[0].verdict, Verdict::Fits);
    }

    #[test]
    fn a_table_of_a_fake_host_is_read_and_not_tried() {
        let host = Host::new();
        host.sysctl(NAME, 65_536);
        host.sysctl("net.netfilter.nf_conntrack_count", 3);
        host.sysctl(BUCKETS, 4_096);
        let checks = Facts::read(&host.root).checks(&asked(100_000));
        assert_eq!(of(&checks, NAME).verdict, Verdict::TooLow);
        let buckets = of(&checks, BUCKETS);
        assert_eq!(buckets.verdict, Verdict::Advice);
        assert_eq!(buckets.needed, Some(Amount::Count(16_384)));
    }

    #[test]
    fn a_table_that_is_hidden_is_unknown() {
        let facts = Facts {
            table: Some(Err(Unread::new("hidden"))),
            ..facts(0, 0, Ok(false))
        };
        assert_eq!(judge(&facts).0, Verdict::Unknown);
    }
}
