//! The counters of a shard, with the names under which they are published.
//!
//! One table serves `/metrics` and `/stats`. A name in it is a promise to
//! every dashboard: new ones may come, none may change.

use crate::metrics::{Counter, DropReason, EndReason, RefusalReason, ShardMetrics};

/// One number, or one number per label, of a shard.
pub(super) struct Field {
    /// Its name in `/stats`.
    pub key: &'static str,
    /// Its name in `/metrics`, without prefix, unit and `_total`.
    pub name: &'static str,
    /// A sentence about it.
    pub help: &'static str,
    pub kind: Kind,
    pub unit: Unit,
    pub read: Read,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It goes up and down.
    Gauge,
    /// It only grows.
    Counter,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    None,
    Bytes,
    /// Counted in nanoseconds; `/metrics` shows seconds, as is the custom there.
    Nanoseconds,
}

/// How a field is read from a shard.
pub(super) enum Read {
    One(fn(&ShardMetrics) -> u64),
    /// The label's name, its values, and their counters in the same order.
    PerLabel(
        &'static str,
        &'static [&'static str],
        fn(&ShardMetrics) -> &[Counter],
    ),
}

const fn gauge(name: &'static str, help: &'static str, read: fn(&ShardMetrics) -> u64) -> Field {
    Field {
        key: name,
        name,
        help,
        kind: Kind::Gauge,
        unit: Unit::None,
        read: Read::One(read),
    }
}

const fn counter(name: &'static str, help: &'static str, read: fn(&ShardMetrics) -> u64) -> Field {
    Field {
        kind: Kind::Counter,
        ..gauge(name, help, read)
    }
}

impl Field {
    const fn measured(self, name: &'static str, unit: Unit) -> Field {
        Field { name, unit, ..self }
    }
}

const fn per_label(
    key: &'static str,
    name: &'static str,
    help: &'static str,
    label: &'static str,
    values: &'static [&'static str],
    read: fn(&ShardMetrics) -> &[Counter],
) -> Field {
    let read = Read::PerLabel(label, values, read);
    Field {
        key,
        name,
        help,
        kind: Kind::Counter,
        unit: Unit::None,
        read,
    }
}

/// The labels of an enum of reasons, in the order of its counters.
macro_rules! labels {
    ($reason:ident) => {{
        const LABELS: [&str; $reason::ALL.len()] = {
            let mut labels = [""; $reason::ALL.len()];
            let mut index = 0;
            while index < labels.len() {
                labels[index] = $reason::ALL[index].label();
                index += 1;
            }
            labels
        };
        &LABELS
    }};
}

const CLOSE_CODES: &[&str] = &[
    "1000", "1001", "1002", "1003", "1004", "1005", "1006", "1007", "1008", "1009", "1010", "1011",
    "1012", "1013", "1014", "1015", "other",
];

