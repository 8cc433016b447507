//! The range of each option that is a number, a size or a time.
//!
//! One table serves the check, the error messages and `--help`, so that the
//! three cannot disagree.

use std::fmt;
use std::time::Duration;

use super::{ConfigError, show_time};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
const HOUR: u64 = 3_600 * SECOND;
const DAY: u64 = 24 * HOUR;

/// What the bounds of a [`Range`] count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Things,
    Bytes,
    Nanoseconds,
}

/// The values an option may take.
#[derive(Debug)]
pub(crate) struct Range {
    /// The option's name, without dashes.
    pub(crate) option: &'static str,
    unit: Unit,
    /// Whether zero, meaning 'off', is allowed below `least`.
    or_zero: bool,
    least: u64,
    most: u64,
}

/// Every range. The upper bounds catch a slipped unit, not a large machine.
static RANGES: [Range; 26] = [
    things("shards", 1, 1024),
    time("busy-poll", 0, 100 * MS),
    things("backlog", 1, 1 << 24),
    things("max-sessions", 1, 1_000_000_000),
    things("max-sessions-per-shard", 1, 1 << 24),
    things("max-handshakes", 1, 1 << 20),
    bytes("max-header-bytes", 512, MIB),
    // A byte at a time is how tests see every split of the input.
    bytes("max-read-bytes", 1, MIB),
    // A control frame may carry 125 bytes, so less would forbid what RFC 6455 grants.
    bytes("max-frame-bytes", 125, GIB),
    bytes("max-message-bytes", 125, GIB),
    bytes("high-water-mark", KIB, GIB),
    bytes("max-pending-bytes", KIB, GIB),
    things("max-connections-per-source", 1, 1 << 24).or_zero(),
    things("max-handshake-rate-per-source", 1, 1 << 20).or_zero(),
    things("source-prefix-ipv6", 16, 128),
    things("max-message-rate", 1, 1 << 30).or_zero(),
    // A read of --max-read-bytes over a slower rate would pause a session for minutes.
    bytes("max-byte-rate", KIB, GIB).or_zero(),
    time("rate-burst", 10 * MS, HOUR),
    time("handshake-timeout", 10 * MS, HOUR),
    time("idle-timeout", 10 * MS, 7 * DAY).or_zero(),
    time("ping-interval", 10 * MS, 7 * DAY).or_zero(),
    time("write-stall-timeout", 10 * MS, HOUR),
    time("close-timeout", 10 * MS, HOUR),
    time("drain-timeout", 0, HOUR),
    // With one slot a ring would alternate between full and empty.
    things("ring-capacity", 2, 1 << 20),
    things("fan-out-slice", 1, 1 << 20),
];

const fn range(option: &'static str, unit: Unit, least: u64, most: u64) -> Range {
    Range {
        option,
        unit,
        or_zero: false,
        least,
        most,
    }
}

const fn things(option: &'static str, least: u64, most: u64) -> Range {
    range(option, Unit::Things, least, most)
}

const fn bytes(option: &'static str, least: u64, most: u64) -> Range {
    range(option, Unit::Bytes, least, most)
}

const fn time(option: &'static str, least: u64, most: u64) -> Range {
    range(option, Unit::Nanoseconds, least, most)
}

impl Range {
    const fn or_zero(mut self) -> Self {
        self.or_zero = true;
        self
    }

    /// The range of an option, if it has one.
    pub(crate) fn of(option: &str) -> Option<&'static Range> {
        RANGES.iter().find(|range| range.option == option)
    }

    /// Checks a value; for a time it is in nanoseconds.
    pub(crate) fn check(&self, value: u64) -> Result<(), ConfigError> {
        let inside = (self.least..=self.most).contains(&value);
        if inside || (self.or_zero && value == 0) {
            return Ok(());
        }
        let problem = format!("{} is out of range; allowed: {self}", self.show(value));
        Err(ConfigError::new(self.option, problem))
    }

    fn show(&self, value: u64) -> String {
        match self.unit {
            Unit::Things => value.to_string(),
            Unit::Bytes => show_bytes(value),
            Unit::Nanoseconds => show_time(Duration::from_nanos(value)),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zero = if self.or_zero { "0 (off) or " } else { "" };
        write!(
            f,
            "{zero}{} to {}",
            self.show(self.least),
            self.show(self.most)
        )
    }
}

/// A size in the largest binary unit that states it exactly, as `--max-frame-bytes` reads it.
pub(crate) fn show_bytes(bytes: u64) -> String {
    for (unit, name) in [(GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{}{name}", bytes / unit);
        }
    }
    format!("{bytes}B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_inside_and_its_neighbour_is_not() {
        for range in &RANGES {
            assert!(range.check(range.least).is_ok(), "{range:?}");
            assert!(range.check(range.most).is_ok(), "{range:?}");
            assert!(range.check(range.most + 1).is_err(), "{range:?}");
            if range.least > 1 {
                assert!(range.check(range.least - 1).is_err(), "{range:?}");
            }
            assert_eq!(range.check(0).is_ok(), range.or_zero || range.least == 0);
        }
    }

    #[test]
    fn an_error_names_the_option_the_value_and_the_range() {
        let range = Range::of("idle-timeout").unwrap();
        assert_eq!(
            range.check(MS).unwrap_err().to_string(),
            "--idle-timeout: 1ms is out of range; allowed: 0 (off) or 10ms to 7days"
        );
        let range = Range::of("max-header-bytes").unwrap();
        assert_eq!(
            range.check(100).unwrap_err().to_string(),
            "--max-header-bytes: 100B is out of range; allowed: 512B to 1MiB"
        );
    }

    #[test]
    fn sizes_are_shown_exactly() {
        for (bytes, text) in [
            (0, "0B"),
            (1000, "1000B"),
            (1536, "1536B"),
            (2048, "2KiB"),
            (GIB, "1GiB"),
        ] {
            assert_eq!(show_bytes(bytes), text);
        }
    }
}
