//! Numbers with their units, for people.

use crate::number::grouped;

/// A whole number with separators, rounded up: `1,234,567`.
pub(super) fn count(number: f64) -> String {
    grouped(number.ceil() as u64)
}

/// A number of things: `1 core`, `12 cores`.
pub(super) fn things(number: f64, one: &str, many: &str) -> String {
    match count(number) {
        text if text == "1" => format!("1 {one}"),
        text => format!("{text} {many}"),
    }
}

/// Three significant digits, or all before the point: `1,234`, `12.3`, `0.12`.
pub(super) fn figure(number: f64) -> String {
    match number {
        _ if number == 0.0 => "0".into(),
        _ if number >= 99.95 => count(number.round()),
        _ if number >= 9.995 => short(format!("{number:.1}")),
        _ if number >= 0.01 => short(format!("{number:.2}")),
        _ => "< 0.01".into(),
    }
}

/// Without zeros after the point: `3`, `3.5`.
fn short(text: String) -> String {
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Bytes: `512 B`, `12.3 KiB`, `1.23 GiB`.
pub(super) fn bytes(number: f64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if number < 1024.0 {
        return format!("{} B", count(number));
    }
    let power = ((number.log2() / 10.0) as usize).min(UNITS.len());
    let number = number / 1024f64.powi(power as i32);
    format!("{} {}", figure(number), UNITS[power - 1])
}

/// Bits per second, in thousands as networks count them: `12.3 Mbit/s`.
pub(super) fn bits_per_second(number: f64) -> String {
    match number {
        _ if number < 1e3 => format!("{} bit/s", count(number)),
        _ if number < 1e6 => format!("{} kbit/s", figure(number / 1e3)),
        _ if number < 1e9 => format!("{} Mbit/s", figure(number / 1e6)),
        _ => format!("{} Gbit/s", figure(number / 1e9)),
    }
}

/// Seconds: `85 µs`, `1.2 ms`, `4.2 s`, `3 min 20 s`, `2 h 5 min`.
pub(super) fn time(seconds: f64) -> String {
    match seconds {
        _ if seconds == 0.0 => "0 s".into(),
        _ if seconds < 1e-3 => format!("{} µs", figure(seconds * 1e6)),
        _ if seconds < 1.0 => format!("{} ms", figure(seconds * 1e3)),
        _ if seconds < 120.0 => format!("{} s", figure(seconds)),
        _ if seconds < 7_200.0 => format!(
            "{:.0} min {:.0} s",
            (seconds / 60.0).floor(),
            seconds % 60.0
        ),
        _ => format!(
            "{} h {:.0} min",
            count((seconds / 3_600.0).floor()),
            (seconds % 3_600.0 / 60.0).floor()
        ),
    }
}

/// A share: `37 %`, `0.12 %`.
pub(super) fn percent(share: f64) -> String {
    format!("{} %", figure(share * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_exact_where_it_matters() {
        assert_eq!(count(1_000_000.0), "1,000,000");
        assert_eq!(count(70.2), "71");
        assert_eq!(figure(3_333.33), "3,333");
        assert_eq!(figure(12.34), "12.3");
        assert_eq!(figure(4.0), "4");
        assert_eq!(figure(0.126), "0.13");
        assert_eq!(figure(0.0), "0");
        assert_eq!(figure(7e-6), "< 0.01");
    }

    #[test]
    fn units_follow_the_size() {
        assert_eq!(bytes(512.0), "512 B");
        assert_eq!(bytes(1024.0 * 1024.0), "1 MiB");
        assert_eq!(bytes(4.104 * 1024f64.powi(3)), "4.1 GiB");
        assert_eq!(bits_per_second(900.0), "900 bit/s");
        assert_eq!(bits_per_second(2.24e9), "2.24 Gbit/s");
        assert_eq!(time(0.004), "4 ms");
        assert_eq!(time(41.8), "41.8 s");
        assert_eq!(time(200.0), "3 min 20 s");
        assert_eq!(time(7_500.0), "2 h 5 min");
        assert_eq!(percent(0.375), "37.5 %");
    }
}