/// Every field, in the order of a connection's life.
pub(super) static FIELDS: &[Field] = &[
    counter("accepted", "Connections accepted.", |m| m.accepted.value()),
    counter(
        "accepted_on_own_core",
        "Connections accepted on the core that received their packets.",
        |m| m.accepted_on_own_core.value(),
    ),
    counter(
        "accept_pauses",
        "Times accepting stopped because descriptors or memory ran out.",
        |m| m.accept_pauses.value(),
    ),
    gauge("handshakes", "Opening handshakes in flight.", |m| {
        m.handshakes.value()
    }),
    counter(
        "http_requests",
        "Plain HTTP requests answered on the WebSocket port.",
        |m| m.http_requests.value(),
    ),
    per_label(
        "refused",
        "refused",
        "Connections that never became sessions.",
        "reason",
        labels!(RefusalReason),
        |m| &m.refused,
    ),
    gauge("sessions", "Sessions open.", |m| m.sessions.value()),
    counter("opened", "Sessions opened.", |m| m.opened.value()),
    per_label(
        "ended",
        "sessions_ended",
        "Sessions ended.",
        "reason",
        labels!(EndReason),
        |m| &m.ended,
    ),
    per_label(
        "peer_close",
        "peer_close",
        "Sessions ended by their peer, by its close code.",
        "code",
        CLOSE_CODES,
        |m| &m.peer_close_codes,
    ),
    counter("messages_in", "Messages received.", |m| {
        m.messages_in.value()
    }),
    counter(
        "messages_out",
        "Messages sent in answer to the session's own; publications are deliveries.",
        |m| m.messages_out.value(),
    ),
    counter("bytes_in", "Bytes read from sessions.", |m| {
        m.bytes_in.value()
    })
    .measured("received", Unit::Bytes),
    counter("bytes_out", "Bytes written to sessions.", |m| {
        m.bytes_out.value()
    })
    .measured("sent", Unit::Bytes),
    counter("pings", "Pings sent to silent sessions.", |m| {
        m.pings.value()
    }),
    counter(
        "rate_pauses",
        "Times a session was not read for a while because it sent more than its rate.",
        |m| m.rate_pauses.value(),
    ),
    gauge("topics", "Topics with a subscriber.", |m| m.topics.value()),
    gauge(
        "subscriptions",
        "Sessions in topics; a session in two topics counts twice.",
        |m| m.subscriptions.value(),
    ),
    counter("publications", "Publications made by handlers.", |m| {
        m.publications.value()
    }),
    counter(
        "refused_publications",
        "Publications that a tick or a notice found no room for.",
        |m| m.refused_publications.value(),
    ),
    counter(
        "denied_publications",
        "Messages of clients that may not publish where they tried to.",
        |m| m.denied_publications.value(),
    ),
    counter(
        "resampled_publications",
        "Publications that a newer one replaced because the rate of their topic is limited.",
        |m| m.resampled_publications.value(),
    ),
    counter(
        "outside_publications",
        "Publications made outside of handlers; each shard takes in and counts all of them.",
        |m| m.outside_publications.value(),
    ),
    counter(
        "outside_full",
        "Publications made outside of handlers that found the ring to this shard full.",
        |m| m.outside_full.value(),
    ),
    gauge(
        "pending_publications",
        "Publications waiting for their fan-out.",
        |m| m.pending_publications.value(),
    ),
    counter(
        "deliveries",
        "Publications delivered, counted once for each subscriber.",
        |m| m.deliveries.value(),
    ),
    per_label(
        "dropped",
        "dropped",
        "Deliveries not made.",
        "reason",
        labels!(DropReason),
        |m| &m.dropped,
    ),
    counter("slices", "Fan-out slices run.", |m| m.slices.value()),
    counter(
        "ring_received",
        "Messages received from other shards and from publishers outside.",
        |m| m.ring_received.value(),
    ),
    gauge(
        "ring_depth",
        "Messages waiting in the rings to this shard when it last looked.",
        |m| m.ring_depth.value(),
    ),
    counter(
        "ring_full",
        "Messages that found a ring full and waited.",
        |m| m.ring_full.value(),
    ),
    counter("wakes", "Times this shard woke another.", |m| {
        m.wakes.value()
    }),
    counter("turns", "Turns of the session plane.", |m| m.turns.value()),
    counter(
        "busy_nanos",
        "Time spent working rather than waiting.",
        |m| m.busy_nanos.value(),
    )
    .measured("busy", Unit::Nanoseconds),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_a_label() {
        let metrics = ShardMetrics::default();
        for field in FIELDS {
            if let Read::PerLabel(_, values, read) = field.read {
                assert_eq!(values.len(), read(&metrics).len(), "{}", field.key);
            }
        }
    }

    #[test]
    fn no_name_is_used_twice() {
        for (index, field) in FIELDS.iter().enumerate() {
            for other in &FIELDS[..index] {
                assert_ne!(field.key, other.key);
                assert_ne!(field.name, other.name);
            }
        }
    }
}
