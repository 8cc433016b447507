//! The cost of messages, pings and handshakes in the time of the server's
//! processors.
//!
//! # Invariants worth naming
//!
//! - Each cost grows with the number of sessions, because the state of their
//!   sockets no longer fits into the caches. Between two measurements a cost is
//!   taken to grow with the logarithm of the number; outside of them it is the
//!   nearest.
//! - Costs are those of a server with enough to do. One that is nearly idle wakes
//!   for each message and spends two or three times as much on it, which does
//!   not matter, because it is idle.

/// A cost that was measured with different numbers of sessions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// The operation that it is the cost of, in a few words.
    pub what: &'static str,
    /// Sessions and microseconds of one core, the fewest sessions first.
    pub points: &'static [(u64, f64)],
    /// How it was measured.
    pub origin: &'static str,
}

/// One message sent to one subscriber.
pub const DELIVERY: Measured = Measured {
    what: "a delivery",
    points: &[(10_000, 4.0), (100_000, 6.7), (400_000, 8.8)],
    origin: "server CPU of broadcasts to all sessions, on 2 cores of an Intel Xeon, Linux 6.18",
};

/// One message received: an echo, less the delivery that answers it.
pub const RECEIPT: Measured = Measured {
    what: "a message received",
    points: &[(10_000, 3.2), (100_000, 5.4), (400_000, 7.0)],
    origin: "an echo on 10,000 connections took 6.5 to 7.2 µs of server CPU, 4.0 µs of them for the \
             delivery, on 2 cores of an Intel Xeon; grown with the sessions as deliveries are, which \
             makes 11.6 µs for an echo on 80,000, as was measured",
};

/// An opening handshake, from the accepted connection to the session, and its end.
pub const HANDSHAKE: Measured = Measured {
    what: "an opening handshake",
    points: &[
        (1_000, 19.0),
        (10_000, 23.0),
        (80_000, 37.0),
        (1_000_000, 42.0),
    ],
    origin: "server CPU of opening and resetting so many connections, on 2 cores of an Intel Xeon, the \
             higher of two runs (18 and 23 µs with 10,000, 23 and 37 µs with 80,000); at a million, \
             half of what two full cores took with both ends, 23,900 per second",
};

impl Measured {
    /// Microseconds of one core with so many sessions.
    pub fn micros(&self, sessions: u64) -> f64 {
        let (first, last) = (self.points[0], self.points[self.points.len() - 1]);
        if sessions <= first.0 {
            return first.1;
        }
        for pair in self.points.windows(2) {
            let ((fewer, less), (more, higher)) = (pair[0], pair[1]);
            if sessions <= more {
                let ln = |count: u64| (count as f64).ln();
                let way = (ln(sessions) - ln(fewer)) / (ln(more) - ln(fewer));
                return less + (higher - less) * way;
            }
        }
        last.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_lies_between_its_measurements_and_is_the_nearest_outside() {
        assert_eq!(DELIVERY.micros(1), 4.0);
        assert_eq!(DELIVERY.micros(100_000), 6.7);
        assert_eq!(DELIVERY.micros(5_000_000), 8.8);
        // Half way by factors.
        let between = DELIVERY.micros(200_000);
        assert!((between - 7.75).abs() < 1e-9, "{between}");
    }

    #[test]
    fn more_sessions_never_make_anything_cheaper() {
        for cost in [DELIVERY, RECEIPT, HANDSHAKE] {
            let costs: Vec<f64> = (0..24).map(|power| cost.micros(1 << power)).collect();
            assert!(costs.is_sorted(), "{}: {costs:?}", cost.what);
        }
    }
}
