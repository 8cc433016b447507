//! Lines in the log about connections that are refused and sessions that end by a
//! fault.
//!
//! # Invariants worth naming
//!
//! - Of each reason one line is written in [`INTERVAL`], by all shards together,
//!   whatever arrives; it says how many were left out since the one before. So a
//!   flood costs the log nothing, and the metrics have the true numbers.
//! - Text that a client sent is escaped and cut to a maximum length in a line; of a
//!   target only the path is logged, since a query may hold a token.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::metrics::{EndReason, RefusalReason};
use crate::upgrade::Request;

/// Time between two lines about the same reason.
const INTERVAL: Duration = Duration::from_secs(10);
/// How much of a path or an origin is written.
const MAX_BYTES: usize = 200;
/// Headers that are looked through for an origin.
const MAX_HEADERS: usize = 64;

static REFUSALS: [Sample; RefusalReason::ALL.len()] =
    [const { Sample::new() }; RefusalReason::ALL.len()];
static ENDS: [Sample; EndReason::ALL.len()] = [const { Sample::new() }; EndReason::ALL.len()];

/// When the next line about one reason may be written.
struct Sample {
    /// In milliseconds since the first line of all.
    due: AtomicU64,
    left_out: AtomicU64,
}

impl Sample {
    const fn new() -> Self {
        Sample {
            due: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
        }
    }

    /// Whether a line may be written now, and how many were left out before it.
    fn take(&self, now: u64) -> Option<u64> {
        let due = self.due.load(Ordering::Relaxed);
        let next = now + INTERVAL.as_millis() as u64;
        let is_ours = now >= due
            && self
                .due
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if !is_ours {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.left_out.swap(0, Ordering::Relaxed))
    }
}

fn now() -> u64 {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    FIRST.get_or_init(Instant::now).elapsed().as_millis() as u64
}

/// Writes a line about a connection that was refused, unless there was one lately.
/// `client` is its address behind a proxy, as far as it is known.
pub(crate) fn refused(
    reason: RefusalReason,
    status: u16,
    why: &str,
    peer: SocketAddr,
    client: SocketAddr,
    asked: impl FnOnce() -> Asked,
) {
    let Some(left_out) = REFUSALS[reason as usize].take(now()) else {
        return;
    };
    let Asked { path, origin } = asked();
    let reason_label = reason.label();
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                reason = reason_label, status, %peer, %client, path, origin, left_out,
                "a connection was refused: {why}"
            )
        };
    }
    match reason {
        // A limit of the server begins to turn clients away.
        RefusalReason::Full
        | RefusalReason::CrowdedOut
        | RefusalReason::SourceFull
        | RefusalReason::SourceTooFast => {
            line!(warn);
        }
        _ => line!(info),
    }
}

/// Writes a line about a session that ended by a fault, unless there was one lately.
pub(crate) fn ended(reason: EndReason, peer: impl FnOnce() -> Option<SocketAddr>) {
    let what = match reason {
        EndReason::ProtocolError => "it sent a frame that breaks RFC 6455",
        EndReason::InvalidPayload => "it sent text that is not UTF-8",
        EndReason::TooBig => "it sent a message over the limit",
        EndReason::HandlerPanicked => "its handler panicked",
        EndReason::Idle => "nothing was received from it for the idle timeout",
        EndReason::WriteStalled => "it took nothing for the write stall timeout",
        EndReason::SlowConsumer => "it read more slowly than publications came",
        EndReason::OverRate => "it sent more per second than allowed",
        EndReason::OverBudget => {
            "its unfinished message was the largest when they took more than --max-unfinished-bytes"
        }
        // The ordinary ends.
        EndReason::PeerClosed
        | EndReason::Vanished
        | EndReason::HandlerClosed
        | EndReason::TokenExpired
        | EndReason::Drained => return,
    };
    let Some(left_out) = ENDS[reason as usize].take(now()) else {
        return;
    };
    let peer = peer().map_or_else(|| "gone".to_owned(), |peer| peer.to_string());
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                reason = reason.label(),
                peer,
                left_out,
                "a session was ended: {what}"
            )
        };
    }
    match reason {
        // A limit of the server begins to turn clients away.
        EndReason::OverBudget => line!(warn),
        _ => line!(info),
    }
}

