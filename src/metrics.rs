//! The counters of a shard.
//!
//! # Invariants worth naming
//!
//! - Each [`ShardMetrics`] has one writer, its shard, and any number of readers. A
//!   [`Counter`] is therefore bumped by a plain load and store: no locked instruction,
//!   no cache line bouncing between cores until it is read.
//! - A counter never goes down; a [`Gauge`] may.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows, written by one thread.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the owning shard may call this.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(n),
            Ordering::Relaxed,
        );
    }

    /// The value now; any thread may ask.
    #[inline]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down, written by one thread.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Replaces the value. Only the owning shard may call this.
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value now; any thread may ask.
    #[inline]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Declares a fieldless enum with a label per variant, and `ALL` to walk it.
macro_rules! labelled {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident => $label:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Every variant, in declaration order.
            pub const ALL: &[$name] = &[$($name::$variant,)+];

            /// The word that stands for it in metrics and logs.
            pub const fn label(self) -> &'static str {
                match self { $($name::$variant => $label,)+ }
            }
        }
    };
}

labelled! {
    /// Why a connection never became a session.
    RefusalReason {
        /// Not an acceptable opening handshake (400, 405, 426, 505).
        BadRequest => "bad_request",
        /// The header block was larger than allowed (431, 414).
        TooLarge => "too_large",
        /// The handshake was not complete in time (408).
        Timeout => "timeout",
        /// The peer went away before its handshake was complete.
        Vanished => "vanished",
        /// No route for the path (404).
        NotFound => "not_found",
        /// The origin is not on the list, the connection came past the proxy, or
        /// the handler refused (403 and the like).
        Forbidden => "forbidden",
        /// Its source has as many connections as allowed (429).
        SourceFull => "source_full",
        /// Its source connects more often than allowed (429).
        SourceTooFast => "source_too_fast",
        /// Its handshake was silent for longest when a place was needed (503).
        CrowdedOut => "crowded_out",
        /// The shard or the process is full (503).
        Full => "full",
        /// The server is draining (503).
        Draining => "draining",
    }
}

labelled! {
    /// Why a session ended.
    EndReason {
        /// The peer began the closing handshake.
        PeerClosed => "peer_closed",
        /// The peer's end or a reset came without a close frame (1006).
        Vanished => "vanished",
        /// A frame broke RFC 6455 (1002).
        ProtocolError => "protocol_error",
        /// Text that is not UTF-8 (1007).
        InvalidPayload => "invalid_payload",
        /// A frame or message over the limit (1009).
        TooBig => "too_big",
        /// The handler closed it.
        HandlerClosed => "handler_closed",
        /// The handler panicked (1011).
        HandlerPanicked => "handler_panicked",
        /// Nothing was received for the idle limit.
        Idle => "idle",
        /// The send queue stood still for the write stall limit.
        WriteStalled => "write_stalled",
        /// Publications arrived faster than it read them (1013).
        SlowConsumer => "slow_consumer",
        /// It sent more per second than allowed (1008).
        OverRate => "over_rate",
        /// The server drained (1001 unless the handler says otherwise).
        Drained => "drained",
    }
}

labelled! {
    /// Why a delivery was not made.
    DropReason {
        /// The subscriber's send queue was full and its route says drop.
        SlowConsumer => "slow_consumer",
        /// A newer publication of the same key took its place before it could leave, as
        /// its route says for slow consumers.
        Conflated => "conflated",
        /// The subscriber was closed or gone before they left.
        Closed => "closed",
    }
}

