//! Ports: a connection is a source's address and port and a target's address
//! and port. So ports bound the connections from one address to one target,
//! and nothing else; a server needs one.

use std::net::Ipv4Addr;

use crate::doctor::check::PORTS_CONF;
use crate::doctor::{Amount, Asked, Check, Stops, Verdict};
use crate::number::grouped;
use crate::{PortRange, Reading, Root, Settings, text};

const CONCERN: &str = "ports";

/// The widest range that leaves the privileged ports alone.
const WIDEST: (u64, u64) = (1_024, 65_535);
/// The ports of a client on a host that was not tuned.
const USUAL: u64 = 28_232;

/// The bounds of ports.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Those the server listens on.
    pub server: Vec<u16>,
    /// The ports the kernel gives out.
    pub range: Reading<PortRange>,
    /// Those it leaves out, as the file has them.
    pub reserved: Reading<String>,
    /// Whether ports in TIME_WAIT may be taken again.
    pub tw_reuse: Reading<u64>,
    /// The most connections in TIME_WAIT.
    pub max_tw_buckets: Reading<u64>,
}

impl Facts {
    /// Reads them, for a server with these settings.
    pub fn read(root: &Root, settings: &Settings) -> Facts {
        let reserved = root.text("/proc/sys/net/ipv4/ip_local_reserved_ports");
        let known = reserved.clone().unwrap_or_default();
        Facts {
            server: settings.ports.clone(),
            range: root.parsed("/proc/sys/net/ipv4/ip_local_port_range", |text| {
                PortRange::parse(text, &known)
            }),
            reserved: reserved.map(|list| list.trim().to_owned()),
            tw_reuse: root.sysctl("net.ipv4.tcp_tw_reuse"),
            max_tw_buckets: root.sysctl("net.ipv4.tcp_max_tw_buckets"),
        }
    }

    /// Judges them.
    pub fn checks(&self, asked: &Asked) -> Vec<Check> {
        let mut checks = vec![self.range(asked)];
        if asked.role.serves() {
            checks.push(self.reserved());
        }
        if asked.role.connects() {
            checks.push(self.tw_reuse());
        }
        checks.push(self.max_tw_buckets(asked));
        checks
    }

    fn range(&self, asked: &Asked) -> Check {
        let check = Check::sysctl(CONCERN, "net.ipv4.ip_local_port_range");
        let range = match &self.range {
            Ok(range) => range,
            Err(reason) => return check.unknown(reason),
        };
        let usable = u64::from(range.usable());
        let shown = format!("{} {}", range.first, range.last);
        let pairs = asked.sources.saturating_mul(asked.targets);
        let check = check.value(Amount::words(shown));
        if !asked.role.connects() {
            return of_a_server(check, pairs, asked);
        }
        let reach = pairs.saturating_mul(usable);
        let per_pair = asked.connections.div_ceil(pairs.max(1));
        let sum = format!(
            "{} × {} × {} ports = {}",
            things(asked.sources, "source"),
            things(asked.targets, "target"),
            grouped(usable),
            grouped(reach)
        );
        let check = check
            .needed(Amount::words(format!("{} ports", grouped(per_pair))))
            .stops(Stops::Connections(reach));
        // A range as wide as can be, if that is enough; else more addresses.
        let wider = |check: Check, ports: u64| {
            let widest = WIDEST.1 - WIDEST.0 + 1 - u64::from(range.reserved);
            if ports <= widest {
                return check.set(PORTS_CONF, format!("{} {}", WIDEST.0, WIDEST.1));
            }
            let each = (usable / 2).max(1).saturating_mul(asked.targets);
            check.now(from_more(asked.connections.div_ceil(each)))
        };
        if per_pair > usable {
            return wider(check.verdict(Verdict::TooLow, sum), per_pair);
        }
        // The kernel gives out the ports of one parity first; when they are
        // taken, every further connection searches through all of them.
        if per_pair > usable / 2 {
            let why = format!("{sum}; once half of them are taken, each connect searches for long");
            return wider(check.verdict(Verdict::Slows, why), per_pair * 2);
        }
        check.verdict(Verdict::Fits, sum)
    }

