//! A time in the words in which options are written.

use std::time::Duration;

const UNITS: [(&str, u128); 7] = [
    ("day", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// A time in words that state it exactly, as `--idle-timeout` reads it.
pub(crate) fn show_time(time: Duration) -> String {
    let mut rest = time.as_nanos();
    let mut words = Vec::new();
    for (name, nanoseconds) in UNITS {
        let count = rest / nanoseconds;
        rest %= nanoseconds;
        let plural = if name == "day" && count > 1 { "s" } else { "" };
        if count > 0 {
            words.push(format!("{count}{name}{plural}"));
        }
    }
    if words.is_empty() {
        return "0s".to_owned();
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NANOSECONDS: [(u64, &str); 8] = [
        (0, "0s"),
        (1, "1ns"),
        (1_500, "1us 500ns"),
        (10_000_000, "10ms"),
        (90_000_000_000, "1m 30s"),
        (5_400_000_000_000, "1h 30m"),
        (86_400_000_000_000, "1day"),
        (604_800_000_000_000, "7days"),
    ];

    #[test]
    fn times_are_shown_exactly() {
        for (nanoseconds, text) in NANOSECONDS {
            assert_eq!(show_time(Duration::from_nanos(nanoseconds)), text);
        }
    }

    #[cfg(feature = "cli")]
    #[test]
    fn the_command_line_reads_what_is_shown() {
        let longest = Duration::from_nanos(400 * 86_400_000_000_000 + 1_001_001_001);
        let times = NANOSECONDS.map(|(nanoseconds, _)| Duration::from_nanos(nanoseconds));
        for time in times.into_iter().chain([longest]) {
            assert_eq!(
                corecast_host::number::time_or_zero(&show_time(time)),
                Ok(time)
            );
        }
    }
}
