//! Ephemeral ports: a connection is a source address and port and a target
//! address and port, so that they bound the connections from one address to
//! one target, and nothing else.

use std::net::Ipv4Addr;

use corecast_host::PortRange;

use super::case::Case;
use super::words::{count, grouped};
use crate::cause::Cause;
use crate::outcome::Severity;

/// The widest range that leaves the well-known ports alone.
const WIDEST: PortRange = PortRange {
    first: 1024,
    last: 65_535,
    reserved: 0,
};

pub(super) fn used_up(case: &mut Case<'_>) {
    let affected = case.take(&[Cause::PortsUsedUp]);
    if !affected.any() {
        return;
    }
    let evidence = case.evidence;
    let Some(range) = evidence.limits.ports else {
        case.find(
            Severity::Failure,
            format!("{affected} because no local port was free (EADDRNOTAVAIL)."),
            "Use more source addresses with --sources.",
        );
        return;
    };
    let (sources, targets) = (evidence.sources.max(1), evidence.targets.max(1));
    let room = u64::from(range.usable()) * sources * targets;
    let kept = evidence.seen.time_wait;
    let mut what = format!(
        "{affected} because no local port was free: {}, which with {} and {} makes at most {} at a time",
        arithmetic(range),
        count(sources, "source address"),
        count(targets, "target"),
        count(room, "connection"),
    );
    // Below this, closed connections are those that any run leaves.
    if kept * 10 >= room {
        what += &format!(
            ", and {} in TIME_WAIT kept their ports for 60 s",
            count(kept, "closed connection")
        );
    }
    let unexplained = evidence.peak + kept < room / 2;
    if unexplained {
        what += &format!(
            "; but only {} open, so other programs hold ports, or a source address is not this host's",
            were(evidence.peak)
        );
    }
    let remedy = match unexplained {
        true => "See which addresses this host has with ip -brief address, and who holds ports \
                 with ss -s."
            .to_owned(),
        false => more_ports(case, range, targets),
    };
    case.find(Severity::Failure, what + ".", remedy);
}

fn were(connections: u64) -> String {
    let were = if connections == 1 { "was" } else { "were" };
    format!("{} {were}", grouped(connections))
}

/// Both ends of the range are ports that are used; forgetting one of them is
/// how 49152–65535 is often counted as 16,383.
fn arithmetic(range: PortRange) -> String {
    let (first, last) = (range.first, range.last);
    let span = grouped(range.span().into());
    let reserved = match range.reserved {
        0 => String::new(),
        some => {
            let (reserved, usable) = (grouped(some.into()), grouped(range.usable().into()));
            format!(" less {reserved} reserved = {usable}")
        }
    };
    format!("the ephemeral ports {first}–{last} are {last} − {first} + 1 = {span}{reserved}")
}

fn more_ports(case: &Case<'_>, range: PortRange, targets: u64) -> String {
    let evidence = case.evidence;
    let needed = evidence
        .asked
        .div_ceil((u64::from(range.usable()) * targets).max(1))
        .max(evidence.sources.max(1) + 1);
    let sources = match evidence.loopback {
        true => format!("Use --sources 127.0.0.2-{}", loopback(needed)),
        false => format!(
            "Use {needed} source addresses with --sources (more can be added with ip address add)"
        ),
    };
    if range.span() >= WIDEST.span() {
        return sources + ".";
    }
    let (first, last) = (WIDEST.first, WIDEST.last);
    let span = grouped(WIDEST.span().into());
    format!(
        "{sources}, or sysctl -w net.ipv4.ip_local_port_range='{first} {last}' for {span} ports on each."
    )
}

/// The last of so many loopback addresses from 127.0.0.2 up.
fn loopback(count: u64) -> Ipv4Addr {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    let last = u32::from(Ipv4Addr::LOCALHOST).saturating_add(count);
    Ipv4Addr::from(last.min(Ipv4Addr::new(127, 255, 255, 254).into()))
}