    /// The server's own ports should not be given to a connection of another
    /// process.
    fn reserved(&self) -> Check {
        let check = Check::sysctl(CONCERN, "net.ipv4.ip_local_reserved_ports");
        let (range, reserved) = match (&self.range, &self.reserved) {
            (Ok(range), Ok(reserved)) => (range, reserved),
            (Err(reason), _) | (_, Err(reason)) => return check.unknown(reason),
        };
        let kept = |port: u16| text::ranges(reserved).any(|kept| kept.contains(&port.into()));
        let open: Vec<String> = self
            .server
            .iter()
            .filter(|port| (range.first..=range.last).contains(port) && !kept(**port))
            .map(u16::to_string)
            .collect();
        let check = check.value(Amount::words(match reserved.as_str() {
            "" => "none",
            list => list,
        }));
        if open.is_empty() {
            return check.verdict(
                Verdict::Fits,
                "no port of the server's is given to an outgoing connection",
            );
        }
        let list = match reserved.as_str() {
            "" => open.join(","),
            list => format!("{list},{}", open.join(",")),
        };
        check
            .needed(Amount::words(open.join(",")))
            .verdict(
                Verdict::Advice,
                "an outgoing connection may be given a port of the server's, which then cannot start",
            )
            .set(PORTS_CONF, list)
    }

    fn tw_reuse(&self) -> Check {
        let check = Check::sysctl(CONCERN, "net.ipv4.tcp_tw_reuse");
        let value = match &self.tw_reuse {
            Ok(value) => *value,
            Err(reason) => return check.unknown(reason),
        };
        let check = check.value(Amount::Count(value)).needed(Amount::Count(1));
        match value {
            1 => check.verdict(
                Verdict::Fits,
                "a closed connection's port is free after a second",
            ),
            2 => check.verdict(
                Verdict::Advice,
                "a closed connection keeps its port for a minute, except on loopback",
            ),
            _ => check.verdict(
                Verdict::Advice,
                "a closed connection keeps its port for a minute",
            ),
        }
        .set(PORTS_CONF, 1)
    }

    fn max_tw_buckets(&self, asked: &Asked) -> Check {
        let check = Check::sysctl(CONCERN, "net.ipv4.tcp_max_tw_buckets");
        let most = match &self.max_tw_buckets {
            Ok(most) => *most,
            Err(reason) => return check.unknown(reason),
        };
        let check = check
            .value(Amount::Count(most))
            .needed(Amount::Count(asked.connections));
        match most >= asked.connections {
            true => check.verdict(Verdict::Fits, "all may be closed within a minute"),
            false => check.verdict(
                Verdict::Advice,
                "when more are closed within a minute, the last ones do not wait for stray packets",
            ),
        }
        .set(PORTS_CONF, asked.connections)
    }
}

/// How a test on one machine connects from so many addresses; client machines
/// may have them as well.
fn from_more(sources: u64) -> String {
    let first = u32::from(Ipv4Addr::new(127, 0, 0, 1));
    let last = u32::try_from(sources - 1)
        .ok()
        .and_then(|more| first.checked_add(more))
        .map(Ipv4Addr::from)
        .filter(|last| last.octets()[0] == 127);
    match last {
        Some(last) => format!("corecast-load … --sources 127.0.0.1-{last}"),
        None => format!("connect from {} addresses", grouped(sources)),
    }
}

/// The check of ports on a host with the server alone.
fn of_a_server(check: Check, pairs: u64, asked: &Asked) -> Check {
    let reach = pairs.saturating_mul(USUAL);
    if asked.sources > 1 && reach < asked.connections {
        return check.verdict(
            Verdict::Advice,
            format!(
                "no limit of this host: a server needs one port. But {} with the usual {} ports \
                 each open {} at most; widen their range or use more addresses",
                things(asked.sources, "client address"),
                grouped(USUAL),
                grouped(reach)
            ),
        );
    }
    check.verdict(
        Verdict::Fits,
        "no limit of a server, which needs one port; each client address has a range of its own \
         for each target",
    )
}

