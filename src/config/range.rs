//! The range of a setting that is a number, a size or a time.

pub(super) const KIB: u64 = 1024;
pub(super) const MIB: u64 = 1024 * KIB;
pub(super) const GIB: u64 = 1024 * MIB;

pub(super) const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
pub(super) const HOUR: u64 = 3_600 * SECOND;
pub(super) const DAY: u64 = 24 * HOUR;

/// The values a setting may take: things, bytes or nanoseconds. The upper bounds
/// catch a slipped unit, not a large machine.
#[derive(Debug)]
pub(crate) struct Range {
    /// Whether zero, meaning 'off', is allowed below `least`.
    or_zero: bool,
    least: u64,
    most: u64,
}

/// From the one to the other, both allowed.
pub(super) const fn from(least: u64, most: u64) -> Range {
    Range {
        or_zero: false,
        least,
        most,
    }
}

/// Zero for 'off', or from the one to the other.
pub(super) const fn off_or(least: u64, most: u64) -> Range {
    Range {
        or_zero: true,
        least,
        most,
    }
}

impl Range {
    /// Whether a value may stand.
    pub(crate) fn holds(&self, value: u64) -> bool {
        (self.least..=self.most).contains(&value) || (self.or_zero && value == 0)
    }

    /// The range in words, with each bound as `show` has it.
    pub(crate) fn show(&self, show: fn(u64) -> String) -> String {
        let zero = if self.or_zero { "0 (off) or " } else { "" };
        format!("{zero}{} to {}", show(self.least), show(self.most))
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
    use std::time::Duration;

    use super::super::table::SETTINGS;
    use super::super::{Config, setting::Kind};
    use super::*;

    fn ranges() -> impl Iterator<Item = &'static Range> {
        SETTINGS.iter().filter_map(|setting| match &setting.kind {
            Kind::Count(_, range)
            | Kind::Size(_, range)
            | Kind::Time(_, range)
            | Kind::Microseconds(_, range) => Some(range),
            _ => None,
        })
    }

    #[test]
    fn a_bound_is_inside_and_its_neighbour_is_not() {
        assert!(ranges().count() > 20);
        for range in ranges() {
            assert!(range.holds(range.least), "{range:?}");
            assert!(range.holds(range.most), "{range:?}");
            assert!(!range.holds(range.most + 1), "{range:?}");
            if range.least > 1 {
                assert!(!range.holds(range.least - 1), "{range:?}");
            }
            assert_eq!(range.holds(0), range.or_zero || range.least == 0);
        }
    }

    #[test]
    fn an_error_names_the_option_the_value_and_the_range() {
        let complaint = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        assert_eq!(
            complaint(|config| config.idle_timeout = Duration::from_millis(1)),
            "--idle-timeout: 1ms is out of range; allowed: 0 (off) or 10ms to 7days"
        );
        assert_eq!(
            complaint(|config| config.max_header_bytes = 100),
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
