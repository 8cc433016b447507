//! The findings from the server's answers, or their absence, if nothing else
//! explains them.

use super::Evidence;
use super::bottleneck;
use super::case::Case;
use super::words::{count, grouped};
use crate::cause::Cause;
use crate::outcome::Severity;

/// Explains every cause that is left, the most frequent first.
pub(super) fn explain_the_rest(case: &mut Case<'_>) {
    for cause in case.left() {
        let affected = case.take(&[cause]);
        let (why, remedy) = explain(cause, case.evidence);
        let what = format!("{affected} because {why}.");
        case.find(Severity::Failure, what, remedy);
    }
}

/// Deliveries that never arrived although no connection was lost, with which
/// they would have been.
pub(super) fn explain_lost_deliveries(case: &mut Case<'_>) {
    let evidence = case.evidence;
    let Some(deliveries) = evidence.deliveries.as_ref().filter(|all| all.lost > 0) else {
        return;
    };
    if evidence.lost.values().any(|count| *count > 0) {
        return;
    }
    let expected = grouped(deliveries.expected);
    if deliveries.received == 0 {
        case.find(
            Severity::Failure,
            format!(
                "None of {expected} deliveries arrived, so what is at that path does not answer \
                 such messages."
            ),
            "Check the URL's path, and --protocol: whether the server there sends back what it \
             gets.",
        );
        return;
    }
    case.find(
        Severity::Failure,
        format!(
            "{} of {expected} deliveries had not arrived when the run ended{}.",
            grouped(deliveries.lost),
            bottleneck::meanwhile(evidence)
        ),
        "Send less, or wait longer with --timeout; if they do not come then, the server drops \
         messages (corecast: --slow-consumer).",
    );
}

/// The rest of a sentence after "because", and what to do.
fn explain(cause: Cause, evidence: &Evidence) -> (String, String) {
    let (why, remedy): (String, &str) = match cause {
        Cause::Subprotocol => (
            "the server did not agree to the subprotocol that was offered".into(),
            "Offer one that the server speaks, or none.",
        ),
        Cause::PortsUsedUp | Cause::Descriptors | Cause::Memory => (
            "this host ran out of something".into(),
            "See the other findings.",
        ),
        Cause::Refused => return refused(evidence),
        Cause::Unreachable => (
            "the target's host or network cannot be reached".into(),
            "See how packets would go with ip route get and the target's address.",
        ),
        Cause::Forbidden => (
            "a firewall or policy of this host forbids it (EPERM, EACCES)".into(),
            "See its rules with nft list ruleset or iptables -L, and whether ip route get and the \
             target's address says prohibited.",
        ),
        Cause::ConnectTimeout => (unanswered_packets(evidence), CONNECT_TIMEOUT),
        Cause::HandshakeTimeout => (
            format!(
                "the server did not answer the opening handshake in time{}",
                bottleneck::meanwhile(evidence)
            ),
            "Open connections more slowly, or give the server more cores.",
        ),
        Cause::AnswerTimeout => (
            format!(
                "an answer did not come in time{}",
                bottleneck::meanwhile(evidence)
            ),
            "Send less, or give the server more cores.",
        ),
        Cause::Reset => (
            "of a reset (ECONNRESET): the server closed without reading, or something on the way \
             cut the connection"
                .into(),
            LOG,
        ),
        Cause::EndOfStream => (
            "the server ended the stream without a close frame".into(),
            LOG,
        ),
        Cause::Status(status) => return answered(status, evidence),
        Cause::NotWebSocket => (
            "what answers there does not speak WebSocket".into(),
            "Check the URL's port and path.",
        ),
        Cause::Closed(code) => return closed(code),
        Cause::Protocol => (
            "the server broke RFC 6455".into(),
            "This is a defect of the server or of a proxy on the way; capture it with tcpdump.",
        ),
        Cause::RefusedByApplication => (
            "the application refused what the scenario asked for".into(),
            "Check the scenario's topic, event and parameters against the server's.",
        ),
        Cause::Os(0) => ("of an error without a number".into(), LOG),
        Cause::Os(_) => (
            format!("of an error of the operating system: {}", cause.describe()),
            "See man errno for its meaning.",
        ),
    };
    (why, remedy.into())
}

const CONNECT_TIMEOUT: &str =
    "Check that no firewall on the way drops packets, or open connections more slowly.";

const LOG: &str = "See the server's log at that time.";

