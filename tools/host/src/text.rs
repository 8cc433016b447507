//! The few forms in which `/proc` writes numbers.

use std::ops::RangeInclusive;

/// The number in a line such as `Threads:     12`.
pub fn field(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(field, _)| *field == name)
        .and_then(|(_, value)| value.split_ascii_whitespace().next()?.parse().ok())
}

/// The bytes in a line such as `VmRSS:     1234 kB`.
pub fn field_bytes(text: &str, name: &str) -> Option<u64> {
    field(text, name).map(|kib| kib.saturating_mul(1024))
}

/// The ranges in a list such as `0-3,8` of cores or ports. A part that is no
/// number is left out.
pub fn ranges(list: &str) -> impl Iterator<Item = RangeInclusive<u32>> {
    list.trim().split(',').filter_map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "SlabX:  9 kB\nSlab:     182 kB\nName: a\n";
        assert_eq!(field_bytes(text, "Slab"), Some(182 * 1024));
        assert_eq!(field(text, "Name"), None);
        assert_eq!(field(text, "Pss"), None);
    }

    #[test]
    fn lists_hold_numbers_and_ranges() {
        let parse = |text| ranges(text).collect::<Vec<_>>();
        assert_eq!(parse("0-3,8\n"), [0..=3, 8..=8]);
        assert!(parse("\n").is_empty());
        assert!(parse("none").is_empty());
    }
}
