//! Memory of the server's host: the process, the kernel, buffers in use.

use super::words::{bytes, count, figure};
use super::{Line, Question, Section, Unit};
use crate::Settings;
use crate::budget::{self, Driver, PerConnection};

/// How long bytes are on their way: sent and not acknowledged. A client on
/// another continent or behind a radio is this far away.
const ROUND_TRIP_SECONDS: f64 = 0.1;

const IN_PAGES: &str =
    "4,000 loopback connections whose bytes nobody read, `mem` in /proc/net/sockstat";
const ASSUMED: &str = "assumed: 100 ms from a message to its acknowledgement";
const TWICE: &str = "the 100k guide: provision twice the steady state, because the kernel ends a \
                     process that is over, and all its connections with it";

pub(super) fn section(question: &Question, settings: &Settings) -> Section {
    let connections = question.connections as f64;
    let subscribed = question.fan_out > 1;
    let each = PerConnection::of_server(Driver::Uring, subscribed);
    let session = if subscribed {
        budget::SUBSCRIBED_SESSION
    } else {
        budget::ECHO_SESSION
    };
    let product = |cost: budget::Cost| {
        let arithmetic = format!("{} × {} B", count(connections), count(cost.bytes as f64));
        (connections * cost.bytes as f64, arithmetic)
    };
    let line = |name, cost: budget::Cost| {
        let (value, arithmetic) = product(cost);
        Line::new(name, cost.what, value, Unit::Bytes, arithmetic).from(cost.origin)
    };
    let busy = busy_connections(question);
    let buffer = budget::buffered_bytes(question.payload_bytes) as f64;
    let idle = connections * each.bytes() as f64;
    let all = idle + busy * buffer;
    let pending = settings.max_pending_bytes as f64;
    Section {
        title: "Memory of the server's host",
        lines: vec![
            line("user_bytes", session),
            line("socket_bytes", budget::SOCKET),
            line("poll_bytes", budget::URING_POLL),
            Line::new(
                "buffer_bytes",
                "buffers of connections with bytes on their way",
                busy * buffer,
                Unit::Bytes,
                format!(
                    "{} × {}; {}",
                    count(busy),
                    bytes(buffer),
                    why_busy(question)
                ),
            )
            .from(IN_PAGES)
            .from(ASSUMED),
            Line::new(
                "memory_bytes",
                "all of it",
                all,
                Unit::Bytes,
                format!("{} + {}", bytes(idle), bytes(busy * buffer)),
            ),
            Line::new(
                "provision_bytes",
                "to provide",
                2.0 * all,
                Unit::Bytes,
                format!("2 × {}", bytes(all)),
            )
            .from(TWICE),
            Line::new(
                "pending_bound_bytes",
                "most that may wait for clients that do not read",
                connections * pending,
                Unit::Bytes,
                format!(
                    "{} × --max-pending-bytes {}; only if none reads",
                    count(connections),
                    bytes(pending)
                ),
            ),
        ],
    }
}

/// Connections that have bytes on their way at one moment.
fn busy_connections(question: &Question) -> f64 {
    let on_their_way = question.deliveries() * ROUND_TRIP_SECONDS;
    let burst = if question.rate > 0.0 {
        question.fan_out as f64
    } else {
        0.0
    };
    on_their_way
        .max(burst)
        .min(question.connections as f64)
        .ceil()
}

fn why_busy(question: &Question) -> String {
    if question.rate == 0.0 {
        return "idle".into();
    }
    format!(
        "{}/s × {ROUND_TRIP_SECONDS} s, or the fan-out",
        figure(question.deliveries())
    )
}