/// Everything one shard counts. Two shards' metrics never share a cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct ShardMetrics {
    /// Sessions open now.
    pub sessions: Gauge,
    /// Opening handshakes in flight now.
    pub handshakes: Gauge,
    /// Connections accepted from the listener.
    pub accepted: Counter,
    /// Those of them whose packets the shard's own core received.
    pub accepted_on_own_core: Counter,
    /// Times the shard stopped accepting: descriptors or memory ran out, or too
    /// many handshakes or publications were pending.
    pub accept_pauses: Counter,
    /// Sessions opened.
    pub opened: Counter,
    /// Plain HTTP requests answered (`/`, `/healthz`).
    pub http_requests: Counter,
    /// Connections that never became sessions, by [`RefusalReason`].
    pub refused: [Counter; RefusalReason::ALL.len()],
    /// Sessions ended, by [`EndReason`].
    pub ended: [Counter; EndReason::ALL.len()],
    /// Sessions ended by their peer with close code 1000 + the index; the last counts all other codes.
    pub peer_close_codes: [Counter; 17],
    /// Messages received.
    pub messages_in: Counter,
    /// Messages sent to the session that a handler was answering.
    pub messages_out: Counter,
    /// Bytes read from sessions' sockets.
    pub bytes_in: Counter,
    /// Bytes written to sessions' sockets.
    pub bytes_out: Counter,
    /// Publications made by handlers on this shard.
    pub publications: Counter,
    /// Publications that a handler wanted to make outside of any session, and that
    /// found no room.
    pub refused_publications: Counter,
    /// Messages of clients that may not publish where they tried to.
    pub denied_publications: Counter,
    /// Publications made outside of the shards that this shard has taken in.
    pub outside_publications: Counter,
    /// Times a publisher outside of the shards found its ring to this shard full.
    /// Written by publishers, under their lock.
    pub outside_full: Counter,
    /// Publications that a newer one of the same key replaced before the tick of their
    /// topic, whose rate is limited.
    pub resampled_publications: Counter,
    /// Publications sent to one subscriber each, or queued for it.
    pub deliveries: Counter,
    /// Deliveries not made, by [`DropReason`].
    pub dropped: [Counter; DropReason::ALL.len()],
    /// Subscriptions (a session in a topic) now.
    pub subscriptions: Gauge,
    /// Topics with a subscriber on this shard now.
    pub topics: Gauge,
    /// Publications waiting for their fan-out now.
    pub pending_publications: Gauge,
    /// Fan-out slices run.
    pub slices: Counter,
    /// Messages received from the rings of other participants.
    pub ring_received: Counter,
    /// Messages waiting in this shard's incoming rings, as seen when it last looked.
    pub ring_depth: Gauge,
    /// Messages that found a ring full and waited.
    pub ring_full: Counter,
    /// Times another shard was woken.
    pub wakes: Counter,
    /// Turns of the session plane.
    pub turns: Counter,
    /// Nanoseconds spent working rather than waiting.
    pub busy_nanos: Counter,
    /// Times a session was not read for a while because it was over its rate.
    pub rate_pauses: Counter,
    /// Server pings sent to silent sessions.
    pub pings: Counter,
}

impl ShardMetrics {
    /// Counts a connection that never became a session.
    pub fn refuse(&self, reason: RefusalReason) {
        self.refused[reason as usize].add(1);
    }

    /// Counts a session's end.
    pub fn end(&self, reason: EndReason) {
        self.ended[reason as usize].add(1);
    }

    /// Counts the close code a peer gave.
    pub fn peer_close_code(&self, code: u16) {
        let last = self.peer_close_codes.len() - 1;
        let index = usize::from(code)
            .checked_sub(1000)
            .map_or(last, |index| index.min(last));
        self.peer_close_codes[index].add(1);
    }

    /// Counts deliveries that were not made.
    pub fn drop_deliveries(&self, reason: DropReason, n: u64) {
        self.dropped[reason as usize].add(n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_is_distinct() {
        let mut labels: Vec<_> = EndReason::ALL.iter().map(|reason| reason.label()).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), EndReason::ALL.len());
    }

    #[test]
    fn unusual_close_codes_share_the_last_counter() {
        let metrics = ShardMetrics::default();
        for code in [1000, 1015, 1016, 4999, 999, 0] {
            metrics.peer_close_code(code);
        }
        assert_eq!(metrics.peer_close_codes[0].value(), 1);
        assert_eq!(metrics.peer_close_codes[15].value(), 1);
        assert_eq!(metrics.peer_close_codes[16].value(), 4);
    }
}
