//! Numbers with their units, for people.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use corecast_host::number::grouped;

/// A figure per second, without the words: `152,345`, `12.3`.
pub fn rate(per_second: f64) -> String {
    significant(per_second)
}

/// Three significant digits, or all before the point: `1,234`, `12.3`, `1.23`.
pub fn significant(figure: f64) -> String {
    match figure {
        _ if figure >= 99.95 => grouped(figure.round() as u64),
        _ if figure >= 9.995 => format!("{figure:.1}"),
        _ if figure == 0.0 => "0".into(),
        _ if figure >= 0.01 => format!("{figure:.2}"),
        _ => format!("{figure:.4}"),
    }
}

/// Without digits that say nothing: `0.5`, `2`, `1,000`.
pub fn plain(figure: f64) -> String {
    if figure >= 100.0 {
        return grouped(figure.round() as u64);
    }
    let text = format!("{figure:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A round time on an axis, given in microseconds: `50 µs`, `2 ms`.
pub fn tick_micros(micros: f64) -> String {
    match micros.round() {
        micros if micros < 1e3 => format!("{} µs", plain(micros)),
        micros if micros < 1e6 => format!("{} ms", plain(micros / 1e3)),
        micros => format!("{} s", plain(micros / 1e6)),
    }
}

/// A time given in microseconds: `85 µs`, `1.23 ms`, `2.50 s`.
pub fn micros(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{} ms", significant(micros as f64 / 1e3)),
        _ => format!("{} s", significant(micros as f64 / 1e6)),
    }
}

/// Memory in bytes: `512 B`, `12.3 KiB`, `1.23 GiB`.
pub fn memory(bytes: f64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024.0 {
        return format!("{bytes:.0} B");
    }
    let power = (bytes.log2() / 10.0).floor().min(4.0) as usize;
    let figure = bytes / 1024f64.powi(power as i32);
    format!("{} {}", significant(figure), UNITS[power - 1])
}

/// Bytes per second, in millions as networks count them: `12.3 MB/s`.
pub fn throughput(bytes_per_second: f64) -> String {
    format!("{} MB/s", significant(bytes_per_second / 1e6))
}

/// A time in seconds: `4.2 s`, `3 min 20 s`, `2 h 5 min`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..120 => format!("{} s", significant(seconds)),
        120..7_200 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
    }
}

/// A share as a percentage: `99.98 %`.
pub fn percent(part: f64, whole: f64) -> String {
    if whole <= 0.0 {
        return "–".into();
    }
    let share = part / whole * 100.0;
    match share {
        // One of a million that was lost is not none.
        _ if share > 0.0 && share < 0.01 => "< 0.01 %".into(),
        _ if share > 99.99 && share < 100.0 => "> 99.99 %".into(),
        _ if share == share.round() => format!("{share:.0} %"),
        _ => format!("{share:.2} %"),
    }
}

/// A moment given in milliseconds since 1970: `2026-01-31 12:00:00 UTC`.
pub fn date(unix_ms: u64) -> String {
    /// The end of the year 9999, the last that can be written.
    const LAST_MS: u64 = 253_402_300_799_000;
    let moment = UNIX_EPOCH + Duration::from_millis(unix_ms.min(LAST_MS));
    let text = humantime::format_rfc3339_seconds(moment).to_string();
    text.replace('T', " ").replace('Z', " UTC")
}

/// A moment to the minute: `2026-01-31 12:00 UTC`.
pub fn minute(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut text = date(since.as_millis().try_into().unwrap_or(u64::MAX));
    // Without the seconds.
    text.replace_range(16..19, "");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_separators_and_units() {
        for (shown, wanted) in [
            (grouped(0), "0"),
            (grouped(999), "999"),
            (grouped(1_000), "1,000"),
            (grouped(1_234_567), "1,234,567"),
            (rate(152_344.6), "152,345"),
            (rate(12.34), "12.3"),
            (rate(0.0), "0"),
            (micros(85), "85 µs"),
            (micros(1_230), "1.23 ms"),
            (micros(45_600), "45.6 ms"),
            (micros(2_500_000), "2.50 s"),
            (memory(512.0), "512 B"),
            (memory(12.25 * 1024.0), "12.2 KiB"),
            (memory(3.5 * 1024.0 * 1024.0 * 1024.0), "3.50 GiB"),
            (throughput(12_300_000.0), "12.3 MB/s"),
            (duration(4.2), "4.20 s"),
            (duration(200.0), "3 min 20 s"),
            (duration(7_500.0), "2 h 5 min"),
            (percent(1.0, 1.0), "100 %"),
            (percent(9_998.0, 10_000.0), "99.98 %"),
            (percent(1.0, 1e6), "< 0.01 %"),
            (percent(1e6 - 1.0, 1e6), "> 99.99 %"),
            (percent(1.0, 0.0), "–"),
            (date(0), "1970-01-01 00:00:00 UTC"),
            (
                minute(UNIX_EPOCH + Duration::from_secs(951_782_459)),
                "2000-02-29 00:00 UTC",
            ),
        ] {
            assert_eq!(shown, wanted);
        }
    }

    #[test]
    fn no_number_is_too_large_or_too_odd() {
        for figure in [f64::MAX, f64::INFINITY, f64::NAN, -1.0] {
            significant(figure);
            memory(figure);
            duration(figure);
            percent(figure, figure);
        }
        date(u64::MAX);
        micros(u64::MAX);
    }
}
