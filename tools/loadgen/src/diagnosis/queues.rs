//! The queues of connections that wait for a listening server.

use super::case::Case;
use super::words::{count, grouped};
use crate::cause::Cause;
use crate::outcome::Severity;

/// The longest accept queue worth asking for.
const LONG: u64 = 65_535;

/// Connections the server had not yet accepted found their queue full.
/// `explained`: it could not accept because it had no descriptors.
pub(super) fn accept(case: &mut Case<'_>, explained: bool) {
    let evidence = case.evidence;
    let drops = evidence
        .counters
        .listen_overflows
        .max(evidence.counters.listen_drops);
    // Of a server on another host, this host's counters say nothing.
    if !evidence.local || drops == 0 || explained {
        return;
    }
    let affected =
        case.take_failed(&[Cause::ConnectTimeout, Cause::HandshakeTimeout, Cause::Reset]);
    let longest = evidence.limits.accept_queue;
    let bound = longest.map_or(String::new(), |longest| {
        format!(" (net.core.somaxconn is {})", grouped(longest))
    });
    let queue = format!(
        "the server accepted more slowly than connections came, and its full accept queue{bound} \
         dropped {}",
        count(drops, "attempt")
    );
    let what = match affected.any() {
        true => format!("{affected} because {queue}."),
        false => format!(
            "All dropped connections came through at a later attempt, but {queue}; each waited \
             1 s, 3 s or 7 s for it, which shows as steps in the handshakes' latency."
        ),
    };
    let remedy = match longest {
        Some(longest) if longest >= LONG => {
            "Start the server with a longer --backlog, or open connections more slowly.".to_owned()
        }
        _ => format!(
            "sysctl -w net.core.somaxconn={LONG} and a --backlog as long for the server, or open \
             connections more slowly."
        ),
    };
    case.find(affected.severity(Severity::Note), what, remedy);
}

/// First packets that found the queue of half-open connections full.
pub(super) fn half_open(case: &mut Case<'_>) {
    let evidence = case.evidence;
    let (drops, cookies) = (
        evidence.counters.request_drops,
        evidence.counters.request_cookies,
    );
    if !evidence.local || drops + cookies == 0 {
        return;
    }
    let affected = match drops {
        0 => case.take(&[]),
        _ => case.take_failed(&[Cause::ConnectTimeout]),
    };
    let bound = evidence
        .limits
        .syn_backlog
        .map_or(String::new(), |backlog| {
            format!(" (net.ipv4.tcp_max_syn_backlog is {})", grouped(backlog))
        });
    let what_became: Vec<String> = [(drops, "dropped"), (cookies, "answered with a SYN cookie")]
        .into_iter()
        .filter(|(attempts, _)| *attempts > 0)
        .map(|(attempts, verb)| format!("{} {verb}", was(attempts)))
        .collect();
    let queue = format!(
        "the server's queue of half-open connections was full{bound}: {}",
        what_became.join(", ")
    );
    case.find(
        affected.severity(Severity::Note),
        match affected.any() {
            true => format!("{affected} because {queue}."),
            false => format!("No connection was lost to it, but {queue}."),
        },
        format!("sysctl -w net.ipv4.tcp_max_syn_backlog={LONG} net.core.somaxconn={LONG}"),
    );
}

fn was(attempts: u64) -> String {
    let verb = if attempts == 1 { "was" } else { "were" };
    format!("{} {verb}", count(attempts, "attempt"))
}