fn things(count: u64, what: &str) -> String {
    match (count, what.strip_suffix("address")) {
        (1, _) => format!("1 {what}"),
        (_, Some(_)) => format!("{} {what}es", grouped(count)),
        (_, None) => format!("{} {what}s", grouped(count)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Role;
    use crate::doctor::testing::{Host, asked, of};

    const RANGE: &str = "net.ipv4.ip_local_port_range";

    fn facts(range: &str, reserved: &str) -> Facts {
        Facts {
            server: vec![8080, 9090],
            range: Ok(PortRange::parse(range, reserved).unwrap()),
            reserved: Ok(reserved.to_owned()),
            tw_reuse: Ok(1),
            max_tw_buckets: Ok(262_144),
        }
    }

    fn client(connections: u64, sources: u64, targets: u64) -> Asked {
        Asked {
            role: Role::Client,
            sources,
            targets,
            ..asked(connections)
        }
    }

    #[test]
    fn a_connection_is_four_numbers() {
        let judge = |connections, sources, targets| {
            let checks = facts("32768 60999", "").checks(&client(connections, sources, targets));
            let check = of(&checks, RANGE);
            (check.verdict, check.stops)
        };
        let stops = |pairs: u64| Stops::Connections(pairs * 28_232);
        assert_eq!(judge(14_000, 1, 1), (Verdict::Fits, stops(1)));
        assert_eq!(judge(20_000, 1, 1), (Verdict::Slows, stops(1)));
        assert_eq!(judge(28_233, 1, 1), (Verdict::TooLow, stops(1)));
        assert_eq!(judge(100_000, 8, 1), (Verdict::Fits, stops(8)));
        assert_eq!(judge(100_000, 2, 4), (Verdict::Fits, stops(8)));
    }

    #[test]
    fn a_wider_range_is_the_fix_as_long_as_it_is_enough() {
        let fix = |connections| {
            let checks = facts("32768 60999", "").checks(&client(connections, 1, 1));
            of(&checks, RANGE).fix.clone().unwrap()
        };
        let wider = fix(60_000);
        let command = "sysctl -w 'net.ipv4.ip_local_port_range=1024 65535'";
        assert_eq!(wider.now.as_deref(), Some(command));
        assert_eq!(wider.for_good.unwrap().file, PORTS_CONF);
        let more = fix(1_000_000);
        assert_eq!(
            more.now.as_deref(),
            Some("corecast-load … --sources 127.0.0.1-127.0.0.71")
        );
        assert_eq!(more.for_good, None);
    }

    #[test]
    fn reserved_ports_are_not_given_out() {
        let checks = facts("1000 1099", "1000-1049").checks(&client(60, 1, 1));
        let check = of(&checks, RANGE);
        assert_eq!(
            (check.verdict, check.stops),
            (Verdict::TooLow, Stops::Connections(50))
        );
    }

    #[test]
    fn a_server_is_not_bounded_by_ports() {
        let checks = facts("32768 60999", "").checks(&asked(2_000_000));
        let check = of(&checks, RANGE);
        assert_eq!(
            (check.verdict, check.stops),
            (Verdict::Fits, Stops::Nothing)
        );
        let few = Asked {
            sources: 3,
            ..asked(100_000)
        };
        let checks = facts("32768 60999", "").checks(&few);
        let check = of(&checks, RANGE);
        assert_eq!(
            (check.verdict, check.stops),
            (Verdict::Advice, Stops::Nothing)
        );
        assert!(check.why.contains("3 client addresses"), "{}", check.why);
    }

    #[test]
    fn the_servers_ports_are_kept_from_outgoing_connections() {
        let name = "net.ipv4.ip_local_reserved_ports";
        let judge = |range, reserved| {
            let checks = facts(range, reserved).checks(&asked(10));
            let check = of(&checks, name).clone();
            let line = check.fix.map(|fix| fix.for_good.unwrap().line);
            (check.verdict, line)
        };
        assert_eq!(judge("32768 60999", ""), (Verdict::Fits, None));
        let line = |value: &str| Some(format!("{name} = {value}"));
        assert_eq!(
            judge("1024 65535", ""),
            (Verdict::Advice, line("8080,9090"))
        );
        assert_eq!(
            judge("1024 65535", "8000-8090"),
            (Verdict::Advice, line("8000-8090,9090"))
        );
        assert_eq!(judge("1024 65535", "8080,9090"), (Verdict::Fits, None));
    }

    #[test]
    fn closed_connections_keep_their_ports() {
        let judge = |value| {
            let facts = Facts {
                tw_reuse: Ok(value),
                max_tw_buckets: Ok(5_000),
                ..facts("1024 65535", "")
            };
            let checks = facts.checks(&client(6_000, 1, 1));
            assert_eq!(
                of(&checks, "net.ipv4.tcp_max_tw_buckets").verdict,
                Verdict::Advice
            );
            of(&checks, "net.ipv4.tcp_tw_reuse").verdict
        };
        assert_eq!(
            [judge(0), judge(1), judge(2)],
            [Verdict::Advice, Verdict::Fits, Verdict::Advice]
        );
    }

    #[test]
    fn what_a_host_does_not_say_is_unknown() {
        for check in Facts::read(&Host::new().root, &Settings::for_tests()).checks(&client(1, 1, 1))
        {
            assert_eq!(check.verdict, Verdict::Unknown, "{check:?}");
            assert!(check.why.starts_with("cannot read /proc/sys/net/ipv4/"));
        }
    }
}
