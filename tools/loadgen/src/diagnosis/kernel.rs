//! The resources that the kernel itself runs out of: memory, and room in the
//! firewall's table.

use corecast_host::{TcpMemory, page_bytes};

use super::case::Case;
use super::nearly;
use super::words::{bytes, count, grouped};
use crate::cause::Cause;
use crate::outcome::Severity;

/// A host with less than this share of its memory left will soon kill a process.
const LITTLE: f64 = 0.05;

/// Memory of the sockets' buffers, for which `tcp_mem` sets a bound, and of
/// the host.
pub(super) fn memory(case: &mut Case<'_>) {
    let (evidence, seen) = (case.evidence, &case.evidence.seen);
    let pressures = evidence.counters.memory_pressures;
    let tcp = evidence.limits.tcp_memory;
    let buffers_full = nearly(seen.socket_bytes, tcp.map(|tcp| tcp.max_bytes)) || pressures > 0;
    match tcp.filter(|_| buffers_full) {
        Some(tcp) => socket_buffers(case, tcp),
        None => {
            too_many_orphans(case);
            refused_memory(case);
        }
    }
    let left = evidence.limits.memory_bytes.zip(seen.available_bytes);
    if let Some((total, available)) = left
        && (available as f64) < total as f64 * LITTLE
    {
        case.find(
            Severity::Note,
            format!(
                "This host's memory was nearly used up: {} of {} were left.",
                bytes(available),
                bytes(total)
            ),
            "Use fewer connections or a machine with more memory, before the kernel kills a \
             process.",
        );
    }
}

fn socket_buffers(case: &mut Case<'_>, tcp: TcpMemory) {
    let (seen, counters) = (&case.evidence.seen, &case.evidence.counters);
    let mut what = format!(
        "the buffers of all TCP sockets took {} of at most {} (net.ipv4.tcp_mem)",
        bytes(seen.socket_bytes),
        bytes(tcp.max_bytes)
    );
    let mut affected = case.take(&[Cause::Memory]);
    if counters.aborts_on_memory > 0 {
        // The kernel tells both ends with a reset.
        affected = affected.and(case.take(&[Cause::Reset]));
        let closed = count(counters.aborts_on_memory, "connection");
        what += &format!(", for which the kernel closed {closed}");
    } else if counters.memory_pressures > 0 {
        let times = count(counters.memory_pressures, "time");
        what += &format!(", and {times} the kernel made windows smaller to save memory");
    }
    let pages = tcp.max_bytes / page_bytes();
    let (pressure, max) = (pages + pages / 2, pages * 2);
    case.find(
        affected.severity(Severity::Limit),
        match affected.any() {
            true => format!("{affected} for want of kernel memory: {what}."),
            false => format!("The kernel's memory for sockets ran short: {what}."),
        },
        format!("sysctl -w net.ipv4.tcp_mem='{pages} {pressure} {max}' (in pages)"),
    );
}

/// Under the same name the kernel counts those it closed because too many had
/// no owner any more, as when a process with many connections ends.
fn too_many_orphans(case: &mut Case<'_>) {
    let cut = case.evidence.counters.aborts_on_memory;
    if cut == 0 {
        return;
    }
    let affected = case.take(&[Cause::Reset]);
    let orphans = format!(
        "the kernel cut {} short, of which it had too many (net.ipv4.tcp_max_orphans)",
        count(cut, "closing connection")
    );
    case.find(
        affected.severity(Severity::Note),
        match affected.any() {
            true => format!("{affected} because {orphans}."),
            false => format!("No open connection was lost to it, but {orphans}."),
        },
        "sysctl -w net.ipv4.tcp_max_orphans=1000000",
    );
}

fn refused_memory(case: &mut Case<'_>) {
    let (limits, seen) = (&case.evidence.limits, &case.evidence.seen);
    let affected = case.take(&[Cause::Memory]);
    if !affected.any() {
        return;
    }
    let why = match (
        limits.memory_bytes.zip(seen.available_bytes),
        limits.cgroup_bytes,
    ) {
        (_, Some(limit)) if nearly(seen.cgroup_bytes, Some(limit)) => format!(
            "the control group of the load generator used {} of at most {}",
            bytes(seen.cgroup_bytes),
            bytes(limit)
        ),
        (Some((total, available)), _) => format!(
            "this host had {} of {} left",
            bytes(available),
            bytes(total)
        ),
        _ => "the kernel refused it (ENOBUFS or ENOMEM)".to_owned(),
    };
    case.find(
        Severity::Failure,
        format!("{affected} for want of kernel memory: {why}."),
        "Use fewer connections or a machine with more memory; dmesg may say what ran out.",
    );
}

/// A firewall that tracks connections drops the packets of those that do not
/// fit into its table; the sender may be told with EPERM.
pub(super) fn tracked_connections(case: &mut Case<'_>) {
    let seen = case.evidence.seen.conntrack;
    let Some(table) = case.evidence.limits.conntrack else {
        return;
    };
    if !nearly(seen, Some(table.max)) {
        return;
    }
    let affected = case.take(&[
        Cause::Forbidden,
        Cause::ConnectTimeout,
        Cause::HandshakeTimeout,
        Cause::AnswerTimeout,
    ]);
    let full = format!(
        "this host's firewall tracked {} of at most {} connections and drops the packets of others",
        grouped(seen),
        grouped(table.max)
    );
    // Both ends of a connection within a host are one entry.
    let wanted = table.max.saturating_mul(2).max(case.evidence.asked * 2);
    case.find(
        affected.severity(Severity::Note),
        match affected.any() {
            true => format!("{affected} because {full}."),
            false => format!("No connection was lost to it, but {full}."),
        },
        format!("sysctl -w net.netfilter.nf_conntrack_max={wanted}"),
    );
}
