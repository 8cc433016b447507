//! Descriptors: those of the load generator, of the server, and of the host.

use corecast_host::tables::{self, OTHERS};

use super::case::Case;
use super::nearly;
use super::words::{count, grouped};
use crate::cause::Cause;
use crate::host::ServerLook;
use crate::outcome::Severity;

/// A table as full as this has no room: some descriptors are taken and given
/// back all the time.
const FULL: f64 = 0.98;

/// The failures that clients see if the server has no descriptor left: it does
/// not accept, or accepts and closes.
const WITHOUT_DESCRIPTORS: &[Cause] = &[
    Cause::ConnectTimeout,
    Cause::HandshakeTimeout,
    Cause::Reset,
    Cause::EndOfStream,
];

/// The failures that connections see if the server's process ends.
const WITHOUT_SERVER: &[Cause] = &[
    Cause::Refused,
    Cause::Reset,
    Cause::EndOfStream,
    Cause::HandshakeTimeout,
    Cause::AnswerTimeout,
    Cause::Closed(1001),
    Cause::Closed(1012),
];

pub(super) fn of_the_client(case: &mut Case<'_>) {
    let evidence = case.evidence;
    let (open, max) = (evidence.seen.open_files, evidence.limits.max_files);
    let host_is_full = nearly(open, max);
    let affected = case.take(&[Cause::Descriptors]);
    if let Some(max) = max.filter(|_| host_is_full) {
        let files = format!(
            "this host had {} of at most {} files open (fs.file-max)",
            grouped(open),
            grouped(max)
        );
        case.find(
            affected.severity(Severity::Note),
            match affected.any() {
                true => format!("{affected} because {files}."),
                false => format!("No connection was lost to it, but {files}."),
            },
            format!("sysctl -w fs.file-max={}", max.saturating_mul(2)),
        );
        return;
    }
    if !affected.any() {
        return;
    }
    let Some(limit) = evidence.limits.descriptors else {
        case.find(
            Severity::Failure,
            format!("{affected} because the load generator had no descriptor left (EMFILE)."),
            "Raise its limit with ulimit -n.",
        );
        return;
    };
    let tables = evidence.tables.max(1);
    let room = limit.soft.saturating_mul(tables);
    let what = format!(
        "{affected} because the load generator had no descriptor left: it has {}, each for {}, \
         which makes {}",
        count(tables, "table"),
        grouped(limit.soft),
        grouped(room),
    );
    let per_table = evidence.asked.div_ceil(tables) + OTHERS;
    let mut remedy = if per_table <= limit.hard {
        format!("ulimit -n {per_table}")
    } else {
        let hard = grouped(limit.hard);
        format!("As root, because the hard limit is {hard}: ulimit -n {per_table}")
    };
    if let Some(most) = evidence
        .limits
        .max_descriptors
        .filter(|most| per_table > *most)
    {
        let most = grouped(most);
        remedy += &format!(" after sysctl -w fs.nr_open={per_table}, which is {most} now");
    }
    // More threads help only where each has a table of its own.
    if evidence.tables == evidence.threads
        && let Some(threads) = tables::threads_for(evidence.asked, limit.soft, evidence.threads + 1)
    {
        remedy += &format!("; or --threads {threads}, each with a table of its own");
    }
    case.find(Severity::Failure, what + ".", remedy + ".");
}

/// Whether the server is out of descriptors.
pub(super) fn of_the_server(case: &mut Case<'_>) -> bool {
    let Some(server) = &case.evidence.seen.server else {
        return false;
    };
    let Some((used, limit)) = server.fullest_table.zip(server.descriptor_limit) else {
        return false;
    };
    if (used as f64) < limit as f64 * FULL {
        return false;
    }
    // Inherited descriptors may have numbers above a limit that was lowered since.
    let used = used.min(limit);
    let affected = case.take(WITHOUT_DESCRIPTORS);
    let subject = match affected.any() {
        true => format!("{affected} because {} had", name(server)),
        false => format!("No connection was lost to it, but {} had", name(server)),
    };
    let of_tables = match server.tables {
        0 | 1 => String::new(),
        tables => format!(" in the fullest of its {} tables", grouped(tables as u64)),
    };
    let more_shards = match server.tables {
        0 | 1 => "",
        _ => ", or start it with more --shards, each of which has a table of its own",
    };
    case.find(
        affected.severity(Severity::Note),
        format!(
            "{subject} no descriptor left: {} of {} were in use{of_tables}.",
            grouped(used),
            grouped(limit)
        ),
        format!(
            "Start the server with a higher limit (ulimit -n, LimitNOFILE= in a systemd \
             unit){more_shards}."
        ),
    );
    true
}

pub(super) fn server_gone(case: &mut Case<'_>) {
    let Some(server) = &case.evidence.seen.server else {
        return;
    };
    if !case.evidence.seen.server_gone {
        return;
    }
    let affected = case.take(WITHOUT_SERVER);
    let ended = format!("{} ended during the run", name(server));
    case.find(
        affected.severity(Severity::Note),
        match affected.any() {
            true => format!("{affected} because {ended}."),
            false => format!("No connection was lost to it, but {ended}."),
        },
        "See the end of the server's log, and with dmesg whether the kernel killed it for want \
         of memory.",
    );
}

fn name(server: &ServerLook) -> String {
    format!("the server ({}, process {})", server.name, server.pid)
}
