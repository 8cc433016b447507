//! The kernel's counters of TCP, from `/proc/net/netstat`.

use super::root::Root;

/// One table gives the fields, the names the kernel has for them, and the
/// operations on all of them.
macro_rules! counters {
    ($($(#[$doc:meta])* $field:ident => $name:literal,)*) => {
        /// The events that the kernel has counted in this network namespace,
        /// for all processes, since it exists; or the difference between two
        /// readings. A counter that a kernel does not have stays 0.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct TcpCounters {
            $($(#[$doc])* pub $field: u64,)*
        }

        impl TcpCounters {
            /// The events counted since `earlier`.
            pub fn since(&self, earlier: &TcpCounters) -> TcpCounters {
                TcpCounters {
                    $($field: self.$field.saturating_sub(earlier.$field),)*
                }
            }

            fn set(&mut self, name: &str, value: u64) {
                match name {
                    $($name => self.$field = value,)*
                    _ => {}
                }
            }
        }
    };
}

counters! {
    /// Connections that found the accept queue of their listener full.
    listen_overflows => "ListenOverflows",
    /// Connections a listener dropped for any reason, the overflows included.
    listen_drops => "ListenDrops",
    /// First packets dropped because the queue of half-open connections was full.
    request_drops => "TCPReqQFullDrop",
    /// First packets answered with a SYN cookie because that queue was full.
    request_cookies => "TCPReqQFullDoCookies",
    /// First packets that had to be sent again.
    syn_retransmits => "TCPSynRetrans",
    /// Times nothing was acknowledged before the retransmission timer ran out.
    timeouts => "TCPTimeouts",
    /// Connections closed because the kernel had no memory for them.
    aborts_on_memory => "TCPAbortOnMemory",
    /// Times the memory of all sockets passed the middle value of `tcp_mem`.
    memory_pressures => "TCPMemoryPressures",
}

impl TcpCounters {
    /// Reads them now.
    pub fn read(root: &Root) -> Option<TcpCounters> {
        TcpCounters::parse(&root.read("/proc/net/netstat")?)
    }

    /// A line of names and a line of numbers, both beginning with `TcpExt:`.
    fn parse(netstat: &str) -> Option<TcpCounters> {
        let mut lines = netstat
            .lines()
            .filter_map(|line| line.strip_prefix("TcpExt:"));
        let (names, values) = (lines.next()?, lines.next()?);
        let mut counters = TcpCounters::default();
        let values = values.split_ascii_whitespace();
        for (name, value) in names.split_ascii_whitespace().zip(values) {
            counters.set(name, value.parse().unwrap_or(0));
        }
        Some(counters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_in_two_lines() {
        let text = "TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPNew\n\
                    TcpExt: 1 20 30 4\n\
                    IpExt: ListenOverflows\nIpExt: 99\n";
        let counters = TcpCounters::parse(text).unwrap();
        assert_eq!(counters.listen_overflows, 20);
        assert_eq!(counters.listen_drops, 30);
        assert_eq!(counters.timeouts, 0);
        assert_eq!(TcpCounters::parse("IpExt: a\nIpExt: 1\n"), None);
    }

    #[test]
    fn differences_do_not_go_below_zero() {
        let earlier = TcpCounters {
            timeouts: 5,
            listen_drops: 9,
            ..Default::default()
        };
        let later = TcpCounters {
            timeouts: 7,
            listen_drops: 8,
            ..Default::default()
        };
        let since = later.since(&earlier);
        assert_eq!((since.timeouts, since.listen_drops), (2, 0));
    }
}
