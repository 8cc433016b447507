//! The observations that a diagnosis is made from.

use std::collections::BTreeMap;

use corecast_host::{Limits, TcpCounters};

use crate::cause::Cause;
use crate::host::{Look, ServerLook, Usage};
use crate::outcome::Deliveries;

/// The known facts of a run. An unknown one stays at its default, and nothing
/// is concluded from it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    /// This host's limits, as they stood before the first connection.
    pub limits: Limits,
    /// Connections there should be.
    pub asked: u64,
    /// Connections that were opened.
    pub opened: u64,
    /// The most that were open at one time.
    pub peak: u64,
    /// Connections that could not be opened, by cause.
    pub failed: BTreeMap<Cause, u64>,
    /// Open connections that the generator did not end, by cause.
    pub lost: BTreeMap<Cause, u64>,
    /// The deliveries that arrived, and those that should have, in a scenario
    /// that knows.
    pub deliveries: Option<Deliveries>,
    /// Source addresses that connections were bound to; 0 counts as the one
    /// that the kernel chooses.
    pub sources: u64,
    /// Targets: different pairs of a server's address and port.
    pub targets: u64,
    /// A target is on this host, so that its counters are the server's too.
    pub local: bool,
    /// All targets are loopback addresses of IPv4, so that every address of
    /// 127.0.0.0/8 can be a source.
    pub loopback: bool,
    /// Threads that generate load.
    pub threads: u64,
    /// Tables of descriptors they have together: as many as `threads` when each
    /// has one of its own, else 1.
    pub tables: u64,
    /// Cores those threads are pinned to; empty when they are not.
    pub pinned: Vec<usize>,
    /// The resources of this host that were used in the measured time.
    pub usage: Usage,
    /// The busiest generator thread's share of the measured time, from 0 to 1.
    pub busiest_client_thread: f64,
    /// The kernel's counts over the whole run.
    pub counters: TcpCounters,
    /// The extremes of the whole run.
    pub seen: Seen,
    /// Every connection sent as fast as its answers came, without a pace.
    pub at_maximum: bool,
    /// The pace of a run that had one.
    pub rate: Option<Rate>,
    /// The median latency at the end of the measured time divided by that at
    /// its beginning.
    pub latency_growth: Option<f64>,
}

/// The events that were to happen every second, and those that did.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    /// The name of the counted events, in the plural: "messages", "connections".
    pub noun: String,
    /// How many there should be each second.
    pub asked: f64,
    /// How many there were.
    pub achieved: f64,
}

impl Rate {
    /// Fewer than this share of the asked rate is a rate that was missed. A
    /// smaller difference comes from the moments at which the measured time
    /// begins and ends.
    const ENOUGH: f64 = 0.98;

    /// Whether the rate was not reached.
    pub fn missed(&self) -> bool {
        self.achieved < self.asked * Rate::ENOUGH
    }
}

/// The extremes of the values seen in a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// The server when its fullest table was fullest.
    pub server: Option<ServerLook>,
    /// The server was there, and was not any more when last looked for.
    pub server_gone: bool,
    /// The most closed connections in TIME_WAIT.
    pub time_wait: u64,
    /// The most memory of TCP sockets' buffers, in bytes.
    pub socket_bytes: u64,
    /// The most connections the firewall tracked.
    pub conntrack: u64,
    /// The most files the host had open.
    pub open_files: u64,
    /// The least memory that programs could still have, in bytes.
    pub available_bytes: Option<u64>,
    /// The most memory this process's control group used, in bytes.
    pub cgroup_bytes: u64,
}

impl Seen {
    /// Takes a look into account. For a whole run, take all of them.
    pub fn take(&mut self, look: &Look) {
        self.server_gone = look.server.is_none() && self.server.is_some();
        if let Some(server) = &look.server {
            let fullest = |seen: &ServerLook| server.fullest_table < seen.fullest_table;
            if !self.server.as_ref().is_some_and(fullest) {
                self.server = Some(server.clone());
            }
        }
        if let Some(sockets) = look.sockets {
            self.time_wait = self.time_wait.max(sockets.time_wait);
            self.socket_bytes = self.socket_bytes.max(sockets.memory_bytes);
        }
        self.conntrack = self.conntrack.max(look.conntrack.unwrap_or(0));
        self.open_files = self.open_files.max(look.open_files.unwrap_or(0));
        self.cgroup_bytes = self.cgroup_bytes.max(look.cgroup_bytes.unwrap_or(0));
        let least = [self.available_bytes, look.available_bytes];
        self.available_bytes = least.into_iter().flatten().min();
    }
}

#[cfg(test)]
mod tests {
    use corecast_host::Sockets;

    use super::*;
    use crate::host::Watch;

    fn look(fullest_table: Option<u64>, time_wait: u64, available: u64) -> Look {
        let server = fullest_table.map(|count| ServerLook {
            fullest_table: Some(count),
            ..Default::default()
        });
        let sockets = Sockets {
            time_wait,
            ..Default::default()
        };
        Look {
            server,
            sockets: Some(sockets),
            available_bytes: Some(available),
            ..Watch::new(None).look()
        }
    }

    #[test]
    fn the_extremes_of_all_looks_are_kept() {
        let mut seen = Seen::default();
        for look in [
            look(Some(5), 10, 300),
            look(Some(9), 2, 100),
            look(Some(7), 7, 200),
        ] {
            seen.take(&look);
        }
        assert_eq!(seen.server.as_ref().unwrap().fullest_table, Some(9));
        assert_eq!((seen.time_wait, seen.available_bytes), (10, Some(100)));
        assert!(!seen.server_gone);
        seen.take(&look(None, 0, 400));
        assert!(seen.server_gone && seen.server.is_some());
    }

    #[test]
    fn a_server_that_never_was_is_not_gone() {
        let mut seen = Seen::default();
        seen.take(&look(None, 0, 1));
        assert!(!seen.server_gone);
    }

    #[test]
    fn a_rate_is_missed_by_more_than_the_edges() {
        let missed = |achieved| {
            let (noun, asked) = ("messages".into(), 1_000.0);
            Rate {
                noun,
                asked,
                achieved,
            }
            .missed()
        };
        assert!(!missed(981.0) && missed(979.0));
    }
}