fn refused(evidence: &Evidence) -> (String, String) {
    if evidence.opened > 0 {
        (
            format!(
                "nobody listened there any more (ECONNREFUSED), although {} opened",
                match evidence.opened {
                    1 => "1 was".to_owned(),
                    opened => format!("{} were", grouped(opened)),
                }
            ),
            "See whether the server was restarted or stopped listening.".into(),
        )
    } else {
        (
            "nobody listens there (ECONNREFUSED)".into(),
            "Start the server, or check its address and port with ss -ltn.".into(),
        )
    }
}

fn unanswered_packets(evidence: &Evidence) -> String {
    let again = evidence.counters.syn_retransmits;
    let mut why = String::from("the target did not answer a first packet in time");
    if again > 0 {
        let packets = count(again, "first packet");
        why += &format!(", and {packets} had to be sent again");
    }
    why
}

fn answered(status: u16, evidence: &Evidence) -> (String, String) {
    let opened = match evidence.opened {
        0 => String::new(),
        opened => format!(" with {} opened", grouped(opened)),
    };
    let (why, remedy) = match status {
        200..=299 => (
            "there is a page and no WebSocket at that path".into(),
            "Check the URL's path.",
        ),
        300..=399 => (
            "the server sends to another URL".into(),
            "Use the URL in its Location header: curl -i with the http:// form of this one.",
        ),
        400 => (
            "the server calls the request bad".into(),
            "Check the URL and the headers.",
        ),
        401 => (
            "the server wants a login".into(),
            "Send what it wants, as with --header 'Authorization: …'.",
        ),
        403 => (
            "the server forbids it, as it does with an Origin that is not on its list".into(),
            "Send one that the server allows with --header 'Origin: …'.",
        ),
        404 => ("there is no such path".into(), "Check the URL's path."),
        408 => (
            "the request came too slowly for the server".into(),
            "Open connections more slowly, or on more threads.",
        ),
        414 | 431 => (
            "the request's head is too large for the server".into(),
            "Send fewer or shorter headers.",
        ),
        426 => (
            "the server wants another version of the protocol".into(),
            "Check that the URL is that of a WebSocket endpoint of version 13.",
        ),
        429 => (
            "the server limits how many may come from one address".into(),
            "Raise that limit for the test, open connections more slowly, or use --sources.",
        ),
        500 => (
            "the server had an internal error".into(),
            "See the server's log.",
        ),
        502 | 504 => (
            "a proxy did not reach the server behind it".into(),
            "See the proxy's log and its limits, and try the server without it.",
        ),
        503 => (
            format!("the server's own limit was reached{opened}, or it is draining"),
            "Raise the server's limit (corecast: --max-sessions and --max-sessions-per-shard).",
        ),
        _ => ("the server says so".into(), "See the server's log."),
    };
    (
        format!("the handshake was answered with HTTP {status}: {why}"),
        remedy.into(),
    )
}

fn closed(code: u16) -> (String, String) {
    let (why, remedy) = match code {
        1000 => (
            "it was done",
            "See whether the server ends sessions after some time or messages.",
        ),
        1001 => (
            "it went away, as a draining server does",
            "See whether the server was stopped.",
        ),
        1002 => (
            "it saw a violation of RFC 6455",
            "This is a defect of the load generator or of a proxy on the way; capture it with \
             tcpdump.",
        ),
        1003 => (
            "it does not take such messages",
            "Send text instead of binary messages, or the reverse: --protocol text or raw.",
        ),
        1005 => ("it gave no reason", "See the server's log."),
        1007 => (
            "it saw text that is not UTF-8",
            "Check the message that the scenario sends.",
        ),
        1008 => (
            "its policy forbids what was sent, or a session was idle for too long",
            "Check the message, and the server's limits of rate and of silence.",
        ),
        1009 => (
            "a message was larger than it takes",
            "Send smaller messages, or raise the server's limit (corecast: --max-message-bytes).",
        ),
        1011 => ("it had an internal error", "See the server's log."),
        1012 => (
            "it restarts",
            "See why the server was restarted during the run.",
        ),
        1013 => (
            "a slow consumer, for which more was published than it read",
            "Publish less or use more --threads to read faster; the server's bound is its send \
             queue (corecast: --max-pending-bytes).",
        ),
        3000..=4999 => (
            "the application says so",
            "See the server's documentation for this code.",
        ),
        _ => ("it says so", "See the server's log."),
    };
    (
        format!("the server sent close code {code}: {why}"),
        remedy.into(),
    )
}