/// Writes a line about a request that the HTTP API refused, unless there was one lately
/// for this reason, whose place among the reasons is `place`. `key` is the name of the
/// key that was used.
#[cfg(feature = "api")]
pub(crate) fn api_refused(
    place: usize,
    reason: &'static str,
    status: u16,
    peer: Option<SocketAddr>,
    key: Option<&str>,
    path: &str,
) {
    static SAMPLES: [Sample; 16] = [const { Sample::new() }; 16];
    let Some(left_out) = SAMPLES[place % SAMPLES.len()].take(now()) else {
        return;
    };
    let peer = peer.map(tracing::field::display);
    let path = shown(path.as_bytes());
    match reason {
        // Someone guesses keys, or a limit begins to turn backends away.
        "unauthorized" | "over_rate" | "full" => tracing::warn!(
            reason,
            status,
            peer,
            key,
            path,
            left_out,
            "the HTTP API refused a request"
        ),
        _ => tracing::info!(
            reason,
            status,
            peer,
            key,
            path,
            left_out,
            "the HTTP API refused a request"
        ),
    }
}

/// The request of a client, in the form in which it may be logged.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    path: String,
    origin: String,
}

impl Asked {
    /// As far as the bytes of a request say it.
    pub(crate) fn of_bytes(request: &[u8]) -> Asked {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        // Fields that were parsed before a fault stay.
        let _ = parsed.parse(request);
        let target = parsed.path.unwrap_or_default();
        let path = target.split(['?', '#']).next().unwrap_or_default();
        let mut headers = parsed.headers.iter();
        let origin = headers.find(|header| header.name.eq_ignore_ascii_case("origin"));
        Asked {
            path: shown(path.as_bytes()),
            origin: shown(origin.map_or(&[], |origin| origin.value)),
        }
    }

    /// Of a request that was read.
    pub(crate) fn of(request: &Request) -> Asked {
        Asked {
            path: shown(request.path().as_bytes()),
            origin: shown(request.origin().unwrap_or_default().as_bytes()),
        }
    }
}

/// Bytes that a client sent, in the form in which they may be logged.
fn shown(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(MAX_BYTES)];
    let mut text = cut.escape_ascii().to_string();
    if cut.len() < bytes.len() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_an_interval_and_the_number_of_others() {
        let sample = Sample::new();
        let interval = INTERVAL.as_millis() as u64;
        assert_eq!(sample.take(5), Some(0));
        assert_eq!([6, 7, interval].map(|now| sample.take(now)), [None; 3]);
        assert_eq!(sample.take(interval + 5), Some(3));
        assert_eq!(sample.take(interval + 6), None);
        assert_eq!(sample.take(9 * interval), Some(1));
    }

    #[test]
    fn of_a_request_there_is_no_query_and_nothing_that_is_not_text() {
        let request = b"GET /a%20b?token=secret HTTP/1.1\r\nOrigin: https://x\x1b[1m\r\n\r\n";
        let asked = Asked::of_bytes(request);
        assert_eq!(asked.path, "/a%20b");
        assert_eq!(asked.origin, "", "an escape is no part of a header");
        let nothing = Asked {
            path: String::new(),
            origin: String::new(),
        };
        assert_eq!(Asked::of_bytes(b"\x00\r\n"), nothing);
        assert_eq!(Asked::of_bytes(b"GET /cut?o"), nothing);
        assert_eq!(shown(&[b'a'; 300]).chars().count(), MAX_BYTES + 1);
        assert_eq!(shown(b"\r\n\"\xff"), r#"\r\n\"\xff"#);
    }
}
